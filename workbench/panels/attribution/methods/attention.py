"""Attention as a map: of the queries that say the answer, by layer, and rolled out with its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.attribution.relevancy import relevancy as rolled
from workbench.capture.attention import attention_rows
from workbench.errors import Refusal
from workbench.models.protocol import Capability
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.method import Found
from workbench.panels.attribution.placing import onto_grid
from workbench.panels.attribution.target import Target

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]


def attention(case: Case) -> Found:
    """The share of their attention that the queries which say the target give to each cell, by layer.

    The mean over heads and over the target's tokens; of two answers, the one's less the other's. Attention
    says where a layer looks, not what it takes from there: it is here for comparison.
    """
    _layers(case)
    by_layer: list[list[Floats]] = []
    names: tuple[str, ...] = ()
    for tokens in case.spoken.sequences:
        prompt, rows = case.model.continued(case.prompt, tokens)
        found = attention_rows(case.model, prompt, rows[:-1])
        case.looked(1)
        names = tuple(stage.name for stage in found.stages)
        at = places(case).numpy()
        by_layer.append([w[0].mean(axis=0)[:, at].astype(np.float64) for w in found.weights])
    maps = []
    for target in case.spoken.targets:
        total = np.zeros((len(names), len(at)))
        for which, shares in parted(case, target):
            total += np.stack([shares @ rows for rows in by_layer[which]])
        maps.append(onto_grid(case, total))
    return Found(np.stack(maps), layers=names)


def relevancy(case: Case) -> Found:
    """Gradient × attention from the queries that say the target down to the visual tokens.

    Of two answers, the one's less the other's.
    """
    maps = [np.zeros(case.cells) for _ in case.spoken.targets]
    for which, tokens in enumerate(case.spoken.sequences):
        weights, logs, rows = _weighed(case, tokens)
        for number, target in enumerate(case.spoken.targets):
            for _, shares in (part for part in parted(case, target) if part[0] == which):
                maps[number] += onto_grid(case, _relevance(case, weights, logs, rows, shares))
    return Found(np.stack(maps)[:, None])


def _weighed(case: Case, tokens: tuple[int, ...]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Each language layer's weights, as part of the graph of the tokens' log-probabilities; the queries."""
    import torch

    from workbench.models.meddle import weighing

    model, layers = case.model, _layers(case)
    _, rows = model.continued(case.prompt, tokens)
    kept: dict[int, Tensor] = {}

    def take(number: int, weights: Tensor) -> Tensor:
        kept[number] = weights if weights.requires_grad else weights.requires_grad_()
        return kept[number]

    with torch.enable_grad(), weighing(layers, take):
        logs = model.said(case.prompt, tokens)
    case.looked(1)
    return [kept[number] for number in sorted(kept)], logs, rows[:-1]


def _layers(case: Case) -> list[nn.Module]:
    """The language layers that attend by softmax. Raises Refusal where none does, or it cannot be read."""
    model = case.model
    if Capability.ATTENTION not in model.card.capabilities:
        raise Refusal(f"The attention of {model.card.id} cannot be read. Open it with sdpa or eager.")
    layers = [module for stage, module in model.attending(case.prompt) if stage.band == "llm"]
    if not layers:
        raise Refusal(
            f"No language layer of {model.card.id} gives every token a share of its attention, so there is "
            "no such map. Take a method that follows gradients."
        )
    return layers


def _relevance(case: Case, weights: list[Tensor], logs: Tensor, rows: Tensor, shares: Floats) -> Floats:
    """What each visual token means to a target's share of some tokens; below 0 where it counts against."""
    import torch

    sign, tokens = np.sign(shares.sum()), torch.from_numpy(np.flatnonzero(shares))
    grads = torch.autograd.grad(logs[0, tokens.to(logs.device)].sum(), weights, retain_graph=True)
    means = rolled([w[0] for w in weights], [g[0] for g in grads], rows[tokens.to(rows.device)])
    found: Floats = sign * means[places(case).to(means.device)].double().cpu().numpy()
    return found


def parted(case: Case, target: Target) -> Iterator[tuple[int, Floats]]:
    """For each answer that a target asks about its number and the shares of its tokens, summing to ±1."""
    at = 0
    for which, tokens in enumerate(case.spoken.sequences):
        own = target.weights[at : at + len(tokens)]
        at += len(tokens)
        if own.any():
            yield which, own / np.abs(own).sum()


def places(case: Case) -> Tensor:
    """Where the tokens of all views stand in the sequence, int64."""
    import torch

    return torch.cat([view.positions.cpu() for view in case.views])
