"""What a capture shows of an image, laid out by patch: arrays that a click can be answered from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from probes.geometry import outliers
from probes.lens import share_of_words
from probes.similarity import unit
from workbench.errors import Refusal
from workbench.models.grids import onto_cells
from workbench.panels.specimen import regions_of, truth

if TYPE_CHECKING:
    from workbench.capture.lens import Reading
    from workbench.panels.capture.contents import Seen

Row = dict[str, Any]

NONE = -1
"""In place of the number of an array that a stage does not have."""


def measured(one: Seen, *, centre: bool = False) -> tuple[dict[str, list[Row]], dict[str, np.ndarray]]:
    """Tables and arrays of one image. Patches are the cells of the grid that the language model reads.

    Tables: "stages", a row for each stage whose tokens fill the cells, with how many tokens it has, their
    median norm, how many are outliers, at language stages the share of tokens whose likeliest word reads as
    one and the mean entropy of the lens in nats, and which array of the lens and of attention is the stage's
    (-1: none); "queries", a row for each query of attention: the answer's tokens that it stands on and says.

    Arrays, SSS being a row of "stages", n the number of patches: ``grid`` (rows, columns); ``boxes`` float32
    (n, 4) in pixels of the image; ``first`` the patch to show at first; ``tokens_SSS`` float16 (n, width),
    unit tokens; ``norms`` float32 and ``outliers`` bool (stages, n); with a lens ``lens_ids`` int32 and
    ``lens_probabilities`` float32 (language stages, n, k), ``lens_entropy`` float32 (language stages, n) in
    nats, ``lens_words`` float32 (language stages, n, words); and ``attention_AAA`` float16 (heads, queries,
    n), each query's weights on the patches, which sum to what of its attention falls on the image.
    """
    grid = one.captured.grid
    arrays: dict[str, np.ndarray] = {
        "grid": np.array([grid.rows, grid.cols]),
        "boxes": np.asarray(grid.boxes, dtype=np.float32),
        "first": np.array(first_patch(one)),
    }
    stages: list[Row] = []
    norms: list[np.ndarray] = []
    far: list[np.ndarray] = []
    read: list[Reading] = []
    attended = 0
    for stage, states, own, reading in zip(
        one.captured.stages, one.captured.states, one.captured.grids, one.readings, strict=True
    ):
        onto = None if own is None else onto_cells(own, grid)
        if onto is None:
            continue
        x = states[0].astype(np.float32)
        found = outliers(x)
        # Centred before they are rounded: the common direction may be hundreds of times longer than what is
        # left.
        arrays[f"tokens_{len(stages):03d}"] = unit(onto(x), centre=centre).astype(np.float16)
        norms.append(onto(found.norms))
        far.append(onto(found.which) > 0)
        weights = one.attention.get(stage.name)
        if weights is not None:
            arrays[f"attention_{attended:03d}"] = weights
        stages.append(
            {
                "stage": stage.name,
                "band": stage.band,
                "index": stage.index,
                "tokens": len(x),
                "width": x.shape[1],
                "norm": float(np.median(found.norms)),
                "outliers": int(found.which.sum()),
                "share_of_words": share_of_words(_likeliest(one, reading)),
                "entropy": float("nan") if reading is None else float(reading.entropy.mean()),
                "lens": NONE if reading is None else len(read),
                "attention": NONE if weights is None else attended,
            }
        )
        attended += weights is not None
        if reading is not None:
            read.append(reading)
    if not stages:
        raise Refusal(
            "None of these stages fills the cells that the language model reads: there is nothing to click."
        )
    arrays["norms"] = np.stack(norms).astype(np.float32)
    arrays["outliers"] = np.stack(far)
    if read:
        arrays |= {
            f"lens_{kind}": np.stack([getattr(reading, kind) for reading in read])
            for kind in ("ids", "probabilities", "entropy", "words")
        }
    tables = {"stages": stages}
    if attended:
        tables["queries"] = [{"token": query.token, "says": query.says} for query in one.queries]
    return tables, arrays


def _likeliest(one: Seen, reading: Reading | None) -> list[str]:
    """The likeliest token's text at each place; empty without a reading."""
    return [] if reading is None else [one.vocabulary[number] for number in reading.ids[:, 0].tolist()]


def first_patch(one: Seen) -> int:
    """A patch worth a first look: in the middle of the largest object, or of the picture without a mask."""
    grid = one.captured.grid
    cells = np.arange(grid.rows * grid.cols)
    place = np.stack(np.divmod(cells, grid.cols), axis=1).astype(np.float64)
    inside = cells
    labels = truth(one.source, one.picture.pixels)
    if labels is not None:
        from workbench.images.scenes import CLASSES

        regions = regions_of(labels, grid.boxes, 0.6)
        assert regions is not None, "a scene has a mask"
        names, sizes = np.unique(regions[regions >= len(CLASSES)], return_counts=True)
        if len(names):
            inside = np.flatnonzero(regions == names[sizes.argmax()])
    middle = place[inside].mean(axis=0)
    return int(inside[((place[inside] - middle) ** 2).sum(axis=1).argmin()])
