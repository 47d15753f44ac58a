"""The study of visual states, on a model that draws without weights."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from tests.page.fake import FakeModel, said
from workbench.errors import Cancelled, Refusal
from workbench.images.fit import fitted
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
from workbench.panels.states import events, figure, record, shots
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.events import Direct, Laid, StudyEvent
from workbench.panels.states.study import run, stream
from workbench.runs.export import save_figure
from workbench.runs.store import load, save


@pytest.fixture
def picture() -> Picture:
    return read(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


DARK = StatesConfig(question="bright or dark?", corruption="dark_illumination", intensity=0.9, steps=5)


def whole(events: Iterable[StudyEvent]) -> Iterator[StudyEvent]:
    """The events without the thoughts that are still being said."""
    return (event for event in events if not isinstance(event, Thought) or event.done)


def test_events_come_in_the_order_in_which_they_happen(picture: Picture) -> None:
    kinds = [type(event) for event in whole(stream(DARK, FakeModel(), picture))]
    assert kinds == [Laid, Direct, Direct, Thought, Decision, *[VisualState] * 6, Thought, Direct, Final]


def test_nothing_is_computed_before_it_is_asked_for(picture: Picture) -> None:
    model = FakeModel()
    events = whole(stream(DARK, model, picture))
    for _ in range(6):
        next(events)
    assert model.steps_taken == 1


def test_the_result_holds_all_of_it(picture: Picture) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    trace, answers = result.tables["trace"], result.tables["answers"]
    assert list(answers["on"]) == ["original", "degraded", events.SAME, "restored"]
    assert list(answers["answer"]) == ["bright", "dark", "dark", "bright"]
    assert answers["probability"].tolist() == pytest.approx(np.exp(answers["logprob"]).tolist())
    steps = trace[trace["event"] == "step"]
    assert steps["t"].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert math.isnan(steps["velocity_norm"].iloc[0]) and steps["velocity_norm"].iloc[1:].notna().all()
    assert result.arrays["latents"].shape == (6, 4, 2)
    assert {record.image_name(1, step) for step in range(6)} <= set(result.images)
    assert result.config == DARK.model_dump(mode="json")
    assert result.manifest["images"] == {"original": picture.sha256}


def test_psnr_is_the_textbook_one(picture: Picture) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    result = run(DARK, FakeModel(), picture=picture)
    trace = result.tables["trace"].set_index("event")
    expected = peak_signal_noise_ratio(picture.pixels, result.images["restored"])
    assert trace.loc["restored", "psnr"] == pytest.approx(expected)
    clean = run(DARK.model_copy(update={"corruption": "none"}), FakeModel(), picture=picture).tables["trace"]
    assert math.isinf(clean.set_index("event").loc["degraded", "psnr"])


def test_the_seed_draws_the_corruption_and_the_drawing(picture: Picture) -> None:
    noisy = DARK.model_copy(update={"corruption": "gaussian_noise"})
    one, same = (run(noisy, FakeModel(), picture=picture) for _ in range(2))
    other = run(noisy.model_copy(update={"seed": 1}), FakeModel(), picture=picture)
    for name in ("degraded", record.image_name(1, 0)):
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
        return np.asarray(Image.fromarray(image).resize((32, 24)))

    def answer(self, prompt: Prompt, *, max_new_tokens: int = 16, **how: Any) -> list[Answer]:
        self.lengths.append(max_new_tokens)
        return super().answer(prompt)

    def respond(self, image: np.ndarray, *args: Any, **kwargs: Any) -> Iterator[Event]:
        yield Final(said("red", 0.5), self.resized(image))


def test_psnr_compares_what_the_model_took(picture: Picture) -> None:
    result = run(DARK, Halving(), picture=picture)
    trace = result.tables["trace"].set_index("event")
    assert trace.loc["restored", "psnr"] == pytest.approx(trace.loc["degraded", "psnr"])
    assert result.arrays["compared_at"].tolist() == [24, 32]


def test_paper_says_at_which_size_it_compares(picture: Picture) -> None:
    halved, whole = (figure.paper(run(DARK, model, picture=picture)) for model in (Halving(), FakeModel()))
    assert "PSNR is measured at 32 × 24 pixels" in " ".join(text.get_text() for text in halved.texts)
    assert "PSNR is" not in " ".join(text.get_text() for text in whole.texts)


def test_paper_has_text_of_8_points(picture: Picture) -> None:
    drawn = figure.paper(run(DARK, FakeModel(), picture=picture))
    texts = [text for text in drawn.findobj(Text) if isinstance(text, Text) and text.get_text()]
    texts = [text for text in texts if text.get_visible()]
    assert texts and {text.get_fontsize() for text in texts} == {8.0}


def test_no_answer_is_longer_than_allowed(picture: Picture) -> None:
    model = Halving()
    run(DARK.model_copy(update={"max_new_tokens": 7}), model, picture=picture)
    assert model.lengths == [7, 7]


def test_only_whole_thoughts_are_kept(picture: Picture) -> None:
    trace = run(DARK, FakeModel(), picture=picture).tables["trace"]
    thoughts = trace.loc[trace["event"] == "thought", "text"].tolist()
    assert thoughts == ["the image is dark; restore it", "now it can be seen"]


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>dark. what", "dark. what", ""),
        ("<think>dark</think><image_restore>", "dark", ""),
        ("<think>dark</think><answer>", "dark", ""),
        ("<think>dark</think><answer>dark  blue", "dark", "dark blue"),
        ("<think>a < b</think><answer>red</answer> and more", "a < b", "red"),
        ("<answer>red <image_restore>", "", "red"),
    ],
)
def test_a_thought_and_the_answer_in_it_are_told_apart(text: str, thought: str, answer: str) -> None:
    assert (events.spoken(text), events.answered(text)) == (thought, answer)


def test_what_is_happening_is_said_in_words(picture: Picture) -> None:
    told: list[str] = []
    run(DARK, FakeModel(), picture=picture, progress=lambda done, text: told.append(text))
    once = [text for text, before in zip(told, ["", *told], strict=False) if text != before]
    assert once == [
        "answering without drawing",
        "thinking",
        "deciding",
        "denoising",
        *(f"denoising, step {step} of 5" for step in range(1, 6)),
        "reading the drawing",
        "thinking",
        "answering",
        "answering in the same context, without drawing",
        "answering",
        "done",
    ]


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
    assert record.image_name(2, 2) in result.images
    assert trace.loc[trace["event"] == "thought", "text"].tolist() == ["it is dark", "it is dark"]
    names = [shot.label for shot in shots.screen(result)]
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


@pytest.mark.parametrize("asked", [1, 2])
def test_a_stop_is_seen_by_the_answers_without_drawing(picture: Picture, asked: int) -> None:
    answers = [0]

    class Counting(FakeModel):
        def answer(self, *args: Any, **how: Any) -> list[Answer]:
            answers[0] += 1
            return super().answer(*args, **how)

    with pytest.raises(Cancelled):
        run(DARK, Counting(), picture=picture, stop=lambda: answers[0] >= asked)
    assert answers[0] == asked


def test_a_stop_ends_the_run_between_two_steps(picture: Picture) -> None:
    model = FakeModel()
    with pytest.raises(Cancelled):
        run(DARK, model, picture=picture, stop=lambda: model.steps_taken >= 2)
    assert model.steps_taken == 2


def test_progress_rises_to_one(picture: Picture) -> None:
    for model in (FakeModel(), Twice()):
        told: list[float] = []
        run(DARK, model, picture=picture, progress=lambda done, text, told=told: told.append(done))
        assert told == sorted(told) and told[-1] == 1.0


def test_result_and_figures_survive_the_disk(picture: Picture, tmp_path: Path) -> None:
    result = run(DARK, FakeModel(), picture=picture)
    save(result, tmp_path / "kept")
    back = load(tmp_path / "kept")
    assert back.tables["trace"].equals(result.tables["trace"])
    for shot, again in zip(shots.screen(result), shots.screen(back), strict=True):
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
    assert "“the image is dark; restore it”" in words
    assert ("after drawing: bright" if restore == "auto" else "told not to draw: dark") in words


def overlapping(drawn: Figure) -> list[tuple[str, str]]:
    """Texts that lie over one another, over a picture or beyond the paper, at the dots of a saved figure."""
    drawn.set_dpi(300)
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    ink = canvas.get_renderer()
    texts = [text for text in drawn.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [(repr(text.get_text()), text.get_window_extent(ink)) for text in texts]
    pictures = [("a picture", axes.images[0].get_window_extent(ink)) for axes in drawn.axes]
    paper = drawn.bbox.padded(0.5)
    beyond = [
        (name, "paper") for name, box in boxes if not (paper.contains(*box.min) and paper.contains(*box.max))
    ]
    pairs = itertools.combinations([*boxes, *pictures], 2)
    return beyond + [(one, two) for (one, a), (two, b) in pairs if a.padded(-0.5).overlaps(b.padded(-0.5))]


LONG = "what colour is the roof of the large building in the middle, and is anything in front of it? " * 4


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((48, 64), LONG),
        ((64, 640), "W" * 300),
        ((900, 60), r"what does $\nosuch{x$ or $5 cost?"),
        ((64, 64), "line\nafter line"),
        ((64, 64), "星 ё é"),
    ],
)
def test_nothing_on_paper_lies_over_anything_else(shape: tuple[int, int], words: str) -> None:
    picture = read(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    config = DARK.model_copy(update={"question": words[:400], "steps": 200})
    results = [run(config, Twice(), picture=picture), run(DARK, FakeModel(), picture=picture)]
    for result in results:
        result.tables["answers"]["answer"] = words
        trace = result.tables["trace"]
        trace.loc[trace["event"] == "thought", "text"] = words
        trace["psnr"] = 100.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        drawn = figure.paper(results)
        assert overlapping(drawn) == []
    assert drawn.get_figheight() < 20


def test_each_drawing_has_a_row_on_paper(picture: Picture) -> None:
    drawn = figure.paper(run(DARK, Twice(), picture=picture))
    words = [text.get_text() for text in drawn.texts]
    assert {"drawing 1", "drawing 2", "restored"} <= set(words)
    assert words.count("step 1 of 2") == 2
    bottoms = sorted({round(axes.get_position().y0, 3) for axes in drawn.axes})
    assert len(bottoms) == 2 and len(drawn.axes) == 2 + 2 * 2


def test_a_very_thin_picture_is_fitted_to_what_can_be_read() -> None:
    thin = read(np.random.default_rng(0).integers(0, 256, (9, 2000, 3), dtype=np.uint8))
    small = fitted(thin)
    assert small.pixels.shape == (8, 1024, 3)
    assert "1024 × 8" in small.notes[-1] and "proportions changed" in small.notes[-1]
    less = fitted(read(np.zeros((16, 2000, 3), dtype=np.uint8)))
    assert less.pixels.shape == (8, 1024, 3) and "proportions" not in less.notes[-1]
