"""The curves of a drawing on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.panels.drawing import chart
from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Screen

    from workbench.runs.result import Result

Named = tuple[str, "Result"]


def screen(named: Sequence[Named], *, theme: Theme = "light") -> Screen:
    """The curves of results of one kind over the course of their drawing; a name before each of several."""
    import plotly.graph_objects as go

    figure, ink = go.Figure(), INK[theme]
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    number = 0
    for name, result in named:
        before = f"{name}: " if len(named) > 1 else ""
        for curve in chart.curves(result):
            if curve.fine and len(named) > 1:
                continue
            colour = GREY[theme] if curve.fine else palette[number % len(palette)]
            number += not curve.fine
            figure.add_trace(
                go.Scatter(
                    x=curve.x,
                    y=curve.y,
                    mode="lines" if curve.fine else "lines+markers",
                    line={"color": colour, "width": 1 if curve.fine else 2.2},
                    opacity=0.6 if curve.fine else 1,
                    marker={"size": 5},
                    name=before + curve.name,
                    hovertemplate="%{y:.2f} at %{x:.0f} %<extra>" + before + curve.name + "</extra>",
                )
            )
    along, up = chart.axes(named[0][1])
    axes = {"ticks": "outside", "showgrid": False, "zeroline": False, "color": ink}
    figure.update_layout(
        template="none",
        height=320,
        margin={"l": 58, "r": 14, "t": 14, "b": 92},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        dragmode=False,
        legend={"orientation": "h", "y": -0.28, "x": 0, "yanchor": "top"},
        xaxis=axes | {"title": {"text": along, "standoff": 6}, "range": [0, 101]},
        yaxis=axes | {"title": {"text": up}, "rangemode": "tozero"},
    )
    return figure
