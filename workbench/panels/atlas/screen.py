"""The atlas on the screen, with Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.panels.atlas.colours import GRADUAL, WORDS, choices, groups, members, span
from workbench.panels.atlas.facets import Facet, Named, facets, limits, words
from workbench.panels.layers.marks import Theme
from workbench.panels.layers.screen import FONT, INK

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Screen

ACROSS = 3
"""Facets side by side; on a phone one."""
FACET, TITLE, GAP, LEGEND = 268, 24, 24, 26
"""Pixels: a facet's height, its title, what lies between two, a line of the legend."""
BAR = 60
"""Pixels for the bar of colours that change gradually, with its name and numbers."""
PER_LINE = 7
"""Names of groups on a line of the legend, about."""
NOT_NEEDED = ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"]
"""Buttons that Plotly would show."""
GROUND = {"light": "#ffffff", "dark": "#1b1b1e"}
FRAME = {"light": "#d9d9de", "dark": "#3c3c43"}


def screen(
    results: Sequence[Named], column: str = "", *, theme: Theme = "light", narrow: bool = False
) -> Screen:
    """Every plane as a facet, square, both axes of one length; points coloured by a column of the table.

    A point carries, for whoever draws its patch: the number of its result, its picture's number, its box in
    pixels of that picture, and what it is in words. A column that does not tell these results' points apart
    is replaced by one that does.
    """
    import plotly.graph_objects as go

    drawn, bare = facets(results), [result for _, result in results]
    column = column if column in (able := choices(bare)) else able[0]
    across = 1 if narrow else min(ACROSS, max(_planes(drawn)))
    rows = _grid(drawn, across)
    down = len(rows)
    groups_here = [] if column in GRADUAL else groups(bare, column)
    lines = 1 + (len(groups_here) - 1) // (2 if narrow else PER_LINE)
    top = BAR if column in GRADUAL else 8 + LEGEND * lines
    height = top + down * (FACET + TITLE + GAP)
    figure = go.Figure()
    layout: dict[str, Any] = {}
    named: set[str] = set()
    for r, row in enumerate(rows):
        for c, facet in enumerate(row):
            k = r * across + c + 1
            axes = {"xaxis": f"x{k}", "yaxis": f"y{k}"}
            if column in GRADUAL:
                low, high = span(bare, column)
                marker: dict[str, Any] = {
                    "color": facet.points[column],
                    "colorscale": "Cividis",
                    "cmin": low,
                    "cmax": high,
                    "showscale": k == 1,
                    "colorbar": _bar(column, theme),
                }
                _points(figure, facet, facet.points, marker, axes, WORDS[column], False)
            else:
                for group, inside in members(facet.points, column, groups_here):
                    marker = {"color": group.colour(theme), "symbol": group.shape}
                    fresh = group.name not in named
                    named.add(group.name)
                    rank = len(groups_here) if group.rank is None else group.rank
                    _points(figure, facet, facet.points[inside], marker, axes, group.name, fresh, rank)
            room = height - top
            y1 = 1 - (r * (FACET + TITLE + GAP) + TITLE) / room
            x0 = c / across
            layout |= _axes(
                facet, k, (x0, x0 + (1 - 0.07 * (across > 1)) / across), (y1 - FACET / room, y1), theme
            )
            figure.add_annotation(
                x=x0, y=y1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=2,
                text=facet.title, showarrow=False, font={"size": 14},
            )  # fmt: skip
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 18, "r": 8, "t": top, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK[theme]},
        hoverlabel={
            "align": "left",
            "bgcolor": GROUND[theme],
            "bordercolor": FRAME[theme],
            "font": {"family": FONT, "size": 12, "color": INK[theme]},
        },
        hovermode="closest",
        dragmode="pan",
        modebar={"remove": NOT_NEEDED, "bgcolor": "rgba(0,0,0,0)", "orientation": "v"},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1,
            "yanchor": "bottom",
            "itemsizing": "constant",
            "font": {"size": 13},
            "bgcolor": "rgba(0,0,0,0)",
        },
        **layout,
    )
    return figure


def _points(
    figure: Screen,
    facet: Facet,
    points: Any,
    marker: dict[str, Any],
    axes: dict[str, str],
    name: str,
    fresh: bool,
    rank: int = 0,
) -> None:
    import plotly.graph_objects as go

    about = [
        [facet.source, row["picture"], row["x0"], row["y0"], row["x1"], row["y1"], words(row)]
        for row in points.to_dict("records")
    ]
    figure.add_trace(
        go.Scattergl(
            x=points["x"],
            y=points["y"],
            mode="markers",
            marker={"size": 5, "opacity": 0.8, "line": {"width": 0}, **marker},
            customdata=about,
            hovertemplate="%{customdata[6]}<extra></extra>",
            name=name,
            legendgroup=name,
            legendrank=1000 + rank,
            showlegend=fresh,
            **axes,
        )
    )


def _planes(drawn: Sequence[Facet]) -> list[int]:
    """How many planes each result has."""
    sources = [facet.source for facet in drawn]
    return [sources.count(source) for source in sorted(set(sources))]


def _grid(drawn: Sequence[Facet], across: int) -> list[list[Facet]]:
    """The facets in rows: each result begins one where it has several, single planes share theirs."""
    if max(_planes(drawn)) == 1:
        return [list(drawn[k : k + across]) for k in range(0, len(drawn), across)]
    rows: list[list[Facet]] = []
    for source in dict.fromkeys(facet.source for facet in drawn):
        own = [facet for facet in drawn if facet.source == source]
        rows += [own[k : k + across] for k in range(0, len(own), across)]
    return rows


def _axes(
    facet: Facet, k: int, across: tuple[float, float], down: tuple[float, float], theme: Theme
) -> dict[str, Any]:
    (left, right), (low, high) = limits(facet)
    plain = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "showline": True,
        "mirror": True,
        "linecolor": FRAME[theme],
        "color": INK[theme],
    }
    return {
        f"xaxis{k}": plain
        | {
            "domain": across,
            "anchor": f"y{k}",
            "range": [left, right],
            "title": {"text": facet.axis(0), "standoff": 2, "font": {"size": 12}},
            "constrain": "range",
        },
        f"yaxis{k}": plain
        | {
            "domain": [max(0.0, down[0]), down[1]],
            "anchor": f"x{k}",
            "range": [low, high],
            "scaleanchor": f"x{k}",
            "title": {"text": facet.axis(1), "standoff": 2, "font": {"size": 12}},
        },
    }


def _bar(column: str, theme: Theme) -> dict[str, Any]:
    return {
        "title": {"text": WORDS[column], "side": "top", "font": {"size": 12}},
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "len": 160,
        "lenmode": "pixels",
        "thickness": 8,
        "outlinewidth": 0,
        "ypad": 4,
        "tickfont": {"size": 12, "color": INK[theme]},
    }
