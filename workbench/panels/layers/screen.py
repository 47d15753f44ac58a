"""The curves on the screen, with Plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.layers.axis import Chart, Named, chart
from workbench.panels.layers.layout import apart, sparse_ticks
from workbench.panels.layers.marks import (
    MOST_GUIDES,
    Theme,
    axis_title,
    colour_of,
    dash_of,
    end_labels,
    limits,
    scaled,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Screen

    from workbench.runs.result import Result

FONT = "Source Sans Pro, ui-sans-serif, sans-serif"
INK = {"light": "#27272a", "dark": "#e4e4e7"}
GREY = {"light": "#8a8a92", "dark": "#8f8f98"}
BAND_FILL = {"light": "rgba(0,0,0,0.035)", "dark": "rgba(255,255,255,0.045)"}
LINE = 0.058
"""Height of a line of a label, as a part of the axis."""
CHARACTERS = 60
"""Along the axis, where it is not at its widest."""


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
    low, high = limits(drawn)
    figure = go.Figure()
    for curve in drawn.curves:
        _shade(figure, curve.x, curve.chance_low, curve.chance_high, grey, 0.13)
    for curve in drawn.curves:
        _line(figure, curve.x, curve.chance, grey, 1.0, "dot")
    for curve in drawn.curves:
        _shade(figure, curve.x, curve.low, curve.high, colour_of(curve, drawn, theme), 0.18)
    for curve in drawn.curves:
        colour = colour_of(curve, drawn, theme)
        figure.add_trace(
            go.Scatter(
                x=curve.x,
                y=curve.value,
                mode="lines+markers",
                line={"color": colour, "width": 2.2, "dash": dash_of(curve, drawn)},
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
                _guide(figure, drawn.entry, end, curve.reference, colour_of(curve, drawn, theme))
    labels = end_labels(drawn, room=round(1 / LINE), intervals=False)
    sizes = [LINE * (high - low) * len(label.lines) for label in labels]
    places = apart([scaled(drawn, label.value) for label in labels], sizes, low, high)
    for label, y in zip(labels, places, strict=True):
        figure.add_annotation(
            x=end,
            y=y,
            text="<br>".join(label.lines),
            xanchor="left",
            yanchor="middle",
            align="left",
            xshift=6,
            showarrow=False,
            font={"size": 12, "color": grey if label.curve is None else colour_of(label.curve, drawn, theme)},
        )
    pad, ticks = 0.04 * (high - low), sparse_ticks(drawn, CHARACTERS)
    figure.update_layout(
        template="none",
        height=392,
        margin={
            "l": 58,
            "r": 14 + 7 * max(len(line) for label in labels for line in label.lines),
            "t": 34,
            "b": 52,
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        hovermode="closest",
        dragmode=False,
        xaxis={
            "title": {"text": "layer", "standoff": 6},
            "range": [-0.5, end],
            "tickvals": [x for x, _ in ticks],
            "ticktext": [text for _, text in ticks],
            "ticks": "outside",
            "showgrid": False,
            "zeroline": False,
            "color": ink,
        },
        yaxis={
            "title": {"text": axis_title(drawn), "standoff": 8},
            "type": "log" if drawn.group.log else "linear",
            "range": [low - pad, high + pad],
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": ink,
        },
    )
    return figure


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
