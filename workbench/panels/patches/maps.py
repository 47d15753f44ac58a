"""Maps of a finished result, drawn over its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.panels.overlay import Image, patch_at, shaded
from workbench.panels.patches.quantities import NORM, Asked, row_of, values

if TYPE_CHECKING:
    from workbench.runs.result import Result


def map_image(result: Result, stage: str, asked: Asked, span: tuple[float, float]) -> Image:
    """The asked quantity in cividis over the grey picture, the patch outlined, enlarged by a whole number.

    `quantities.span` gives the ends of the colours. Where the stage does not have the quantity, the picture
    in its own colours. On a map of norms outliers are crossed out.
    """
    found = values(result, stage, asked)
    far = result.arrays["outliers"][row_of(result, stage)] if asked.show == NORM else None
    return shaded(result.images["shown"], boxes_of(result), found, span, chosen=asked.token, marked=far)


def picture_image(result: Result, token: int) -> Image:
    """The picture as the model gets it, the patch outlined."""
    return shaded(result.images["shown"], boxes_of(result), None, (0, 1), chosen=token)


def token_at(result: Result, x: float, y: float) -> int:
    """The patch under a pixel (x to the right, y down) of `map_image`."""
    return patch_at(result.images["shown"], boxes_of(result), x, y)


def same_place(result: Result, token: int, other: Result) -> int:
    """The patch of another result that lies where this patch lies, on pictures and grids of any size."""
    x0, y0, x1, y1 = boxes_of(result)[token]
    height, width = result.images["shown"].shape[:2]
    down, across = other.images["shown"].shape[:2]
    x, y = (x0 + x1) / 2 / width * across, (y0 + y1) / 2 / height * down
    boxes = boxes_of(other)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    return int(((middles - [x, y]) ** 2).sum(axis=1).argmin())


def boxes_of(result: Result) -> NDArray[np.float32]:
    """The patches on the picture, float32 (patches, 4): x0, y0, x1, y1 in its pixels."""
    return result.arrays["boxes"].astype(np.float32)
