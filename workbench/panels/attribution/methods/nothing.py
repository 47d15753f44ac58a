"""A map that knows nothing: what any other has to beat."""

from __future__ import annotations

import numpy as np

from probes.attribution.pointing import random_map
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.methods.method import Found


def random(case: Case) -> Found:
    """Numbers drawn evenly with the study's seed, the same for every target."""
    drawn = random_map(case.cells, seed=case.config.seed)
    return Found(np.broadcast_to(drawn, (len(case.spoken.targets), 1, case.cells)).copy())
