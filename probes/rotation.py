"""Features in the basis of their principal directions: the same regression with fewer, uncoupled columns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from probes.ridge import inverse_scale


@dataclass(frozen=True)
class Standard:
    """Standardisation with the training split's mean and deviation; what is constant there becomes 0."""

    mean: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Standard:
        """From features (n, width)."""
        mean, variance = x.mean(dim=0), x.var(dim=0, correction=0)
        return cls(mean, torch.from_numpy(inverse_scale(mean.cpu().numpy(), variance.cpu().numpy())).to(mean))

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised features."""
        return (x - self.mean) * self.inverse


@dataclass(frozen=True)
class Principal:
    """Standardised features Z (n, width) as R = Z V, with V's columns orthonormal and R's orthogonal.

    A penalty on |W|^2 keeps W within the span of the rows of Z, which V spans: what is fitted to R is what
    would be fitted to Z, with min(n - 1, width) columns at most.

    rotated: R (n, r). left, right: V = left @ right, kept apart where V would be larger than both.
    """

    rotated: Tensor
    left: Tensor
    right: Tensor | None

    @classmethod
    def of(cls, z: Tensor) -> Principal:
        """Of standardised features (n, width), from the smaller of the two Gram matrices."""
        n, width = z.shape
        wide = width > n
        values, vectors = torch.linalg.eigh(z @ z.T if wide else z.T @ z)
        kept = values > values[-1] * max(n, width) * torch.finfo(values.dtype).eps
        values, vectors = values[kept], vectors[:, kept]
        if not wide:
            return cls(z @ vectors, vectors, None)
        deviations = values.sqrt()
        return cls(vectors * deviations, z.T, vectors / deviations)

    def back(self, weights: Tensor) -> Tensor:
        """Weights of Z from those of R: (r, columns) -> (width, columns)."""
        return self.left @ (weights if self.right is None else self.right @ weights)

    def to(self, dtype: torch.dtype) -> Principal:
        """The same in another number type."""
        right = None if self.right is None else self.right.to(dtype)
        return Principal(self.rotated.to(dtype), self.left.to(dtype), right)
