"""The visual states of a result as pictures with their words, for the screen and for paper."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.panels.states.record import estimate_name, image_name

if TYPE_CHECKING:
    from workbench.runs.result import Result

ALONE = ("original", "degraded")
"""What the model also answers on from vision tokens alone."""
ANSWERS = ("restored", "no drawing")
"""What a response's own answer is on."""


@dataclass(frozen=True)
class Shot:
    """One picture, ready to be shown: its name, pixels uint8 (H, W, 3), PSNR in dB, its time t.

    What has no PSNR or no time has NaN. ``drawing`` counts from 1; 0 is what was not drawn, and the restored
    image, which ends the last drawing. ``several``: there are more drawings than one. A step has its number
    and, but for the first, the image that its velocity pointed to.
    """

    kind: Literal["original", "degraded", "step", "estimate", "restored"]
    name: str
    pixels: np.ndarray
    psnr: float = math.nan
    t: float = math.nan
    drawing: int = 0
    several: bool = False
    step: int = -1
    estimate: np.ndarray | None = None
    estimate_psnr: float = math.nan

    @property
    def pointed(self) -> Shot | None:
        """The image that the step's velocity pointed to, as a picture of its own, if there is one."""
        if self.estimate is None:
            return None
        name = f"x\N{SUBSCRIPT ZERO} at step {self.step}"
        return replace(
            self, kind="estimate", name=name, pixels=self.estimate, psnr=self.estimate_psnr, t=math.nan
        )

    @property
    def label(self) -> str:
        """The name, with the drawing where there are several."""
        return f"{self.name}, drawing {self.drawing}" if self.several and self.drawing else self.name

    @property
    def note(self) -> str:
        """Time and PSNR in words, as far as there are any."""
        return ", ".join(filter(None, (self._time, decibels(self.psnr))))

    @property
    def short_note(self) -> str:
        """The same for a narrow column."""
        if math.isinf(self.psnr):
            return "unchanged"
        return ", ".join(filter(None, (self._time, "" if math.isnan(self.psnr) else f"{self.psnr:.1f} dB")))

    @property
    def _time(self) -> str:
        return "" if math.isnan(self.t) else f"t {self.t:.2f}"


def decibels(value: float) -> str:
    """A PSNR in words."""
    if math.isnan(value):
        return ""
    return "equal to the original" if math.isinf(value) else f"PSNR {value:.1f} dB"


def given(on: str, restore: str) -> str:
    """What an answer was given on, in words; ``restore`` is the setting that it was given with."""
    if on == "no drawing":
        return "having decided not to draw" if restore == "auto" else "told not to draw"
    return {
        "original": "on the original",
        "degraded": "on the degraded image",
        "restored": "after drawing",
    }.get(on, on)


def decided(draw: bool, restore: str) -> str:
    """A decision in words; where the setting made it, that."""
    if restore == "auto":
        return "draws" if draw else "answers"
    return "told to draw" if draw else "told not to draw"


def probability(value: float, of: str = "p") -> str:
    """A probability with its name; what would round to nothing says that it is small."""
    return f"{of} < 0.01" if value < 0.005 else f"{of} = {value:.2f}"


def said(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Words and probability of an answer, a row of the result's table; where it is empty, that, and none."""
    return (answer["answer"], probability(answer["probability"])) if answer["answer"] else ("no words", "")


def in_one(answer: Mapping[str, Any], restore: str) -> str:
    """An answer in one phrase: what it was given on, its words, its probability."""
    words, chance = said(answer)
    return f"{given(answer['on'], restore)}: {words}" + (f" ({chance})" if chance else "")


def size_note(compared_at: Iterable[Any]) -> str:
    """At which size PSNR is measured: height and width in pixels."""
    height, width = (int(side) for side in compared_at)
    return f"PSNR is measured at {width} × {height} pixels, the size that the model takes."


def screen(result: Result) -> list[Shot]:
    """Original, degraded, every denoising step, restored, in that order; fewer where nothing was drawn."""
    trace = result.tables["trace"]
    steps = trace[trace["event"] == "step"]
    last = int(steps["step"].max()) if len(steps) else 0
    several = len(steps) > 0 and int(steps["drawing"].max()) > 1
    shots = [
        Shot("original", "original", result.images["original"]),
        Shot("degraded", "degraded", result.images["degraded"], _value(result, "degraded")),
    ]
    for row in steps.itertuples():
        image = result.images[image_name(row.drawing, row.step)]
        name = f"step {row.step} of {last}"
        # Results from before estimates were kept have none.
        estimate = result.images.get(estimate_name(row.drawing, row.step))
        pointed = float(getattr(row, "psnr_estimate", math.nan))
        shots.append(
            Shot("step", name, image, row.psnr, row.t, row.drawing, several, row.step, estimate, pointed)
        )
    if "restored" in result.images:
        shots.append(Shot("restored", "restored", result.images["restored"], _value(result, "restored")))
    return shots


def _value(result: Result, event: str) -> float:
    trace = result.tables["trace"]
    rows = trace[trace["event"] == event]
    return float(rows["psnr"].iloc[0]) if len(rows) else math.nan
