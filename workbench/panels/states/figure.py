"""The visual states as pictures: on the screen shot by shot, on paper as a filmstrip."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.states.study import SAME, image_name
from workbench.runs.export import PAGE as WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.runs.result import Result

LINE = 100
"""Characters of 8-point text that fit the width."""
ALONE = ("original", "degraded")
ON = {
    "original": "on the original",
    "degraded": "on the degraded image",
    SAME: "same context, not drawing",
    "restored": "after drawing",
    "no drawing": "deciding not to draw",
}


@dataclass(frozen=True)
class Shot:
    """One picture with its name and its number, ready to be shown: pixels uint8 (H, W, 3)."""

    name: str
    note: str
    pixels: np.ndarray


def decibels(value: float) -> str:
    """A PSNR in words."""
    if math.isnan(value):
        return ""
    return "equal to the original" if math.isinf(value) else f"PSNR {value:.1f} dB"


def screen(result: Result) -> list[Shot]:
    """Original, degraded, every denoising step, restored, in that order; fewer where nothing was drawn."""
    trace = result.tables["trace"]
    steps = trace[trace["event"] == "step"]
    last = int(steps["step"].max()) if len(steps) else 0
    several = len(steps) > 0 and int(steps["drawing"].max()) > 1
    shots = [
        Shot("original", "", result.images["original"]),
        Shot("degraded", decibels(_value(result, "degraded")), result.images["degraded"]),
    ]
    for row in steps.itertuples():
        which = f", drawing {row.drawing}" if several else ""
        image = result.images[image_name(row.drawing, row.step)]
        shots.append(Shot(f"step {row.step} of {last}{which}", f"t {row.t:.2f}, {decibels(row.psnr)}", image))
    if "restored" in result.images:
        shots.append(Shot("restored", decibels(_value(result, "restored")), result.images["restored"]))
    return shots


def _value(result: Result, event: str) -> float:
    trace = result.tables["trace"]
    rows = trace[trace["event"] == event]
    return float(rows["psnr"].iloc[0]) if len(rows) else math.nan


def paper(results: Result | Sequence[Result], steps: int = 4) -> Figure:
    """A filmstrip for each result, 6.75 in wide: original, degraded, denoising, restored; the answers below.

    ``steps`` of the steps taken are shown, spread evenly, the noise and the last one left out.
    """
    from matplotlib.figure import Figure

    from workbench.runs.export import paper_style

    many = [results] if not isinstance(results, Sequence) else list(results)
    columns = steps + 3
    cell = WIDTH / columns
    tallest = max(r.images["original"].shape[0] / r.images["original"].shape[1] for r in many)
    lines = max(len(_lines(result)) for result in many)
    row = cell * tallest + 0.40 + 0.15 * lines
    with paper_style():
        figure = Figure(figsize=(WIDTH, row * len(many)))
        for index, result in enumerate(many):
            top = row * (len(many) - index)
            letter = "abcdefghijklmnopqrstuvwxyz"[index % 26] if len(many) > 1 else ""
            _strip(figure, result, top, row * len(many), cell, tallest, steps, letter)
    return figure


def _strip(
    figure: Figure,
    result: Result,
    top: float,
    height: float,
    cell: float,
    tallest: float,
    steps: int,
    letter: str,
) -> None:
    gap = 0.03
    for column, shot in enumerate(_chosen(screen(result), steps)):
        if shot is None:
            continue
        box = (
            (column * cell + gap) / WIDTH,
            (top - 0.02 - cell * tallest) / height,
            (cell - 2 * gap) / WIDTH,
            (cell * tallest - 0.02) / height,
        )
        axes = figure.add_axes(box)
        _picture(axes, shot)
    baseline = top - cell * tallest - 0.46
    if letter:
        figure.text(gap / WIDTH, baseline / height, letter, fontsize=8, weight="bold")
    for line, text in enumerate(_lines(result)):
        figure.text((gap + 0.14) / WIDTH, (baseline - 0.14 * line) / height, text, fontsize=8)


def _lines(result: Result) -> list[str]:
    """The question with the condition, then the answers, as lines that fit the width."""
    from workbench.images.corruptions import CORRUPTIONS

    config = result.config
    question = config["question"]
    if config["corruption"] in CORRUPTIONS:
        question += f" ({CORRUPTIONS[config['corruption']].label.lower()} {config['intensity']:.2f})"
    answers = []
    for row in result.tables["answers"].to_dict("records"):
        alone = "vision tokens alone, " if row["on"] in ALONE else ""
        said = f"{row['answer']} ({_probability(row['probability'])})"
        answers.append(f"{alone}{ON.get(row['on'], row['on'])}: {said}")
    lines = textwrap.wrap(question, LINE) + textwrap.wrap("; ".join(answers), LINE)
    height, width = result.images.get("restored", result.images["original"]).shape[:2]
    if (height, width) != result.images["original"].shape[:2]:
        lines.append(f"PSNR at {width} × {height} pixels, the size that the model takes.")
    return lines


def _probability(p: float) -> str:
    return "p < 0.01" if p < 0.005 else f"p {p:.2f}"


def _picture(axes: Axes, shot: Shot) -> None:
    axes.imshow(shot.pixels, interpolation="nearest", aspect="equal")
    axes.set_anchor("S")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    note = shot.note.replace("PSNR ", "").replace("equal to the original", "")
    axes.set_xlabel(f"{shot.name}\n{note}" if note else shot.name, fontsize=8, labelpad=2)


def _chosen(shots: Sequence[Shot], steps: int) -> list[Shot | None]:
    """Original, degraded, ``steps`` of the steps between, restored; gaps where there are fewer."""
    drawn = [shot for shot in shots if shot.name.startswith("step")][1:-1]
    places = sorted({round(i * (len(drawn) - 1) / max(steps - 1, 1)) for i in range(steps)}) if drawn else []
    middle: list[Shot | None] = [drawn[i] for i in places]
    middle += [None] * (steps - len(middle))
    restored = [shot for shot in shots if shot.name == "restored"]
    return [*shots[:2], *middle, *restored]
