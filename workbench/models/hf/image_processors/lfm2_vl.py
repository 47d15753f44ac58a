"""LFM2-VL's image processor on PIL: tiles of large images, and the whole image at its own shape."""

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


def whole(size: Size, cell: int, fewest: int, most: int) -> Size:
    """Height and width of an image as one picture of so many tokens, multiples of `cell`, its shape kept.

    A picture that is very long may have more tokens than the most: no side is shorter than one cell.
    """
    height, width = (max(cell, round(length / cell) * cell) for length in size)
    area, low, high = height * width, fewest * cell**2, most * cell**2
    if area > high:
        shrink = math.sqrt(size[0] * size[1] / high)
        height, width = (max(cell, math.floor(length / shrink / cell) * cell) for length in size)
    elif area < low:
        grow = math.sqrt(low / (size[0] * size[1]))
        height, width = (math.ceil(length * grow / cell) * cell for length in size)
    return height, width


def is_large(size: Size, cell: int, patch: int, most: int, tolerance: float) -> bool:
    """Whether an image has so many more pixels than the most tokens stand for that it is cut into tiles."""
    height, width = (max(patch, round(length / cell) * cell) for length in size)
    return height * width > most * cell**2 * tolerance


def arrangement(size: Size, tile: int, fewest: int, most: int) -> Size:
    """Rows and columns of tiles, between the fewest and the most, of a shape that is nearest to the image's.

    Of several that are as near the later one is taken, in order of their number, that is not more than twice
    as large as the image.
    """
    sides = range(1, most + 1)
    shapes = {(cols, rows) for cols in sides for rows in sides if fewest <= cols * rows <= most}
    best, nearest = (1, 1), math.inf
    for cols, rows in sorted(shapes, key=math.prod):
        away = abs(size[1] / size[0] - cols / rows)
        fits = size[0] * size[1] > 0.5 * tile**2 * cols * rows
        if away < nearest or (away == nearest and fits):
            best, nearest = (rows, cols), away
    return best


class Lfm2ImagesKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """What it can be told besides the usual."""

    downsample_factor: int
    do_image_splitting: bool
    min_tiles: int
    max_tiles: int
    use_thumbnail: bool
    min_image_tokens: int
    max_image_tokens: int
    encoder_patch_size: int
    tile_size: int
    max_pixels_tolerance: float
    return_row_col_info: bool


class Lfm2VlImageProcessor(PilBackend):
    """A large image is stretched over its tiles; every picture's patches are filled up to one length."""

    valid_kwargs = Lfm2ImagesKwargs
    model_input_names = ["pixel_values", "pixel_attention_mask", "spatial_shapes"]
    resample = PILImageResampling.BILINEAR
    image_mean = [0.5, 0.5, 0.5]
    image_std = [0.5, 0.5, 0.5]
    size = {"height": 512, "width": 512}
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True
    downsample_factor = 2
    do_image_splitting = True
    min_tiles = 2
    max_tiles = 10
    use_thumbnail = True
    min_image_tokens = 64
    max_image_tokens = 256
    encoder_patch_size = 16
    tile_size = 512
    max_pixels_tolerance = 2.0
    return_row_col_info = False

    def one(self, size: Size) -> Size:
        """Height and width to which an image of this size is scaled as one picture."""
        cell = self.encoder_patch_size * self.downsample_factor
        return whole(size, cell, self.min_image_tokens, self.max_image_tokens)

    def tiles(self, size: Size) -> Size:
        """Rows and columns of the tiles that an image of this size is cut into; one of each if it is not."""
        cell = self.encoder_patch_size * self.downsample_factor
        one = not self.do_image_splitting or self.min_tiles == self.max_tiles == 1
        if one or not is_large(
            size, cell, self.encoder_patch_size, self.max_image_tokens, self.max_pixels_tolerance
        ):
            return 1, 1
        return arrangement(size, self.tile_size, self.min_tiles, self.max_tiles)

    def _pictures(self, image: np.ndarray, resample: Any) -> list[np.ndarray]:
        """The tiles of an image (channels, height, width), row by row, and then the whole; or that alone."""
        own, side = (image.shape[1], image.shape[2]), self.tile_size
        rows, cols = self.tiles(own)
        made = []
        if rows * cols > 1:
            over = SizeDict(height=rows * side, width=cols * side)
            canvas = self.resize(image, over, resample=resample)
            made = [
                canvas[:, r * side : (r + 1) * side, c * side : (c + 1) * side]
                for r in range(rows)
                for c in range(cols)
            ]
        if rows * cols == 1 or self.use_thumbnail:
            height, width = self.one(own)
            made.append(self.resize(image, SizeDict(height=height, width=width), resample=resample))
        return made

    def _patches(self, pictures: list[np.ndarray]) -> dict[str, Tensor]:
        """The patches of all pictures, row by row, filled up with zeros to the most that one can have."""
        side = self.encoder_patch_size
        longest = max(
            self.max_image_tokens * self.downsample_factor**2,
            (self.tile_size // side) ** 2 if self.do_image_splitting else 0,
        )
        shapes = [(picture.shape[1] // side, picture.shape[2] // side) for picture in pictures]
        pixels = torch.zeros(len(pictures), longest, pictures[0].shape[0] * side**2)
        for row, picture, (down, across) in zip(pixels, pictures, shapes, strict=True):
            cells = torch.from_numpy(np.ascontiguousarray(picture)).view(-1, down, side, across, side)
            row[: down * across] = cells.permute(1, 3, 2, 4, 0).reshape(down * across, -1)
        lengths = torch.tensor(shapes).prod(dim=1)
        return {
            "pixel_values": pixels,
            "pixel_attention_mask": (torch.arange(longest) < lengths[:, None]).int(),
            "spatial_shapes": torch.tensor(shapes),
        }

    def _preprocess(
        self,
        images: list[np.ndarray],
        resample: Any,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Any,
        image_std: Any,
        return_row_col_info: bool,
        return_tensors: Any,
        **_: Any,
    ) -> Any:
        pictures = [picture for image in images for picture in self._pictures(image, resample)]
        if do_rescale:
            pictures = [self.rescale(picture, rescale_factor) for picture in pictures]
        if do_normalize:
            pictures = [self.normalize(picture, image_mean, image_std) for picture in pictures]
        data: dict[str, Any] = dict(self._patches(pictures))
        if return_row_col_info:
            sizes = [(image.shape[1], image.shape[2]) for image in images]
            data["image_rows"] = [self.tiles(size)[0] for size in sizes]
            data["image_cols"] = [self.tiles(size)[1] for size in sizes]
            data["image_sizes"] = [list(self.one(size)) for size in sizes]
        return BatchFeature(data, tensor_type=return_tensors)
