"""The study of visual states, on a model that draws without weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from tests.page.fake import FakeModel, said
from workbench.errors import Cancelled, Refusal
from workbench.images.read import Picture, read
from workbench.models.protocol import (
    Answer,
    Capability,
    Decision,
    Event,
    Final,
    Prompt,
    Thought,
    VisualState,
)
from workbench.panels.specimen import fitted
from workbench.panels.states import figure, study
from workbench.panels.states.study import Direct, Laid, StatesConfig, run, stream
from workbench.runs.export import save_figure
from workbench.runs.store import load, save


@pytest.fixture
def picture() -> Picture:
    return read(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


DARK = StatesConfig(question="bright or dark?", corruption="dark_illumination", intensity=0.9, steps=5)


def test_events_come_in_the_order_in_which_they_happen(picture: Picture) -> None:
    kinds = [type(event) for event in stream(DARK, FakeModel(), picture)]
    assert kinds == [Laid, Direct, Direct, Thought, Decision, *[VisualState] * 6, Direct, Final]


def test_nothing_is_computed_before_it_is_asked_for(picture: Picture) -> None:
    model = FakeModel()
    events = stream(DARK, model, picture)
    for _ in range(6):
        next(events)
    assert model.steps_taken == 1


def test_the_result_holds_all_of_it(picture: Picture) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    trace, answers = result.tables["trace"], result.tables["answers"]
    assert list(answers["on"]) == ["original", "degraded", study.SAME, "restored"]
    assert list(answers["answer"]) == ["bright", "dark", "dark", "bright"]
    assert answers["probability"].tolist() == pytest.approx(np.exp(answers["logprob"]).tolist())
    steps = trace[trace["event"] == "step"]
    assert steps["t"].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert math.isnan(steps["velocity_norm"].iloc[0]) and steps["velocity_norm"].iloc[1:].notna().all()
    assert result.arrays["latents"].shape == (6, 4, 2)
    assert {study.image_name(1, step) for step in range(6)} <= set(result.images)
    assert result.config == DARK.model_dump(mode="json")
    assert result.manifest["images"] == {"original": picture.sha256}


def test_psnr_is_the_textbook_one() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(1)
    one, two = rng.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    assert study.psnr(one, two) == pytest.approx(peak_signal_noise_ratio(two, one))
    assert math.isinf(study.psnr(one, one))


def test_a_drawing_of_another_size_is_compared_at_the_originals(picture: Picture) -> None:
    small = picture.pixels[::2, ::2]
    assert study.psnr(small, picture.pixels) < 40
    assert study.like(small, picture.pixels).shape == picture.pixels.shape


def test_the_seed_draws_the_corruption_and_the_drawing(picture: Picture) -> None:
    noisy = DARK.model_copy(update={"corruption": "gaussian_noise"})
    one, same = (run(noisy, FakeModel(), picture=picture) for _ in range(2))
    other = run(noisy.model_copy(update={"seed": 1}), FakeModel(), picture=picture)
    for name in ("degraded", study.image_name(1, 0)):
        assert np.array_equal(one.images[name], same.images[name])
        assert not np.array_equal(one.images[name], other.images[name])


def test_without_a_drawing_there_is_no_second_answer_in_its_context(picture: Picture) -> None:
    answers = run(DARK.model_copy(update={"restore": "never"}), FakeModel(), picture=picture).tables[
        "answers"
    ]
    assert list(answers["on"]) == ["original", "degraded", "no drawing"]


class Halving(FakeModel):
    """Takes and draws images at half their size, and keeps how long answers may be."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def resized(self, image: np.ndarray) -> np.ndarray:
        return study.like(image, np.zeros((24, 32, 3)))

    def answer(self, prompt: Prompt, *, max_new_tokens: int = 16) -> list[Answer]:
        self.lengths.append(max_new_tokens)
        return super().answer(prompt)

    def respond(self, image: np.ndarray, *args: Any, **kwargs: Any) -> Iterator[Event]:
        yield Final(said("red", 0.5), self.resized(image))


def test_psnr_compares_what_the_model_took(picture: Picture) -> None:
    trace = run(DARK, Halving(), picture=picture).tables["trace"].set_index("event")
    assert trace.loc["restored", "psnr"] == pytest.approx(trace.loc["degraded", "psnr"])


def test_paper_says_at_which_size_it_compares(picture: Picture) -> None:
    halved, whole = (figure.paper(run(DARK, model, picture=picture)) for model in (Halving(), FakeModel()))
    assert "PSNR at 32 × 24 pixels" in " ".join(text.get_text() for text in halved.texts)
    assert "PSNR at" not in " ".join(text.get_text() for text in whole.texts)


def test_paper_has_text_of_8_points(picture: Picture) -> None:
    drawn = figure.paper(run(DARK, FakeModel(), picture=picture))
    texts = [text for text in drawn.findobj(Text) if isinstance(text, Text) and text.get_text()]
    assert texts and {text.get_fontsize() for text in texts} == {8.0}


