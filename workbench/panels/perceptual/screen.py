"""A measure over the denoising steps on the screen, with Plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, INK
from workbench.panels.perceptual.reading import Named, arrow, curves, title
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Screen


def screen(named: Sequence[Named], measure: str, *, theme: Theme = "light") -> Screen | None:
    """The curves of these results; a dotted line is the degraded picture. None where nothing was drawn."""
    import plotly.graph_objects as go

    figure, ink = go.Figure(), INK[theme]
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    found = [(name, curve) for name, result in named for curve in curves(result, measure)]
    for k, (name, curve) in enumerate(found):
        words = ", ".join(filter(None, [name if len(named) > 1 else "", curve.name])) or title(measure)
        colour = palette[k % len(palette)]
        figure.add_trace(
            go.Scatter(
                x=curve.x,
                y=curve.y,
                mode="lines+markers",
                line={"color": colour, "width": 2.2},
                marker={"size": 5},
                name=words,
                hovertemplate="%{y:.3f} at step %{x}<extra>" + words + "</extra>",
            )
        )
        if math.isfinite(curve.before):
            figure.add_hline(
                y=curve.before,
                line={"color": colour, "width": 1.2, "dash": "dot"},
                annotation={"text": "degraded", "font": {"size": 12, "color": colour}},
                annotation_position="top right",
            )
    axes = {"ticks": "outside", "showgrid": False, "zeroline": False, "color": ink}
    unit = " (dB)" if measure == "psnr" else ""
    several = len(found) > 1
    figure.update_layout(
        template="none",
        height=320 if several else 280,
        margin={"l": 64, "r": 14, "t": 22, "b": 92 if several else 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"font": {"family": FONT, "size": 12}},
        dragmode=False,
        showlegend=several,
        legend={"orientation": "h", "y": -0.3, "x": 0, "yanchor": "top"},
        xaxis=axes | {"title": {"text": "denoising step", "standoff": 6}},
        yaxis=axes | {"title": {"text": f"{title(measure)}{unit} {arrow(measure)}"}},
    )
    return figure if found else None
