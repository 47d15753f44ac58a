"""Linear CKA of every stage with "llm 0" and of every two stages, of the rows that a result keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from probes.alignment import BlockCKA, block_cka
from probes.bootstrap import Score
from workbench.panels.layers.parts.kept_grams import TOKENS, KeptGrams
from workbench.panels.layers.parts.part import Say
from workbench.panels.layers.table import REFERENCE, UNKNOWN, Row, curve


class Likeness(KeptGrams):
    """CKA between stages, from the same blocks of single tokens that two results are compared by.

    Patches of finer towers are averaged into the cells of the language model's.
    """

    @cached_property
    def _alike(self) -> tuple[list[int], BlockCKA]:
        """The stages of which tokens were kept, and CKA of every two; once all images were seen."""
        grams = self.grams["tokens"]
        stages = np.flatnonzero(np.isfinite(grams).any(axis=(1, 2))).tolist()
        return stages, block_cka(grams[stages], grams[stages])

    def curves(self, say: Say, stop: Callable[[], bool]) -> list[Row]:
        """CKA with what enters the language model, with intervals from resampling blocks of images."""
        stages, cka = self._alike
        names = [self.axis.stages[i].name for i in stages]
        if REFERENCE not in names:
            return []
        images = int((self.about.whole("about")[:, 0] < TOKENS.most).sum())
        scores: list[Score | None] = [None] * len(self.axis)
        for k, i in enumerate(stages):
            scores[i] = cka.score(
                k, names.index(REFERENCE), images, resamples=self.config.resamples, seed=self.config.seed
            )
        return curve("CKA with llm 0", self.axis.stages, scores, "images", [UNKNOWN] * len(self.axis))

    def tables(self) -> dict[str, list[Row]]:
        """The images of the rows, and CKA of every two stages."""
        stages, cka = self._alike
        names = [self.axis.stages[i].name for i in stages]
        every = [
            {"stage": a, "other": b, "cka": float(value)}
            for a, line in zip(names, cka.value, strict=True)
            for b, value in zip(names, line, strict=True)
        ]
        return super().tables() | ({"cka": every} if every else {})
