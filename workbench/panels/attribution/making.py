"""The maps of a case, from the quickest method to the slowest, and then what is measured of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.config import Method, ordered
from workbench.panels.attribution.methods import METHODS
from workbench.panels.attribution.names import LABELS

if TYPE_CHECKING:
    from workbench.panels.attribution.laid import Laid
    from workbench.panels.layers.config import Progress
    from workbench.runs.result import Result


def expected(name: Method, case: Case) -> int:
    """About how many images the model will look at for the maps of a method, which progress is told by."""
    targets, config = len(case.spoken.targets), case.config
    parts = case.cells if config.regions == "patches" else config.segments
    return {
        "integrated-gradients": (config.steps + 2) * targets,
        "token-gradients": (config.steps + 2) * targets,
        "gradient-shap": config.draws * targets,
        "occlusion": case.cells,
        "ablation": parts,
        "kernel-shap": config.samples,
        "lime": config.samples,
        "random": 0,
    }.get(name, targets)


def make(case: Case, laid: Laid, progress: Progress, show: Callable[[Result], None]) -> None:
    """Fill `laid`, showing it after each method.

    Raises:
        Refusal: no method applies.
        Cancelled: once the case's `stop` says so.
    """
    names, config = ordered(case.config), case.config
    targets = len(case.spoken.targets)
    maps = {name: expected(name, case) for name in names}
    curves = 2 * config.curve_steps * targets
    again = {name: config.sensitivity * expected(name, case) // targets for name in names if name != "random"}
    pace = _Pace(
        case, sum(maps.values()) + curves * len(names) + config.removals + sum(again.values()), progress
    )
    for name in names:
        pace.doing(LABELS[name], maps[name])
        began, passes = time.monotonic(), case.passes
        try:
            found = METHODS[name].explain(case)
        except Refusal as refusal:
            laid.refuse(name, str(refusal))
            continue
        laid.add(name, found, time.monotonic() - began, case.passes - passes)
        show(laid.result())
    if not laid.found:
        raise Refusal(f"No method applies here. {next(iter(laid.refused.values()))}")
    laid.agree()
    for name in laid.found:
        pace.doing(f"what becomes of the answer without what {LABELS[name]} points to", curves)
        laid.measure(name)
    show(laid.result())
    for name in laid.found:
        if config.sensitivity and name != "random":
            pace.doing(f"{LABELS[name]} of nearly the same image", again[name])
            laid.move(name)


class _Pace:
    """Progress by the images that the model has looked at, held to what was expected of each step."""

    def __init__(self, case: Case, total: int, progress: Progress) -> None:
        self.total, self.progress = max(1, total), progress
        self.before, self.here, self.most, self.words = 0, 0, 0, ""
        case.heard = self.heard

    def doing(self, words: str, most: int) -> None:
        """A step begins, in which so many are expected."""
        self.before += self.most
        self.here, self.most, self.words = 0, most, words
        self.heard(0)

    def heard(self, count: int) -> None:
        """So many more were looked at."""
        self.here += count
        done = self.before + min(self.here, self.most)
        self.progress(float(np.clip(done / self.total, 0, 0.999)), self.words)
