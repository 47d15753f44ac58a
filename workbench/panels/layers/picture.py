"""Patch structure of one picture along the stages, and what its similarity maps are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from probes.alignment import linear_cka, token_cosine
from probes.bootstrap import Score, interval
from probes.geometry import feature_correlation
from probes.patches import permuted_structure, permuted_surroundings, structure, surroundings
from probes.similarity import unit
from workbench.capture.hidden import Captured
from workbench.datasets.batches import Batch
from workbench.datasets.scenes import labelled as labelled_scene
from workbench.images.scenes import CLASSES, generate
from workbench.models.protocol import Model
from workbench.panels.layers.parts.averages import geometry_of
from workbench.panels.layers.parts.likeness import LEAST, tokens_in_cells
from workbench.panels.layers.seeing import see
from workbench.panels.layers.table import (
    REFERENCE,
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
    truth = truth_of(config.image, picture.pixels)
    arrays = {"grid": np.array([grid.rows, grid.cols]), "boxes": np.asarray(grid.boxes, dtype=np.float32)}
    regions: list[np.ndarray | None] = [None] * len(captured.stages)
    if truth is not None:
        regions = labelled(captured, lambda boxes: _regions(truth, boxes, config.purity))
        arrays["regions"] = _regions(truth, grid.boxes, config.purity)
    return Measured(
        tables={"curves": _curves(config, captured, regions, progress, stop), "stages": stage_rows(captured)},
        hashes={"picture": picture.sha256},
        arrays=arrays | _tokens(captured, config.centre),
        images={"original": picture.pixels, "shown": shown},
    )


def truth_of(source: str, pixels: np.ndarray) -> Batch | None:
    """A bundled scene's labels, if that is what the pixels are: only then is the mask known."""
    if not source.startswith(SCENE):
        return None
    scene = labelled_scene(generate([int(source.removeprefix(SCENE))], "test"), 0)
    return Batch((scene,), len(CLASSES)) if np.array_equal(scene.pixels, pixels) else None


def _regions(truth: Batch, boxes: np.ndarray, purity: float) -> np.ndarray:
    """The regions of the picture's patches (tokens,)."""
    found = truth.patch_regions(boxes, purity)
    assert found is not None, "a scene has a mask"
    return np.asarray(found[0])


def _curves(
    config: LayersConfig,
    captured: Captured,
    regions: list[np.ndarray | None],
    progress: Progress,
    stop: Callable[[], bool],
) -> list[Row]:
    # For each measure and stage: value, values for permuted labels or places, how many patches it rests on.
    found: dict[str, dict[int, tuple[float, np.ndarray, int]]] = {}
    cells = tokens_in_cells(captured)
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
            if i in cells and entry in cells and len(cells[i]) >= LEAST:
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
