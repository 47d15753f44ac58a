"""The quantities of this panel: what they are called, when they are better, how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher is better ↑", "lower is better ↓", ""]

SHADED = "shaded: 95 % bootstrap interval over test images (of an accuracy of 0 or 1: Wilson's)"
READER = (
    "Multinomial logistic regression on mean-pooled visual tokens, standardised; penalty chosen on the "
    f"validation split; {SHADED}; grey: the same reader trained on shuffled labels."
)
PATCH_READER = (
    "Ridge regression to class indicators, one token at a time; penalty chosen on the validation split by "
    f"mean IoU, for accuracy too; {SHADED}; grey: the same reader trained on shuffled labels. Mean IoU is "
    "over the classes of the test images' truth; its interval is the jackknife's linear approximation to the "
    "bootstrap's (our choice)."
)
OF_ALL = (
    "The interval of a number of all test images is over images, to first order in what each adds to the "
    "covariance (infinitesimal jackknife; ours). "
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
    "effective dimension": "of an image",
    "effective dimension, all tokens": "of all images",
    "components for 90 %": "components",
    "token norm": "norm",
    "pixels R²": "pixels",
    "colour R²": "colour",
    "depth R²": "depth",
    "cosine to llm 0": "cosine",
    "CKA with llm 0": "CKA",
    "CKA with the first": "CKA",
    "feature correlation": "correlation",
    "outlier tokens": "outliers",
    "tokens that read as words": "words",
    "lens entropy": "entropy",
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

    def among(self, held: Iterable[str]) -> list[str]:
        """Those of `held` that belong here, in the group's order and then in their own."""
        names = list(dict.fromkeys(held))
        found: list[str] = []
        for measure in self.measures:
            start = measure.removesuffix(ANY)
            found += [n for n in names if n == measure or (start != measure and n.startswith(start))]
        return found


BETWEEN = "between results"
WITH_FIRST = "CKA with the first"
"""What `between` measures: it is in no result's own table."""
ANY = "*"
"""At the end of a measure's name: all that begin so."""


def accuracy_of(target: str) -> str:
    """The name of the global reader's accuracy for a target of a collection."""
    return f"accuracy, {target}"


def streamed_of(target: str) -> str:
    """The name of the accuracy of the global reader that holds no states, for a target of a collection."""
    return f"ridge accuracy, {target}"


def neighbours_of(target: str) -> str:
    """The name of the nearest neighbours' accuracy for a target of a collection."""
    return f"k-NN, {target}"


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group(
            "global reader",
            "accuracy of a linear reader",
            "higher is better ↑",
            (accuracy_of(ANY),),
            READER + " Of the bundled scenes: shape, colour and texture are those of the nearest object.",
        ),
        Group(
            "ridge reader",
            "accuracy of a linear reader",
            "higher is better ↑",
            (streamed_of(ANY),),
            "The global reader for more images than memory holds: ridge regression from mean-pooled visual "
            "tokens, standardised, to class indicators, from sums alone; penalty chosen on the validation "
            f"split; {SHADED}; grey: the same reader trained on shuffled labels. It is another reader than "
            "the logistic one: compare it with itself.",
        ),
        Group(
            "nearest neighbours",
            "accuracy of k-NN",
            "higher is better ↑",
            (neighbours_of(ANY),),
            "Of k nearest neighbours, by cosine of centred mean-pooled visual tokens, each neighbour with "
            f"one vote; k chosen on the validation split; {SHADED}. A reader without weights.",
        ),
        Group(
            "segmentation reader",
            "patch accuracy, mean IoU",
            "higher is better ↑",
            ("patch accuracy", "patch mIoU"),
            PATCH_READER,
        ),
        Group(
            "content reader",
            "R²",
            "higher is better ↑",
            ("pixels R²", "colour R²", "depth R²"),
            "Ridge regression from one token to the colours of 4 × 4 cells under its patch (pixels), "
            "to their mean (colour) and to the patch's depth where that is known, of the picture before any "
            "corruption; 1 is perfect, 0 what the mean reaches; penalty chosen on the validation split, for "
            "colour that of pixels; shaded: 95 % bootstrap interval over test images; grey: the same reader "
            "trained on the targets of other patches.",
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
            ("effective dimension", "effective dimension, all tokens"),
            "Participation ratio of the patches' covariance: in about how many directions an image's patches "
            "spread, and those of all test images together. " + OF_ALL + OURS,
        ),
        Group(
            "components for 90 %",
            "principal components",
            "",
            ("components for 90 %",),
            "How many principal components hold 90 % of the variance of all test images' patches. It is a "
            "count that moves by steps, so it has no interval. " + OURS,
        ),
        Group(
            "feature correlation",
            "mean |correlation of features|",
            "",
            ("feature correlation",),
            "Mean absolute correlation of two different features over the patches, of one picture or of all "
            "test images together: independent features of n patches give about sqrt(2 / πn), not 0. "
            + OF_ALL
            + OURS,
        ),
        Group(
            "likeness",
            "likeness to what enters the language model",
            "",
            ("cosine to llm 0", "CKA with llm 0"),
            "Cosine of each token to itself at llm 0, where the width is the same; linear CKA (unbiased) of "
            "the tokens with those of llm 0, which does not mind a rotation. Of a collection, CKA is over "
            "blocks of 8 tokens of each of 8 images, of the first 256 test images (our choice; Nguyen et "
            "al., ICLR 2021), whatever the batch of the passes. Shaded: 95 % interval from resampling "
            "images, of CKA blocks of them where there are eight or more.",
        ),
        Group(
            BETWEEN,
            "linear CKA, stage by stage",
            "",
            (WITH_FIRST,),
            "Linear CKA (unbiased, over small batches of images; Nguyen et al., ICLR 2021) of each stage in "
            "one result with the stage of the same name in the first: of two checkpoints, or of one model in "
            "two conditions, of the same images. 1: the same but for a rotation and a scale; 0: unrelated. "
            "Rows are single tokens where the grids of both are equal, else images by their mean token. "
            "Shaded: 95 % interval from resampling the batches, where there are eight or more.",
        ),
        Group(
            "lens",
            "share of tokens, entropy in nats",
            "",
            ("tokens that read as words", "lens entropy"),
            "Visual tokens through the model's own final norm and head: share whose likeliest token is "
            "letters alone, and mean entropy. The head was trained for the last layer and for text: at "
            "earlier layers, and at visual tokens at all, the lens may mislead.",
        ),
        Group(
            "anisotropy",
            "mean cosine of two tokens",
            "",
            ("anisotropy",),
            "Mean cosine of two different tokens of an image: near 1 where all share one direction "
            "(Ethayarajh, EMNLP 2019).",
        ),
        Group(
            "outlier tokens",
            "share of tokens",
            "",
            ("outlier tokens",),
            "Share of an image's tokens whose norm exceeds the median by six median absolute deviations and "
            "is at least twice the median: registers and sinks. The rule is ours.",
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


LABELLED = (accuracy_of(""), streamed_of(""), neighbours_of(""))
"""Beginnings of the names of measures that end with a label."""


def short(measure: str) -> str:
    """What a curve is called at its end, where the axis already says the rest."""
    return SHORT.get(measure, measure.rpartition(", ")[2] if measure.startswith(LABELLED) else measure)
