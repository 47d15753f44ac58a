"""Methods that take one part of the image away after the other, through Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.attribution.regions import onto_cells
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.method import Found
from workbench.panels.attribution.parts import parts

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 256
"""Perturbed images that are made at once; how many go through the model at once is the case's own affair."""


def occlusion(case: Case) -> Found:
    """A window that slides by one patch: what the target loses there, the mean of overlapping ones."""
    from captum.attr import Occlusion

    height, width = case.image.shape[:2]
    down = max(1, round(height / case.grid.rows))
    across = max(1, round(width / case.grid.cols))
    side = case.config.window
    window = (3, min(height, side * down), min(width, side * across))

    def explained(forward: Any) -> np.ndarray:
        found = Occlusion(forward).attribute(
            tensor(case.image),
            sliding_window_shapes=window,
            strides=(3, down, across),
            baselines=tensor(case.baseline),
            perturbations_per_eval=AT_ONCE,
        )
        return averaged(case, found[0, 0].double().numpy())

    return each(case, explained)


def ablation(case: Case) -> Found:
    """What the target loses without each region."""
    from captum.attr import FeatureAblation

    regions = parts(case)

    def explained(forward: Any) -> np.ndarray:
        import torch

        found = FeatureAblation(forward).attribute(
            tensor(case.image),
            baselines=tensor(case.baseline),
            feature_mask=torch.from_numpy(regions)[None, None],
            perturbations_per_eval=AT_ONCE,
        )
        return averaged(case, found[0, 0].double().numpy())

    return each(case, explained)


def each(case: Case, explained: Callable[[Any], np.ndarray]) -> Found:
    """The map (cells,) of each target, which `explained` makes of a function of images."""
    maps = [explained(function(case, target)) for target in range(len(case.spoken.targets))]
    return Found(np.stack(maps)[:, None])


def function(case: Case, target: int) -> Callable[[Tensor], Tensor]:
    """A target as a function of images as Captum changes them: (B, 3, H, W) to (B,)."""

    def forward(images: Tensor) -> Tensor:
        import torch

        shown = images.permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8).numpy()
        return torch.from_numpy(case.spoken.targets[target].value(case.rows(list(shown))))

    return forward


def tensor(image: np.ndarray) -> Tensor:
    """An image for Captum: float32 (1, 3, H, W), 0 to 255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()


def averaged(case: Case, pixels: np.ndarray) -> np.ndarray:
    """The mean of a picture of numbers (H, W) over each cell; a cell outside the image has 0."""
    height, width = pixels.shape
    each = np.arange(height * width).reshape(height, width)
    return np.nan_to_num(onto_cells(each, pixels.ravel(), case.grid.boxes))
