"""Methods that follow the gradient of the answer's log-probability back to the pixels, through Captum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.panels.attribution.baselines import baseline
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.config import BASELINES
from workbench.panels.attribution.methods.method import Found, seeded

if TYPE_CHECKING:
    from torch import Tensor

    Explained = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor | tuple[Tensor, float]]


def saliency(case: Case) -> Found:
    """|d log p / d pixel|, summed over a cell's pixels and channels."""

    def explained(forward: Any, pixels: Tensor) -> Tensor:
        from captum.attr import Saliency

        found: Tensor = Saliency(forward).attribute(pixels)
        return found

    return _each(case, explained)


def input_x_gradient(case: Case) -> Found:
    """Pixel (as the tower reads it, normalised) times d log p / d pixel."""

    def explained(forward: Any, pixels: Tensor) -> Tensor:
        from captum.attr import InputXGradient

        found: Tensor = InputXGradient(forward).attribute(pixels)
        return found

    return _each(case, explained)


def integrated(case: Case) -> Found:
    """Integrated gradients from the baseline; they sum to what the answer gains over the baseline image.

    How far they miss that is told as "completeness", a share of the gain: more steps make it smaller.
    """
    from captum.attr import IntegratedGradients

    start, steps = case.read(case.baseline), case.config.steps

    def explained(forward: Any, pixels: Tensor) -> tuple[Tensor, float]:
        def attributed(at_once: int) -> Tensor:
            found: Tensor = IntegratedGradients(forward).attribute(
                pixels, baselines=start, n_steps=steps, internal_batch_size=at_once
            )
            return found

        found = case.batches.run(attributed)
        return found, missed(case, forward, pixels, start, found)

    return _each(case, explained, "completeness")


def shap(case: Case) -> Found:
    """GradientSHAP: the mean over random points between the image and all baselines, one drawn each time."""
    import torch
    from captum.attr import GradientShap

    starts = torch.cat([case.read(baseline(case.image, kind)) for kind in BASELINES])

    def explained(forward: Any, pixels: Tensor) -> Tensor:
        def attributed(at_once: int) -> Tensor:
            done, total = 0, torch.zeros_like(pixels)
            with seeded(case.config.seed):
                while done < case.config.draws:
                    count = min(at_once, case.config.draws - done)
                    part = GradientShap(forward).attribute(pixels, baselines=starts, n_samples=count)
                    total, done = total + count * part, done + count
            return total / done

        return case.batches.run(attributed)

    return _each(case, explained)


def missed(case: Case, forward: Any, end: Tensor, start: Tensor, found: Tensor) -> float:
    """By how much attributions miss the difference between both ends, as a share of it."""
    import torch

    with torch.inference_mode():
        gain = float(forward(end)[0]) - float(forward(start)[0])
    return abs(float(found.detach().double().sum()) - gain) / max(abs(gain), 1e-12)


def function(case: Case, target: int) -> Callable[[Tensor], Tensor]:
    """A target as a function of what the tower reads: (B, …) to (B,)."""

    def forward(pixels: Tensor) -> Tensor:
        rows = case.of_pixels(pixels)
        return rows @ case.weights(target).to(rows.device)

    return forward


def _each(case: Case, explained: Explained, name: str = "") -> Found:
    """The map of each target; `explained` may tell a number with it, which is called `name`."""
    pixels = case.read(case.image)
    maps, numbers = [], []
    for target in range(len(case.spoken.targets)):
        found = explained(function(case, target), pixels.clone().requires_grad_())
        attributions, number = found if isinstance(found, tuple) else (found, float("nan"))
        maps.append(case.summed(attributions))
        numbers.append(number)
    return Found(np.stack(maps), told={name: np.array(numbers)} if name else {})
