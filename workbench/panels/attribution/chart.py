"""What is drawn of attributions: which maps a result holds, and each on the one scale that all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.panels.attribution.names import ALL_LAYERS, LABELS
from workbench.panels.attribution.scores import BASELINES

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Floats = NDArray[np.float64]
FAINT = 0.02
"""A probability of the answer below which curves that start or end there are flat."""
Named = tuple[str, "Result"]
"""A result with its name."""


@dataclass(frozen=True)
class Map:
    """One map: values (cells,) divided by the size of its largest, so −1 to 1; its measures and curves.

    stage: "" of a method without layers. curves: probability at each step, by way; empty where not measured.
    """

    method: str
    stage: str
    values: Floats
    measures: dict[str, float]
    curves: dict[str, Floats]

    @property
    def label(self) -> str:
        """What the method is called."""
        return LABELS[self.method]


def of_image(result: Result) -> bool:
    """Whether the result is of one image, with maps; else it is of a collection."""
    return "maps" in result.tables


def targets_of(result: Result) -> list[str]:
    """What is explained: the whole answer, then its words."""
    return [str(text) for text in result.tables["targets"]["text"]]


def stages_of(result: Result) -> list[str]:
    """The layers that any method tells apart, in order, their mean first; empty where none does."""
    found = {str(stage) for stage in result.tables["maps"]["stage"]} - {"", ALL_LAYERS}
    ordered = sorted(found, key=lambda name: int(name.rpartition(" ")[2]))
    return [ALL_LAYERS, *ordered] if ordered else []


def maps(result: Result, target: int = 0, stage: str = ALL_LAYERS, only: Sequence[str] = ()) -> list[Map]:
    """The map of every method, or of these, for one target; of a method with layers at this stage.

    A method that does not have the stage is left out; one without layers has one map for all stages.

    Raises:
        Refusal: the result has no such target, stage or method.
    """
    table = result.tables["maps"]
    if not 0 <= target < len(targets_of(result)):
        raise Refusal(f"There is no target {target}: choose 0 to {len(targets_of(result)) - 1}.")
    if stage not in (known := stages_of(result)) and stage != ALL_LAYERS:
        raise Refusal(f"No method tells {stage!r} apart. Choose one of {', '.join(known) or ALL_LAYERS}.")
    held = list(dict.fromkeys(table["method"]))
    if lacking := [name for name in only if name not in held]:
        raise Refusal(f"There is no map by {', '.join(lacking)}; there are {', '.join(held)}.")
    found = []
    for place, row in enumerate(table.to_dict("records")):
        wanted = row["target"] == target and row["stage"] in ("", stage)
        if wanted and (not only or row["method"] in only):
            found.append(_map(result, place, row))
    return sorted(found, key=lambda one: list(only).index(one.method)) if only else found


def _map(result: Result, place: int, row: dict[str, Any]) -> Map:
    values = result.arrays["maps"][place].astype(np.float64)
    size = np.abs(values).max(initial=0.0)
    measures = {name: float(row[name]) for name in MEASURES if np.isfinite(row[name])}
    curves = {}
    if row["layer"] == 0 and "curves" in result.tables:
        table = result.tables["curves"]
        own = table[(table["method"] == row["method"]) & (table["target"] == row["target"])]
        curves = {
            str(way): part["probability"].to_numpy(float) for way, part in own.groupby("way", sort=False)
        }
    return Map(str(row["method"]), str(row["stage"]), values / size if size > 0 else values, measures, curves)


MEASURES = {
    "deletion": "deletion ↓",
    "insertion": "insertion ↑",
    "infidelity": "infidelity ↓",
    "sensitivity": "sensitivity ↓",
    "pointing": "pointing ↑",
    "energy": "energy in mask ↑",
}
"""The measures of a map, with the direction that is better."""


def boxes_of(result: Result) -> NDArray[np.float32]:
    """The cells on the picture, float32 (cells, 4): x0, y0, x1, y1 in its pixels."""
    return result.arrays["boxes"].astype(np.float32)


def refused(result: Result) -> list[str]:
    """Why a chosen method has no maps, a sentence for each."""
    table = result.tables["methods"]
    return [str(reason) for reason in table["refused"] if isinstance(reason, str) and reason]


def agreeing(result: Result, target: int = 0) -> dict[str, float]:
    """How far each method agrees with the others: the mean Spearman correlation, random maps left out."""
    if "agreement" not in result.tables:
        return {}
    table = result.tables["agreement"]
    others = table[(table["target"] == target) & (table["a"] != table["b"]) & (table["b"] != "random")]
    means = others.groupby("a", sort=False)["spearman"].mean()
    return {str(name): float(value) for name, value in means.items() if np.isfinite(value)}


def of_measure(result: Result, measure: str) -> DataFrame:
    """One measure of a collection, of every method; of those with layers the mean over them."""
    table = result.tables["pointing"]
    return table[(table["measure"] == measure) & table["stage"].isin(["", ALL_LAYERS])]


def verdict(result: Result) -> list[str]:
    """What the result says, in sentences."""
    return _of_image(result) if of_image(result) else _of_many(result)


def _of_image(result: Result) -> list[str]:
    answer, row = result.tables["answer"].iloc[0], result.tables["targets"].iloc[0]
    if is_drawing(result):
        return _of_drawing(result)
    said = [f"The answer is “{answer['answer']}”, {probability(float(row['probability']))}."]
    if row["probability"] < FAINT and not row["difference"]:
        said.append("With so small a probability the curves of deletion and insertion are flat.")
    if row["difference"]:
        said = [f"Explained is {row['text']}: the log-probabilities are {row['value']:+.2f} nats apart."]
    if "truth" in result.tables:
        truth = result.tables["truth"].iloc[0]
        said.append(
            f"The {truth['name']} covers {100 * truth['share']:.1f} % of the image, and a cell drawn at "
            f"random hits it in {100 * truth['chance']:.0f} %."
        )
    return said


def is_drawing(result: Result) -> bool:
    """Whether a drawing is explained, not an answer."""
    return "drawing" in result.images


def _of_drawing(result: Result) -> list[str]:
    targets = result.tables["targets"]
    moves = " and ".join(
        f"{row['text']} by {255 * (-row['far']) ** 0.5:.0f}" for row in targets.to_dict("records")
    )
    return [
        "Explained is what the model draws: how far it moves where parts of the image are taken away and it "
        "draws again from the same noise.",
        f"With nothing of the image left, {moves} levels of 255 (root mean square); curves and areas are "
        "shares of that, 1 where nothing moved.",
    ]


def probability(value: float) -> str:
    """A probability for reading."""
    return f"p {value:.2f}" if value >= 0.005 else "p < 0.01"


def _of_many(result: Result) -> list[str]:
    table = of_measure(result, "pointing").set_index("method")
    above = [
        LABELS[str(name)]
        for name, row in table.sort_values("value", ascending=False, kind="stable").iterrows()
        if name not in BASELINES and name != "random" and row["above_low"] > 0
    ]
    asked = [name for name in table.index if name not in BASELINES and name != "random"]
    listed = f": {', '.join(above)}" if above else ""
    return [
        f"Of {len(asked)} methods {len(above)} point above chance, with an interval above zero{listed} "
        f"(n = {int(table['n'].max()):,} images)."
    ]
