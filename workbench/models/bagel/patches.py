"""Pixels ↔ patch vectors, and the resize rule that decides the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench.models.bagel.config import BagelConfig, ResizeRule
from workbench.models.origins import Origins

MOST_PIXELS = 14 * 14 * 9 * 1024
"""Above this many pixels the published code shrinks an image."""
RESAMPLING = Image.Resampling.BICUBIC


def patchify(x: Tensor, patch: int) -> Tensor:
    """(B, C, h·p, w·p) → (B, h·w, p·p·C): row-major patches, each ordered (row, column, channel)."""
    b, c, height, width = x.shape
    x = x.reshape(b, c, height // patch, patch, width // patch, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, patch * patch * c)


def unpatchify(tokens: Tensor, rows: int, cols: int, patch: int) -> Tensor:
    """The inverse of `patchify`: (B, rows·cols, p·p·C) → (B, C, rows·p, cols·p)."""
    b = tokens.shape[0]
    x = tokens.reshape(b, rows, cols, patch, patch, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(b, -1, rows * patch, cols * patch)


def origins_of_patches(rows: int, cols: int, patch: int, size: tuple[int, int], image: int = 0) -> Origins:
    """Where each number of the patches (rows · cols, p · p · 3) is on an image of this height and width."""
    y = (np.arange(rows * patch) + 0.5) * size[0] / (rows * patch)
    x = (np.arange(cols * patch) + 0.5) * size[1] / (cols * patch)

    def laid(plane: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(np.broadcast_to(plane, (1, 3, rows * patch, cols * patch)).copy())
        return patchify(pixels, patch)[0].numpy().astype(np.float32)

    across, down = laid(x[None]), laid(y[:, None])
    return Origins(np.full(across.shape, image, np.int16), across, down)


def target_size(width: int, height: int, rule: ResizeRule) -> tuple[int, int]:
    """The (width, height) that the rule gives an image: within the bounds, multiples of the stride."""

    def scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
        # To whole pixels first and then to the stride, as published: the two roundings differ from one.
        across, down = (max(rule.stride, round(round(s * scale) / rule.stride) * rule.stride) for s in size)
        return across, down

    scale = min(rule.longest / max(width, height), 1.0)
    size = scaled((width, height), max(scale, rule.shortest / min(width, height)))
    if size[0] * size[1] > MOST_PIXELS:
        size = scaled(size, MOST_PIXELS / (size[0] * size[1]))
    if max(size) > rule.longest:
        size = scaled(size, rule.longest / max(size))
    return size


def resize(image: np.ndarray, rule: ResizeRule) -> np.ndarray:
    """uint8 (H, W, 3) → uint8 at the rule's size (bicubic, antialiased); unchanged where it fits already."""
    height, width = image.shape[:2]
    size = target_size(width, height, rule)
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, RESAMPLING))


def processor(config: BagelConfig) -> dict[str, Any]:
    """How an image becomes input, for `ModelCard.processor`; sizes in pixels.

    The latent rule comes first; the vision tower gets what it made, sized again by its own.
    """

    def size(rule: ResizeRule) -> dict[str, int]:
        return {"longest_edge": rule.longest, "shortest_edge": rule.shortest, "multiple_of": rule.stride}

    return {
        "latent_size": size(config.vae_resize),
        "vision_size": size(config.vit_resize),
        "max_pixels": MOST_PIXELS,
        "resample": RESAMPLING.name.lower(),
        "image_mean": [0.5] * config.vision.num_channels,
        "image_std": [0.5] * config.vision.num_channels,
        "patch_size": config.vision.patch_size,
        "latent_patch_size": config.pixels_per_latent,
    }


def to_unit(image: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) → float32 (1, 3, H, W) in −1 … 1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1.0


def to_image(pixels: Tensor) -> np.ndarray:
    """Pixels (3, H, W) in −1 … 1 → uint8 (H, W, 3), clamped."""
    unit = (pixels.float() * 0.5 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
