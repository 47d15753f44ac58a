"""Why a model cannot serve a study, in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.page.fake import CARD
from workbench.models.protocol import Capability
from workbench.panels.layers.study import NEEDS as LAYERS
from workbench.panels.needs import DOES, missing
from workbench.panels.states.study import NEEDS as STATES

EVERYTHING = frozenset(Capability)


def test_every_capability_has_words() -> None:
    assert set(DOES) == EVERYTHING


@pytest.mark.parametrize("needs", [STATES, LAYERS, EVERYTHING])
def test_a_model_that_can_is_not_in_the_way(needs: frozenset[Capability]) -> None:
    assert missing(replace(CARD, capabilities=needs), needs) == ""
    assert missing(replace(CARD, capabilities=EVERYTHING), needs) == ""


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ({Capability.GENERATES}, "cannot draw an image:"),
        ({Capability.GENERATES, Capability.INTERLEAVES}, "draw an image or draw on its way"),
        (EVERYTHING, "answer a question, draw an image or draw on its way to an answer:"),
    ],
)
def test_what_it_lacks_is_named_and_nothing_else(lacks: frozenset[Capability], words: str) -> None:
    sentence = missing(replace(CARD, capabilities=EVERYTHING - lacks), STATES)
    assert "pocket-fake" in sentence and words in sentence
    assert "score" not in sentence and "hidden states" not in sentence
