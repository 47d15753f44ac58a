"""Something else in place of the drawing, against one plain pass over a context laid out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models import tiny
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.intervene import BagelBranch, BagelReply
from workbench.models.bagel.speaker import Speaker
from workbench.models.protocol import ROUTES, Answer, Event, Final, Sampling, Thought, VisualState

QUESTION = "what dark is it?"
SEEN = tiny.picture(seed=3)


def branched(model: BagelModel, **settings: Any) -> tuple[list[Event], BagelBranch]:
    given: dict[str, Any] = {"steps": 2, "max_new_tokens": 12, "restore": "always"} | settings
    *events, branch = model.branched(SEEN, QUESTION, Sampling(**given))
    assert isinstance(branch, BagelBranch)
    return events, branch  # type: ignore[return-value]


def final(events: list[Event]) -> Answer:
    assert isinstance(events[-1], Final)
    return events[-1].answer


class ByHand:
    """A context as blocks, read in one pass without a cache: latents first, as both experts need them.

    Each block: embedded tokens (n, width), whether latent, whether causal, the number of rotary positions
    that it takes (all tokens of an image share one).
    """

    def __init__(self, model: BagelModel) -> None:
        self.model, self.blocks = model, list[tuple[Tensor, bool, bool]]()

    def text(self, ids: list[int], *, framed: bool = True) -> ByHand:
        model = self.model
        all_ids = [model.special.bos, *ids, *([model.special.eos] if framed else [])]
        self.blocks.append((model.network.embed_text(torch.tensor(all_ids)), False, True))
        return self

    def image(self, tokens: Tensor, latent: bool) -> ByHand:
        model = self.model
        start, end = model.network.embed_text(
            torch.tensor([model.special.image_start, model.special.image_end])
        )
        self.blocks.append((torch.cat([start[None], tokens, end[None]]), latent, False))
        return self

    def latent(self, latent: Tensor, rows: int, cols: int) -> ByHand:
        return self.image(
            self.model.network.embed_latent(latent[None], rows, cols, torch.zeros(1))[0], latent=True
        )

    def vision(self, pixels: np.ndarray) -> ByHand:
        pictures = self.model.pictures([pixels])
        return self.image(self.model.embedded_vision(pictures)[0], latent=False)

    def logs(self) -> Tensor:
        """Log-probabilities after each token of the last block, which is text: (n, vocabulary)."""
        tokens, place, block, gen, causal, position = [], [], [], [], [], 0
        for number, (x, latent, ordered) in enumerate(self.blocks):
            n = len(x)
            tokens.append(x)
            place += [position + i if ordered else position for i in range(n)]
            position += n if ordered else 1
            block += [number] * n
            causal += [ordered] * n
            gen += [latent and 0 < i < n - 1 for i in range(n)]
        order = sorted(range(len(gen)), key=lambda i: not gen[i])
        x = torch.cat(tokens)[order][None]
        positions = torch.tensor(place)[order][None]
        owner, text = torch.tensor(block)[order], torch.tensor(causal)[order]
        line = torch.arange(len(gen))[order]
        earlier = owner[None] < owner[:, None]
        same = owner[None] == owner[:, None]
        mask = earlier | same & (~text[:, None] | (line[None] <= line[:, None]))
        states, _ = self.model.network.language_model.model(
            x, positions, gen=slice(0, sum(gen)), mask=mask[None, None]
        )
        last = [order.index(i) for i in range(len(gen)) if block[i] == len(self.blocks) - 1]
        return self.model.network.logits(states[0, last]).float().log_softmax(-1)


def hand_built(model: BagelModel, branch: BagelBranch, thought: list[int]) -> ByHand:
    """What was read before the drawing came back."""
    pictures = model.pictures([SEEN])
    rows, cols = pictures.latent_rows, pictures.latent_cols
    hand = ByHand(model).text(model.pieces(model.config.system_prompt))
    hand.latent(model.latents(pictures)[0], rows, cols).vision(SEEN)
    return hand.text(model.pieces(QUESTION)).text(thought)


@torch.inference_mode()
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("own", [True, False])
def test_an_intervention_is_one_pass_over_a_context_laid_out_by_hand(
    model: BagelModel, route: str, own: bool
) -> None:
    events, branch = branched(model, max_new_tokens=6)
    thought = next(e for e in events if isinstance(e, Thought) and e.done)
    state = tiny.picture(seed=9)
    (reply,) = branch.replies([None if own else state], route)
    assert isinstance(reply, BagelReply)
    pictures = model.pictures([branch.image if own else state])
    drawn = next(e for e in reversed(events) if isinstance(e, VisualState))
    latent = torch.from_numpy(drawn.latent) if own else model.latents(pictures)[0]
    hand = hand_built(model, branch, model.pieces(thought.text))
    if route != "re-encode":
        hand.latent(latent, pictures.latent_rows, pictures.latent_cols)
    if route != "bridge":
        hand.vision(branch.image if own else state)
    said = reply.speaker.ids
    logs = hand.text(said, framed=False).logs()
    chosen = torch.tensor(said)
    torch.testing.assert_close(logs[:-1].argmax(-1), chosen)
    found = torch.tensor([token.logprob for token in reply.speaker.tokens])
    torch.testing.assert_close(found, logs[:-1].gather(1, chosen[:, None])[:, 0], atol=2e-4, rtol=1e-4)
    # A candidate in the answer's place: its words and its end, after what was said before the answer.
    assert reply.text == reply.answer.text, "no tags are said: the answer is everything"
    hand.blocks.pop()
    word = model.pieces("blue")
    logs = hand.text(word, framed=False).logs()
    expected = sum(float(logs[i, n]) for i, n in enumerate([*word, model.special.eos]))
    if not reply.speaker.text[:1].isspace():
        assert reply.score(["blue"])[0] == pytest.approx(expected, abs=1e-3)


def test_where_nothing_is_drawn_there_is_no_branch(model: BagelModel) -> None:
    *_, last = model.branched(SEEN, QUESTION, Sampling(steps=2, max_new_tokens=4, restore="never"))
    assert isinstance(last, Final)


@pytest.mark.parametrize("route", ROUTES)
def test_the_own_drawing_gives_the_responses_answer(model: BagelModel, route: str) -> None:
    events, branch = branched(model, route=route)
    assert branch.own.answer == final(events)
    (again,) = branch.replies([None], route)
    assert again.text == branch.own.text
    assert [t.id for t in again.answer.tokens] == [t.id for t in branch.own.answer.tokens]
    assert again.answer.logprob == pytest.approx(branch.own.answer.logprob, abs=1e-4)
    words = [branch.own.answer.text or "red", "blue", "seven dark"]
    np.testing.assert_allclose(again.score(words), branch.own.score(words), atol=1e-4)


def test_the_events_are_those_of_the_response(model: BagelModel) -> None:
    settings = Sampling(steps=2, max_new_tokens=12, restore="always")
    events, _ = branched(model)
    plain = list(model.respond(SEEN, QUESTION, settings))
    assert [type(e) for e in events] == [type(e) for e in plain]
    assert final(events) == final(plain)
    unwatched = [e for e in model.branched(SEEN, QUESTION, settings, watched=False)]
    drawn = [e for e in unwatched if isinstance(e, VisualState)]
    assert [e.step for e in drawn] == [2]
    np.testing.assert_array_equal(drawn[0].image, final_image(plain))
    assert unwatched[-2].answer == final(plain)  # type: ignore[union-attr]


def final_image(events: list[Event]) -> np.ndarray:
    assert isinstance(events[-1], Final) and events[-1].restored is not None
    return events[-1].restored


def test_none_is_the_response_that_was_told_not_to_draw(model: BagelModel) -> None:
    _, branch = branched(model)
    undrawn = Sampling(steps=2, max_new_tokens=12, restore="never")
    *_, last = model.respond(SEEN, QUESTION, undrawn)
    assert isinstance(last, Final)
    assert branch.without().answer == last.answer


@pytest.mark.parametrize("route", ROUTES)
def test_a_batch_is_its_images_one_by_one(model: BagelModel, route: str) -> None:
    """What rows say stands on its own, also where they part from what they were offered."""
    _, branch = branched(model)
    states = [None, SEEN, np.full_like(SEEN, 255), tiny.picture(seed=5), tiny.picture(seed=6)]
    together = branch.replies(states, route)
    for state, reply in zip(states, together, strict=True):
        (alone,) = branch.replies([state], route)
        assert alone.text == reply.text
        np.testing.assert_allclose(alone.score(["red", "blue"]), reply.score(["red", "blue"]), atol=1e-4)


def test_what_is_said_is_what_a_speaker_says_without_being_offered_anything(model: BagelModel) -> None:
    _, branch = branched(model, max_new_tokens=8)
    said = set()
    for seed in range(6):
        (reply,) = branch.replies([tiny.picture(seed=seed)], "both")
        context = branch._read([tiny.picture(seed=seed)], "both")
        speaker = Speaker(model, context)
        while not speaker.ended and len(speaker.tokens) < 8:
            speaker.say()
        if "<image_restore>" not in speaker.text:
            assert reply.text == speaker.text.strip()
        said.add(reply.text)
    assert len(said) > 1, "the images must matter, or nothing is tested"


def test_a_kept_thought_stands_before_every_answer(fresh: BagelModel) -> None:
    """With the thought kept, only the answer is said anew: tokens before it are those of the response."""
    _, branch = branched(fresh)
    start = branch._thought_held()
    (kept,) = branch.replies([tiny.picture(seed=5)], "both", thought="kept")
    assert isinstance(kept, BagelReply)
    assert kept.speaker.ids[:start] == branch.drawn.speaker.ids[:start]


def test_a_candidate_scores_what_its_tokens_do(fresh: BagelModel) -> None:
    """With tags: the words of the answer and the closing tag, teacher-forced, as they were when said."""
    said = "<think>noisy</think><answer>blue red</answer>"
    script = tiny.Script(fresh, lambda _: said, 0.9)
    *_, branch = fresh.branched(SEEN, QUESTION, Sampling(steps=1, restore="always"))
    assert isinstance(branch, BagelBranch)
    assert branch.own.answer.text == "blue red"
    speaker = branch.drawn.speaker
    # The script knows one line of tokens by their places, and other words were tried there since.
    script.heard |= {script.start + 1 + i: number for i, number in enumerate(speaker.ids)}
    start = speaker.text.index("blue red")
    whole = sum(t.logprob for t, end in zip(speaker.tokens, speaker.ends(), strict=True) if end > start)
    assert branch.own.score(["blue red"])[0] == pytest.approx(whole, abs=1e-4)
    assert branch.own.score(["blue"])[0] < -3


def test_candidates_of_any_length_score_as_alone(model: BagelModel) -> None:
    _, branch = branched(model)
    words = ["red", "blue seven dark noisy", "green"]
    alone = [branch.own.score([word])[0] for word in words]
    np.testing.assert_allclose(branch.own.score(words), alone, atol=1e-5)


def test_the_last_of_several_drawings_is_the_one(fresh: BagelModel) -> None:
    """Where the model decides, it draws up to twice, and its last text is said freely, in a branch too."""
    restores = "<think>dark</think><image_restore>"
    tiny.Script(fresh, lambda _: restores)
    *events, branch = fresh.branched(SEEN, QUESTION, Sampling(steps=1))
    assert isinstance(branch, BagelBranch) and branch.drawn.last
    states = [e for e in events if isinstance(e, VisualState) and e.step == 1]
    np.testing.assert_array_equal(branch.image, states[1].image)
    (again,) = branch.replies([None], "re-encode")
    assert again.text == branch.own.text == restores


def test_a_thought_without_end_has_no_place_for_an_answer(fresh: BagelModel) -> None:
    tiny.Script(fresh, lambda _: "<think>dark dark dark dark")
    *_, branch = fresh.branched(SEEN, QUESTION, Sampling(steps=1, restore="always"))
    assert isinstance(branch, BagelBranch)
    assert branch.own.answer.text == ""
    assert np.isnan(branch.own.score(["red"])).all()


def test_another_shape_is_refused(model: BagelModel) -> None:
    _, branch = branched(model)
    with pytest.raises(Refusal, match="must have its shape, 48 × 48"):
        branch.replies([tiny.picture(32, 48)], "bridge")
    with pytest.raises(Refusal, match="route must be one of"):
        branch.replies([None], "tunnel")


def test_it_stops(model: BagelModel) -> None:
    flag = {"stop": False}
    *_, branch = model.branched(
        SEEN, QUESTION, Sampling(steps=1, restore="always"), stop=lambda: flag["stop"]
    )
    assert isinstance(branch, BagelBranch)
    flag["stop"] = True
    with pytest.raises(Cancelled):
        branch.replies([None], "both")
    with pytest.raises(Cancelled):
        branch.without()
