"""Thought, decision, drawing and answer: with a model whose words are known, and with its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import tiny
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.interleave import MOST_TEXTS
from workbench.models.protocol import ROUTES, Decision, Event, Final, Sampling, Thought, VisualState

QUESTION = "what dark is it?"
RESTORES = "<think>dark</think><image_restore>"
ANSWERS = "<think>noisy</think><answer>blue red</answer>"
CERTAIN = 0.9


def every_event(model: BagelModel, **settings: Any) -> list[Any]:
    given = {"steps": 2, "max_new_tokens": 40} | settings
    return list(model.respond(tiny.picture(), QUESTION, Sampling(**given)))


def whole(found: Sequence[Event]) -> list[Any]:
    """The events without the thoughts that are still being said."""
    return [event for event in found if not isinstance(event, Thought) or event.done]


def events(model: BagelModel, **settings: Any) -> list[Any]:
    return whole(every_event(model, **settings))


def of(kind: type, found: Sequence[Event]) -> list[Any]:
    return [event for event in found if isinstance(event, kind)]


class TestWords:
    def test_it_answers_when_it_wants_to(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: ANSWERS)
        found = events(fresh)
        assert [type(e) for e in found] == [Thought, Decision, Final]
        assert found[0].text == ANSWERS
        assert not found[1].restore
        assert found[1].probability < 0.01
        assert found[2].answer.text == "blue red"
        assert found[2].restored is None

    def test_the_answers_probability_is_that_of_its_words(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: ANSWERS, CERTAIN)
        answer = events(fresh)[-1].answer
        assert "".join(t.text for t in answer.tokens).strip() == "blue red"
        assert answer.probability == pytest.approx(CERTAIN ** len(answer.tokens), rel=1e-3)

    def test_it_draws_when_it_wants_to(self, fresh: BagelModel) -> None:
        wants = {"drawn": False}
        tiny.Script(fresh, lambda said: ANSWERS if wants["drawn"] else RESTORES, CERTAIN)
        found: list[Any] = []
        for event in fresh.respond(tiny.picture(), QUESTION, Sampling(steps=2)):
            found.append(event)
            wants["drawn"] |= isinstance(event, VisualState)
        found = whole(found)
        kinds = [type(e) for e in found]
        assert kinds == [Thought, Decision, *[VisualState] * 3, Thought, Decision, Final]
        assert found[0].text == RESTORES
        assert found[1].restore
        tag = len(fresh.pieces(RESTORES)) - len(fresh.pieces("<think>dark</think>")) + 1
        assert CERTAIN**tag * 0.99 <= found[1].probability <= CERTAIN
        assert not found[6].restore
        assert found[-1].answer.text == "blue red"
        np.testing.assert_array_equal(found[-1].restored, found[4].image)

    @pytest.mark.parametrize(
        "wish",
        [
            ANSWERS,
            RESTORES,
            "<think>dark</think>",
            "<think>dark dark dark dark dark dark dark dark",
            "<answer>seven</answer>",
            "red green",
            "",
        ],
    )
    def test_always_draws_whatever_it_wants(self, fresh: BagelModel, wish: str) -> None:
        tiny.Script(fresh, lambda said: wish)
        found = events(fresh, restore="always", max_new_tokens=12)
        thought, decision = found[:2]
        assert decision.restore
        assert thought.text.endswith("<image_restore>")
        assert thought.text.count("<image_restore>") == 1
        assert "<answer>" not in thought.text
        if "<think>" in wish:
            assert "</think><image_restore>" in thought.text
        assert len(of(VisualState, found)) == 3
        assert len(of(Decision, found)) == 1
        assert found[-1].restored is not None

    def test_a_thought_cut_inside_a_tag_is_mended(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: "<think>dark</think>")
        whole = len(fresh.pieces("<think>dark</think>"))
        for limit in range(1, whole + 1):
            text = events(fresh, restore="always", max_new_tokens=limit, steps=1)[0].text
            assert text in (RESTORES, "<think></think><image_restore>", "<image_restore>"), limit

    @pytest.mark.parametrize("wish", [RESTORES, "<image_restore>", "<answer>red <image_restore>"])
    def test_never_says_the_tag_and_never_draws(self, fresh: BagelModel, wish: str) -> None:
        def plan(said: str) -> str:
            wanted = wish if "<answer>" not in said or said in wish else said + " blue</answer>"
            return said if said.endswith("</answer>") else wanted

        tiny.Script(fresh, plan)
        found = events(fresh, restore="never")
        assert [type(e) for e in found] == [Thought, Decision, Final]
        assert "<image_restore>" not in found[0].text
        assert found[0].text.count("<answer>") == 1
        assert not found[1].restore
        assert found[2].restored is None

    def test_never_puts_the_answer_where_the_tag_would_be(self, fresh: BagelModel) -> None:
        after = "<think>dark</think><answer>"
        tiny.Script(fresh, lambda said: f"{after}seven</answer>" if "<answer>" in said else RESTORES, CERTAIN)
        found = events(fresh, restore="never")
        assert found[0].text == f"{after}seven</answer>"
        # The decision is made for it; what it wanted is still told.
        assert found[1].probability > 0.5
        assert found[2].answer.text == "seven"

    def test_rounds_are_limited(self, fresh: BagelModel) -> None:
        """Three texts and two drawings, as published: what the third text asks for is not done."""
        tiny.Script(fresh, lambda said: RESTORES)
        found = events(fresh)
        assert len([e for e in of(VisualState, found) if e.step == 0]) == MOST_TEXTS - 1 == 2
        assert [d.restore for d in of(Decision, found)] == [True, True]
        assert [thought.text for thought in of(Thought, found)] == [RESTORES] * MOST_TEXTS
        assert found[-1].answer.text == "" and found[-1].restored is not None

    def test_a_finished_answer_comes_before_a_tag(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: f"{ANSWERS}<image_restore>")
        found = events(fresh)
        assert not found[1].restore
        assert found[-1].answer.text == "blue red"

    @pytest.mark.parametrize(
        ("said", "answer"),
        [
            ("blue", "blue"),
            ("<think>dark</think> red", "red"),
            ("<answer> seven </answer>", "seven"),
            ("<think>dark</think><answer>green", "green"),
            ("<answer></answer>", ""),
            ("<think>dark dark", ""),
            ("<answer>red <answer>blue</answer>", "red <answer>blue"),
        ],
    )
    def test_answers_without_every_tag(self, fresh: BagelModel, said: str, answer: str) -> None:
        tiny.Script(fresh, lambda _: said)
        assert events(fresh, restore="never")[-1].answer.text == answer

    def test_an_answer_cut_inside_its_end(self, fresh: BagelModel) -> None:
        said = "<answer>red</answer>"
        tiny.Script(fresh, lambda _: said)
        for limit in range(len(fresh.pieces("<answer>red")), len(fresh.pieces(said)) + 1):
            assert events(fresh, restore="never", max_new_tokens=limit)[-1].answer.text == "red"


def segments(found: Sequence[Event]) -> list[list[Thought]]:
    """The thoughts in the order in which they came, cut after each whole one."""
    cut: list[list[Thought]] = [[]]
    for thought in of(Thought, found):
        cut[-1].append(thought)
        if thought.done:
            cut.append([])
    assert cut.pop() == [], "the last thought was never whole"
    return cut


class TestGrowing:
    """A thought comes word by word; nothing that was shown is taken back."""

    @pytest.mark.parametrize("restore", ["auto", "always", "never"])
    @pytest.mark.parametrize(
        "wish",
        [
            ANSWERS,
            RESTORES,
            "<think>dark</think> red",
            "<answer>red <image_restore>",
            "red < blue",
            "noisy é 星",
        ],
    )
    @pytest.mark.parametrize("limit", [7, 60])
    def test_each_begins_with_the_one_before(
        self, fresh: BagelModel, wish: str, restore: str, limit: int
    ) -> None:
        def plan(said: str) -> str:
            put_in = said.endswith("<answer>") and not wish.startswith(said)
            return said + "seven</answer>" if put_in else wish

        tiny.Script(fresh, plan)
        for thoughts in segments(every_event(fresh, restore=restore, max_new_tokens=limit, steps=1)):
            texts = [thought.text for thought in thoughts]
            for before, after in zip(texts, texts[1:], strict=False):
                assert after.startswith(before), texts
            assert len(set(texts[:-1])) == len(texts[:-1]), "the same words are not told twice"
            assert all(thought.tokens for thought in thoughts if thought.done and thought.text)
            assert not any("\N{REPLACEMENT CHARACTER}" in text for text in texts if limit > 7)

    def test_each_word_comes_when_it_is_said(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: ANSWERS)
        calls: list[int] = []
        real = fresh.network.add_text

        def counted(context: Any, ids: Any) -> Any:
            calls.append(ids.shape[1])
            return real(context, ids)

        fresh.network.add_text = counted  # type: ignore[method-assign]
        response = fresh.respond(tiny.picture(), QUESTION, Sampling())
        first = next(response)
        assert isinstance(first, Thought) and not first.done
        passes = len(calls)
        second = next(response)
        assert isinstance(second, Thought) and second.text != first.text
        # One pass for one token; half a tag is not shown, so some words take several.
        assert passes < len(calls) <= passes + len(fresh.pieces("</think>"))

    def test_the_answers_words_are_among_them(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: ANSWERS)
        texts = [thought.text for thought in of(Thought, every_event(fresh)) if not thought.done]
        assert "<think>noisy" in texts
        assert "<think>noisy</think><answer>blue" in texts

    def test_half_a_tag_is_not_shown(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: RESTORES if "restore" not in said else said)
        for thought in of(Thought, every_event(fresh, restore="never")):
            if not thought.done:
                assert "<image" not in thought.text and not thought.text.endswith("<")


def count(monkeypatch: pytest.MonkeyPatch, model: BagelModel, name: str) -> list[Any]:
    """The contexts with which a method of the network is called from now on."""
    real, calls = getattr(model.network, name), []

    def counted(context: Any, *args: Any) -> Any:
        calls.append(context)
        return real(context, *args)

    monkeypatch.setattr(model.network, name, counted)
    return calls


class TestDrawing:
    def test_states_are_in_order_and_whole(self, model: BagelModel) -> None:
        states = of(VisualState, events(model, restore="always", steps=4))
        assert [s.step for s in states] == [0, 1, 2, 3, 4]
        assert {s.steps for s in states} == {4}
        assert states[0].t == 1.0
        assert states[-1].t == 0.0
        assert [s.t for s in states] == sorted((s.t for s in states), reverse=True)
        assert states[0].estimate is None
        assert states[0].velocity_norm == 0.0
        for state in states:
            assert state.image.shape == (48, 48, 3)
            assert state.image.dtype == np.uint8
            assert state.latent.shape == (144, 16)
            assert state.latent.dtype == np.float32
        for before, state in zip(states, states[1:], strict=False):
            assert state.estimate is not None
            moved = np.linalg.norm((before.latent - state.latent) / (before.t - state.t))
            assert state.velocity_norm == pytest.approx(moved, rel=1e-3)
            pointed = before.latent - before.t * (before.latent - state.latent) / (before.t - state.t)
            estimate = model.decoded(torch.from_numpy(pointed)[None], model.pictures([tiny.picture()]))[0]
            assert np.abs(estimate.astype(int) - state.estimate.astype(int)).max() <= 1
        np.testing.assert_array_equal(states[-1].estimate, states[-1].image)

    def test_the_seed_decides(self, model: BagelModel) -> None:
        def drawn(seed: int) -> np.ndarray:
            image: np.ndarray = events(model, restore="always", seed=seed)[-1].restored
            return image

        np.testing.assert_array_equal(drawn(3), drawn(3))
        assert (drawn(3) != drawn(4)).any()

    def test_drawings_of_one_response_differ(self, fresh: BagelModel) -> None:
        tiny.Script(fresh, lambda said: RESTORES)
        noises = [e.latent for e in of(VisualState, events(fresh, steps=1)) if e.step == 0]
        assert len(noises) == MOST_TEXTS - 1
        assert (noises[0] != noises[1]).any()

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_every_route_runs_and_matters(self, model: BagelModel, scale: float) -> None:
        lengths = {}
        for route in ROUTES:
            found = events(model, restore="always", route=route, text_scale=scale, image_scale=scale)
            assert found[-1].restored is not None
            lengths[route] = [t.logprob for t in of(Thought, found)[-1].tokens]
        assert lengths["bridge"] != lengths["re-encode"]
        assert lengths["both"] != lengths["re-encode"]

    def test_a_picture_that_is_not_square(self, model: BagelModel) -> None:
        image = tiny.picture(20, 61)
        found: list[Any] = list(
            model.respond(image, QUESTION, Sampling(steps=1, restore="always", route="both"))
        )
        assert found[-1].restored.shape == model.resized(image).shape

    def test_no_pass_is_made_for_guidance_that_is_off(
        self, model: BagelModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        velocities = count(monkeypatch, model, "velocity")
        texts = count(monkeypatch, model, "add_text")
        latents = count(monkeypatch, model, "add_latent")
        passes = {}
        for text, image in ((1.0, 1.0), (1.0, 4.0), (2.0, 1.0), (2.0, 2.0)):
            for calls in (velocities, texts, latents):
                calls.clear()
            events(
                model,
                restore="always",
                steps=6,
                text_scale=text,
                image_scale=image,
                renorm_min=1.0,
                max_new_tokens=1,
            )
            passes[text, image] = len(velocities), len({id(c) for c in velocities}), len(texts), len(latents)
        assert passes[1.0, 1.0][:2] == (6, 1)
        assert passes[1.0, 1.0] == passes[1.0, 4.0]
        # Guidance acts while 0.4 < t: the grid of 6 steps at shift 3 is 1, .94, .86, .75, .6, .375.
        assert passes[2.0, 1.0][:2] == (11, 2)
        assert passes[2.0, 2.0][:2] == (16, 3)
        assert passes[2.0, 1.0][2:] == passes[1.0, 1.0][2:]
        # The context without the image reads the question and the thought.
        assert passes[2.0, 2.0][2] == passes[1.0, 1.0][2] + 2

    def test_guidance_compares_with_the_right_contexts(
        self, model: BagelModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        velocities = count(monkeypatch, model, "velocity")
        found = events(model, restore="always", steps=1, text_scale=2.0, image_scale=2.0)
        full, no_image, no_text = (c.length for c in velocities[:3])
        system = len(model.segment(model.pieces(model.config.system_prompt))[0])
        asked = len(model.segment(model.pieces(QUESTION))[0])
        thought = len(found[0].tokens) + 2
        picture = (144 + 2) + (36 + 2)
        assert full == system + picture + asked + thought
        assert no_text == full - thought
        assert no_image == full - picture

    @pytest.mark.parametrize("route", ROUTES)
    def test_a_second_drawing_is_guided_by_contexts_with_the_first(
        self, fresh: BagelModel, route: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As published: after a bridge the image's guidance has the full context, and every drawing that is
        looked at is seen by both contexts."""
        wishes = iter([RESTORES, RESTORES, ANSWERS])
        wish = [next(wishes)]
        tiny.Script(fresh, lambda said: wish[0])
        velocities = count(monkeypatch, fresh, "velocity")
        settings = Sampling(steps=1, text_scale=2.0, image_scale=2.0, route=route)
        for event in fresh.respond(tiny.picture(), QUESTION, settings):
            if isinstance(event, VisualState) and event.step == 1:
                wish[0] = next(wishes)
        assert len(velocities) == 6
        (full, no_image, no_text), again = velocities[:3], velocities[3:]
        latent, seen, thought = 144 + 2, 36 + 2, len(fresh.pieces(RESTORES)) + 2
        read = {"bridge": latent, "re-encode": seen, "both": latent + seen}[route]
        assert again[0].length == full.length + read + thought
        assert again[2].length == full.length + read
        expected = no_image.length + read + thought if route == "re-encode" else again[0].length
        assert again[1].length == expected
        steps = {"bridge": 1, "re-encode": 1, "both": 2}[route]
        assert again[0].position == full.position + steps + thought
        assert no_text.length == full.length - thought


