"""A look from the panel's side: busy, done, failed, stale, kept, pinned, downloaded."""

from __future__ import annotations

import errno
import json
import shlex
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.page import visit
from tests.page.fake import FakeModel
from workbench.app import Page
from workbench.cli.parser import parser_for
from workbench.page import shelf
from workbench.page.host import Chosen
from workbench.page.look import STALE
from workbench.page.session import Session
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.events import SAME
from workbench.panels.states.view import StatesView


def values(page: Page, **changed: Any) -> list[Any]:
    """The bench's and the panel's values as the page starts with them, but for those that changed."""
    return visit.values(page, states(page), {"steps": 4}, **changed)


def states(page: Page) -> StatesView:
    panel = page.panels["states"]
    assert isinstance(panel, StatesView)
    return panel


def full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def looked(page: Page, session: Session, last: str | None = None, **changed: Any) -> list[dict[Any, Any]]:
    return list(states(page).look(session, *values(page, **changed), last))


def test_every_event_shows_while_it_happens_and_the_result_is_kept(page: Page, session: Session) -> None:
    panel = states(page)
    seen = looked(page, session)
    said = [updates[panel.status] for updates in seen]
    assert [text for text in said if "Denoising, step 2 of 4" in text]
    assert "Measured" in said[-1]
    live = [updates[panel.pictures] for updates in seen[:-1] if panel.pictures in updates]
    assert live[0].count("<img") == 2 and live[-2].count("<img") == 3
    final = seen[-1]
    assert final[panel.pictures].count("<figure") == 2 + 5 + 1
    assert final[panel.pictures].count("hidden") == 4
    assert "differs from the same context without drawing" in final[panel.trace]
    result = panel.kept(session, final[panel.result])
    assert result is not None and set(result.images) >= {"original", "degraded", "restored"}


def test_the_answer_is_compared_with_the_one_in_the_same_context(page: Page, session: Session) -> None:
    panel = states(page)
    result = panel.kept(session, looked(page, session)[-1][panel.result])
    assert result is not None
    answers = result.tables["answers"]
    said = answers.loc[answers["on"] == "restored", "answer"].iloc[0]
    same = {"on": SAME, "answer": said, "probability": 0.004, "logprob": -5.5}
    kept = answers[answers["on"] != SAME]
    result.tables["answers"] = pd.concat([kept, pd.DataFrame([same])], ignore_index=True)
    trace = panel.shown(result)[panel.trace]
    assert SAME in trace and "from vision tokens alone, on the degraded image" in trace
    assert "p &lt; 0.01" in trace and "p = 0.00" not in trace
    assert "differs from" not in trace


def test_a_look_with_the_same_bench_is_not_computed_again(page: Page, session: Session) -> None:
    model = page.models.model(page.models.first)
    assert isinstance(model, FakeModel)
    key = looked(page, session)[-1][states(page).result]
    taken = model.steps_taken
    again = looked(page, session)[-1]
    assert again[states(page).result] == key
    assert model.steps_taken == taken
    assert looked(page, session, seed=1)[-1][states(page).result] != key


def test_changing_the_bench_marks_stale_and_changing_it_back_shows_what_is_kept(
    page: Page, session: Session
) -> None:
    panel = states(page)
    key = looked(page, session)[-1][panel.result]
    changed = panel.refresh(session, *values(page, intensity=0.2), key)
    assert STALE in changed[panel.status] and panel.pictures not in changed
    other = looked(page, session, key, intensity=0.2)[-1][panel.result]
    back = panel.refresh(session, *values(page), other)
    assert back[panel.result] == key and "nothing was computed again" in back[panel.status]
    assert "<img" in back[panel.pictures]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"question": "   "}, "no question"),
        ({"question": "x" * 10_000}, "10,000 characters"),
        ({"model": Chosen("broken-model")}, "not a checkpoint"),
        ({"specimen": "f" * 16}, "no longer kept"),
        ({"steps": 0}, "steps"),
        ({"corruption": "rain"}, "rain"),
    ],
)
def test_bad_input_is_a_sentence_in_place_and_the_last_good_result_stays(
    page: Page, session: Session, changed: dict[str, Any], sentence: str
) -> None:
    panel = states(page)
    key = looked(page, session)[-1][panel.result]
    handler = panel.look(session, *values(page, **changed), key)
    yielded: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match=sentence):
        for update in handler:
            yielded.append(update)
    updates = yielded[-1]
    assert sentence in updates[panel.status] and 'role="alert"' in updates[panel.status]
    assert "<img" in updates[panel.pictures]
    assert panel.result not in updates
    assert "Measured" in looked(page, session, seed=3)[-1][panel.status]


def test_a_fault_of_ours_is_said_and_the_page_goes_on(
    page: Page, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = states(page)
    monkeypatch.setattr(FakeModel, "answer", lambda *a, **k: 1 / 0)
    yielded: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match="ZeroDivisionError"):
        for update in panel.look(session, *values(page), None):
            yielded.append(update)
    assert "The workbench failed here" in yielded[-1][panel.status]
    monkeypatch.undo()
    assert "Measured" in looked(page, session)[-1][panel.status]


