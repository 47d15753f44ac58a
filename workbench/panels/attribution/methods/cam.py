"""Grad-CAM at every language stage, from one pass forward and one back for each target."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from probes.attribution.cam import grad_cam as cam
from workbench.capture.editing import replacing
from workbench.errors import Refusal
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.method import Found
from workbench.panels.attribution.placing import onto_grid

if TYPE_CHECKING:
    from torch import Tensor


def grad_cam(case: Case) -> Found:
    """Selvaraju et al. 2017 (arXiv 1610.02391, section 3) at each language stage but the last.

    What a channel is there, a number of the hidden state is here. After the last stage nothing attends to the
    visual tokens, so they have no gradient. Captum's `LayerGradCam` takes a pass for each layer.
    """
    import torch

    model = case.model
    names = [stage.name for stage in model.stages() if stage.band == "llm"][:-1]
    if not names:
        raise Refusal(f"{model.card.id} shows no language stages, at which Grad-CAM is computed.")
    kept: list[Tensor] = []

    def keep(states: Tensor) -> Tensor:
        kept.append(states if states.requires_grad else states.detach().requires_grad_())
        return kept[-1]

    with torch.enable_grad(), ExitStack() as stack:
        for name in names:
            stack.enter_context(replacing(model, case.prompt, name, keep, others=True))
        rows = case.said(case.prompt)
    maps = []
    for target in range(len(case.spoken.targets)):
        value = (rows @ case.weights(target).to(rows.device)).sum()
        grads = torch.autograd.grad(value, kept, retain_graph=True)
        maps.append([onto_grid(case, cam(h[0], g[0])) for h, g in zip(kept, grads, strict=True)])
    return Found(np.array(maps), layers=tuple(names))
