"""From a pixel map of classes to one label for each visual token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.boxes import area, inside, summed, under

UNLABELLED = -1


@dataclass(frozen=True)
class TokenLabels:
    """Labels of tokens.

    labels: int64 (..., tokens), the class that covers most of the token's box, -1 where none is pure enough.
    purity: float32 (..., tokens), the share (0..1) of the box that this class covers.
    """

    labels: NDArray[np.int64]
    purity: NDArray[np.float32]


def token_labels(
    class_map: ArrayLike, boxes: ArrayLike, *, purity: float = 0.6, ignore: Sequence[int] = ()
) -> TokenLabels:
    """Label each token with the majority class of the pixels under its box.

    A token keeps its label when the majority class covers at least `purity` of that part of the box which
    lies inside the image; otherwise it is -1, and so is a token whose majority class is in `ignore` or whose
    box misses the image. Of classes that cover the same, the smallest number is the majority. Areas are exact
    for boxes that cut through pixels.

    PRe (arXiv 2603.20808, on patch structure) assigns tokens to COCO-Stuff regions without stating the rule;
    majority with a purity threshold is our operationalisation.

    Args:
        class_map: integers (H, W) or (N, H, W), classes >= 0.
        boxes: (tokens, 4) as x0, y0, x1, y1 in pixels of the map.
        purity: threshold in 0..1.
        ignore: classes that never become a label (e.g. 255 for "unlabelled").

    Raises:
        ValueError: on shapes or a threshold that make no sense.
    """
    maps = np.asarray(class_map)
    if maps.ndim not in (2, 3) or not maps.size or not np.issubdtype(maps.dtype, np.integer):
        raise ValueError(f"class_map must hold integers (H, W) or (N, H, W), not {maps.dtype} {maps.shape}")
    if not 0.0 <= purity <= 1.0:
        raise ValueError(f"purity must lie in 0..1, not {purity}")
    batch = maps.reshape((-1, *maps.shape[-2:]))
    classes = np.unique(batch)
    if classes[0] < 0:
        raise ValueError("class_map holds negative classes")

    edges = inside(boxes, *batch.shape[1:])
    size = area(edges)

    best = np.zeros((len(batch), len(edges)))
    label = np.full(best.shape, UNLABELLED, dtype=np.int64)
    for value in classes:
        covered = under(summed((batch == value).astype(np.float64)), edges)
        share = np.divide(covered, size, out=np.zeros_like(covered), where=size > 0)
        more = share > best + 1e-9
        best = np.where(more, share, best)
        label = np.where(more, int(value), label)
    label[best < purity - 1e-9] = UNLABELLED
    label[np.isin(label, np.asarray(list(ignore), dtype=np.int64))] = UNLABELLED
    shape = (*maps.shape[:-2], len(edges))
    return TokenLabels(label.reshape(shape), best.reshape(shape).astype(np.float32))
