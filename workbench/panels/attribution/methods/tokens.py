"""Integrated gradients of the visual tokens where they enter the language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.capture.editing import replacing
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.gradients import missed
from workbench.panels.attribution.methods.method import Found
from workbench.panels.attribution.placing import onto_grid

if TYPE_CHECKING:
    from torch import Tensor

ENTRY = "llm 0"
"""What enters the language model."""


def integrated(case: Case) -> Found:
    """From the tokens of the baseline image to those of the image, summed over a token's numbers.

    The tower's own mixing of places is left out: what a token holds counts where the token stands.
    """
    from captum.attr import IntegratedGradients

    end, start = entering(case), entering(case.of(case.baseline))
    maps, told = [], []
    for target in range(len(case.spoken.targets)):
        weights = case.weights(target)

        def forward(states: Tensor, weights: Tensor = weights) -> Tensor:
            prompt = case.repeated(len(states))
            with replacing(case.model, prompt, ENTRY, lambda _: states, others=True):
                rows = case.said(prompt)
            return rows @ weights.to(rows.device)

        def attributed(at_once: int, forward: object = forward) -> Tensor:
            found: Tensor = IntegratedGradients(forward).attribute(
                end, baselines=start, n_steps=case.config.steps, internal_batch_size=at_once
            )
            return found

        found = case.batches.run(attributed).detach()
        told.append(missed(case, forward, end, start, found))
        maps.append(onto_grid(case, found.sum(-1)[0].double().cpu().numpy()))
    return Found(np.stack(maps)[:, None], told={"completeness": np.array(told)})


def entering(case: Case) -> Tensor:
    """The visual tokens of all views as they enter the language model, float32 (1, tokens, width)."""
    import torch

    kept: list[Tensor] = []

    def keep(states: Tensor) -> Tensor:
        kept.append(states.detach().float().clone())
        return states

    with torch.no_grad(), replacing(case.model, case.prompt, ENTRY, keep, others=True):
        case.said(case.prompt)
    return kept[0]
