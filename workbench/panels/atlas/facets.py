"""What is drawn of an atlas, whoever draws it: one facet for each plane of each result, and what to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.panels.atlas.ways import NAMES, way_of
from workbench.panels.titles import shortened

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

Named = tuple[str, "Result"]


@dataclass(frozen=True)
class Facet:
    """One plane.

    source: number of its result. result: its name where several are drawn. plane: the stage, or all. points:
    its rows of the table, in which x and y are its place. shares: of the variance on the two axes (PCA).
    """

    source: int
    result: str
    plane: str
    points: DataFrame
    shares: tuple[float, float] | None

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"{self.result}, {self.plane}" if self.result else self.plane

    def axis(self, k: int) -> str:
        """The name of an axis: of a principal component with its share; other methods' have no meaning."""
        return "" if self.shares is None else f"PC {k + 1} ({100 * self.shares[k]:.0f} %)"


def facets(results: Sequence[Named]) -> list[Facet]:
    """The planes of these results, row by row as results follow each other."""
    found = []
    titles = shortened([name for name, _ in results])
    for number, (name, (_, result)) in enumerate(zip(titles, results, strict=True)):
        method = result.config["method"]
        points = result.tables["points"]
        points = points.assign(x=points[f"{method}_x"], y=points[f"{method}_y"])
        for plane, rows in points.groupby("plane", sort=False):
            shares = _shares(result, str(plane)) if method == "pca" else None
            found.append(Facet(number, name if len(results) > 1 else "", str(plane), rows, shares))
    return found


def _shares(result: Result, plane: str) -> tuple[float, float]:
    axes = result.tables["axes"]
    shares = [*axes.loc[axes["plane"] == plane, "share"], 0.0]
    return float(shares[0]), float(shares[1])


def caveat(result: Result) -> str:
    """What the picture does not show, and what it was made with."""
    config, kept = result.config, result.tables["planes"]
    way = way_of(config)
    drawn = kept[kept["plane"].isin(set(result.tables["points"]["plane"]))]
    tokens, every = int(drawn["tokens"].sum()), int(drawn["of"].sum())
    of = f"{tokens:,} of {every:,} tokens, sampled with seed {config['seed']}."
    if tokens == every:
        of = f"All {every:,} tokens."
    scaled = " Each token is scaled to length 1." if config["unit"] else ""
    low, high = (100 * value for value in (drawn["kept"].min(), drawn["kept"].max()))
    share = f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
    if way.method == "pca":
        words = (
            "PCA is a shadow: points far apart here are far apart in the states, points that lie together "
            "may still differ along the axes that are not shown. The axes say their share of the variance."
        )
    else:
        about = {
            "umap": f"{way.neighbours} neighbours, min_dist {way.min_dist:g}",
            "tsne": f"perplexity {way.neighbours}",
            "pacmap": f"{way.neighbours} neighbours",
        }[way.method]
        words = (
            f"{NAMES[way.method]} ({about}, seed {config['seed']}, from principal components that hold "
            f"{share} of the variance) keeps who is next to whom. Distances between clusters, their sizes "
            "and their density mean little, the axes nothing; another seed gives another picture."
        )
    apart = (
        " Each plane was laid out by itself: places do not compare between planes." if len(drawn) > 1 else ""
    )
    return f"{words}{apart}{scaled} {of}"


def collection(result: Result) -> str:
    """What the images of a result are called together."""
    return str(result.manifest.get("collection", {}).get("title", "probe set"))


def left_out(result: Result) -> str:
    """What is to be known of a collection's images, and how many of them were skipped; empty for none."""
    skipped = result.manifest.get("skipped", [])
    said = list(result.manifest.get("collection", {}).get("notes", []))
    if skipped:
        first = skipped[0]
        said.append(
            f"Skipped, because they could not be used: {len(skipped):,}; the first, {first['name']}: "
            f"{first['reason']}"
        )
    return " ".join(said)


def words(row: Any) -> str:
    """What a point is, in one line."""
    known = f", {row['class']}" if isinstance(row["class"], str) else ""
    label = row.get("label")
    known += f", image of {label}" if isinstance(label, str) else ""
    number = f", object {row['object']}" if row["object"] > 0 else ""
    place = f"row {row['row']}, column {row['col']}{known}{number}"
    return f"{row['stage']}: {place}; {row['image']}, {row['condition']}"


def limits(facet: Facet) -> tuple[tuple[float, float], tuple[float, float]]:
    """A square around the points of a facet: the same length on both axes."""
    x, y = (facet.points[name].to_numpy(np.float64) for name in "xy")
    reach = 0.54 * max(np.ptp(x), np.ptp(y), 1e-6)
    middle = (float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2)
    return (middle[0] - reach, middle[0] + reach), (middle[1] - reach, middle[1] + reach)
