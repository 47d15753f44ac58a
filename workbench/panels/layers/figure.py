"""The curves on the screen (Plotly) and on paper (matplotlib), both drawn from the same `Chart`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.panels.layers.axis import Chart, Curve, Named, apart, chart, groups_in, named, signed
from workbench.panels.layers.maps import (
    default_token,
    drawable_stages,
    scale_of,
    shown_stages,
    similarity_image,
)
from workbench.runs.export import COLUMN, OKABE_ITO, PAGE, paper_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Screen

    from workbench.runs.result import Result

Theme = Literal["light", "dark"]

FONT = "Source Sans Pro, ui-sans-serif, sans-serif"
ON_DARK = ("#4FA8DE", "#F28A3C", "#2DBE93", "#E29CC5", "#F0B429", "#8FD0F5", "#F0E442", "#FFFFFF")
"""The colours of OKABE_ITO, lighter, for a dark ground."""
INK = {"light": "#27272a", "dark": "#e4e4e7"}
GREY = {"light": "#8a8a92", "dark": "#8f8f98"}
BAND_FILL = {"light": "rgba(0,0,0,0.035)", "dark": "rgba(255,255,255,0.045)"}
MINUS = "\N{MINUS SIGN}"
DASHES = ("solid", "dash", "dot", "dashdot")
MOST_GUIDES = 3
"""With more curves than this the dashed line from "llm 0" across is left out."""


def screen(results: Result | Sequence[Named], group: str, *, theme: Theme = "light") -> Screen:
    """The curves of one group over the one axis; several (name, result) pairs lie over each other.

    Named at their right end with the drop from "llm 0" beneath; shaded 95 % interval; grey the chance level;
    a dashed line where the language model begins and, for a few curves, across from there. Hover tells stage,
    value, interval, drop, chance and n.

    Raises:
        Refusal: when none of the results holds the group.
    """
    import plotly.graph_objects as go

    drawn = chart(results, group)
    ink, grey = INK[theme], GREY[theme]
    low, high = _limits(drawn)
    figure = go.Figure()
    for curve in drawn.curves:
        _shade(figure, curve.x, curve.chance_low, curve.chance_high, grey, 0.13)
    for curve in drawn.curves:
        _line(figure, curve.x, curve.chance, grey, 1.0, "dot")
    for curve in drawn.curves:
        _shade(figure, curve.x, curve.low, curve.high, _colour(curve, drawn, theme), 0.18)
    for curve in drawn.curves:
        colour = _colour(curve, drawn, theme)
        figure.add_trace(
            go.Scatter(
                x=curve.x,
                y=curve.value,
                mode="lines+markers",
                line={"color": colour, "width": 2.2, "dash": _dash(curve, drawn)},
                marker={
                    "color": colour,
                    "size": [9 if x == drawn.entry else 5 for x in curve.x],
                    "line": {"width": 0},
                },
                text=curve.hover,
                hovertemplate="%{text}<extra></extra>",
                name=curve.label,
                showlegend=False,
            )
        )
    end = drawn.stretches[-1].edges[1]
    _screen_bands(figure, drawn, theme)
    if drawn.entry is not None and len(drawn.curves) <= MOST_GUIDES:
        for curve in drawn.curves:
            if math.isfinite(curve.reference):
                _guide(figure, drawn.entry, end, curve.reference, _colour(curve, drawn, theme))
    labels = _labels(drawn)
    places = apart([_scaled(drawn, y) for _, y, _ in labels], 0.115 * (high - low), low, high)
    for (text, _, owner), y in zip(labels, places, strict=True):
        figure.add_annotation(
            x=end,
            y=y,
            text=text.replace("\n", "<br>"),
            xanchor="left",
            yanchor="middle",
            align="left",
            xshift=6,
            showarrow=False,
            font={"size": 12, "color": grey if owner is None else _colour(owner, drawn, theme)},
        )
    pad = 0.04 * (high - low)
    figure.update_layout(
        template="none",
        height=380,
        margin={
            "l": 58,
            "r": 14 + 7 * max(len(line) for text, _, _ in labels for line in text.split("\n")),
            "t": 34,
            "b": 40,
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        hovermode="closest",
        dragmode=False,
        xaxis={
            "range": [-0.5, end],
            "tickvals": [x for x, _ in drawn.ticks],
            "ticktext": [text for _, text in drawn.ticks],
            "ticks": "outside",
            "showgrid": False,
            "zeroline": False,
            "color": ink,
        },
        yaxis={
            "title": {"text": _axis_title(drawn), "standoff": 8},
            "type": "log" if drawn.group.log else "linear",
            "range": [low - pad, high + pad],
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": ink,
        },
    )
    return figure


def _colour(curve: Curve, drawn: Chart, theme: Theme | Literal["paper"]) -> str:
    """By result where several are laid over each other, by measure where there is one."""
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    several = len({c.source for c in drawn.curves}) > 1
    return palette[(curve.source if several else curve.measure) % len(palette)]


def _dash(curve: Curve, drawn: Chart) -> str:
    several = len({c.source for c in drawn.curves}) > 1
    return DASHES[curve.measure % len(DASHES)] if several else "solid"


def _axis_title(drawn: Chart) -> str:
    """The quantity and its direction."""
    arrow = drawn.group.direction[-1:] if drawn.group.direction else ""
    return f"{drawn.group.axis} {arrow}".strip()


def _scaled(drawn: Chart, value: float) -> float:
    """A value in the coordinates of the axis: its logarithm on a logarithmic one."""
    return math.log10(max(value, 1e-12)) if drawn.group.log else value


def _limits(drawn: Chart) -> tuple[float, float]:
    low, high = (_scaled(drawn, value) for value in drawn.span)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    return low, high


def _labels(drawn: Chart) -> list[tuple[str, float, Curve | None]]:
    """What stands at the right end: text, height, and the curve it belongs to (None: chance)."""
    labels: list[tuple[str, float, Curve | None]] = []
    for curve in drawn.curves:
        known = np.flatnonzero(np.isfinite(curve.value))
        if not len(known):
            continue
        text = curve.label
        if math.isfinite(curve.drop[0]):
            text += f"\n{signed(curve.drop[0])} from llm 0"
        labels.append((text, float(curve.value[known[-1]]), curve))
    # One word for each level of chance that the eye can tell from the last.
    low, high = _limits(drawn)
    told = -math.inf
    for level in sorted(curve.chance[-1] for curve in drawn.curves if math.isfinite(curve.chance[-1])):
        if _scaled(drawn, level) - told > 0.12 * (high - low):
            labels.append(("chance", float(level), None))
            told = _scaled(drawn, level)
    return labels


def _shade(
    figure: Screen, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, alpha: float
) -> None:
    import plotly.graph_objects as go

    known = np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([x[known], x[known][::-1]]),
            y=np.concatenate([high[known], low[known][::-1]]),
            fill="toself",
            fillcolor=f"rgba({red},{green},{blue},{alpha})",
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _line(figure: Screen, x: np.ndarray, y: np.ndarray, colour: str, width: float, dash: str) -> None:
    import plotly.graph_objects as go

    if np.isfinite(y).any():
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": colour, "width": width, "dash": dash},
                hoverinfo="skip",
                showlegend=False,
            )
        )


def _guide(figure: Screen, start: float, end: float, y: float, colour: str) -> None:
    figure.add_shape(
        type="line",
        x0=start,
        x1=end,
        y0=y,
        y1=y,
        line={"color": colour, "width": 1, "dash": "dash"},
        opacity=0.6,
    )


def _screen_bands(figure: Screen, drawn: Chart, theme: Theme) -> None:
    for number, stretch in enumerate(drawn.stretches):
        left, right = stretch.edges
        if number % 2 == 0:
            figure.add_shape(
                type="rect",
                xref="x",
                yref="paper",
                x0=left,
                x1=right,
                y0=0,
                y1=1,
                line={"width": 0},
                fillcolor=BAND_FILL[theme],
                layer="below",
            )
        figure.add_annotation(
            x=(left + right) / 2,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=4,
            text=stretch.name,
            showarrow=False,
            font={"size": 12, "color": INK[theme]},
        )
    if drawn.entry is not None:
        figure.add_shape(
            type="line",
            xref="x",
            yref="paper",
            x0=drawn.entry,
            x1=drawn.entry,
            y0=0,
            y1=1,
            line={"color": GREY[theme], "width": 1, "dash": "dash"},
            layer="below",
        )


MOST_PANELS = 4
LABELS, LEFT, TOP, BOTTOM, PANEL = 1.14, 0.54, 0.22, 0.36, 1.75
"""Inches: room for names at the right, the axis at the left, bands above, stages below; a panel's height."""
MAPS = 1.30
"""Inches: height of the row of similarity maps."""


