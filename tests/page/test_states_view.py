"""The panel States as it fills: words while they are said, one PSNR everywhere, several drawings or none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from tests.page import visit
from tests.page.conftest import opener
from tests.page.fake import FakeModel, said, spoken
from workbench.app import Page, build
from workbench.models.presets import PRESETS
from workbench.models.protocol import Answer, Decision, Event, Final, VisualState
from workbench.page.host import Chosen, Host
from workbench.page.session import Session, Sessions
from workbench.panels.states import figure, view, view_settings
from workbench.panels.states.view import StatesView

THOUGHT = "dark. what colour is the largest striped star to the left of the moon?"


class Slow(FakeModel):
    """Takes images at half their size, draws twice, and thinks at length."""

    drawings = 2

    def resized(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        return np.asarray(Image.fromarray(image).resize((width, height)))

    def respond(self, image: np.ndarray, question: str, settings: Any, **how: Any) -> Iterator[Event]:
        drawings = 0 if settings.restore == "never" else self.drawings
        small = self.resized(image)
        for _ in range(drawings):
            yield from spoken(f"<think>{THOUGHT}</think><image_restore>")
            yield Decision(True, 0.9)
            for step in range(settings.steps + 1):
                brighter = np.minimum(small.astype(int) + 4 * step, 255).astype(np.uint8)
                t = 1 - step / settings.steps
                yield VisualState(step, settings.steps, t, brighter, np.zeros((4, 2), np.float32), 1.0)
        yield from spoken("<think>now</think><answer>a red star</answer>")
        yield Decision(False, 0.1)
        yield Final(said("a red star", 0.5), brighter if drawings else None)


class Silent(FakeModel):
    """Says nothing where it should answer."""

    def answer(self, *args: Any, **how: Any) -> list[Answer]:
        return [Answer("", (), 0.0)]

    def respond(self, *args: Any, **how: Any) -> Iterator[Event]:
        yield from spoken("<think>dark</think><answer></answer>")
        yield Decision(False, 0.1)
        yield Final(Answer("", (), 0.0))


MODELS = {"slow": Slow, "silent": Silent}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setattr(view, "AT_MOST_EVERY", 0.0)
    sessions = Sessions(tmp_path / "sessions")
    host = Host("pocket-fake", opener=lambda name, **how: MODELS[name]() if name in MODELS else opener(name))
    yield build(host=host, sessions=sessions)
    sessions.close_all()


def looked(page: Page, session: Session, **changed: Any) -> tuple[StatesView, list[dict[Any, Any]]]:
    panel = page.panels["states"]
    assert isinstance(panel, StatesView)
    given = visit.values(page, panel, {"steps": 3}, **{"model": Chosen("slow"), **changed})
    seen = panel.look(session, *given, None)
    return panel, [updates for updates in seen if panel.trace in updates]  # before, the model opens


def rows(html: str) -> list[list[str]]:
    """The rows of a table on the page, as their cells' words."""
    return [["".join(cell.itertext()).strip() for cell in row] for row in fromstring(html or "<div/>")]


def of(head: str, html: str) -> list[str]:
    """The words of the rows whose head begins so."""
    return [row[1] for row in rows(html) if row[0].startswith(head)]


