"""Putting words into a model's mouth, however the tokenizer cuts them."""

from __future__ import annotations

import math

import pytest
import torch

from tests.models import tiny
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.network import Context
from workbench.models.bagel.speaker import Speaker
from workbench.models.protocol import Token

THOUGHT, TAG = "<think>dark</think>", "<image_restore>"


def context_of(model: BagelModel) -> Context:
    return model.network.add_text(Context(), model.segment(model.pieces("what dark is it?")))[0]


def spoken(model: BagelModel, text: str) -> Speaker:
    speaker = Speaker(model, context_of(model))
    speaker.force(0, text)
    return speaker


def logprobs(model: BagelModel, ids: list[int]) -> torch.Tensor:
    """Teacher-forced log-probabilities of a segment's tokens, in one pass."""
    _, states = model.network.add_text(context_of(model), model.segment(ids)[:, :-1])
    scores = model.network.logits(states[0]).log_softmax(-1)
    return scores[torch.arange(len(ids)), ids]


def test_the_tokenizers_cut_tags_as_the_tests_need(fresh: BagelModel) -> None:
    alone, together = fresh.pieces(TAG), fresh.pieces(THOUGHT + TAG)
    whole = fresh.tokenizer.token_to_id(TAG) is not None
    assert whole or len(alone) > 3
    # The tag is not written the same after a thought as alone.
    assert together[-len(alone) :] != alone


def test_forcing_writes_what_the_tokenizer_would(fresh: BagelModel) -> None:
    speaker = spoken(fresh, THOUGHT)
    speaker.force(len(speaker.text), TAG)
    assert speaker.ids == fresh.pieces(THOUGHT + TAG)
    assert speaker.text.strip() == THOUGHT + TAG


def test_forced_tokens_carry_their_probabilities(fresh: BagelModel) -> None:
    speaker = spoken(fresh, THOUGHT)
    speaker.force(len(speaker.text), TAG)
    expected = logprobs(fresh, speaker.ids).tolist()
    assert [t.logprob for t in speaker.tokens] == pytest.approx(expected, abs=1e-4)


def test_going_back_forgets_what_was_said(fresh: BagelModel) -> None:
    """After words are taken back, the model goes on as if they had never been said."""
    speaker = spoken(fresh, THOUGHT)
    head = len(speaker.text)
    speaker.force(head, "<answer>blue red</answer>")
    speaker.force(head, TAG)
    straight = spoken(fresh, THOUGHT + TAG)
    assert speaker.ids == straight.ids
    for _ in range(4):
        speaker.say()
        straight.say()
    assert speaker.tokens[-1].id == straight.tokens[-1].id
    assert [t.logprob for t in speaker.tokens] == pytest.approx(
        [t.logprob for t in straight.tokens], abs=1e-4
    )
    ours, theirs = speaker.finished(), straight.finished()
    assert (ours.length, ours.position) == (theirs.length, theirs.position)
    for (k, v), (other_k, other_v) in zip(ours.past, theirs.past, strict=True):
        torch.testing.assert_close(k, other_k, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(v, other_v, atol=1e-4, rtol=1e-4)


def test_going_back_to_nothing(fresh: BagelModel) -> None:
    speaker = spoken(fresh, "blue red")
    speaker.force(0, "")
    assert speaker.ids == []
    untouched = Speaker(fresh, context_of(fresh))
    for one in (speaker, untouched):
        one.say()
    assert speaker.ids == untouched.ids
    assert speaker.tokens[0].logprob == pytest.approx(untouched.tokens[0].logprob, abs=1e-5)


def test_the_probability_of_a_tag_is_that_of_its_tokens(fresh: BagelModel) -> None:
    speaker = spoken(fresh, THOUGHT)
    before = speaker.ids, speaker.text
    ids = fresh.pieces(THOUGHT + TAG)
    shared = next(i for i, (a, b) in enumerate(zip([*speaker.ids, None], ids, strict=False)) if a != b)
    expected = math.exp(float(logprobs(fresh, ids)[shared:].sum()))
    assert speaker.probability(len(speaker.text), TAG) == pytest.approx(expected, rel=1e-3)
    assert (speaker.ids, speaker.text) == before


def test_the_models_own_spelling_stays(fresh: BagelModel) -> None:
    """Said as single bytes, a thought is not written anew to put a tag after it."""
    bytewise = [fresh.tokenizer.token_to_id(letter) for letter in "noisy!"]
    speaker = Speaker(fresh, context_of(fresh))
    for number in bytewise:
        speaker.tokens.append(speaker._token(number, 0.0))
        speaker._context, speaker._next = speaker._fed(speaker._context, [number])
    kept, ids = speaker.spelled(len(speaker.text), TAG)
    assert kept >= len(bytewise) - 1
    assert fresh.words([*bytewise[:kept], *ids]) == "noisy!" + TAG


def test_what_the_tokenizer_would_write_otherwise_stays(model: BagelModel) -> None:
    """The pocket tokenizer lower-cases; capitals that the model said are not touched."""
    speaker = Speaker(model, context_of(model))
    for letter in "NO":
        number = model.tokenizer.token_to_id(letter)
        speaker.tokens.append(speaker._token(number, 0.0))
        speaker._context, speaker._next = speaker._fed(speaker._context, [number])
    speaker.force(2, TAG)
    assert speaker.text == "NO" + TAG


def test_an_end_is_not_said(fresh: BagelModel) -> None:
    tiny.Script(fresh, lambda said: "red")
    speaker = Speaker(fresh, context_of(fresh))
    while not speaker.ended:
        speaker.say()
    assert speaker.text.strip() == "red"
    assert fresh.special.eos not in speaker.ids
    length = context_of(fresh).length
    assert speaker.finished().length == length + 1 + len(speaker.ids) + 1


def test_a_segment_is_read_back_as_the_tokenizer_writes_it(fresh: BagelModel) -> None:
    """As published: between two segments there is text, not what the model spelled it with."""
    network, text = fresh.network, "<think>dark</think>"
    opening, _ = network.add_text(Context(), fresh.segment(fresh.pieces("what?")))
    letters = [fresh.tokenizer.token_to_id(letter) for letter in text]
    assert fresh.words(letters) == text
    expected, _ = network.add_text(opening, fresh.segment(fresh.pieces(text)))
    for said in (letters, fresh.pieces(text)):
        speaker = Speaker(fresh, opening)
        for number in said:
            speaker.tokens.append(Token(fresh.words([number]), -1.0, number))
            speaker._context, speaker._next = speaker._fed(speaker._context, [number])
        after = speaker.finished()
        assert (after.length, after.position) == (expected.length, expected.position)
        for (key, value), (k, v) in zip(after.past, expected.past, strict=True):
            torch.testing.assert_close(key, k, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(value, v, atol=1e-5, rtol=1e-4)
