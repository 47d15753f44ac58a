"""Side by side every question gets what it gets alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.capture.fake import FakeModel as Captured
from tests.models import tiny
from tests.page.fake import FakeModel
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.protocol import Decision, Final, Sampling, never
from workbench.models.together import IN_CONTEXT, Posed, SideBySide, answers, responses, scores

WAYS = (IN_CONTEXT, "re-encode", "bridge", "both")
POSED = [
    Posed(0, "what red is it?", ("red", "blue", "dark seven")),
    Posed(1, "noisy?", ("green red", "seven")),
    Posed(0, "is it a dark one, or seven of them?", ("dark",)),
    Posed(2, "blue", ("seven", "red", "blue", "green", "noisy blue")),
]


@pytest.fixture(scope="module", params=["whole", "cut"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BagelModel]:
    yield tiny.opened(tiny.write(tmp_path_factory.mktemp("tiny") / "model", request.param))


IMAGES = [tiny.picture(seed=k) for k in range(3)]


def test_scores_are_those_of_score(model: BagelModel) -> None:
    assert isinstance(model, SideBySide)
    found = scores(model, IMAGES, POSED, batch=2)
    for asked, mine in zip(POSED, found, strict=True):
        alone = model.score(model.prepare([IMAGES[asked.image]], asked.text), asked.candidates)[0]
        np.testing.assert_allclose(mine, alone, atol=2e-4)


def test_answers_are_those_of_answer(model: BagelModel) -> None:
    found = answers(model, IMAGES, POSED, batch=2, max_new_tokens=6)
    for asked, mine in zip(POSED, found, strict=True):
        (alone,) = model.answer(model.prepare([IMAGES[asked.image]], asked.text), max_new_tokens=6)
        assert mine.text == alone.text and mine.logprob == pytest.approx(alone.logprob, abs=1e-3)


@pytest.mark.parametrize("restore", ["auto", "always"])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (3.0, 1.5)])
def test_responses_are_those_of_respond(model: BagelModel, restore: str, scales: tuple[float, float]) -> None:
    settings = Sampling(
        steps=3,
        restore=restore,
        max_new_tokens=10,
        text_scale=scales[0],
        image_scale=scales[1],
        interval=(0.0, 1.0),
    )
    posed = [Posed(asked.image, asked.text) for asked in POSED]
    found = responses(model, IMAGES, posed, settings, [3, 1, 4, 1], WAYS, batch=3)
    for way in WAYS:
        for asked, seed, mine in zip(posed, [3, 1, 4, 1], found.by_way[way], strict=True):
            own = replace(settings, seed=seed)
            own = replace(own, restore="never") if way == IN_CONTEXT else replace(own, route=way)
            events = list(model.respond(IMAGES[asked.image], asked.text, own))
            decision = next(event for event in events if isinstance(event, Decision))
            final = events[-1]
            assert isinstance(final, Final)
            assert mine.answer.text == final.answer.text, way
            assert mine.decision.restore == decision.restore
            assert mine.decision.probability == pytest.approx(decision.probability, rel=1e-3, abs=1e-6)
            assert (mine.drawn is None) == (final.restored is None)
            if mine.drawn is not None and final.restored is not None:
                assert np.abs(mine.drawn.astype(int) - final.restored.astype(int)).max() <= 1


def test_candidates_in_a_response_are_scored_as_words_behind_the_tag(model: BagelModel) -> None:
    """Against a context read token by token: thought, tag, candidate, tag."""
    from workbench.models.bagel.interleave import ANSWER, ANSWER_ENDS
    from workbench.models.bagel.network import Context

    settings = Sampling(restore="never", max_new_tokens=5)
    (mine,) = responses(model, IMAGES, POSED[:1], settings, [0], [IN_CONTEXT], batch=1).by_way[IN_CONTEXT]
    asked, network = POSED[0], model.network
    events = list(model.respond(IMAGES[0], asked.text, settings))
    assert mine.scores is not None and mine.answer.text == asked.candidates[int(mine.scores.argmax())]
    assert events
    from workbench.models.bagel import interleave

    pictures = model.pictures([IMAGES[0]])
    system = interleave.system_read(model)
    context: Context = interleave._opening(
        model, system, pictures, model.latents(pictures), model.segment(model.typed(asked.text)), never
    )
    speaker = interleave.Speaker(model, context)
    while not speaker.ended and len(speaker.tokens) < 5 and ANSWER not in speaker.text:
        speaker.say()
    said = speaker.text
    head = said[: said.index(ANSWER)] if ANSWER in said else said[: interleave.thought_ends(said)]
    whole = []
    for candidate in asked.candidates:
        ids = model.pieces((head + ANSWER).strip() + candidate + ANSWER_ENDS)
        _, states = network.add_text(context, model.segment(ids)[:, :-1])
        logs = network.logits(states[0]).float().log_softmax(-1)
        whole.append(sum(float(logs[i, number]) for i, number in enumerate(ids)))
    # What candidates have in common counts for all of them alike.
    np.testing.assert_allclose(mine.scores - mine.scores[0], np.array(whole) - whole[0], atol=5e-4)


def test_a_model_that_reads_one_by_one_is_asked_so() -> None:
    model = FakeModel()
    assert not isinstance(model, SideBySide)
    dark, bright = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
    posed = [Posed(0, "how is it?"), Posed(1, "how is it?"), Posed(1, "and this?")]
    assert [a.text for a in answers(model, [dark, bright], posed, batch=4)] == ["dark", "bright", "bright"]  # type: ignore[arg-type]
    found = responses(model, [dark, bright], posed, Sampling(steps=2), [0, 1, 2], WAYS, batch=4)  # type: ignore[arg-type]
    assert [r.answer.text for r in found.by_way[IN_CONTEXT]] == ["dark"] * 3
    assert [r.answer.text for r in found.by_way["bridge"]] == ["bright"] * 3
    assert all(r.drawn is not None and r.decision.restore for r in found.by_way["both"])
    assert found.by_way[IN_CONTEXT][0].drawn is None and set(found.seconds) == set(WAYS)


def test_what_is_asked_alike_runs_together() -> None:
    class Counting(Captured):
        batches: list[int] = []

        def score(self, prompt, candidates):  # type: ignore[no-untyped-def]
            self.batches.append(len(prompt.images))
            return np.array([[-float(len(c)) for c in candidates] for _ in prompt.images])

    images = [np.zeros((12, 12, 3), np.uint8)] * 5
    posed = [Posed(k, "a?" if k < 4 else "b?", ("x", "yy")) for k in range(5)]
    found = scores(Counting(side=12, width=16), images, posed, batch=3)  # type: ignore[arg-type]
    assert Counting.batches == [3, 1, 1] and all(f.argmax() == 0 for f in found)


def test_what_cannot_be_asked_is_refused_or_stops(model: BagelModel) -> None:
    with pytest.raises(Refusal, match="route must be one of"):
        responses(model, IMAGES, POSED, Sampling(), [0] * 4, ["telepathy"], batch=2)
    with pytest.raises(Refusal, match="no question"):
        responses(model, IMAGES, [Posed(0, " ")], Sampling(), [0], ["bridge"], batch=2)
    with pytest.raises(Refusal, match="no candidates"):
        scores(model, IMAGES, [Posed(0, "what?")], batch=2)
    with pytest.raises(Cancelled):
        scores(model, IMAGES, POSED, batch=2, stop=lambda: True)