def test_a_thought_shows_word_by_word_before_it_is_whole(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    shown = [of("thought", updates[panel.trace]) for updates in seen]
    first = [thoughts[0].strip("“”") for thoughts in shown if thoughts]
    grown = list(dict.fromkeys(first))
    assert len(grown) == len(THOUGHT.split())
    assert all(after.startswith(before) for before, after in zip(grown, grown[1:], strict=False))
    assert grown[-1] == THOUGHT
    assert [len(thoughts) for thoughts in shown] == sorted(len(thoughts) for thoughts in shown)
    assert of("thought", seen[-1][panel.trace]) == [f"“{THOUGHT}”", f"“{THOUGHT}”", "“now”"]


def test_the_answers_words_show_as_they_are_said(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    answers = [words for updates in seen for words in of("answer, after drawing", updates[panel.trace])]
    assert list(dict.fromkeys(answers))[:3] == ["a", "a red", "a red star"]
    _, undrawn = looked(page, session, restore="never")
    answers = [words for updates in undrawn for words in of("answer, told not to draw", updates[panel.trace])]
    assert list(dict.fromkeys(answers)) == ["a", "a red", "a red star"]


ROWS = 1 + 2 * 4 + 1
"""Times that pictures are sent: the image, four states of each of two drawings, the finished row."""


def test_pictures_are_not_sent_again_with_every_word(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    assert sum(panel.pictures in updates for updates in seen) == ROWS < len(seen) / 2


def test_words_that_come_faster_than_one_can_read_are_shown_together(
    page: Page, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "AT_MOST_EVERY", 3600.0)
    panel, seen = looked(page, session)
    shown = [of("thought", updates[panel.trace]) for updates in seen]
    assert {thoughts[0].strip("“”") for thoughts in shown if thoughts} == {THOUGHT}
    assert sum(panel.pictures in updates for updates in seen) == ROWS


def test_one_psnr_while_it_runs_on_the_finished_page_in_the_table_and_on_paper(
    page: Page, session: Session
) -> None:
    panel, seen = looked(page, session)
    result = panel.kept(session, seen[-1][panel.result])
    assert result is not None
    trace = result.tables["trace"]
    of_steps = [f"{value:.1f} dB" for value in trace.loc[trace["event"] == "step", "psnr"]]
    of_image = f"{trace.set_index('event').loc['degraded', 'psnr']:.1f} dB"
    live = [updates[panel.pictures] for updates in seen[:-1] if panel.pictures in updates]
    assert all(of_image in html for html in live)
    assert [re.findall(r"t \d\.\d\d, PSNR (\S+ dB)", html) for html in live[1:]] == [
        [value] for value in of_steps
    ]
    final = seen[-1][panel.pictures]
    assert re.findall(r"t \d\.\d\d, PSNR (\S+ dB)", final) == of_steps and of_image in final
    words = " ".join(text.get_text() for text in figure.paper(result).texts)
    assert of_image in words and of_steps[-1] in words
    height, width = np.array(result.images["original"].shape[:2]) // 2
    told = f"PSNR is measured at {width} × {height} pixels"
    assert told in live[0] and told in final and told in words


def test_several_drawings_are_told_apart(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    said = [unescape(updates[panel.status]) for updates in seen]
    assert any("Denoising, step 2 of 3<" in text for text in said)
    assert any("Denoising, step 2 of 3, drawing 2<" in text for text in said)
    live = [updates[panel.pictures] for updates in seen[:-1] if panel.pictures in updates]
    assert "step 1 of 3<" in live[2] and "step 1 of 3, drawing 2<" in live[6]
    assert "step 3 of 3, drawing 1" in seen[-1][panel.pictures]
    assert seen[-1][panel.step].maximum == 7


def test_the_answer_stands_under_the_one_without_drawing(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    heads = [row[0] for row in rows(seen[-1][panel.trace])]
    assert heads[-2:] == ["same context, no drawing", "answer, after drawing"]
    assert heads[-4:-2] == [
        "without drawing, from vision tokens alone, on the original",
        "without drawing, from vision tokens alone, on the degraded image",
    ]


@pytest.mark.parametrize(
    ("restore", "decision"), [("auto", "draws"), ("always", "told to draw"), ("never", "told not to draw")]
)
def test_who_decided_is_said(page: Page, session: Session, restore: str, decision: str) -> None:
    panel, seen = looked(page, session, restore=restore, model=Chosen("pocket-fake"))
    assert of("decision", seen[-1][panel.trace])[0].startswith(decision)


@pytest.mark.parametrize("restore", ["auto", "never"])
def test_where_nothing_will_be_drawn_the_empty_frames_say_so(
    page: Page, session: Session, restore: str
) -> None:
    panel, seen = looked(page, session, restore=restore, model=Chosen("silent"))
    live = [updates[panel.pictures] for updates in seen[:-1] if panel.pictures in updates]
    assert ("so nothing is restored" in live[0]) == (restore == "never")
    assert "so nothing is restored" in live[-1] and "so nothing is restored" in seen[-1][panel.pictures]


def test_an_empty_answer_is_said_to_be_empty(page: Page, session: Session) -> None:
    panel, seen = looked(page, session, model=Chosen("silent"))
    last = rows(seen[-1][panel.trace])[-1]
    assert last == ["answer, having decided not to draw", "no words", ""]
    assert "so nothing is restored" in seen[-1][panel.pictures]
    result = panel.kept(session, seen[-1][panel.result])
    assert result is not None
    assert "having decided not to draw: no words" in " ".join(
        t.get_text() for t in figure.paper(result).texts
    )


@pytest.mark.parametrize("name", [each.name for each in PRESETS])
def test_a_documented_set_fills_every_setting_within_its_limits(page: Page, name: str) -> None:
    panel = page.panels["states"]
    values = dict(zip(panel.settings, view_settings.documented(list(panel.settings), name), strict=True))
    for setting, value in values.items():
        part = panel.settings[setting]
        if isinstance(part, gr.Slider | gr.Number):
            assert part.minimum <= value <= part.maximum
        else:
            assert value in [each for _, each in part.choices]
    assert values["guide_above"] == 0.4 and values["guide_up_to"] == 1.0


def test_no_documented_set_changes_nothing(page: Page) -> None:
    names = list(page.panels["states"].settings)
    assert view_settings.documented(names, None) == [gr.skip()] * len(names)


def test_the_pair_that_is_compared_stays_chosen(page: Page, session: Session) -> None:
    panel, seen = looked(page, session)
    key = seen[-1][panel.result]
    first = seen[-1][panel.slider]
    other = panel.compare(session, "original, restored", key)
    assert not np.array_equal(first[0], other[0])
    _, again = looked(page, session, seed=5)
    assert np.array_equal(again[-1][panel.slider][0], other[0])
