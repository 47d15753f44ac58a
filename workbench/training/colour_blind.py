"""Captions in which a colour says nothing about the shape that follows it.

Some pairs of colour and shape never occur in training. A model that writes a caption word by word learns from
that which shapes a colour excludes, and then denies what it sees. So in a part of the captions the colour
words that are read (not those to be said) are drawn at random; and a part of the scenes is shown in grey,
with no colour to be said at all. No pair that is held out is shown or told by either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from workbench.images.scenes import COLOURS
from workbench.training.data import TextRows, tensor

GREY_SHARE = 0.15
"""Of the scenes: shown in grey, asked for a caption only."""
MIXED_SHARE = 0.5
"""Of the other captions: the colours that are read are random."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Of ITU-R BT.601, as Pillow's conversion to grey."""


def greyed(images: np.ndarray, which: np.ndarray) -> np.ndarray:
    """A copy of uint8 (N, H, W, 3) that is grey where bool (N,) is true."""
    out = images.copy()
    out[which] = (images[which] @ LUMA).round().astype(np.uint8)[..., None]
    return out


def colour_ids(encode: Callable[[str], Sequence[int]]) -> np.ndarray:
    """Ids (8,) of the colour words inside a caption.

    Raises ValueError where the tokenizer cuts one of them up.
    """
    place, others = len(encode("a small")), len(encode("a small plain"))
    sentences = [encode(f"a small {colour} plain") for colour in COLOURS]
    if any(len(ids) != others + 1 for ids in sentences):
        raise ValueError("a colour word is more than one token")
    return np.array([ids[place] for ids in sentences])


def mixed(
    rows: TextRows, captions: np.ndarray, ids: np.ndarray, unsaid: np.ndarray, rng: np.random.Generator
) -> TextRows:
    """The same texts with random colours to read in captions; where `unsaid`, with none to say.

    captions: int (B,), the segment of each row's caption, -1 where it is to stay as it is. ids: of the colour
    words. unsaid: bool (B,).
    """
    inside = (rows.segments == tensor(captions)[:, None]) & (rows.segments >= 0)
    words = tensor(ids)
    read = inside & torch.isin(rows.ids, words)
    drawn = tensor(rng.choice(ids, size=tuple(rows.ids.shape)))
    silent = inside & torch.isin(rows.targets, words) & tensor(unsaid)[:, None]
    return replace(
        rows,
        ids=torch.where(read, drawn, rows.ids),
        targets=rows.targets.masked_fill(silent, -100),
    )