def paper(
    results: Result | Sequence[Named],
    groups: Sequence[str] | None = None,
    *,
    token: int | None = None,
    stage: str | None = None,
) -> Figure:
    """The same curves for print: one group in a column of 3.25 in, more on 6.75 in with panel letters.

    A single picture's figure ends with a row of similarity maps.

    Args:
        results: one result, or (name, result) pairs laid over each other.
        groups: which groups; by default the first four that the results hold.
        token: the patch of the similarity maps; by default the middle of the largest object.
        stage: a stage that the similarity maps shall show; by default five over the axis.

    Raises:
        Refusal: when none of the results holds a group that was asked for, or there is no map of the stage.
    """
    from matplotlib.figure import Figure

    many = named(results)
    wanted = list(groups) if groups is not None else groups_in(many)[:MOST_PANELS]
    charts = [chart(many, name) for name in wanted]
    stages = drawable_stages(many[0][1]) if len(many) == 1 else []
    columns = 1 if len(charts) == 1 and not stages else 2
    width = COLUMN if columns == 1 else PAGE
    rows = -(-len(charts) // columns)
    row = TOP + PANEL + BOTTOM
    height = rows * row + (MAPS if stages else 0.0)
    with paper_style():
        figure = Figure(figsize=(width, height))
        cell = width / columns
        for k, drawn in enumerate(charts):
            left, top = (k % columns) * cell, height - (k // columns) * row
            box = (left + LEFT, top - TOP - PANEL, cell - LEFT - LABELS, PANEL)
            axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
            _paper_panel(axes, drawn)
            if columns > 1 or stages:
                at = ((left + 0.04) / width, (top - 0.04) / height)
                figure.text(*at, chr(ord("a") + k), weight="bold", fontsize=8, va="top")
        if stages:
            letter = chr(ord("a") + len(charts))
            _paper_maps(figure, many[0][1], shown_stages(stages, stage), token, width, height, letter)
    return figure


def _paper_panel(axes: Axes, drawn: Chart) -> None:
    low, high = _limits(drawn)
    pad = 0.04 * (high - low)
    end = drawn.stretches[-1].edges[1]
    for number, stretch in enumerate(drawn.stretches):
        left, right = stretch.edges
        if number % 2 == 0:
            axes.axvspan(left, right, color="0.955", lw=0, zorder=0)
        axes.text(
            (left + right) / 2,
            1.02,
            stretch.name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=8,
        )
    if drawn.entry is not None:
        axes.axvline(drawn.entry, color="0.6", lw=0.6, ls=(0, (4, 3)), zorder=1)
    for curve in drawn.curves:
        colour = _colour(curve, drawn, "paper")
        axes.fill_between(
            curve.x, curve.chance_low, curve.chance_high, color="0.5", alpha=0.15, lw=0, zorder=1
        )
        axes.plot(curve.x, curve.chance, color="0.55", lw=0.7, ls=":", zorder=2)
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, lw=0, zorder=2)
        style: Any = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}[_dash(curve, drawn)]
        axes.plot(curve.x, curve.value, color=colour, ls=style, marker="o", ms=2, zorder=3)
        if drawn.entry is not None and len(drawn.curves) <= MOST_GUIDES and math.isfinite(curve.reference):
            axes.plot([drawn.entry, end], [curve.reference] * 2, color=colour, lw=0.6, ls="--", alpha=0.7)
    if drawn.group.log:
        axes.set_yscale("log")
        _plain_numbers(axes, decades=high - low)
        axes.set_ylim(10 ** (low - pad), 10 ** (high + pad))
    else:
        axes.set_ylim(low - pad, high + pad)
    axes.set_xlim(-0.5, end)
    axes.set_xticks([x for x, _ in drawn.ticks], [text for _, text in drawn.ticks])
    axes.tick_params(length=2, pad=1.5)
    axes.set_ylabel(_axis_title(drawn), labelpad=2)
    labels = _labels(drawn)
    lines = 0.26 * (high - low) / PANEL
    places = apart([_scaled(drawn, y) for _, y, _ in labels], lines, low, high)
    for (text, _, owner), y in zip(labels, places, strict=True):
        axes.annotate(
            text,
            (1, (y - low + pad) / (high - low + 2 * pad)),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            color="0.5" if owner is None else _colour(owner, drawn, "paper"),
            fontsize=8,
            va="center",
            linespacing=0.95,
            annotation_clip=False,
        )


