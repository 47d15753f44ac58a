"""Attributions on the page: a card for each method, as HTML; over a collection a chart, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from workbench.page import markup
from workbench.panels.attribution.chart import (
    MEASURES,
    Map,
    Named,
    agreeing,
    boxes_of,
    is_drawing,
    maps,
    of_measure,
    stages_of,
    targets_of,
    verdict,
)
from workbench.panels.attribution.names import ALL_LAYERS, LABELS
from workbench.panels.attribution.scores import BASELINES, CHANCE
from workbench.panels.attribution.scores import MEASURES as OF_MANY
from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.panels.overlay import OVERLAY, outlined, weighed, weighed_bar
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.runs.result import Result

BOX = 192
ROW = 30
"""Pixels that a method takes in the chart."""


def cards(result: Result, target: int = 0, stage: str = ALL_LAYERS, opacity: float = OVERLAY) -> str:
    """The picture and, on one scale, the map of every method with its curves and measures.

    A method that does not have the stage says so in its card.
    """
    shown, boxes = result.images["shown"], boxes_of(result)
    seen = outlined(shown, result.arrays["mask"].astype(bool)) if "mask" in result.arrays else shown
    name = "what is asked about, outlined" if "mask" in result.arrays else ""
    found = {one.method: one for one in maps(result, target, stage)}
    agreed = agreeing(result, target)
    figures = [_card("the input", markup.image(seen, "the input", BOX), f'<span class="quiet">{name}</span>')]
    if is_drawing(result):
        drawing = outlined(result.images["drawing"], result.arrays["patch"].astype(bool))
        words = f'<span class="quiet">{escape(targets_of(result)[1])}, outlined</span>'
        figures.append(_card("the drawing", markup.image(drawing, "the drawing", BOX), words))
    for method in dict.fromkeys(result.tables["maps"]["method"]):
        one = found.get(str(method))
        if one is None:
            words = f"it has no {stage}"
            picture = f'<div class="frame empty">{escape(words)}</div>'
            figures.append(_card(LABELS[str(method)], picture, ""))
            continue
        drawn = weighed(shown, boxes, one.values, opacity)
        picture = markup.image(drawn, f"map by {one.label}", BOX)
        figures.append(
            _card(
                one.label,
                picture,
                _curves(one)
                + _measures(one, agreed.get(one.method) if one.stage in ("", ALL_LAYERS) else None),
                one.stage,
            )
        )
    words = "Every map is divided by its largest value: blue speaks against what is explained, orange for it."
    bar = markup.scale(words, weighed_bar(opacity), "\N{MINUS SIGN}1", "1")
    return f'<div class="aft maps" role="group" aria-label="maps">{"".join(figures)}</div>{bar}'


def strip(name: str, other: Result, target: int, stage: str, opacity: float) -> str:
    """A pinned result's maps under its name, at this layer if it has it."""
    drawn = cards(other, target, stage if stage in stages_of(other) else ALL_LAYERS, opacity)
    said = [*verdict(other), *([f"Explained is “{targets_of(other)[target]}”."] if target else [])]
    return f"{markup.strip(name, (), [' '.join(said)])}{drawn}"


def _card(name: str, picture: str, below: str, stage: str = "") -> str:
    at = f' <span class="quiet">{escape(stage)}</span>' if stage else ""
    head = f"<span><b>{escape(name)}</b>{at}</span>"
    return f"<figure>{picture}<figcaption>{head}{below}</figcaption></figure>"


def _curves(one: Map) -> str:
    """Deletion and insertion as small lines: probability, or likeness, over the share of cells."""
    if not one.curves:
        return ""
    lines = "".join(
        f'<polyline class="{way}" points="'
        + " ".join(
            f"{100 * k / (len(curve) - 1):.1f},{31 - 30 * min(max(y, 0), 1):.1f}" for k, y in enumerate(curve)
        )
        + '"/>'
        for way, curve in one.curves.items()
    )
    label = "deletion and insertion curves"
    return (
        f'<svg viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label="{label}">{lines}</svg>'
    )


def _measures(one: Map, agreed: float | None) -> str:
    found = [
        (name, title, f"{one.measures[name]:.2f}") for name, title in MEASURES.items() if name in one.measures
    ]
    if agreed is not None:
        found.append(("agreement", "agreement", f"{agreed:.2f}".replace("-", "\N{MINUS SIGN}")))
    rows = "".join(
        f'<dt class="{name}">{escape(title)}</dt><dd class="num">{value}</dd>' for name, title, value in found
    )
    return f"<dl>{rows}</dl>" if rows else ""


def chart(many: Sequence[Named], measure: str, *, theme: Theme = "light") -> Figure:
    """Where methods point over a collection: a point with its 95 % interval for each, chance as a line."""
    import plotly.graph_objects as go

    tables = [(name, of_measure(result, measure)) for name, result in many]
    first = tables[0][1].set_index("method")
    order = [
        name for name in first.sort_values("value", ascending=False, kind="stable").index if name != CHANCE
    ]
    palette = ON_DARK if theme == "dark" else OKABE_ITO
    figure, spread = go.Figure(), 0.5 / len(tables)
    for number, (name, table) in enumerate(tables):
        rows = table.set_index("method").reindex(order)
        value, low, high = (rows[each].to_numpy(float) for each in ("value", "low", "high"))
        hover = [
            f"{LABELS[method]}<br>{v:.2f} ({a:.2f} to {b:.2f})"
            for method, v, a, b in zip(order, value, low, high, strict=True)
        ]
        colours = palette[number % len(palette)]
        figure.add_trace(
            go.Scatter(
                x=value,
                y=np.arange(len(order)) + spread * (number - (len(tables) - 1) / 2),
                mode="markers",
                name=name,
                marker={
                    "color": colours,
                    "size": 9,
                    "symbol": ["circle-open" if each in BASELINES else "circle" for each in order],
                },
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": high - value,
                    "arrayminus": value - low,
                    "thickness": 1.6,
                    "width": 0,
                },
                text=hover,
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.add_vline(
        x=float(first.loc[CHANCE, "value"]), line={"color": GREY[theme], "width": 1, "dash": "dash"}
    )
    count = int(first["n"].max())
    figure.update_layout(
        template="none",
        height=96 + ROW * len(order),
        margin={"l": 172, "r": 16, "t": 40, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[theme]},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        showlegend=len(tables) > 1,
        dragmode=False,
        xaxis={
            "title": {"text": f"{OF_MANY[measure]} (n = {count:,} images; dashed: chance)", "standoff": 6},
            "range": [-0.02, 1.02],
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "color": INK[theme],
        },
        yaxis={
            "range": [len(order) - 0.5, -0.5],
            "tickvals": list(range(len(order))),
            "ticktext": [LABELS[name] for name in order],
            "showgrid": False,
            "zeroline": False,
            "color": INK[theme],
        },
    )
    return figure