def test_stopping_ends_the_look_and_keeps_nothing_of_it(page: Page, session: Session) -> None:
    panel, model = states(page), page.models.model(page.models.first)
    assert isinstance(model, FakeModel)
    model.delay = 0.05
    handler = panel.look(session, *values(page, steps=50), None)
    for updates in handler:
        if "step 3 of" in updates[panel.status]:
            session.stop()
            break
    *_, last = handler
    assert "Stopped" in last[panel.status]
    assert model.steps_taken < 10
    assert panel.result not in last
    assert not session.busy


def test_a_change_during_a_look_is_marked_when_it_ends_and_other_panels_are_marked_at_once(
    page: Page, session: Session
) -> None:
    panel, layers = states(page), page.panels["layers"]
    bench = values(page, intensity=0.2)[: len(page.bench.inputs)]
    other = [*bench, *(setting.value for setting in layers.settings.values())]
    handler = panel.look(session, *values(page), None)
    next(handler)
    assert session.measures("states") and not session.measures("layers")
    assert gr.skip() == panel.refresh(session, *values(page, intensity=0.2), None)[panel.status]
    assert STALE in layers.refresh(session, *other, "0" * 64)[layers.status]
    *_, last = handler
    key = last[panel.result]
    assert STALE in panel.refresh(session, *values(page, intensity=0.2), key)[panel.status]
    assert STALE not in panel.refresh(session, *values(page), key)[panel.status]


def test_stop_ends_this_panels_look_only_and_marks_what_no_longer_fits(page: Page, session: Session) -> None:
    panel = states(page)
    key = looked(page, session)[-1][panel.result]
    panel.beginning(session)
    assert gr.skip() == panel.refresh(session, *values(page, seed=1), key)[panel.status]
    with session.working("layers") as other, session.working("states") as mine:
        stopped = panel.stopped(session, *values(page, seed=1), key)
        assert mine.is_set() and not other.is_set()
    assert "Stopped" in stopped[panel.status] and STALE in stopped[panel.status]
    assert STALE not in panel.stopped(session, *values(page), key)[panel.status]
    assert STALE in panel.refresh(session, *values(page, seed=2), key)[panel.status]


def test_a_look_stopped_in_the_queue_asks_no_model_and_says_nothing_over_the_next(
    page: Page, session: Session
) -> None:
    panel, model = states(page), page.models.model(page.models.first)
    assert isinstance(model, FakeModel)
    for _ in range(2):
        panel.beginning(session)
        panel.stopped(session, *values(page), None)
    panel.beginning(session)
    assert list(panel.look(session, *values(page, seed=1), None)) == []
    assert list(panel.look(session, *values(page, seed=2), None)) == []
    assert model.steps_taken == 0
    *_, last = panel.look(session, *values(page, seed=3), None)
    assert "Measured" in last[panel.status] and model.steps_taken > 0
    panel.beginning(session)
    panel.stopped(session, *values(page), None)
    (said,) = panel.look(session, *values(page, seed=1), None)
    assert "Stopped" in said[panel.status]