def _plain_numbers(axes: Axes, decades: float) -> None:
    """Ticks of a logarithmic axis as plain numbers, several of them also in less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    few = MaxNLocator(5, steps=[1, 2, 5, 10]) if decades < 1 else LogLocator(subs=(1, 2, 5), numticks=8)
    axes.yaxis.set_major_locator(few)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _paper_maps(
    figure: Figure,
    result: Result,
    picked: list[str],
    token: int | None,
    width: float,
    height: float,
    letter: str,
) -> None:
    """The picture and its similarity maps at these stages, with their scale."""
    chosen = default_token(result) if token is None else token
    shown = result.images["shown"]
    side = 0.92
    gap = (width - 0.3 - 0.75 - (len(picked) + 1) * side) / max(len(picked), 1)
    bottom = 0.06
    pictures = [("the input", shown)]
    pictures += [(name, similarity_image(result, name, chosen)) for name in picked]
    for k, (name, pixels) in enumerate(pictures):
        left = 0.22 + k * (side + gap)
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.imshow(pixels, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=8, pad=2)
    figure.text(0.04 / width, (MAPS - 0.06) / height, letter, weight="bold", fontsize=8, va="top")
    bar = figure.add_axes(((width - 0.62) / width, bottom / height, 0.07 / width, side / height))
    low, high = scale_of(result)
    bar.imshow(np.linspace(1, 0, 128)[:, None], cmap="cividis", aspect="auto", extent=(0, 1, low, high))
    bar.set_xticks([])
    bar.set_yticks(
        [low, (low + high) / 2, high], [f"{v:g}".replace("-", MINUS) for v in (low, (low + high) / 2, high)]
    )
    bar.yaxis.tick_right()
    bar.tick_params(length=2, pad=1.5, labelsize=8)
    bar.spines[:].set_visible(False)
    bar.set_ylabel("cosine", fontsize=8, labelpad=2)
    bar.yaxis.set_label_position("right")
