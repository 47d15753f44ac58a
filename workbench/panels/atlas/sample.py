"""A seeded sample of tokens as they stream by, the same ones at every stage and in every condition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Sample:
    """At most ``most`` of all tokens that are added; memory never holds more than those and one batch.

    Each token draws a number from the seed, its image's number and how many tokens its image has; those with
    the smallest numbers are kept. So a sample does not depend on batches, and stages whose grids are equal,
    and conditions, keep the same tokens.
    """

    most: int
    seed: int
    seen: int = 0
    keys: np.ndarray = field(default_factory=lambda: np.empty(0))
    columns: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, image: int, **columns: np.ndarray) -> None:
        """The tokens of one image: named arrays, each (tokens, …)."""
        count = len(next(iter(columns.values())))
        keys = np.random.default_rng([self.seed, image, count]).random(count)
        self.seen += count
        keys = np.concatenate([self.keys, keys])
        taken = np.sort(keys.argsort(kind="stable")[: self.most])
        for name, values in columns.items():
            if name in self.columns:
                values = np.concatenate([self.columns[name], values])
            self.columns[name] = values[taken]
        self.keys = keys[taken]
