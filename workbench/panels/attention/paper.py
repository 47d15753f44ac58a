"""Attention on paper: rows of maps over the layers, shares over the layers, blocks at a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.attention.chart import Named, chart
from workbench.panels.attention.maps import map_image
from workbench.panels.attention.reading import (
    MEAN,
    WAYS,
    Asked,
    block_of,
    fitting,
    kinds_of,
    of_image,
    picture_of,
    shape_of,
    span,
    stages_of,
    values,
)
from workbench.panels.needs import known_stage
from workbench.panels.overlay import enlarged_picture
from workbench.panels.patches.quantities import shown_stages
from workbench.runs.export import OKABE_ITO, PAGE
from workbench.runs.parts import LETTER, Box, composed, lettered

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.runs.result import Result

MAPS = 5
LEFT, RIGHT, SIDE = 0.22, 0.78, 0.92
"""Inches: room before the pictures and for the scale after them; the longer side of a picture."""
TITLE, BETWEEN = 0.20, 0.12
"""Inches: height of a name, and what is left between two rows."""
HEAD, TALL = 0.95, 1.35
"""Inches: room for the kinds' names beside a matrix of blocks, and its height."""


def paper(many: Sequence[Named], asked: Asked | None = None, *, stage: str | None = None) -> Figure:
    """Maps, shares and blocks of one image, or the shares of a collection, 6.75 in wide. Raises Refusal."""
    if not of_image(many[0][1]):
        return composed([Share(many)], PAGE)
    one = many[:1]
    return composed([Maps(many, asked, stage=stage), Share(many, asked), Blocks(one, stage=stage)], PAGE)


def numbers(result: Result, asked: Asked | None = None) -> DataFrame:
    """Of one image what each patch is given at each layer, in per cent; of a collection the shares."""
    if not of_image(result):
        return result.tables["share"]
    return Maps([("", result)], asked).numbers().drop(columns=["run"])


class Maps:
    """The picture and a row of maps over the layers for each result, all on one scale of colours."""

    wide = True
    beside = 0.0

    def __init__(
        self, many: Sequence[Named], asked: Asked | None = None, *, stage: str | None = None
    ) -> None:
        for name, result in many:
            if not of_image(result):
                raise Refusal(f"{name or 'This result'} is of a collection, of which no maps are kept.")
        if stage is not None:
            known_stage(stage, stages_of(many[0][1]))
        wanted = asked or Asked()
        self.rows = [(name, result, fitting(result, wanted)) for name, result in many]
        if wanted.way != "layer" and any(own.way != wanted.way for _, _, own in self.rows):
            raise Refusal(f"Not every result holds {WAYS[wanted.way]}: it was not asked for.")
        self.stages = [_stages(result, own, stage) for _, result, own in self.rows]

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return len(self.rows) * (self._named + TITLE + SIDE + BETWEEN)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        every = list(dict.fromkeys(stage for stages in self.stages for stage in stages))
        ends = span([(result, own) for _, result, own in self.rows], every)
        letters = [letter] if letter else lettered(len(self.rows))
        gap = (box.width - LEFT - RIGHT - (MAPS + 1) * SIDE) / MAPS
        for k, (name, result, own) in enumerate(self.rows):
            top = k * (self._named + TITLE + SIDE + BETWEEN)
            at = Box(box.left, box.top + top, box.width, self._named + TITLE + SIDE + BETWEEN)
            at.letter(figure, letters[k] if k < len(letters) else "")
            if self._named:
                at.text(figure, LEFT, LETTER, name)
            pictures = [("the input", enlarged_picture(picture_of(result, own.view)))]
            pictures += [
                (_title(own, stage), map_image(result, stage, own, ends)) for stage in self.stages[k]
            ]
            down = self._named + TITLE
            for column, (title, pixels) in enumerate(pictures):
                axes = at.axes(figure, LEFT + column * (SIDE + gap), down, SIDE, SIDE)
                axes.imshow(pixels, interpolation="nearest")
                axes.set_axis_off()
                axes.set_title(title, fontsize=8, pad=2)
            bar = at.axes(figure, box.width - 0.64, down, 0.07, SIDE)
            _bar(bar, ends, "flow, % of the most" if own.way == "flow" else "attention, %")

    def numbers(self) -> DataFrame:
        """A row for each result, layer and patch: per cent of attention."""
        import pandas as pd

        tables = []
        for name, result, own in self.rows:
            row, col = np.divmod(
                np.arange(np.prod(shape_of(result, own.view))), shape_of(result, own.view)[1]
            )
            for stage in stages_of(result):
                columns = {"run": name, "stage": stage, "way": own.way, "row": row + 1, "column": col + 1}
                tables.append(pd.DataFrame(columns | {"percent": values(result, stage, own)}))
        return pd.concat(tables, ignore_index=True)

    @property
    def _named(self) -> float:
        """Inches above a row for the name of its result."""
        return TITLE if len(self.rows) > 1 else 0.0


