"""DeepLIFT, where a model is made of what it has rules for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.gradients import function, missed
from workbench.panels.attribution.methods.method import Found

if TYPE_CHECKING:
    from torch import Tensor

MISSED = 0.05
"""Share of the difference to the baseline that contributions may miss before they count as none. Ours."""


def deeplift(case: Case) -> Found:
    """Contributions by the rescale rule, which must sum to the difference between image and baseline.

    Captum has the rule for activations that are modules, and takes gradients for all else: products of
    queries and keys, gates, the softmax inside a kernel. What comes of that is no DeepLIFT, which shows in
    the sum. So the sum is checked, and where it does not hold the method says that it does not apply.
    """
    network = getattr(case.model, "network", None)
    if network is None:
        raise Refusal(f"{case.model.card.id} shows no modules, which DeepLIFT needs. {INSTEAD}")
    end, start = case.read(case.image), case.read(case.baseline)
    maps, told = [], []
    for target in range(len(case.spoken.targets)):
        forward = function(case, target)
        found = contributions(network, forward, end, start, case.model.card.id)
        off = missed(case, forward, end, start, found)
        if off > MISSED:
            raise Refusal(
                f"DeepLIFT does not apply to {case.model.card.id}: its contributions miss the difference "
                f"between image and baseline by {100 * off:.0f} %, as there is no rule for attention and "
                f"gates. {INSTEAD}"
            )
        told.append(off)
        maps.append(case.summed(found))
    return Found(np.stack(maps), told={"completeness": np.array(told)})


INSTEAD = "Take integrated-gradients, which needs no rules."


def contributions(network: Any, forward: Any, end: Tensor, start: Tensor, name: str) -> Tensor:
    """Captum's DeepLIFT of a function that runs a network: attributions shaped like `end`."""
    from captum.attr import DeepLift
    from torch import nn

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, given: Tensor) -> Tensor:
            found: Tensor = forward(given)
            return found

    end = end.clone().requires_grad_()
    try:
        # It warns of the hooks that it sets and takes away again.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Tensor = DeepLift(Whole()).attribute(end, baselines=start)
    except (AssertionError, RuntimeError, AttributeError) as error:
        raise Refusal(f"DeepLIFT does not apply to {name}: {str(error).split('.')[0]}. {INSTEAD}") from error
    return found.detach()
