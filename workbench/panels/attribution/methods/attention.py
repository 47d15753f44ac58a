"""Attention as a map: of the queries that say the answer, by layer, and rolled out with its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.capture.attention import attention_rows
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.method import Found
from workbench.panels.attribution.placing import onto_grid

if TYPE_CHECKING:
    from torch import Tensor


def attention(case: Case) -> Found:
    """The share of their attention that the queries which say the target give to each cell, by layer.

    The mean over heads, and over the target's tokens, those of another answer against them. Attention says
    where a layer looks, not what it takes from there: it is here for comparison.
    """
    by_layer, names = [], ()
    for tokens in case.spoken.sequences:
        prompt, rows = case.model.continued(case.prompt, tokens)
        found = attention_rows(case.model, prompt, rows[:-1])
        case.looked(1)
        names = tuple(stage.name for stage in found.stages)
        places = _places(case)
        by_layer.append(np.stack([w[0].mean(axis=0)[:, places] for w in found.weights]))
    rows_of = np.concatenate(by_layer, axis=1)  # layers, tokens, places
    maps = [
        onto_grid(case, np.einsum("t,ltp->lp", target.weights / max(1.0, _positive(target.weights)), rows_of))
        for target in case.spoken.targets
    ]
    return Found(np.stack(maps), layers=names)


def _positive(weights: NDArray[np.float64]) -> float:
    return float(weights[weights > 0].sum())


def _places(case: Case) -> NDArray[np.int64]:
    """Where the tokens of all views stand in the sequence."""
    return np.concatenate([view.positions.cpu().numpy() for view in case.views])
