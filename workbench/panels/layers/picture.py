"""Patch structure of one picture along the stages, and what its similarity maps are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import Score, interval
from probes.geometry import participation_ratio, token_norm
from probes.patches import permuted_structure, permuted_surroundings, structure, surroundings
from probes.similarity import unit
from workbench.capture.hidden import Captured
from workbench.datasets.scenes import Batch, label
from workbench.images.scenes import generate
from workbench.models.protocol import Model
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import (
    Chance,
    Measured,
    Row,
    curve,
    go_on,
    in_cells,
    labelled,
    stage_rows,
)
from workbench.panels.specimen import SCENE, degrade

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.panels.layers.config import LayersConfig, Progress

NOTHING = np.full(1, np.nan)


def measure(
    config: LayersConfig,
    model: Model,
    picture: Picture,
    progress: Progress,
    stop: Callable[[], bool],
) -> Measured:
    """One pass, then every measure at every stage; see `study.run`."""
    shown = degrade(picture.pixels, config.corruption, config.intensity, config.seed)
    go_on(stop)
    progress(0.0, "one pass through the model")
    return measure_captured(config, see(model, [shown], config.question), picture, shown, progress, stop)


def measure_captured(
    config: LayersConfig,
    captured: Captured,
    picture: Picture,
    shown: np.ndarray,
    progress: Progress,
    stop: Callable[[], bool],
) -> Measured:
    """Every measure at every stage of a pass that was made before; `shown` is what the model got."""
    grid = captured.grid
    truth = _truth(config.image, picture.pixels)
    arrays = {"grid": np.array([grid.rows, grid.cols]), "boxes": np.asarray(grid.boxes, dtype=np.float32)}
    regions: list[np.ndarray | None] = [None] * len(captured.stages)
    if truth is not None:
        regions = labelled(captured, lambda boxes: truth.patch_regions(boxes, config.purity)[0])
        arrays["regions"] = truth.patch_regions(grid.boxes, config.purity)[0]
    return Measured(
        tables={"curves": _curves(config, captured, regions, progress, stop), "stages": stage_rows(captured)},
        hashes={"picture": picture.sha256},
        arrays=arrays | _tokens(captured, config.centre),
        images={"original": picture.pixels, "shown": shown},
    )


def _truth(source: str, pixels: np.ndarray) -> Batch | None:
    """A bundled scene's labels, if that is what the pixels are: only then is the mask known."""
    if not source.startswith(SCENE):
        return None
    scene = label(generate([int(source.removeprefix(SCENE))], "test"))
    return scene if np.array_equal(scene.images[0], pixels) else None


def _curves(
    config: LayersConfig,
    captured: Captured,
    regions: list[np.ndarray | None],
    progress: Progress,
    stop: Callable[[], bool],
) -> list[Row]:
    # For each measure and stage: value, values for permuted labels or places, how many patches it rests on.
    found: dict[str, dict[int, tuple[float, np.ndarray, int]]] = {}
    for i, (states, grid, names) in enumerate(zip(captured.states, captured.grids, regions, strict=True)):
        go_on(stop)
        progress(0.2 + 0.8 * i / len(captured.states), f"patch structure, {captured.stages[i].name}")
        x = states[0].astype(np.float32)

        def keep(
            name: str, value: np.ndarray, permuted: np.ndarray, n: int = len(states[0]), stage: int = i
        ) -> None:
            found.setdefault(name, {})[stage] = (float(value.item()), permuted, n)

        if names is not None:
            true = structure(x, names, centre=config.centre)
            mixed = permuted_structure(
                x, names, permutations=config.permutations, seed=config.seed, centre=config.centre
            )
            count = int((names >= 0).sum())
            keep("cohesion", true.cohesion, mixed.cohesion, count)
            keep("coupling", true.coupling, mixed.coupling, count)
            keep("contrast difference", true.difference, mixed.difference, count)
            keep("contrast ratio", true.ratio, mixed.ratio, count)
        if grid is not None and grid.rows * grid.cols > 1:
            near = surroundings(x, grid.rows, grid.cols, centre=config.centre)
            moved = permuted_surroundings(
                x,
                grid.rows,
                grid.cols,
                permutations=config.permutations,
                seed=config.seed,
                centre=config.centre,
            )
            keep("neighbour cosine", near.near, moved.near)
            keep("far cosine", near.far, moved.far)
            keep("neighbour - far", near.gap, moved.gap)
            keep("Moran's I", near.moran, moved.moran)
        keep("effective dimension", participation_ratio(x), NOTHING)
        keep("token norm", token_norm(x), NOTHING)

    table: list[Row] = []
    for name, numbers in found.items():
        scores: list[Score | None] = [None] * len(captured.stages)
        chance: list[Chance] = [(np.nan,) * 3] * len(captured.stages)
        for i, (value, permuted, n) in numbers.items():
            # One picture leaves nothing to resample, so there is no interval: only chance has one.
            scores[i] = Score(value, np.nan, np.nan, n, 1, NOTHING)
            known = permuted[np.isfinite(permuted)]
            chance[i] = (float(known.mean()) if len(known) else np.nan, *interval(known))
        table += curve(name, captured.stages, scores, "patches", chance)
    return table


def _tokens(captured: Captured, centre: bool) -> dict[str, np.ndarray]:
    """Unit tokens in half precision, one for each cell of the prompt's grid, where a stage's fill them all.

    Centred before they are rounded: the common direction may be hundreds of times longer than what is left.
    """
    found: dict[str, np.ndarray] = {}
    for stage, states, grid in zip(captured.stages, captured.states, captured.grids, strict=True):
        cells = None if grid is None else in_cells(states[0].astype(np.float32), grid, captured.grid)
        if cells is not None:
            found[f"tokens_{stage.index:03d}"] = unit(cells, centre=centre).astype(np.float16)
    return found
