"""The scatter of a series of checkpoints on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.panels.layers.axis import plain
from workbench.panels.layers.marks import ON_DARK, Theme
from workbench.panels.layers.screen import FONT, GREY, INK
from workbench.panels.sacrifice.figure import TASK_AXIS, reader_axis
from workbench.panels.sacrifice.series import Named, points, shown_stages
from workbench.runs.export import OKABE_ITO

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure as Screen

SYMBOLS = ("circle", "square", "triangle-up")
LONGEST = 24
"""Characters of a checkpoint's name beside its point."""
ROOM = 0.12
"""Of the span of the points, kept free before them; after them, for names, twice that."""
FAINT = 0.45
"""Opacity of intervals, which cross names and one another."""


def screen(
    many: Sequence[Named], measure: str = "", stages: Sequence[str] = (), *, theme: Theme = "light"
) -> Screen:
    """A point for each checkpoint and stage with its 95 % intervals; arrows lead along the series.

    Names stand at the points of the first stage. Hover tells both values, their intervals and n.

    Raises:
        Refusal: a result lacks the measure or a stage.
    """
    import plotly.graph_objects as go

    drawn = points(many, measure)
    ink, palette = INK[theme], ON_DARK if theme == "dark" else OKABE_ITO
    figure = go.Figure()
    shown = shown_stages(drawn, stages)
    for rank, stage in enumerate(shown):
        here = drawn[drawn["stage"] == stage].sort_values("place")
        colour = palette[rank]
        figure.add_trace(
            go.Scatter(
                x=here["task"],
                y=here["reader"],
                error_x=_bars(here, "task", colour),
                error_y=_bars(here, "reader", colour),
                mode="markers",
                marker={"color": colour, "size": 10, "symbol": SYMBOLS[rank]},
                customdata=[_hover(row) for row in here.to_dict("records")],
                hovertemplate="%{customdata}<extra></extra>",
                name=stage,
            )
        )
        _arrows(figure, here, colour)
        if not rank:
            _names(figure, here, ink)
    axis = {"showgrid": False, "zeroline": False, "ticks": "outside", "color": ink, "nticks": 6}
    at = drawn[drawn["stage"].isin(shown)]
    figure.update_layout(
        template="none",
        height=420,
        margin={"l": 58, "r": 20, "t": 40, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": ink},
        hoverlabel={"align": "left", "font": {"family": FONT, "size": 12}},
        hovermode="closest",
        dragmode=False,
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemclick": False},
        xaxis={**axis, "title": {"text": TASK_AXIS, "standoff": 6}, "range": _span(at, "task")},
        yaxis={
            **axis,
            "title": {"text": reader_axis(drawn), "standoff": 8},
            "range": _span(at, "reader"),
        },
    )
    chance = float(drawn["task chance"].mean())
    if chance >= figure.layout.xaxis.range[0]:
        figure.add_vline(chance, line={"color": GREY[theme], "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=chance, y=0, yref="paper", text="chance", xanchor="left", yanchor="bottom", showarrow=False,
            font={"size": 12, "color": GREY[theme]},
        )  # fmt: skip
    return figure


def _bars(here: DataFrame, name: str, colour: str) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": here[f"{name} high"] - here[name],
        "arrayminus": here[name] - here[f"{name} low"],
        "color": _faint(colour),
        "thickness": 1,
        "width": 0,
    }


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{FAINT})"


def _arrows(figure: Screen, here: DataFrame, colour: str) -> None:
    """From each checkpoint's point to the next one's."""
    x, y = here["task"].to_list(), here["reader"].to_list()
    for k in range(len(x) - 1):
        figure.add_annotation(
            x=x[k + 1], y=y[k + 1], ax=x[k], ay=y[k], xref="x", yref="y", axref="x", ayref="y", text="",
            showarrow=True, arrowhead=2, arrowsize=1.1, arrowwidth=1.3, arrowcolor=colour, opacity=0.7,
            standoff=7, startstandoff=6,
        )  # fmt: skip


def _names(figure: Screen, here: DataFrame, ink: str) -> None:
    """Slanted beside the points: names of points that lie close keep apart."""
    for row in here.to_dict("records"):
        figure.add_annotation(
            x=row["task"], y=row["reader"], text=_short(row["checkpoint"]), textangle=-40, xanchor="left",
            yanchor="bottom", xshift=4, yshift=4, showarrow=False, font={"size": 12, "color": ink},
        )  # fmt: skip


def _span(at: DataFrame, name: str) -> list[float]:
    """The ends of an axis: intervals and some room around them, more after them, for names."""
    reached = at[[name, f"{name} low", f"{name} high"]]
    low, high = float(reached.min().min()), float(reached.max().max())
    room = max(high - low, 0.02)
    return [low - ROOM * room, high + 2 * ROOM * room]


def _hover(row: dict[str, object]) -> str:
    def number(name: str) -> str:
        value, low, high = (plain(float(str(row[f"{name}{end}"]))) for end in ("", " low", " high"))
        return f"{value} [{low}, {high}]"

    return (
        f"<b>{escape(str(row['checkpoint']))}</b>, {row['stage']}<br>right answers: {number('task')}, "
        f"n = {row['task n']} images<br>{row['measure']}: {number('reader')}, n = {row['reader n']} images"
    )


def _short(name: object) -> str:
    text = str(name)
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
