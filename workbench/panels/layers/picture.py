"""Patch structure of one picture along the stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from probes.alignment import LEAST_ROWS, linear_cka, token_cosine
from probes.bootstrap import Score, interval
from probes.geometry import feature_correlation
from probes.patches import permuted_structure, permuted_surroundings, structure, surroundings
from workbench.capture.hidden import Captured
from workbench.models.protocol import Model
from workbench.panels.layers.parts.averages import geometry_of
from workbench.panels.layers.parts.kept_grams import kept_of
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import (
    REFERENCE,
    Chance,
    Measured,
    Row,
    curve,
    go_on,
    labelled,
    stage_rows,
)
from workbench.panels.layers.tokens_in_cells import tokens_in_cells
from workbench.panels.restoring import restored
from workbench.panels.specimen import degrade, regions_of, truth

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
    if config.restored:
        progress(0.0, "restoring the picture")
        shown = restored(model, shown, config.question, config.seed, stop)
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
        regions = labelled(captured, lambda boxes: regions_of(labels, boxes, config.purity))
    curves = _curves(config, captured, regions, progress, stop)
    compared, grams = kept_of(captured, picture.pixels)
    return Measured(
        tables={"curves": curves, "stages": stage_rows(captured), "compared": compared},
        saw={"picture": picture},
        arrays=grams,
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
    cells = {i: tokens[0] for i, tokens in tokens_in_cells(captured).items()}
    entry = next((i for i, stage in enumerate(captured.stages) if stage.name == REFERENCE), None)
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
        for name, number in geometry_of(states[:1].astype(np.float32)).items():
            keep(name, number, NOTHING)
        keep("feature correlation", np.array(feature_correlation(x)), NOTHING)
        if entry is not None:
            first = captured.states[entry][0].astype(np.float32)
            if first.shape == x.shape:
                keep("cosine to llm 0", token_cosine(x, first).mean(), NOTHING)
            if i in cells and entry in cells and len(cells[i]) >= LEAST_ROWS:
                keep("CKA with llm 0", np.array(linear_cka(cells[i], cells[entry])), NOTHING)

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
