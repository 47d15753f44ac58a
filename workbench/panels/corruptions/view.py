"""The panel "Corruptions" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.images.corruptions import CORRUPTIONS, LEVELS
from workbench.page import markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates
from workbench.page.wiring import QUIET
from workbench.panels.corruptions import figure
from workbench.panels.corruptions.config import CorruptConfig
from workbench.panels.corruptions.study import STUDY, image_name, made, run, shown_psnr

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

READING = """
All sixteen kinds of damage of **MMD-Bench** (CLEAR, arXiv 2604.04780) in their four categories, each at the
benchmark's three intensities. **PSNR** compares with the image as it lies on the bench, at its own size, in
decibels; higher is nearer to it ↑. It is no measure of how hard a picture is to read: exchanged blocks cost
little and hide much. The seed decides where random damage falls; kinds that draw nothing ignore it.

**Pixel sizes.** The benchmark's kernels, radii and periods are in pixels. *Relative* scales them by the
image's long side over 512, so that a small picture loses as much of what it shows as a large one; *native*
takes them as they are, as the authors' code does. The bench and all other panels damage images with
relative sizes.
"""
THUMBNAIL = 96
# A click anywhere in the sheet; the sheet itself is drawn anew with each result.
CLICKED = """
element.addEventListener("click", (event) => {
  const cell = event.target.closest("button[data-corruption]");
  if (cell) trigger("select", { corruption: cell.dataset.corruption, level: cell.dataset.level });
});
"""


class CorruptionsView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = frozenset()
    asks_model = False
    question = "What does each kind of damage do to this image?"
    explanation = (
        "Every corruption of MMD-Bench at its three intensities, with PSNR beside each. "
        "Click one to lay that damage on the bench."
    )
    invitation = "Press Look: the image is damaged in sixteen ways, three times each."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.sheet = gr.HTML(_empty(), js_on_load=CLICKED, elem_id="corrupt-sheet")
        self.pinned_rows = gr.HTML("", elem_id="corrupt-pinned")
        with gr.Accordion("Settings", open=False):
            sizes = gr.Radio(
                [("relative to the image", "relative"), ("native, as in the authors' code", "native")],
                value="relative",
                label="Pixel sizes",
                elem_id="corrupt-pixels",
            )
        self.settings = {"pixels": sizes}
        self.foot(READING)
        self.outputs = [self.sheet, self.pinned_rows]
        self.wire()
        self.sheet.select(self.lay, None, [bench.corruption, bench.intensity], **QUIET)

    def lay(self, clicked: gr.EventData) -> Updates:
        """The damage of the clicked cell on the bench."""
        found = clicked._data if isinstance(clicked._data, dict) else {}
        name, level = found.get("corruption"), found.get("level")
        if name not in CORRUPTIONS or level not in LEVELS:
            return {self.bench.corruption: gr.skip()}
        return {self.bench.corruption: name, self.bench.intensity: LEVELS[level]}

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> CorruptConfig:
        """The config of a look at the image on the bench."""
        return CorruptConfig(image=on.specimen.source, seed=on.seed, pixels=settings["pixels"])

    def images(self, on: OnBench, config: CorruptConfig) -> Mapping[str, str]:
        """The one picture that goes in."""
        return {"original": on.specimen.picture.sha256}

    def measured(
        self,
        on: OnBench,
        config: CorruptConfig,
        model: None,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study."""
        picture = on.specimen.picture
        return run(config, picture=picture, progress=lambda done, words: say((done, words)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The sheet; without one the empty panel."""
        if result is None:
            return {self.sheet: _empty()}
        return {self.sheet: _sheet(result), self.numbers: _rounded(self.table(result))}

    def prove(self, result: Result) -> None:
        """Also as a pinned look."""
        super().prove(result)
        self.overlaid([], [("", result)])

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The pinned sheets below, as numbers of the strongest damage."""
        return {self.pinned_rows: "".join(_pinned(name, other) for name, other in pinned)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """A sheet for each result."""
        return figure.paper([result for _, result in named])

    def table(self, result: Result) -> DataFrame:
        """A row for each damaged image."""
        return result.tables["sheet"]

    def name(self, result: Result) -> str:
        """The image, pixel sizes and seed."""
        config = result.config
        return f"{config['image'] or 'image'}, {config['pixels']}, seed {config['seed']}"


def _empty() -> str:
    return markup.placeholder("the sheet stands here: four categories, sixteen kinds, three intensities each")


def _rounded(table: DataFrame) -> DataFrame:
    return table.round({"psnr": 2, "changed": 4})


def _sheet(result: Result) -> str:
    """The categories, each with its kinds, each with its intensities as buttons."""
    parts = []
    for category, found in groupby(figure.kinds(result), key=lambda kind: kind.category):
        blocks = "".join(_kind(result, kind) for kind in found)
        parts.append(f'<h3>{escape(category)}</h3><div class="kinds">{blocks}</div>')
    return f'<div class="aft sheet">{"".join(parts)}</div>' + markup.remark(
        f"{figure.INTENSITIES} {made(result)}"
    )


def _kind(result: Result, kind: figure.Kind) -> str:
    cells = []
    for level, value in zip(LEVELS, kind.psnr, strict=True):
        psnr = shown_psnr(value)
        alt = f"{kind.label}, {level}"
        picture = markup.image(result.images[image_name(kind.name, level)], alt, THUMBNAIL)
        cells.append(
            f'<button type="button" data-corruption="{escape(kind.name)}" data-level="{level}" '
            f'title="Lay on the bench: {escape(kind.label)} {LEVELS[level]:.2f}">{picture}'
            f'<span class="num">{level.capitalize()} <span class="quiet">{psnr}</span></span></button>'
        )
    return f'<div class="kind"><p>{escape(kind.label)}</p><div class="levels">{"".join(cells)}</div></div>'


def _pinned(title: str, result: Result) -> str:
    last = list(LEVELS)[-1]
    said = "; ".join(f"{kind.label} {shown_psnr(kind.psnr[-1])}" for kind in figure.kinds(result))
    picture = markup.image(result.images["original"], title, 96)
    return markup.strip(title, [picture], [made(result), f"{last}: {said}"])