def test_a_visit_that_ends_during_a_look_leaves_no_folder(page: Page, session: Session) -> None:
    panel = states(page)
    handler = panel.look(session, *values(page), None)
    for updates in handler:
        if "step 2 of" in updates[panel.status]:
            page.bench.sessions.close("visitor")
    deadline = time.monotonic() + 5
    while any(t.name == "afterimage-work" for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not session.folder.exists()
    assert panel.kept(session, "0" * 64) is None


def test_a_full_disk_is_a_sentence(page: Page, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(gr.Error, match="disk is full"):
        list(states(page).look(session, *values(page), None))


def test_where_the_model_does_not_draw_the_panel_says_so(page: Page, session: Session) -> None:
    panel = states(page)
    final = looked(page, session, restore="never")[-1]
    assert "without drawing" in final[panel.pictures]
    assert final[panel.comparison].visible is False
    assert "told not to draw" in final[panel.trace]


def test_a_photograph_is_said_to_be_outside_what_the_model_knows(
    page: Page, session: Session, photograph: Path
) -> None:
    request = SimpleNamespace(session_hash="visitor")
    updates = page.bench.lay_file(str(photograph), f"{shelf.SAMPLE}0", "", request)
    specimen = updates[page.bench.specimen]
    panel = states(page)
    assert "outside that" in looked(page, session, specimen=specimen)[-1][panel.outside]
    assert looked(page, session)[-1][panel.outside] == ""


def test_pins_stand_beside_the_next_look_and_in_its_downloads(page: Page, session: Session) -> None:
    panel = states(page)
    first = looked(page, session)[-1]
    pinned = panel.pinned(first[panel.result], "dark", [], [])
    pins, shown = pinned[page.bench.pins.all], pinned[page.bench.pins.shown]["value"]
    second = looked(page, session, first[panel.result], seed=1)[-1][panel.result]
    drawn = panel.overlay(session, second, pins, shown)
    assert "<b>dark</b>" in drawn[panel.pinned_rows]
    assert panel.overlay(session, second, pins, [])[panel.pinned_rows] == ""

    files = {
        form: Path(panel.download(form, session, second, pins, shown)[button])
        for form, button in panel.downloads.buttons.items()
    }
    assert set(pd.read_csv(files["csv"])["look"]) == {"dark", "darkness 0.90, pocket-fake"}
    with Image.open(files["png"]) as image:
        assert image.width == pytest.approx(6.75 * 300, abs=1)
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    assert b"<svg" in files["svg"].read_bytes()
    assert all(session.folder in path.parents for path in files.values())


def test_a_figure_is_made_when_it_is_asked_for_and_once(
    page: Page, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = states(page)
    made: list[int] = []
    paper = panel.paper
    monkeypatch.setattr(panel, "paper", lambda named: made.append(len(named)) or paper(named))
    done = looked(page, session)[-1]
    key, png = done[panel.result], panel.downloads.buttons["png"]
    assert done[png]["interactive"] is True
    panel.overlay(session, key, [], [])
    panel.download("csv", session, key, [], [])
    assert not made
    first = panel.download("png", session, key, [], [])
    assert panel.download("png", session, key, [], []) == first and made == [1]
    assert sorted(path.suffix for path in Path(first[png]).parent.iterdir()) == [".csv", ".png"]


def test_a_figure_that_cannot_be_made_is_a_sentence(
    page: Page, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = states(page)
    key = looked(page, session)[-1][panel.result]

    def said(form: str, key: str | None) -> str:
        updates = panel.download(form, session, key, [], [])
        assert list(updates) == [panel.status]
        return str(updates[panel.status])

    assert "look again" in said("png", "0" * 64) and "look again" in said("csv", None)
    monkeypatch.setattr(panel, "paper", lambda named: 1 / 0)
    assert "ZeroDivisionError" in said("pdf", key)
    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    assert "disk is full" in said("csv", key)
    monkeypatch.undo()
    assert Path(panel.download("csv", session, key, [], [])[panel.downloads.buttons["csv"]]).stat().st_size
    page.bench.sessions.close("visitor")
    assert "look again" in said("csv", key)


def test_pinning_nothing_is_a_sentence_and_equal_names_are_told_apart(page: Page, session: Session) -> None:
    panel = states(page)
    assert "look first" in panel.pinned(None, "x", [], [])[panel.status]
    first = looked(page, session)[-1][panel.result]
    second = looked(page, session, seed=1)[-1][panel.result]
    pins = panel.pinned(first, "same", [], [])[page.bench.pins.all]
    pins = panel.pinned(second, "same", pins, [])[page.bench.pins.all]
    assert [name for _, _, name in pins] == ["same", "same (2)"]


def test_the_copied_command_says_the_same_look(page: Page, session: Session) -> None:
    panel = states(page)
    given = values(page, question="is there a 'moon'?", seed=7, steps=9)
    command = shlex.split(panel.as_command(session, *given).value)
    assert command[:4] == ["python", "-m", "workbench", "states"]
    options = parser_for("states").parse_args(command[3:])
    from workbench.panels.command import from_flags

    config = from_flags(StatesConfig, vars(options))
    on, expected = panel._laid(session, given)
    assert config == expected
    assert config.question == "is there a 'moon'?" and config.steps == 9


def test_numbers_on_the_page_can_be_read(page: Page, session: Session) -> None:
    panel = states(page)
    table = looked(page, session)[-1][panel.numbers]
    assert list(table["event"]).count("step") == 5 and "decision" in set(table["event"])
    json.dumps(table.to_dict("records"))
    assert not any(isinstance(value, float) and np.isnan(value) for value in table.to_numpy().ravel())


@pytest.mark.parametrize("seed", [-5, 99_999_999_999, 1.5])
def test_a_seed_that_is_none_is_a_sentence_and_look_stays(page: Page, session: Session, seed: float) -> None:
    panel = states(page)
    seen: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match="whole number from 0"):
        seen.extend(panel.look(session, *values(page, seed=seed), None))
    stopped = panel.stopped(session, *values(page, seed=seed), None)
    assert all(stopped[look].interactive for look in panel.controls.looks)


def test_no_number_on_the_page_is_refused_by_gradio_before_a_handler_hears_of_it(page: Page) -> None:
    """Gradio would leave Look asleep, and Stop with it: both take the same inputs."""
    numbers = [part for part in page.blocks.values() if isinstance(part, gr.Number)]
    bounded = [part for part in numbers if part.minimum is not None or part.maximum is not None]
    assert len(bounded) > 20
    for part in bounded:
        part.preprocess(-1e12), part.preprocess(1e12)