class Share:
    """Shares of attention over the layers, with their bands."""

    wide = False
    beside = 0.0

    def __init__(self, many: Sequence[Named], asked: Asked | None = None, kind: str = "") -> None:
        self.drawn = chart(many, asked, kind)
        self.of = kind or "the image"
        self.several = len(many) > 1

    def height(self, width: float) -> float:
        """Inches: a chart's golden cut."""
        return 0.30 + 1.75 + 0.14 * len(self.drawn.curves) / 2

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw it at its place."""
        drawn, x = self.drawn, np.arange(len(self.drawn.stages))
        box.letter(figure, letter)
        legend = 0.15 * ((len(drawn.curves) + 1) // 2) + 0.04
        tall = self.height(box.width) - legend - 0.62
        axes = box.axes(figure, 0.5, legend + 0.12, box.width - 0.62, tall)
        for number, curve in enumerate(drawn.curves):
            colour = OKABE_ITO[number % len(OKABE_ITO)]
            axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(x, curve.value, color=colour, marker="osD^v"[number % 5], label=curve.label)
        every = max(1, -(-len(x) // 9))
        axes.set_xticks(x[::every], [name.removeprefix("llm ") for name in drawn.stages[::every]])
        axes.set_xlabel(f"language layer (bands: {drawn.band})", labelpad=2, fontsize=7)
        axes.set_ylabel("share of attention" + (f" to {self.of}" if self.several else "") + ", %", labelpad=2)
        axes.set_ylim(bottom=0)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=2,
            fontsize=8,
            handlelength=1.4,
            columnspacing=1.0,
            labelspacing=0.2,
            borderpad=0.1,
        )

    def numbers(self) -> DataFrame:
        """A row for each curve and layer: per cent, with the ends of the band."""
        import pandas as pd

        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "curve": curve.label,
                        "kind": curve.kind,
                        "stage": self.drawn.stages,
                        "percent": curve.value,
                        "low": curve.low,
                        "high": curve.high,
                    }
                )
                for curve in self.drawn.curves
            ],
            ignore_index=True,
        ).assign(band=self.drawn.band)


class Blocks:
    """Attention between kinds of tokens, a matrix for each of a few layers; a row for each result."""

    wide = True
    beside = 0.0

    def __init__(self, many: Sequence[Named], *, head: int = MEAN, stage: str | None = None) -> None:
        for name, result in many:
            if not of_image(result):
                raise Refusal(f"{name or 'This result'} is of a collection, of which no blocks are kept.")
        self.many, self.head = list(many), head
        self.stages = [shown_stages(stages_of(result), stage, 4) for _, result in many]

    def height(self, width: float) -> float:
        """Inches: one row below the other."""
        return len(self.many) * (TITLE + self._side(width) + 0.72)

    def _side(self, width: float) -> float:
        return min(TALL, (width - HEAD - 0.3) / max(len(stages) for stages in self.stages) - 0.12)

    def draw(self, figure: Figure, box: Box, letter: str, beside: float) -> None:
        """Draw them at their place."""
        side, tall = self._side(box.width), self.height(box.width) / len(self.many)
        for k, ((name, result), stages) in enumerate(zip(self.many, self.stages, strict=True)):
            at, kinds = Box(box.left, box.top + k * tall, box.width, tall), kinds_of(result)
            at.letter(figure, letter if not k else "")
            if len(self.many) > 1:
                at.text(figure, LEFT, LETTER, name)
            for column, stage in enumerate(stages):
                axes = at.axes(figure, HEAD + column * (side + 0.12), TITLE + 0.04, side, side)
                found = block_of(result, stage, self.head)
                axes.imshow(found, vmin=0, vmax=1, cmap="cividis", aspect="equal")
                for i, j in np.ndindex(*found.shape):
                    if np.isfinite(found[i, j]):
                        ink = "black" if found[i, j] > 0.5 else "white"
                        axes.text(
                            j, i, f"{100 * found[i, j]:.0f}", ha="center", va="center", color=ink, fontsize=7
                        )
                axes.set_title(stage, fontsize=8, pad=2)
                axes.set_xticks(range(len(kinds)), [_short(kind) for kind in kinds], rotation=40, ha="right")
                axes.set_yticks(range(len(kinds)), [_short(kind) for kind in kinds] if not column else [])
                axes.tick_params(length=0, pad=2, labelsize=7)
                axes.spines[:].set_visible(False)
            at.text(figure, 0.06, TITLE + side / 2, "from", fontsize=7, color="0.35")

    def numbers(self) -> DataFrame:
        """A row for each result, layer, head and pair of kinds: the mean share, 0..1."""
        import pandas as pd

        rows = []
        for name, result in self.many:
            kinds = kinds_of(result)
            for stage in stages_of(result):
                found = block_of(result, stage, self.head)
                rows += [
                    {"run": name, "stage": stage, "from": a, "to": b, "share": float(found[i, j])}
                    for i, a in enumerate(kinds)
                    for j, b in enumerate(kinds)
                ]
        return pd.DataFrame(rows)


def _stages(result: Result, asked: Asked, stage: str | None) -> list[str]:
    """The stages of a row of maps; flow has one."""
    stages = stages_of(result)
    if asked.way == "flow":
        return stages[-1:]
    return shown_stages(stages, stage if stage in stages else None, MAPS)


def _title(asked: Asked, stage: str) -> str:
    return "flow" if asked.way == "flow" else f"to {stage}" if asked.way == "rollout" else stage


def _bar(bar: object, ends: tuple[float, float], label: str) -> None:
    """The scale of colours beside the maps."""
    from matplotlib.axes import Axes

    assert isinstance(bar, Axes)
    low, high = ends
    bar.imshow(np.linspace(1, 0, 128)[:, None], cmap="cividis", aspect="auto", extent=(0, 1, low, high))
    bar.set_xticks([])
    ticks = [low, (low + high) / 2, high]
    bar.set_yticks(ticks, [f"{tick:.2g}" for tick in ticks])
    bar.yaxis.tick_right()
    bar.tick_params(length=2, pad=1.5, labelsize=8)
    bar.spines[:].set_visible(False)
    bar.set_ylabel(label, fontsize=8, labelpad=2)
    bar.yaxis.set_label_position("right")


def _short(kind: str) -> str:
    return {"drawn image": "drawn", "image, latent": "latent", "drawn image, latent": "drawn lat."}.get(
        kind, kind
    )
