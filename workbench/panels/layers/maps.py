"""Similarity maps of a finished result, drawn over its picture: a click on a patch needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.similarity import similarity_map
from workbench.errors import Refusal
from workbench.panels.layers.table import REFERENCE

if TYPE_CHECKING:
    from workbench.runs.result import Result

Image = NDArray[np.uint8]

ENLARGED_TO = 480
"""Pixels that the longer side comes near to, by a whole factor, so that pixels stay square and sharp."""
OVERLAY = 0.8
"""Weight of the colours over the grey picture."""


def drawable_stages(result: Result) -> list[str]:
    """The stages whose tokens fill the cells of the image's grid, in order; none for a probe set."""
    table = result.tables["stages"].sort_values("index")
    return [
        str(name)
        for name, index in zip(table["stage"], table["index"], strict=True)
        if f"tokens_{int(index):03d}" in result.arrays
    ]


def finer_patches(result: Result, stage: str) -> int:
    """How many patches a stage has to each cell of the map, in whole numbers; 1 where they are the same."""
    table = result.tables["stages"]
    tokens = int(table.loc[table["stage"] == stage, "tokens"].iloc[0])
    rows, cols = (int(v) for v in result.arrays["grid"])
    return max(1, round(tokens / (rows * cols)))


def known_stage(stage: str, stages: Sequence[str], what: str = "map of") -> str:
    """The stage as given. Raises Refusal where it is none of `stages`, naming the ends of each band."""
    if stage in stages:
        return stage
    bands: dict[str, list[str]] = {}
    for name in stages:
        bands.setdefault(name.rpartition(" ")[0] or name, []).append(name)
    ends = [names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}" for names in bands.values()]
    raise Refusal(f"There is no {what} {stage!r}. Choose a stage out of {', '.join(ends) or 'none'}.")


def shown_stages(stages: Sequence[str], chosen: str | None = None, count: int = 5) -> list[str]:
    """`count` of the stages, in order, for a row of maps.

    They lie evenly over the axis, first and last among them; "llm 0" and the chosen one take the places
    nearest to them. Raises Refusal where the chosen one is none of `stages`.
    """
    last = len(stages) - 1
    if last < count:
        return list(stages)
    picked = [round(k * last / (count - 1)) for k in range(count)]
    wanted = [REFERENCE] if REFERENCE in stages else []
    wanted += [] if chosen is None else [known_stage(chosen, stages)]
    kept = {0, last, *(stages.index(name) for name in wanted)}
    for index in sorted(kept - set(picked)):
        free = [place for place in range(count) if picked[place] not in kept]
        picked[min(free, key=lambda place: abs(picked[place] - index))] = index
    return [stages[index] for index in sorted(picked)]


def similarity(result: Result, stage: str, token: int) -> NDArray[np.float32]:
    """Cosine of one patch to all others at a stage, float32 (rows, cols), -1..1; centred if the config is.

    Raises:
        Refusal: for a stage or a patch that the result does not hold.
    """
    known_stage(stage, drawable_stages(result))
    rows, cols = (int(v) for v in result.arrays["grid"])
    if not 0 <= token < rows * cols:
        raise Refusal(f"Patch {token} is outside the grid of {rows} by {cols}.")
    table = result.tables["stages"]
    index = int(table.loc[table["stage"] == stage, "index"].iloc[0])
    return similarity_map(result.arrays[f"tokens_{index:03d}"].astype(np.float32), token, rows, cols)


def scale_of(result: Result) -> tuple[float, float]:
    """The cosines at the two ends of the colours: 0 and 1, or -1 and 1 for centred states.

    Fixed, so that colours compare between stages, patches and pictures. Cosines of states that were not
    centred are nearly all positive; those below 0 get the colour of 0.
    """
    return (-1.0, 1.0) if result.config.get("centre", False) else (0.0, 1.0)


def similarity_image(result: Result, stage: str, token: int) -> Image:
    """The similarity map in cividis over the grey picture, the patch outlined, enlarged by a whole number.

    `scale_of` says what the colours mean and `scale_bar` draws them.

    Args:
        result: of a single picture.
        stage: a name out of `drawable_stages`.
        token: the patch, row by row from 0.
    """
    values = similarity(result, stage, token).ravel()
    picture = result.images["shown"]
    k = magnification(picture)
    low, high = scale_of(result)
    shade = cividis()[np.clip((values - low) / (high - low) * 255 + 0.5, 0, 255).astype(np.uint8)]
    grey = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    out = np.repeat(np.repeat(grey, k, axis=0), k, axis=1)[..., None].repeat(3, axis=2)
    for (x0, y0, x1, y1), colour in zip(_edges(result, k), shade, strict=True):
        part = out[y0:y1, x0:x1]
        part += OVERLAY * (colour - part)
    x0, y0, x1, y1 = _edges(result, k)[token]
    _outline(out, x0, y0, x1, y1, 0.0)
    _outline(out, x0 + 1, y0 + 1, x1 - 1, y1 - 1, 255.0)
    _outline(out, x0 + 2, y0 + 2, x1 - 2, y1 - 2, 255.0)
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def scale_bar(width: int = 240, height: int = 10) -> Image:
    """The colours of a similarity map from its low end (left) to its high end, uint8 (height, width, 3)."""
    return np.broadcast_to(
        cividis()[np.linspace(0, 255, width).round().astype(int)], (height, width, 3)
    ).astype(np.uint8)


def token_at(result: Result, x: float, y: float) -> int:
    """The patch under a pixel (x to the right, y down) of `similarity_image`."""
    edges = _edges(result, magnification(result.images["shown"]))
    dx = np.maximum(np.maximum(edges[:, 0] - x, x - edges[:, 2] + 1), 0)
    dy = np.maximum(np.maximum(edges[:, 1] - y, y - edges[:, 3] + 1), 0)
    return int((dx + dy).argmin())


def default_token(result: Result) -> int:
    """A patch worth a first look: in the middle of the largest object, or of the picture without a mask."""
    rows, cols = (int(v) for v in result.arrays["grid"])
    place = np.stack(np.divmod(np.arange(rows * cols), cols), axis=1).astype(np.float64)
    inside = np.arange(rows * cols)
    if "regions" in result.arrays:
        from workbench.images.scenes import CLASSES

        regions = result.arrays["regions"].astype(np.int64)
        names, sizes = np.unique(regions[regions >= len(CLASSES)], return_counts=True)
        if len(names):
            inside = np.flatnonzero(regions == names[sizes.argmax()])
    middle = place[inside].mean(axis=0)
    return int(inside[((place[inside] - middle) ** 2).sum(axis=1).argmin()])


def magnification(picture: Image) -> int:
    """The whole number that brings the picture's longer side near ENLARGED_TO; 1 for larger ones."""
    return max(1, round(ENLARGED_TO / max(picture.shape[:2])))


def cividis() -> NDArray[np.float32]:
    """The colour map for magnitudes, float32 (256, 3) in 0..255."""
    import matplotlib

    return (matplotlib.colormaps["cividis"](np.arange(256))[:, :3] * 255).astype(np.float32)


def _edges(result: Result, k: int) -> NDArray[np.int64]:
    """Boxes of the patches in enlarged pixels, int64 (tokens, 4)."""
    return np.asarray(np.rint(result.arrays["boxes"] * k).astype(np.int64))


def _outline(out: NDArray[np.float32], x0: int, y0: int, x1: int, y1: int, value: float) -> None:
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    out[y0, x0:x1] = out[y1 - 1, x0:x1] = value
    out[y0:y1, x0] = out[y0:y1, x1 - 1] = value
