"""Effects on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.interventions.chart import SHORT, Named, chart
from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SYMBOLS = ("circle", "square", "triangle-up", "diamond")
ROW = 34
"""Pixels that a state takes."""


def screen(many: Sequence[Named], measure: str, *, theme: Theme = "light") -> Figure:
    """One measure: a point with its 95 % interval for each state and route. Raises as `chart` does."""
    import plotly.graph_objects as go

    drawn = chart(many, measure)
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    count = len(drawn.states)
    spread = 0.5 / max(1, len(drawn.series))
    about = ", ".join(filter(None, (drawn.route, drawn.counted)))
    figure = go.Figure()
    for number, series in enumerate(drawn.series):
        y = np.arange(count) + spread * (number - (len(drawn.series) - 1) / 2)
        hover = [
            f"{SHORT[state]}, {series.label}<br>{value:+.3f} ({low:+.3f} to {high:+.3f})<br>{drawn.counted}"
            for state, value, low, high in zip(
                drawn.states, series.value, series.low, series.high, strict=True
            )
        ]
        figure.add_trace(
            go.Scatter(
                x=series.value,
                y=y,
                mode="markers",
                name=series.label,
                marker={
                    "color": palette[number % len(palette)],
                    "size": 9,
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": series.high - series.value,
                    "arrayminus": series.value - series.low,
                    "thickness": 1.6,
                    "width": 0,
                },
                text=hover,
                hovertemplate="%{text}<extra></extra>",
            )
        )
    if drawn.zero:
        figure.add_vline(x=0, line={"color": GREY[theme], "width": 1, "dash": "dash"})
    figure.update_layout(
        template="none",
        height=114 + ROW * count,
        margin={"l": 124, "r": 16, "t": 40, "b": 66},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[theme]},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        showlegend=True,
        dragmode=False,
        xaxis={
            "title": {"text": f"{drawn.title}<br>{about}", "standoff": 6},
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": INK[theme],
        },
        yaxis={
            "range": [count - 0.5, -0.5],
            "tickvals": list(range(count)),
            "ticktext": [SHORT[state] for state in drawn.states],
            "showgrid": False,
            "zeroline": False,
            "color": INK[theme],
        },
    )
    return figure
