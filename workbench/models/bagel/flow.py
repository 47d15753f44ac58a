"""Rectified flow: the time grid, guidance, renormalisation, and the Euler sampler.

x_t = (1 − t)·x_0 + t·ε, velocity v = ε − x_0; sampling runs from t = 1 (noise) to t = 0 (image).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""(x (B, N, D), t) → velocity of the same shape."""


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance over two contexts (BAGEL's public inference code).

    `text_scale` acts against the context without the text, `image_scale` against the context without the
    image (and only where text guidance acts, as published); 1 or less is none. `interval`: guidance is on for
    low < t ≤ high. `renorm` is one of `protocol.RENORMS`; the guided velocity's norm is clipped to
    [renorm_min, 1] × the unguided norm.
    """

    text_scale: float = 1.0
    image_scale: float = 1.0
    interval: tuple[float, float] = (0.4, 1.0)
    renorm: str = "global"
    renorm_min: float = 0.0

    @property
    def on_text(self) -> bool:
        """Whether the velocity without the text is needed at all."""
        return self.text_scale > 1.0

    @property
    def on_image(self) -> bool:
        """Whether the velocity without the image is needed at all."""
        return self.on_text and self.image_scale > 1.0

    def active(self, t: float) -> bool:
        """Whether guidance acts at time t, one of `time_grid`'s."""
        # The grid is in float32; an end that is not, as 0.4, would fall beside the time it names.
        low, high = torch.tensor(self.interval, dtype=torch.float32).tolist()
        return self.on_text and low < t <= high


def shift_time(t: Tensor, shift: float) -> Tensor:
    """Map t to s·t / (1 + (s − 1)·t): more of the grid near the noise for s > 1."""
    return shift * t / (1.0 + (shift - 1.0) * t)


def time_grid(points: int, shift: float) -> list[float]:
    """`points` times from 1 to 0, shifted; sampling makes points − 1 Euler steps."""
    return shift_time(torch.linspace(1.0, 0.0, points), shift).tolist()


def _rescale(guided: Tensor, plain: Tensor, low: float, dims: tuple[int, ...]) -> Tensor:
    ratio = plain.norm(dim=dims, keepdim=True) / (guided.norm(dim=dims, keepdim=True) + 1e-8)
    return guided * ratio.clamp(low, 1.0)


def combine(full: Tensor, no_text: Tensor, no_image: Tensor | None, guidance: Guidance) -> Tensor:
    """The guided velocity from those of the full context and of the two reduced ones, each (B, N, D)."""
    v = no_text + guidance.text_scale * (full - no_text)
    if guidance.renorm == "text_channel":
        v = _rescale(v, full, guidance.renorm_min, (-1,))
    if guidance.on_image and no_image is not None:
        v = no_image + guidance.image_scale * (v - no_image)
    if guidance.renorm == "text_channel":
        return v
    return _rescale(v, full, guidance.renorm_min, (-1,) if guidance.renorm == "channel" else (-2, -1))


@dataclass(frozen=True)
class Step:
    """One Euler step: `x` is the latent at `t` after it, `estimate` the x_0 that its velocity points to."""

    index: int
    t: float
    x: Tensor
    velocity: Tensor
    estimate: Tensor


def sample(
    noise: Tensor,
    points: int,
    shift: float,
    guidance: Guidance,
    full: Velocity,
    no_text: Velocity | None = None,
    no_image: Velocity | None = None,
) -> Iterator[Step]:
    """Euler steps from `noise` (B, N, D) at t = 1 to t = 0, one `Step` after each; points ≥ 2."""
    grid = time_grid(points, shift)
    x = noise
    for index, (t, after) in enumerate(zip(grid, grid[1:], strict=False), start=1):
        v = full(x, t)
        if no_text is not None and guidance.active(t):
            other = no_image(x, t) if no_image is not None and guidance.on_image else None
            v = combine(v, no_text(x, t), other, guidance)
        estimate = x - v * t
        x = x - v * (t - after)
        yield Step(index, after, x, v, estimate)
