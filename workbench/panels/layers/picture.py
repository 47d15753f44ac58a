"""Patch structure of one picture along the stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from probes.bootstrap import Score, interval
from probes.geometry import participation_ratio, token_norm
from probes.patches import permuted_structure, permuted_surroundings, structure, surroundings
from workbench.capture.hidden import Captured
from workbench.models.protocol import Model
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import (
    Chance,
    Measured,
    Row,
    curve,
    go_on,
    labelled,
    stage_rows,
)
from workbench.panels.specimen import degrade, truth

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
    labels = truth(config.image, picture.pixels)
    regions: list[np.ndarray | None] = [None] * len(captured.stages)
    if labels is not None:
        regions = labelled(captured, lambda boxes: labels.patch_regions(boxes, config.purity)[0])
    return Measured(
        tables={"curves": _curves(config, captured, regions, progress, stop), "stages": stage_rows(captured)},
        hashes={"picture": picture.sha256},
        images={"original": picture.pixels, "shown": shown},
    )


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
