"""Laying kept tokens out anew by any method, from the principal components of a result: no model is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.projection import METHODS, available, most_neighbours, project
from workbench.errors import Refusal
from workbench.panels.atlas.config import Way

if TYPE_CHECKING:
    from workbench.runs.result import Result

JOINT = "all stages"
NAMES = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE", "pacmap": "PaCMAP"}

Places = Mapping[str, np.ndarray]
"""Coordinates, float32 (n, 2), by the plane's name."""
Call = Callable[..., Any]
"""Calls `project` with the arguments that follow, here or in another process."""


def way_of(config: Mapping[str, Any]) -> Way:
    """The way among a config's values."""
    return Way(**{name: config[name] for name in Way.model_fields})


def here(function: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """Call a function where one is."""
    return function(*values, **named)


def features(result: Result, way: Way) -> dict[str, np.ndarray]:
    """The principal components of each plane, by its name.

    One stage is a plane of its own either way. Raises Refusal where its stages cannot share one.
    """
    table = result.tables["planes"]
    kinds = set(table["planes"])
    several = (table["planes"] == "each").sum() > 1
    if way.planes == "joint" and several and "joint" not in kinds:
        raise Refusal("These stages have states of different widths: each has a plane of its own.")
    kind = "joint" if way.planes == "joint" and "joint" in kinds else "each"
    rows = table[table["planes"] == kind]
    return {
        str(plane): result.arrays[str(key)]
        for plane, key in zip(rows["plane"], rows["features"], strict=True)
    }


def projected(result: Result, way: Way, *, call: Call = here) -> dict[str, np.ndarray]:
    """The places of all tokens under a way; ``call`` runs what takes long.

    Raises Refusal where a plane has too few tokens for so many neighbours, or the method is not installed.
    """
    seed, places = int(result.config["seed"]), {}
    for plane, kept in check(result, way).items():
        if way.method == "pca":
            first = kept[:, :2]
            places[plane] = np.pad(first, ((0, 0), (0, 2 - first.shape[1])))
            continue
        found = call(project, kept, way.method, seed=seed, neighbours=way.neighbours, min_dist=way.min_dist)
        places[plane] = found.points
    return places


def check(result: Result, way: Way) -> dict[str, np.ndarray]:
    """``features`` that this way can lay out. Raises Refusal where it cannot."""
    if way.method not in available():
        raise Refusal(f"{NAMES[way.method]} is not installed. Choose one of {', '.join(available())}.")
    found = features(result, way)
    for plane, kept in found.items():
        most = most_neighbours(way.method, len(kept))
        if way.method != "pca" and way.neighbours > most:
            raise Refusal(
                f"{NAMES[way.method]} of the {len(kept):,} tokens at {plane} can ask for at most {most} "
                f"neighbours, not {way.neighbours}: ask for fewer, or keep more tokens."
            )
    return found


def laid(result: Result, way: Way, places: Places) -> Result:
    """The result with its tokens at these places and the way in its config; all else stays."""
    points = result.tables["points"]
    points = points.drop(columns=[f"{name}_{axis}" for name in METHODS for axis in "xy"], errors="ignore")
    points = points.drop(columns="plane", errors="ignore")
    joint = JOINT in places
    points.insert(0, "plane", [JOINT] * len(points) if joint else points["stage"].tolist())
    for name, found in (
        ("pca", projected(result, way.model_copy(update={"method": "pca"}))),
        (way.method, places),
    ):
        where = np.zeros((len(points), 2), np.float32)
        for plane, xy in found.items():
            where[(points["plane"] == plane).to_numpy()] = xy
        points[f"{name}_x"], points[f"{name}_y"] = where.T
    values = result.config | {name: getattr(way, name) for name in Way.model_fields}
    return replace(
        result,
        config=values,
        manifest=result.manifest | {"config": values},
        tables=result.tables | {"points": points},
    )


def identity(result: Result, way: Way) -> str:
    """What a result's tokens laid out in this way are kept as: the same for the same tokens, whoever asks."""
    digest = hashlib.sha256(f"atlas {result.config['seed']} {way.model_dump_json()}".encode())
    for name in sorted(result.arrays):
        digest.update(name.encode() + result.arrays[name].tobytes())
    for name in ("points", "pictures"):
        fixed = [column for column in result.tables[name] if not str(column).endswith(("_x", "_y"))]
        digest.update(result.tables[name][fixed].drop(columns="plane", errors="ignore").to_csv().encode())
    return digest.hexdigest()