class TestStopping:
    def stopped(self, model: BagelModel, after: Callable[[Event], bool], **settings: Any) -> Iterator[Event]:
        flag = {"stop": False}
        given: dict[str, Any] = {"steps": 5, "restore": "always"} | settings
        for event in model.respond(tiny.picture(), QUESTION, Sampling(**given), stop=lambda: flag["stop"]):
            yield event
            flag["stop"] |= after(event)

    def test_before_it_begins(self, model: BagelModel) -> None:
        with pytest.raises(Cancelled):
            next(model.respond(tiny.picture(), QUESTION, Sampling(), stop=lambda: True))

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_within_one_step(self, model: BagelModel, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = count(monkeypatch, model, "velocity")
        seen: list[Event] = []
        with pytest.raises(Cancelled):
            for event in self.stopped(
                model,
                lambda e: isinstance(e, VisualState) and e.step == 2,
                text_scale=scale,
                image_scale=scale,
            ):
                seen.append(event)
                made = len(calls)
        assert seen[-1].step == 2  # type: ignore[union-attr]
        assert len(calls) == made

    def test_between_the_last_pass_of_a_step_and_its_picture(
        self, model: BagelModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passes, decoded = count(monkeypatch, model, "velocity"), []
        real = model.decoded
        monkeypatch.setattr(model, "decoded", lambda *a: (decoded.append(1), real(*a))[1])
        settings = Sampling(steps=5, restore="always", text_scale=2.0, image_scale=2.0)
        with pytest.raises(Cancelled):
            list(model.respond(tiny.picture(), QUESTION, settings, stop=lambda: len(passes) >= 3))
        # Three passes make the first guided step; only the noise before it was decoded.
        assert (len(passes), len(decoded)) == (3, 1)

    def test_after_the_drawing(self, model: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = count(monkeypatch, model, "add_text")
        with pytest.raises(Cancelled):
            for event in self.stopped(model, lambda e: isinstance(e, VisualState) and e.step == 5):
                made, last = len(calls), event
        assert isinstance(last, VisualState)
        assert len(calls) == made

    def test_within_one_token(self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch) -> None:
        tiny.Script(fresh, lambda said: " ".join(["red"] * 60))
        calls = count(monkeypatch, fresh, "add_text")
        with pytest.raises(Cancelled):
            list(fresh.respond(tiny.picture(), QUESTION, Sampling(), stop=lambda: len(calls) >= 9))
        assert len(calls) == 9

    def test_an_answer_without_drawing_within_one_token(
        self, fresh: BagelModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiny.Script(fresh, lambda said: " ".join(["red"] * 60))
        prompt = fresh.prepare([tiny.picture()], QUESTION)
        calls = count(monkeypatch, fresh, "add_text")
        with pytest.raises(Cancelled):
            fresh.answer(prompt, max_new_tokens=40, stop=lambda: len(calls) >= 5)
        assert len(calls) == 5

    def test_between_the_image_and_the_first_word(
        self, model: BagelModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        latents, visions = count(monkeypatch, model, "add_latent"), count(monkeypatch, model, "add_vision")
        with pytest.raises(Cancelled):
            next(model.respond(tiny.picture(), QUESTION, Sampling(), stop=lambda: bool(latents)))
        assert (len(latents), len(visions)) == (1, 0)


class TestQuestions:
    @pytest.mark.parametrize("question", ["", "   ", "\n\t"])
    def test_an_empty_one_is_refused(self, model: BagelModel, question: str) -> None:
        with pytest.raises(Refusal, match="no question. Write one"):
            next(model.respond(tiny.picture(), question, Sampling()))

    def test_a_long_one_is_refused(self, model: BagelModel) -> None:
        with pytest.raises(Refusal, match="10,000 characters; at most 4,000"):
            next(model.respond(tiny.picture(), "x" * 10_000, Sampling()))

    def test_half_a_character_is_refused(self, model: BagelModel) -> None:
        with pytest.raises(Refusal, match="half a character"):
            next(model.respond(tiny.picture(), "what \ud800?", Sampling()))
