"""Llama 4's image processor on PIL: tiles of a padded canvas, and the whole image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import PILImageResampling, SizeDict
from transformers.processing_utils import ImagesKwargs

from workbench.models.hf.family import Size


def canvases(most: int) -> list[Size]:
    """Rows and columns of every canvas of at most so many tiles, those of one shape side by side."""
    shapes: dict[float, list[Size]] = {}
    for tiles in range(most, 0, -1):
        for rows in range(1, tiles + 1):
            if tiles % rows == 0:
                cols = tiles // rows
                shapes.setdefault(rows / cols, []).append((rows, cols))
    return [canvas for same in shapes.values() for canvas in same]


def fit(size: Size, tile: int, most: int, largest: bool) -> tuple[Size, Size]:
    """Rows and columns of the tiles for an image of this size, and its size on them.

    The canvas is the one that enlarges the image least (`largest`: most), else the one that shrinks it
    least; of several the smallest. On it the image grows to one tile's side at most, unless `largest`.
    """
    options = np.array(canvases(most))
    # In float32, as transformers compares them.
    sides = (options * tile).astype(np.float32) / np.array(size, dtype=np.float32)
    scales = sides.min(axis=1)
    enlarging = scales[scales >= 1]
    best = (enlarging.max() if largest else enlarging.min()) if len(enlarging) else scales.max()
    chosen = options[scales == best]
    rows, cols = (int(n) for n in chosen[chosen.prod(axis=1).argmin()])
    frame = rows * tile, cols * tile
    if not largest:
        frame = min(max(size[0], tile), frame[0]), min(max(size[1], tile), frame[1])
    return (rows, cols), _inside(size, frame)


def _inside(size: Size, frame: Size) -> Size:
    """The largest size of the same shape within a frame, at least one pixel."""
    down, across = frame[0] / size[0], frame[1] / size[1]
    if across < down:
        return max(min(math.floor(size[0] * across), frame[0]), 1), frame[1]
    return frame[0], max(min(math.floor(size[1] * down), frame[1]), 1)


class Llama4ImagesKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """What it can be told besides the usual."""

    max_patches: int
    resize_to_max_canvas: bool


class Llama4ImageProcessor(PilBackend):
    """The image keeps its shape on the canvas, whose right or lower side is filled with black."""

    valid_kwargs = Llama4ImagesKwargs
    resample = PILImageResampling.BILINEAR
    image_mean = [0.5, 0.5, 0.5]
    image_std = [0.5, 0.5, 0.5]
    size = {"height": 336, "width": 336}
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True
    max_patches = 16
    resize_to_max_canvas = False

    def _preprocess(
        self,
        images: list[np.ndarray],
        do_resize: bool,
        size: Any,
        resample: Any,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Any,
        image_std: Any,
        max_patches: int,
        resize_to_max_canvas: bool,
        return_tensors: Any,
        **_: Any,
    ) -> Any:
        if not do_resize:
            raise ValueError("Llama 4 resizes every image to one of its canvases: do_resize cannot be false.")
        tile, pictures, shapes = size.height, list[Tensor](), list[Size]()
        for image in images:
            (rows, cols), (height, width) = fit(
                (image.shape[1], image.shape[2]), tile, max_patches, resize_to_max_canvas
            )
            resized = self.resize(image, SizeDict(height=height, width=width), resample=resample)
            padding = ((0, 0), (0, rows * tile - height), (0, cols * tile - width))
            canvas = torch.from_numpy(np.pad(resized, padding))
            tiles = canvas.view(-1, rows, tile, cols, tile).permute(1, 3, 0, 2, 4).flatten(0, 1)
            if rows * cols > 1:
                whole = torch.from_numpy(self.resize(image, size, resample=resample))
                tiles = torch.cat([tiles, whole[None]])
            # In bfloat16 where both steps are taken, as the model was trained.
            pixels = tiles.to(torch.bfloat16 if do_rescale and do_normalize else torch.float32)
            if do_rescale:
                pixels = pixels * rescale_factor
            if do_normalize:
                mean, std = (
                    torch.tensor(v, dtype=pixels.dtype).view(-1, 1, 1) for v in (image_mean, image_std)
                )
                pixels = (pixels - mean) / std
            pictures.append(pixels)
            shapes.append((rows, cols))
        return BatchFeature(
            {"pixel_values": torch.cat(pictures), "aspect_ratios": shapes}, tensor_type=return_tensors
        )