def test_no_answer_is_longer_than_allowed(picture: Picture) -> None:
    model = Halving()
    run(DARK.model_copy(update={"max_new_tokens": 7}), model, picture=picture)
    assert model.lengths == [7, 7]


class Twice(FakeModel):
    """Draws two times before it answers, as BAGEL may."""

    def respond(self, *args: object, **kwargs: object) -> Iterator[Event]:
        for _ in range(2):
            yield Thought("<think> it is dark </think> <image_restore>")
            yield Decision(True, 0.9)
            for step in range(3):
                yield VisualState(
                    step, 2, 1 - step / 2, np.zeros((8, 8, 3), np.uint8), np.zeros((1, 1), np.float32), 1.0
                )
        yield Thought("<think> </think> <answer> red </answer>")
        yield Final(said("red", 0.5), np.zeros((8, 8, 3), np.uint8))


def test_two_drawings_in_one_answer_are_both_kept(picture: Picture) -> None:
    result = run(DARK, Twice(), picture=picture)
    trace = result.tables["trace"]
    assert trace.loc[trace["event"] == "step", "drawing"].tolist() == [1, 1, 1, 2, 2, 2]
    assert study.image_name(2, 2) in result.images
    assert trace.loc[trace["event"] == "thought", "text"].tolist() == ["it is dark", "it is dark"]
    names = [shot.name for shot in figure.screen(result)]
    assert "step 0 of 2, drawing 1" in names and "step 2 of 2, drawing 2" in names


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"question": " \n "}, "no question"),
        ({"question": "x" * 10_000}, "10,000 characters"),
        ({"corruption": "rain"}, "no corruption 'rain'"),
        ({"steps": 0}, "steps must be"),
        ({"interval": (0.9, 0.2)}, "guidance interval"),
        ({"image": "scene:abc"}, "whole number"),
        ({"image": "/nowhere/at/all.png"}, r"all\.png"),
        ({"image": ""}, "Name an image"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    changed: dict[str, object], sentence: str, picture: Picture
) -> None:
    config = DARK.model_copy(update=changed)
    with pytest.raises(Refusal, match=sentence):
        run(config, FakeModel(), picture=None if "image" in changed else picture)


def test_a_model_that_cannot_draw_is_refused_with_what_it_lacks(picture: Picture) -> None:
    import dataclasses

    model = FakeModel()
    model.card = dataclasses.replace(model.card, capabilities=frozenset({Capability.ANSWERS}))
    with pytest.raises(Refusal, match="cannot draw an image or draw on its way"):
        run(DARK, model, picture=picture)


def test_a_stop_ends_the_run_between_two_steps(picture: Picture) -> None:
    model = FakeModel()
    with pytest.raises(Cancelled):
        run(DARK, model, picture=picture, stop=lambda: model.steps_taken >= 2)
    assert model.steps_taken == 2


def test_progress_rises_to_one(picture: Picture) -> None:
    told: list[float] = []
    run(DARK, FakeModel(), picture=picture, progress=lambda done, text: told.append(done))
    assert told == sorted(told) and told[-1] == 1.0


def test_result_and_figures_survive_the_disk(picture: Picture, tmp_path: Path) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    save(result, tmp_path / "kept")
    back = load(tmp_path / "kept")
    assert back.tables["trace"].equals(result.tables["trace"])
    for shot, again in zip(figure.screen(result), figure.screen(back), strict=True):
        assert shot.name == again.name and np.array_equal(shot.pixels, again.pixels)
    paths = save_figure(figure.paper([back, result]), tmp_path / "figure")
    pdf = next(path for path in paths if path.suffix == ".pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


@pytest.mark.parametrize("restore", ["auto", "never"])
def test_the_filmstrip_is_as_wide_as_a_page_and_names_every_answer(picture: Picture, restore: str) -> None:
    config = DARK.model_copy(update={"restore": restore})
    drawn = figure.paper(run(config, FakeModel(), picture=picture))
    assert drawn.get_figwidth() == pytest.approx(6.75)
    assert len(drawn.axes) == (7 if restore == "auto" else 2)
    words = " ".join(text.get_text() for text in drawn.texts)
    assert "bright or dark?" in words and "darkness 0.90" in words
    assert ("after drawing: bright" if restore == "auto" else "deciding not to draw: dark") in words


def test_a_long_answer_is_wrapped_inside_the_page(picture: Picture) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    result.tables["answers"]["answer"] = "word " * 60
    drawn = figure.paper(result)
    drawn.canvas.draw()
    width = drawn.bbox.width
    assert all(text.get_window_extent().x1 <= width for text in drawn.texts)


def test_a_very_thin_picture_is_fitted_to_what_can_be_read() -> None:
    thin = read(np.random.default_rng(0).integers(0, 256, (9, 2000, 3), dtype=np.uint8))
    small = fitted(thin)
    assert small.pixels.shape == (8, 1024, 3)
    assert "1024 × 8" in small.notes[-1]
