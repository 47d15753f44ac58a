"""Grad-CAM of hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def grad_cam(states: Tensor, gradients: Tensor) -> NDArray[np.float64]:
    """A map over tokens, float64 (tokens,), never below 0.

        alpha_k = mean_i dy / dA_ik,        L_i = ReLU(sum_k alpha_k A_ik)

    Selvaraju et al. 2017 (arXiv 1610.02391, equations 1 and 2), each of a state's numbers k being a channel.

    Args:
        states: A, (tokens, width).
        gradients: of the explained number y by them, the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if states.ndim != 2 or states.shape != gradients.shape:
        raise ValueError(f"states and gradients of one shape are needed, not {tuple(gradients.shape)}")
    alpha = gradients.detach().double().mean(dim=0)
    found: NDArray[np.float64] = (states.detach().double() @ alpha).clamp(min=0).cpu().numpy()
    return found
