"""The regions of a case: what ablation, KernelSHAP and LIME take away together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.attribution.regions import cells, compact, given, superpixels
from workbench.errors import Refusal
from workbench.panels.attribution.case import Case

MOST_PATCHES = 256
"""Patches that are taken away one by one; a finer grid is taken away in square blocks of them."""


def parts(case: Case) -> NDArray[np.int64]:
    """Each pixel's region, int64 (H, W), numbered from 0 without gaps.

    Raises:
        Refusal: there are no masks, or there is one region only, so that nothing can be told apart.
    """
    config, image = case.config, case.image
    if config.regions == "slic":
        found = superpixels(image, config.segments)
    elif config.regions == "patches":
        found = patches(case)
    elif case.given is None:
        raise Refusal(
            "There are no masks of this image: name a picture with --masks, or take patches or slic."
        )
    else:
        found = given(case.given)
    if found.max() < 1:
        raise Refusal("The image is one region, so there is nothing to tell apart. Take patches.")
    return found


def patches(case: Case) -> NDArray[np.int64]:
    """Patches, or square blocks of them."""
    rows, cols = case.grid.rows, case.grid.cols
    side = 1
    while -(-rows // side) * -(-cols // side) > MOST_PATCHES:
        side += 1
    where = cells(case.grid.boxes, *case.image.shape[:2])
    return compact(where // cols // side * cols + where % cols // side)
