"""What is known of one answer so far, laid out as a result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.attribution.agreement import between_all
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.config import Method
from workbench.panels.attribution.measuring import Measuring, Truth
from workbench.panels.attribution.methods import METHODS, Found
from workbench.panels.attribution.names import LABELS

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

Row = dict[str, Any]
MEASURES = ("deletion", "insertion", "infidelity", "sensitivity", "pointing", "energy")
"""What a map is measured by; a number that is not measured is NaN."""


class Laid:
    """Maps and measures as they come; `result` may be asked for at any time."""

    def __init__(self, case: Case, picture: Picture, truth: Truth | None, started: float) -> None:
        self.case, self.picture, self.truth, self.started = case, picture, truth, started
        self.measuring = Measuring(case, truth)
        self.found: dict[Method, Found] = {}
        self.refused: dict[Method, str] = {}
        self._costs: dict[Method, Row] = {}
        self._measured: dict[tuple[Method, int, int], Row] = {}
        self._curves: list[Row] = []
        self._agreement: list[Row] = []

    def refuse(self, name: Method, reason: str) -> None:
        """A method does not apply."""
        self.refused[name] = reason

    def add(self, name: Method, found: Found, seconds: float, passes: int) -> None:
        """A method's maps, with what they cost."""
        self.found[name] = found
        self._costs[name] = {"seconds": seconds, "passes": passes}

    def agree(self) -> None:
        """Rank agreement of every two methods, those with layers by the mean over them."""
        names = list(self.found)
        for target in range(len(self.case.spoken.targets)):
            table = between_all([self.found[name].maps[target, 0] for name in names])
            self._agreement += [
                {
                    "target": target,
                    "a": a,
                    "b": b,
                    "spearman": table[i][j].spearman,
                    "kendall": table[i][j].kendall,
                }
                for i, a in enumerate(names)
                for j, b in enumerate(names)
            ]

    def measure(self, name: Method) -> None:
        """Infidelity and pointing of a method's maps; curves too, of those with layers their mean's alone."""
        for target, of_target in enumerate(self.found[name].maps):
            for layer, values in enumerate(of_target):
                row, curves = self.measuring.about(values, target, curved=layer == 0)
                self._measured[name, target, layer] = row
                self._curves += [{"method": name, "target": target, **point} for point in curves]

    def move(self, name: Method) -> None:
        """How far a method's map of the whole answer moves with nearly the same image."""
        found = self.found[name]
        values = self.measuring.sensitivity(METHODS[name], 0, list(found.maps[:, 0]))
        for target, value in enumerate(values):
            self._measured.setdefault((name, target, 0), {})["sensitivity"] = value

    def result(self) -> Result:
        """All of it.

        Tables: "answer" (what is explained); "targets" (text, value in nats, probability; of a drawing value
        is the negative mean squared difference, far that with nothing of the image, and a likeness stands
        where a probability does, see `Target.likelihood`); "methods" (label, what it is, seconds, passes
        through the model, how far it misses completeness as a share, why it does not apply); "maps" (a row
        for each of the array "maps": method, target, layer, with its measures; of a method with layers only
        the first, their mean, has curves); "curves" (probability at each share of cells); "agreement"; of a
        scene "truth" (what is asked about, its share of the image, chance).

        Arrays: ``maps`` float32 (rows of "maps", cells); ``grid`` (rows, columns); ``boxes`` float32 (cells,
        4) in pixels; of a scene ``mask`` bool (H, W); of a drawing, where it is explained, ``patch`` bool
        (H, W). Images: original, shown, baseline; drawing.
        """
        import pandas as pd

        from workbench.panels.attribution.study import STUDY
        from workbench.runs.manifest import manifest
        from workbench.runs.result import Result

        case, config = self.case, self.case.config
        rows, maps = self._maps()
        tables: dict[str, list[Row]] = {
            "answer": [{"answer": case.spoken.text, "versus": case.spoken.versus}],
            "targets": self._targets(),
            "methods": [self._method(name) for name in (*self.found, *self.refused)],
            "maps": rows,
            "curves": self._curves,
            "agreement": self._agreement,
        }
        arrays = {
            "maps": np.array(maps, dtype=np.float32).reshape(len(maps), case.cells),
            "grid": np.array([case.grid.rows, case.grid.cols]),
            "boxes": np.asarray(case.grid.boxes, dtype=np.float32),
        }
        arrays |= case.outlines
        if self.truth is not None:
            arrays["mask"] = self.truth.mask
            share = float(self.truth.mask.mean())
            tables["truth"] = [{"name": self.truth.name, "share": share, "chance": self.measuring.chance}]
        values = config.model_dump(mode="json")
        return Result(
            study=STUDY,
            config=values,
            manifest=manifest(case.model.card, values, config.seed, {"picture": self.picture}, self.started),
            tables={name: pd.DataFrame(found) for name, found in tables.items() if found},
            arrays=arrays,
            images={"original": self.picture.pixels, **case.pictures},
        )

    def _targets(self) -> list[Row]:
        return [
            {
                "text": target.text,
                "value": float(value),
                "probability": float(target.likelihood(np.array([value]))[0]),
                "difference": target.difference,
                "far": math.nan if target.far is None else target.far,
            }
            for target, value in zip(self.case.spoken.targets, self.case.value, strict=True)
        ]

    def _method(self, name: Method) -> Row:
        found = self.found.get(name)
        complete = np.array([]) if found is None else found.told.get("completeness", np.array([]))
        return {
            "method": name,
            "label": LABELS[name],
            "about": METHODS[name].about,
            "signed": METHODS[name].signed,
            "seconds": math.nan,
            "passes": 0,
            **self._costs.get(name, {}),
            "completeness": float(complete[0]) if len(complete) else math.nan,
            "refused": self.refused.get(name, ""),
        }

    def _maps(self) -> tuple[list[Row], list[np.ndarray]]:
        rows, maps = [], []
        for name, found in self.found.items():
            for target, of_target in enumerate(found.maps):
                for layer, values in enumerate(of_target):
                    measured = self._measured.get((name, target, layer), {})
                    own = {"method": name, "target": target, "layer": layer, "stage": found.layers[layer]}
                    rows.append(own | {each: measured.get(each, math.nan) for each in MEASURES})
                    maps.append(values)
        return rows, maps
