"""How far a map can be trusted: what becomes of the answer when what it points to goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.attribution.faithfulness import WAYS, area, infidelity, removals, walk
from probes.attribution.pointing import chance, energy, hits, pointing, shares
from probes.attribution.sensitivity import sensitivity_max
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods import Method

Floats = NDArray[np.float64]
Row = dict[str, Any]


@dataclass
class Truth:
    """The thing that the question names: its mask, bool (H, W), and what it is called."""

    name: str
    mask: NDArray[np.bool_]

    def hits(self, case: Case) -> NDArray[np.bool_]:
        """For each cell whether pointing at it hits the thing."""
        return hits(case.grid.boxes, self.mask)

    def covers(self, case: Case) -> Floats:
        """The share of each cell that the thing covers."""
        return shares(case.grid.boxes, self.mask)


class Measuring:
    """Measures the maps of one case; what is the same for all of them is computed once."""

    def __init__(self, case: Case, truth: Truth | None) -> None:
        self.case, self.truth, self.config = case, truth, case.config

    def about(self, values: Floats, target: int, *, curved: bool = True) -> tuple[Row, list[Row]]:
        """Measures of a map (cells,), and its curves, which take passes of their own, where `curved`.

        deletion, insertion: areas, of probabilities 0 to 1. infidelity: relative, 0 to 1. pointing, energy:
        0 to 1. What is not measured has no entry.
        """
        found: Row = {}
        curves: list[Row] = []
        if self.config.curve_steps and curved:
            for way in WAYS:
                shown = walk(values, way, self.config.curve_steps, seed=self.config.seed)
                likely = self.likelihoods(shown, target)
                found[way] = area(likely)
                share = np.linspace(0, 1, len(likely))
                curves += [
                    {"way": way, "share": float(s), "probability": float(p)}
                    for s, p in zip(share, likely, strict=True)
                ]
        if self.config.removals:
            found["infidelity"] = infidelity(values, self._taken, self._lost[:, target]).relative
        if self.truth is not None:
            found["pointing"] = pointing(values, self.truth.hits(self.case))
            found["energy"] = energy(values, self.truth.covers(self.case))
        return found, curves

    def likelihoods(self, shown: NDArray[np.bool_], target: int) -> Floats:
        """The target's probability with only these cells shown, one for each row of `shown`."""
        about = self.case.spoken.targets[target]
        return about.likelihood(about.value(self.case.rows(self.case.without(shown))))

    def sensitivity(self, method: Method, layer: int, own: Sequence[Floats]) -> list[float]:
        """Sensitivity-max at one layer, of the whole answer's map; NaN for the other targets."""

        def explain(image: NDArray[np.uint8]) -> Floats:
            if np.array_equal(image, self.case.image):
                return own[0]
            return method.explain(self.case.of(image)).maps[0, layer]

        value = sensitivity_max(
            explain,
            self.case.image,
            radius=self.config.radius,
            samples=self.config.sensitivity,
            seed=self.config.seed,
        )
        return [value, *[float("nan")] * (len(own) - 1)]

    @property
    def chance(self) -> float:
        """What pointing at a cell drawn at random scores; NaN where no thing is known."""
        return float("nan") if self.truth is None else chance(self.truth.hits(self.case))

    @cached_property
    def _taken(self) -> NDArray[np.bool_]:
        return removals(self.case.cells, self.config.removals, seed=self.config.seed)

    @cached_property
    def _lost(self) -> Floats:
        """What each target loses by each removal, nats, (removals, targets)."""
        rows = self.case.rows(self.case.without(~self._taken))
        return np.stack(
            [
                value - target.value(rows)
                for value, target in zip(self.case.value, self.case.spoken.targets, strict=True)
            ],
            axis=1,
        )


Tell = Callable[[float, str], None]
