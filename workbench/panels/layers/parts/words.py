"""The logit lens over a collection: how sure, and how much like words, visual tokens read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from probes.lens import share_of_words
from workbench.capture.lens import readings
from workbench.panels.layers.parts.averages import Averages
from workbench.panels.layers.parts.part import Seen, rows


class LensWords(Averages):
    """Entropy and share of words of each test image's tokens, at the language model's stages."""

    names = ("lens entropy", "tokens that read as words")

    def measured(self, seen: Seen, stage: int) -> Mapping[str, np.ndarray]:
        """Mean entropy in nats, and the share of tokens whose likeliest word reads as one."""
        if self.axis.stages[stage].band != "llm":
            return {}
        states = seen.captured.states[stage]
        (read,) = readings(self.model, [rows(states)], top=1, words={})
        texts = self.model.spelled(read.ids[:, 0].tolist())
        each = np.array_split(np.array(texts, dtype=object), len(states))
        return {
            self.names[0]: read.entropy.reshape(len(states), -1).mean(axis=1),
            self.names[1]: np.array([share_of_words(list(image)) for image in each]),
        }
