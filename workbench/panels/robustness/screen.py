"""The figures of a robustness study on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.panels.robustness import chart
from workbench.panels.robustness.chart import TITLES, Named, label
from workbench.panels.robustness.shows import BARS, GAIN, HEAT, SEVERITY, SWEEP, TRIGGER
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure as Screen

HEIGHT, FACET, ROW = 380, 170, 26
"""Pixels: of a figure, of a facet, of a row of the heat table."""
WIDTH = {False: 800, True: 300}
"""Pixels across that a figure has at least; True: on a phone."""
LINE, LETTER, SIGN = 20, 7, 44
"""Pixels: height of a line of words, width of a letter of them, and of a sign with its gaps in a legend."""


def screen(many: Sequence[Named], show: str, *, theme: Theme = "light", narrow: bool = False) -> Screen:
    """One of the figures by its name. Raises Refusal where the results do not hold it."""
    drawn = {
        BARS: _bars,
        SEVERITY: _severity,
        HEAT: _heat,
        TRIGGER: _trigger,
        GAIN: _gain,
        SWEEP: _sweep,
    }[show](many, theme, narrow)
    drawn.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[theme]},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        dragmode=False,
    )
    _named_above(drawn, narrow)
    drawn.update_xaxes(showgrid=False, zeroline=False, color=INK[theme])
    drawn.update_yaxes(showgrid=False, zeroline=False, color=INK[theme])
    return drawn


def _named_above(figure: Screen, narrow: bool) -> None:
    """The legend above all, a line for each name where they do not stand side by side; the figure grows."""
    names = [str(trace.name) for trace in figure.data if trace.name and trace.showlegend is not False]
    stacked = sum(SIGN + LETTER * len(name) for name in names) > WIDTH[narrow]
    more = LINE * (len(names) - 1) if stacked else 0
    figure.update_layout(
        height=figure.layout.height + more,
        margin={"t": figure.layout.margin.t + more},
        legend={"orientation": "v" if stacked else "h", "font": {"size": 13}, "tracegroupgap": 0}
        | {"x": 0, "yref": "container", "y": 1 - 6 / (figure.layout.height + more), "yanchor": "top"},
    )


def _bars(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go

    rows = chart.bars(many)
    levels = list(dict.fromkeys(rows.sort_values("severity")["level"]))
    figure = go.Figure()
    for k, level in enumerate(levels):
        here = rows[rows["level"] == level]
        figure.add_trace(
            go.Bar(
                x=here["curve"],
                y=here["value"],
                name=level,
                marker={"color": _colours(theme)[0] if not k else _grey(k, len(levels), theme)},
                error_y=_error(here, "value", "low", "high", theme),
                text=_told(here),
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
    curves = list(dict.fromkeys(rows["curve"]))
    letters = max(6, int(WIDTH[narrow] / len(curves) / LETTER) - 2)
    named = [wrap(name, letters, break_on_hyphens=False) for name in curves]
    below = 16 + LINE * max(map(len, named))
    figure.update_layout(
        height=HEIGHT - 40 + below, barmode="group", bargap=0.25, margin=_margin(left=58, bottom=below)
    )
    figure.update_xaxes(tickvals=curves, ticktext=["<br>".join(lines) for lines in named], tickangle=0)
    figure.update_yaxes(title={"text": TITLES["accuracy"], "standoff": 8}, range=[0, 1.02])
    return figure


def _severity(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    facets = chart.facets(many)
    across = min(2 if narrow else 4, len(facets))
    down = -(-len(facets) // across)
    figure: Screen = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=[label(name) for name in facets],
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=min(0.16, 0.28 / down),
    )
    for k, rows in enumerate(facets.values()):
        for rank, curve in enumerate(chart.curves(rows)):
            some, colour = curve.rows, _colours(theme)[rank % 8]
            figure.add_trace(
                go.Scatter(
                    x=some["severity"],
                    y=some["value"],
                    mode="lines+markers",
                    line={"color": colour, "width": 2},
                    marker={"size": 5, "color": colour},
                    error_y=_error(some, "value", "low", "high", theme),
                    text=_told(some),
                    hovertemplate="%{text}<extra></extra>",
                    name=curve.name,
                    legendgroup=curve.name,
                    showlegend=k == 0,
                ),
                row=k // across + 1,
                col=k % across + 1,
            )
    figure.update_layout(height=90 + down * FACET, margin=_margin(left=58, top=60))
    ticks = sorted({float(x) for rows in facets.values() for x in rows["severity"]})
    figure.update_xaxes(tickvals=ticks, ticktext=[f"{x:g}" for x in ticks], range=[-0.05, 1])
    figure.update_annotations(font={"size": 13})
    figure.update_yaxes(title={"text": TITLES["accuracy"], "standoff": 8}, row=(down + 1) // 2, col=1)
    return figure


def _heat(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go

    table = chart.heat(many[0][1])
    shares = table.to_numpy(dtype=float)
    figure = go.Figure(
        go.Heatmap(
            z=100 * shares,
            x=list(table.columns),
            y=[label(name) for name in table.index],
            colorscale="Cividis",
            zmin=0,
            text=[[chart.points_of(share) for share in row] for row in shares],
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}: %{text} points<extra></extra>",
            colorbar={"title": {"text": "drop, points ↓", "side": "right"}, "thickness": 10},
        )
    )
    figure.update_layout(height=70 + ROW * len(table), margin=_margin(left=150, top=30, bottom=10))
    figure.update_yaxes(autorange="reversed", ticks="")
    figure.update_xaxes(side="top", ticks="")
    return figure


def _trigger(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure: Screen = make_subplots(specs=[[{"secondary_y": True}]])
    for rank, curve in enumerate(chart.curves(chart.triggers(many))):
        rows, colour = curve.rows, _colours(theme)[rank % 8]
        figure.add_trace(
            go.Bar(
                x=rows["level"],
                y=rows["triggered"],
                name=f"{curve.name}: draws",
                marker={"color": colour, "opacity": 0.5},
                error_y=_error(rows, "triggered", "triggered_low", "triggered_high", theme),
                text=[
                    f"draws {row['triggered']:.1%}, p(restore) {row['restore']:.2f}"
                    for row in rows.to_dict("records")
                ],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=rows["level"],
                y=rows["seconds"],
                name=f"{curve.name}: seconds",
                mode="lines+markers",
                line={"color": colour, "width": 2},
                hovertemplate="%{y:.2f} s an answer<extra></extra>",
            ),
            secondary_y=True,
        )
    figure.update_layout(height=HEIGHT, barmode="group", margin=_margin(left=58, right=58))
    figure.update_yaxes(title={"text": "share that draws", "standoff": 8}, range=[0, 1.02], secondary_y=False)
    figure.update_yaxes(title={"text": "seconds an answer ↓"}, rangemode="tozero", secondary_y=True)
    return figure


def _gain(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go

    points = chart.drawings(many)
    bins, said = chart.binned(points), chart.correlation(points)
    shown = points.sample(min(len(points), MOST_POINTS), random_state=0)
    jitter = np.random.default_rng(0).uniform(-0.05, 0.05, len(shown))
    figure = go.Figure(
        go.Scattergl(
            x=shown["gain"],
            y=shown["right"] + jitter,
            mode="markers",
            marker={"size": 4, "opacity": 0.35, "color": _colours(theme)[0]},
            name="a drawing",
            text=[
                f"{label(row['corruption'])} {row['level']}, question {row['question']}"
                for row in shown.to_dict("records")
            ],
            hovertemplate="%{text}<br>%{x:.1f} dB<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=bins["gain"],
            y=bins["right"],
            mode="lines+markers",
            error_y=_error(bins, "right", "low", "high", theme),
            line={"color": _colours(theme)[1], "width": 2},
            name="share of right answers, as many drawings each",
        )
    )
    figure.add_annotation(
        x=1, y=0.5, xref="paper", yref="y", text=said.replace("\n", "<br>"), showarrow=False, xanchor="right",
        align="right",
    )  # fmt: skip
    figure.update_layout(height=HEIGHT, margin=_margin(left=58))
    figure.update_xaxes(title={"text": "gain of the drawing, PSNR in dB ↑", "standoff": 6})
    figure.update_yaxes(tickvals=[0, 0.5, 1], ticktext=["wrong", "half", "right"], range=[-0.1, 1.1])
    return figure


MOST_POINTS = 3000
"""Drawings that are shown on the screen; correlation and line are of all."""


def _sweep(many: Sequence[Named], theme: Theme, narrow: bool) -> Screen:
    import plotly.graph_objects as go

    figure = go.Figure()
    for rank, curve in enumerate(chart.curves(chart.sweep(many))):
        rows = curve.rows.sort_values("steps")
        figure.add_trace(
            go.Scatter(
                x=rows["steps"],
                y=rows["value"],
                mode="lines+markers",
                line={"color": _colours(theme)[rank % 8], "width": 2},
                error_y=_error(rows, "value", "low", "high", theme),
                text=_told(rows),
                hovertemplate="%{text}<extra></extra>",
                name=curve.name,
            )
        )
    figure.update_layout(height=HEIGHT, margin=_margin(left=58))
    figure.update_xaxes(title={"text": "flow steps", "standoff": 6})
    figure.update_yaxes(title={"text": TITLES["accuracy"], "standoff": 8})
    return figure


def _told(rows: DataFrame) -> list[str]:
    """What the mouse reads of each row."""
    out = []
    for row in rows.to_dict("records"):
        words = f"{row['curve']}, {label(row['corruption'])} {row['level']}"
        if row["of"] == "clean":
            words = f"{row['curve']}, clean"
        words += f"<br>{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
        if row["of"] != "clean":
            words += f"<br>drop {row['drop']:.1%} [{row['drop_low']:.1%}, {row['drop_high']:.1%}]"
        out.append(f"{words}<br>n = {row['n']:,} answers, {row['images']:,} images")
    return out


def _error(rows: DataFrame, value: str, low: str, high: str, theme: Theme) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows[high] - rows[value]).clip(lower=0),
        "arrayminus": (rows[value] - rows[low]).clip(lower=0),
        "thickness": 1,
        "width": 3,
        "color": GREY[theme],
    }


def _colours(theme: Theme) -> tuple[str, ...]:
    return ON_DARK if theme == "dark" else OKABE_ITO


def _grey(place: int, count: int, theme: Theme) -> str:
    """Darker for stronger damage on a light ground, lighter on a dark one."""
    share = (place - 1) / max(1, count - 2)
    level = round(205 - 115 * share) if theme == "light" else round(85 + 115 * share)
    return f"rgb({level},{level},{level})"


def _margin(*, left: int, top: int = 40, right: int = 14, bottom: int = 52) -> dict[str, int]:
    return {"l": left, "r": right, "t": top, "b": bottom}
