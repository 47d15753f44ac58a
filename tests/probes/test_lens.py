"""The logit lens against scipy, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import entropy

from probes.lens import lens, reads_as_word, share_of_words

RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(23, 6)).astype(np.float32)
HEAD = RNG.normal(size=(6, 40)).astype(np.float32) * 2


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_it_reads_what_the_head_says(chunk: int) -> None:
    seen: list[int] = []

    def head(x: np.ndarray) -> np.ndarray:
        seen.append(len(x))
        return np.asarray(x @ HEAD)

    found = lens(STATES, head, top=3, words=(4, 11), chunk=chunk)
    expected = log_softmax((STATES @ HEAD).astype(np.float64), axis=1)
    assert max(seen) <= chunk and sum(seen) == 23
    np.testing.assert_array_equal(found.ids, np.argsort(-expected, axis=1)[:, :3])
    np.testing.assert_allclose(found.logprobs, -np.sort(-expected, axis=1)[:, :3], atol=1e-5)
    np.testing.assert_allclose(found.chosen, expected[:, [4, 11]], atol=1e-5)
    np.testing.assert_allclose(found.entropy, entropy(np.exp(expected), axis=1), atol=1e-5)


def test_words_that_are_ruled_out_and_ties() -> None:
    logits = np.array([[0.0, -np.inf, 0.0, -np.inf], [1000.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    found = lens(np.eye(2), lambda x: logits[: len(x)], top=4, words=(1,))
    assert found.entropy.tolist() == pytest.approx([np.log(2), 0.0])
    assert found.ids.tolist() == [[0, 2, 1, 3], [0, 1, 2, 3]] and found.chosen[0, 0] == -np.inf


def test_what_the_vocabulary_lacks_is_refused() -> None:
    for more in ({"top": 41}, {"top": 0}, {"words": (40,)}, {"words": (-1,)}):
        with pytest.raises(ValueError, match="vocabulary of 40"):
            lens(STATES, lambda x: x @ HEAD, **more)
    with pytest.raises(ValueError, match="states must"):
        lens(STATES[:0], lambda x: x @ HEAD)


def test_words_are_told_from_the_rest() -> None:
    assert all(map(reads_as_word, (" star", "▁red", "Ġblue", "étoile", "ing", "星星")))
    assert not any(map(reads_as_word, (" a", ".", "<0x0A>", "", "12", " _in", "a1", " two words", "▁")))
    assert share_of_words([" red", ".", "star", "\n"]) == 0.5 and np.isnan(share_of_words([]))
