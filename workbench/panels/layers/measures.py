"""The quantities of this panel: what they are called, when they are better, how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher is better ↑", "lower is better ↓", ""]

READER = (
    "Multinomial logistic regression on mean-pooled visual tokens, standardised; penalty chosen on the "
    "validation split; shaded: 95 % bootstrap interval over test images; grey: the same reader trained on "
    "shuffled labels."
)
PATCH_READER = (
    "Ridge regression to class indicators, one token at a time; penalty chosen on the validation split; "
    "shaded: 95 % bootstrap interval over test images; grey: the same reader trained on shuffled labels."
)
OURS = (
    "The source (PRe, arXiv 2603.20808) names the quantity without a formula; this is our operationalisation."
)


SHORT = {
    "patch accuracy": "accuracy",
    "patch mIoU": "mean IoU",
    "contrast difference": "contrast",
    "contrast ratio": "ratio",
    "neighbour cosine": "neighbours",
    "far cosine": "far apart",
    "neighbour - far": "gap",
    "effective dimension": "dimension",
    "token norm": "norm",
}


@dataclass(frozen=True)
class Group:
    """Curves that share one vertical axis.

    measures: their names in the table. note: how to read them, in sentences. log: whether the axis is
    logarithmic.
    """

    name: str
    axis: str
    direction: Direction
    measures: tuple[str, ...]
    note: str
    log: bool = False


def accuracy_of(target: str) -> str:
    """The name of the global reader's accuracy for a target of the probe set."""
    return f"accuracy, {target}"


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group(
            "global reader",
            "accuracy of a linear reader",
            "higher is better ↑",
            tuple(accuracy_of(target) for target in ("shape", "colour", "texture", "count")),
            READER + " Shape, colour and texture are those of the nearest object.",
        ),
        Group(
            "segmentation reader",
            "patch accuracy, mean IoU",
            "higher is better ↑",
            ("patch accuracy", "patch mIoU"),
            PATCH_READER,
        ),
        Group(
            "patch structure",
            "cosine of patch pairs",
            "",
            ("cohesion", "coupling"),
            "Cohesion: mean cosine of two patches of one object or kind of background. Coupling: of two "
            "patches of different ones. Grey: chance, the same with permuted labels. " + OURS,
        ),
        Group(
            "contrast",
            "cohesion \N{MINUS SIGN} coupling",
            "higher is better ↑",
            ("contrast difference",),
            "Mean cosine of two patches of one object or kind of background, minus that of two patches of "
            "different ones. Grey: chance, the same with permuted labels. " + OURS,
        ),
        Group(
            "contrast ratio",
            "cohesion / coupling",
            "higher is better ↑",
            ("contrast ratio",),
            "Semantic contrast ratio, undefined where coupling is not positive, and very large where it is "
            "nearly 0; chance is 1. Over many images it is the ratio of the two means. " + OURS,
            log=True,
        ),
        Group(
            "neighbourhood",
            "cosine of patch pairs",
            "",
            ("neighbour cosine", "far cosine", "neighbour - far"),
            "Patches that share an edge against patches at least half the grid apart; needs no mask. In a "
            "tower whose patches are finer than the language model's, neighbours lie nearer. Grey: chance, "
            "the same with permuted places.",
        ),
        Group(
            "Moran's I",
            "Moran's I",
            "",
            ("Moran's I",),
            "Spatial autocorrelation of the patches' unit vectors: 1 smooth, 0 without order, below 0 a "
            "checkerboard. Grey: chance.",
        ),
        Group(
            "effective dimension",
            "effective dimension",
            "",
            ("effective dimension",),
            "Participation ratio of the patches' covariance: in about how many directions an image's patches "
            "spread. " + OURS,
        ),
        Group(
            "token norm",
            "median length of a token",
            "",
            ("token norm",),
            "Median over patches of the Euclidean length of the hidden state.",
            log=True,
        ),
    )
}
"""Every group by name, in the order of the panel."""


def short(measure: str) -> str:
    """What a curve is called at its end, where the axis already says the rest."""
    return SHORT.get(measure, measure.removeprefix("accuracy, "))
