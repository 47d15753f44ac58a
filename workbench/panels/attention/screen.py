"""Shares of attention on the screen, with Plotly, and the matrix of blocks as a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.attention.chart import Named, chart
from workbench.panels.attention.maps import percent
from workbench.panels.attention.reading import MEAN, Asked, block_of, kinds_of
from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.panels.overlay import cividis
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.runs.result import Result


def screen(
    many: Sequence[Named], asked: Asked | None = None, *, stage: str = "", theme: Theme = "light"
) -> Figure:
    """Share of attention over the layers, the chosen stage marked. Raises as `chart` does."""
    import plotly.graph_objects as go

    drawn, figure, ink = chart(many, asked), go.Figure(), INK[theme]
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    x = list(range(len(drawn.stages)))
    for number, curve in enumerate(drawn.curves):
        colour = palette[number % len(palette)]
        figure.add_trace(
            go.Scatter(
                x=[*x, *reversed(x)],
                y=[*curve.high, *reversed(curve.low)],
                fill="toself",
                fillcolor=colour,
                opacity=0.14,
                mode="none",
                hoverinfo="skip",
                showlegend=False,
            )
        )
        hover = [
            f"{s}: {v:.1f} % ({a:.1f} to {b:.1f})"
            for s, v, a, b in zip(drawn.stages, curve.value, curve.low, curve.high, strict=True)
        ]
        figure.add_trace(
            go.Scatter(
                x=x,
                y=curve.value,
                mode="lines+markers",
                line={"color": colour, "width": 2.2},
                marker={"size": 6},
                name=curve.label,
                text=hover,
                hovertemplate="%{text}<extra>" + escape(curve.label) + "</extra>",
            )
        )
    if stage in drawn.stages:
        at = drawn.stages.index(stage)
        figure.add_vline(x=at, line={"color": GREY[theme], "width": 1, "dash": "dash"})
    every = max(1, len(x) // 8)
    shares = f"attention to the {drawn.curves[0].kind}, %" if len(many) > 1 else "share of attention, %"
    axes = {"ticks": "outside", "showgrid": False, "zeroline": False, "color": ink}
    figure.update_layout(
        template="none",
        height=316,
        margin={"l": 54, "r": 14, "t": 34, "b": 64},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        dragmode=False,
        showlegend=True,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        xaxis=axes
        | {
            "tickvals": x[::every],
            "ticktext": [name.removeprefix("llm ") for name in drawn.stages[::every]],
            "title": {"text": f"language layer<br><sup>bands: {drawn.band}</sup>", "standoff": 6},
        },
        yaxis=axes | {"title": {"text": shares, "standoff": 4}, "rangemode": "tozero"},
    )
    return figure


def blocks(result: Result, stage: str, head: int = MEAN) -> str:
    """The matrix of blocks as a table: from (rows) to (columns), in per cent, on the colours of maps."""
    kinds, found = kinds_of(result), block_of(result, stage, head)
    colours = cividis()
    top = "".join(f'<th scope="col">{escape(kind)}</th>' for kind in kinds)
    lines = []
    for kind, row in zip(kinds, found, strict=True):
        cells = []
        for value in row:
            if not np.isfinite(value):
                cells.append("<td>–</td>")
                continue
            red, green, blue = colours[round(255 * min(1.0, float(value)))].astype(int)
            ink = "#000" if value > 0.5 else "#fff"
            style = f"background:rgb({red},{green},{blue});color:{ink}"
            cells.append(f'<td style="{style}">{percent(100 * float(value))}</td>')
        lines.append(f'<tr><th scope="row">{escape(kind)}</th>{"".join(cells)}</tr>')
    return (
        '<div class="aft blocks-scroll"><table class="blocks num"><caption class="quiet">What a token of a '
        f"kind (row) gives to all tokens of each kind (column), on average, at {escape(stage)}</caption>"
        f'<thead><tr><th scope="col">from \\ to</th>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
