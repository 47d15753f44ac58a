"""Whether a map stays what it is when the image changes so little that nobody sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


def sensitivity_max(
    explain: Callable[[NDArray[np.uint8]], Floats],
    image: NDArray[np.uint8],
    *,
    radius: float = 4.0,
    samples: int = 4,
    seed: int = 0,
) -> float:
    """The largest change of a map over images near this one, as a share of the map's own length.

        max_{|y − x|_inf <= r} |phi(y) − phi(x)| / |phi(x)|

    Yeh et al. 2019 (arXiv 1901.09392), definition 2.2, estimated as there from samples drawn evenly from the
    ball; computed by `captum.metrics.sensitivity_max`. 0 is a map that does not move; lower is better. NaN
    where the map is 0 everywhere.

    Args:
        explain: an image, uint8 (H, W, 3), to its map, (cells,).
        image: uint8 (H, W, 3).
        radius: in levels of 255; whole ones, since images are whole numbers.
        samples: images drawn from the ball.
        seed: of the drawing.
    """
    import torch
    from captum.metrics import sensitivity_max as measured

    # Captum asks about the image itself as a tuple, and then wants a tuple back.
    def mapped(pictures: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(pictures, tuple):
            return (whole,)
        return told(pictures)

    def told(pictures: Tensor) -> Tensor:
        # Captum turns gradients off around this, and many a map is made of them.
        with torch.enable_grad():
            found = [explain(picture.numpy().astype(np.uint8)) for picture in pictures]
        return torch.from_numpy(np.stack(found).astype(np.float64))

    def near(pictures: Tensor, within: float) -> Tensor:
        moved = pictures + torch.empty_like(pictures).uniform_(-within, within)
        return moved.round().clamp(0, 255)

    x = torch.from_numpy(image.astype(np.float64))[None]
    whole = told(x)
    if not whole.any():
        return float("nan")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = measured(
            mapped, x, near, perturb_radius=radius, n_perturb_samples=samples, max_examples_per_batch=1
        )
    return float(found[0])
