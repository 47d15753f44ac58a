"""Curves on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.causal.chart import Named, Series, chart
from workbench.panels.layers.marks import DASHES, ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SYMBOLS = ("circle", "square", "triangle-up", "diamond")
HEIGHT = 380


def screen(
    many: Sequence[Named], show: str, measure: str = "", *, theme: Theme = "light", narrow: bool = False
) -> Figure:
    """One of `chart.CURVES`, with 95 % bands. Raises Refusal as `chart.chart`."""
    import plotly.graph_objects as go

    drawn = chart(many, show, measure)
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    figure = go.Figure()
    scale = 100.0 if drawn.percent else 1.0
    for series in drawn.series:
        colour = palette[series.rank % len(palette)]
        if np.isfinite(series.low).any():
            figure.add_trace(_band(go, series, colour, scale))
        figure.add_trace(
            go.Scatter(
                x=series.x,
                y=scale * series.value,
                mode="lines+markers",
                name=series.label,
                line={"color": colour, "width": 2, "dash": DASHES[series.run % len(DASHES)]},
                marker={"size": 7, "symbol": SYMBOLS[series.rank % len(SYMBOLS)]},
                text=series.hover,
                hovertemplate="%{text}<extra></extra>",
            )
        )
        if np.isfinite(series.level):
            figure.add_trace(
                go.Scatter(
                    x=[series.x[0], series.x[-1]],
                    y=[scale * series.level] * 2,
                    mode="lines",
                    line={"color": colour, "width": 1, "dash": "dot"},
                    text=[f"{series.label}, all layers blocked at once: {scale * series.level:.3g}"] * 2,
                    hovertemplate="%{text}<extra></extra>",
                    showlegend=False,
                )
            )
    for line in drawn.lines:
        figure.add_hline(y=scale * line, line={"color": GREY[theme], "width": 1, "dash": "dash"})
    for name, left, right in drawn.bands:
        figure.add_annotation(
            x=(left + right) / 2,
            y=0,
            yref="paper",
            yanchor="top",
            yshift=-22,
            text=name,
            showarrow=False,
            font={"size": 12, "color": INK[theme]},
        )
        if left > -0.5:
            figure.add_vline(x=left, line={"color": GREY[theme], "width": 1})
    levels = any(np.isfinite(series.level) for series in drawn.series)
    words = f"{drawn.axis} ({drawn.counted})"
    words += "<br><sup>dotted: all layers blocked at once</sup>" if levels else ""
    step = max(1, round(len(drawn.ticks) / (10 if narrow else 24)))
    ticks = [tick for place, tick in enumerate(drawn.ticks) if place % step == 0]
    figure.update_layout(
        template="none",
        height=HEIGHT + (20 * len(drawn.series) if narrow else 0),
        margin={"l": 56, "r": 12, "t": 40 + (20 * len(drawn.series) if narrow else 12), "b": 68},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[theme]},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        legend={
            "orientation": "v" if narrow else "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        showlegend=True,
        dragmode=False,
        xaxis={
            "title": {"text": words, "standoff": 26 if drawn.bands else 8},
            "tickvals": [place for place, _ in ticks],
            "ticktext": [text for _, text in ticks],
            "range": [-0.5, len(drawn.ticks) - 0.5],
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": INK[theme],
        },
        yaxis={
            "title": {"text": drawn.title + (", %" if drawn.percent else ""), "standoff": 8},
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": INK[theme],
        },
    )
    return figure


def _band(go: object, series: Series, colour: str, scale: float) -> object:
    """The interval around a curve."""
    known = np.isfinite(series.low)
    x, low, high = series.x[known], scale * series.low[known], scale * series.high[known]
    return go.Scatter(  # type: ignore[attr-defined]
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=_faint(colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
