"""What the model is taught to say is what the interleaved loop looks for."""

from __future__ import annotations

import pytest

from workbench.models.bagel import interleave
from workbench.training.data import TRAINED_CORRUPTIONS
from workbench.training.phrases import (
    DAMAGE,
    DESCRIBE,
    RESTORE,
    SYSTEM,
    all_phrases,
    damage_thought,
    restored_thought,
)


def test_every_trained_corruption_has_a_word_of_its_own() -> None:
    assert set(DAMAGE) == {"", *TRAINED_CORRUPTIONS}
    assert len(set(DAMAGE.values())) == len(DAMAGE)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_thought_is_tagged_as_the_loop_reads_it(name: str) -> None:
    """One thought in its tags, and behind it the decision to restore or nothing."""
    kept = f"{interleave.THOUGHT}{DAMAGE[name]}. what is it?{interleave.THOUGHT_ENDS}"
    assert damage_thought(name, "what is it?", False) == kept
    assert damage_thought(name, "what is it?", True) == kept + interleave.RESTORE


def test_a_restored_image_is_not_restored_again() -> None:
    said = restored_thought("what is it?")
    assert said.startswith(interleave.THOUGHT)
    assert said.endswith(interleave.THOUGHT_ENDS)
    assert RESTORE not in said


def test_an_unknown_corruption_has_no_thought() -> None:
    with pytest.raises(KeyError):
        damage_thought("fog", "what is it?", True)


def test_the_tokenizer_is_fitted_on_every_fixed_sentence() -> None:
    phrases = list(all_phrases())
    assert {SYSTEM, DESCRIBE, restored_thought(DESCRIBE)} <= set(phrases)
    for name in DAMAGE:
        for restore in (True, False):
            thought = damage_thought(name, DESCRIBE, restore) + interleave.ANSWER
            assert any(p.startswith(thought) and p.endswith(interleave.ANSWER_ENDS) for p in phrases)
