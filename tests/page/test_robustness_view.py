"""The panel "Robustness" by its handlers: a look, its figures, another result beside it, and stopping."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pandas as pd
import pytest

from tests.panels.robust import Guessing
from workbench.app import Page, build
from workbench.errors import Refusal
from workbench.page.host import Host
from workbench.page.panel import GOES_ON
from workbench.page.session import Session, Sessions
from workbench.panels.robustness.shows import BARS, GAIN, HEAT, SEVERITY, TRIGGER
from workbench.panels.robustness.view import RobustnessView

SMALL: dict[str, Any] = {
    "corruptions": ["gaussian_noise", "dark_illumination"],
    "severities": ["mid", "high"],
    "n_images": 6,
    "each": 2,
    "resamples": 100,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("guessing", opener=lambda name, **how: Guessing()), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def panel(page: Page) -> RobustnessView:
    found = page.panels["robustness"]
    assert isinstance(found, RobustnessView)
    return found


@pytest.fixture
def session(page: Page, request: pytest.FixtureRequest) -> Session:
    visitor: Any = SimpleNamespace(session_hash=request.node.name)
    return page.bench.session(visitor)


def values(page: Page, panel: RobustnessView, **changed: Any) -> list[Any]:
    bench = [component.value for component in page.bench.inputs]
    settings = {name: part.value for name, part in panel.settings.items()} | SMALL | changed
    return [*bench, *settings.values()]


def test_a_look_shows_bars_first_and_every_figure_it_holds(
    page: Page, panel: RobustnessView, session: Session
) -> None:
    screens = list(panel.look(session, *values(page, panel), None))
    said = [str(screen[panel.status]) for screen in screens if panel.status in screen]
    assert any("Clean images, images 1 to 6 of 6" in words for words in said)
    assert any("gaussian noise high" in words.lower() for words in said)
    last = screens[-1]
    assert [name for name, _ in last[panel.show].choices] == [BARS, SEVERITY, HEAT]
    assert "bundled scenes, direct" in last[panel.pin_name]
    for name in (BARS, SEVERITY, HEAT):
        for dark, narrow in ((False, False), (True, True)):
            drawn = panel.overlay(session, last[panel.result], [], [], name, dark, narrow)
            assert isinstance(drawn[panel.plot], gr.Plot) and drawn[panel.plot].visible
            assert "12 questions about 6 images" in drawn[panel.note]
    result = panel.kept(session, last[panel.result])
    assert result is not None
    assert isinstance(panel.table(result), pd.DataFrame)
    panel.prove(result)
    assert panel.paper([("", result)], HEAT).get_size_inches()[0] == pytest.approx(3.25)
    assert panel.paper([("", result)], SEVERITY).get_size_inches()[0] == pytest.approx(6.75)
    panel.choose(session, HEAT)
    assert panel.standing(session, result)[panel.show].value == HEAT
    panel.choose(session, TRIGGER)
    assert panel.standing(session, result) == {}


def test_a_drawing_pathway_shows_when_it_draws_and_what_that_gains(
    page: Page, panel: RobustnessView, session: Session
) -> None:
    given = values(page, panel, pathways=["direct", "in context", "re-encode"], restore="always")
    last = list(panel.look(session, *given, None))[-1]
    assert [name for name, _ in last[panel.show].choices] == [BARS, SEVERITY, HEAT, TRIGGER, GAIN]
    for name in (TRIGGER, GAIN):
        drawn = panel.overlay(session, last[panel.result], [], [], name, False, False)
        assert drawn[panel.plot].visible
    other = list(panel.look(session, *values(page, panel), None))[-1]
    pin = ["robustness", last[panel.result], "with drawings"]
    assert pin and other[panel.result] != last[panel.result]


def test_one_that_is_stopped_goes_on(page: Page, panel: RobustnessView, session: Session) -> None:
    assert GOES_ON in str(panel.stopped(session, *values(page, panel), None)[panel.status])


def test_what_cannot_be_asked_is_said_where_one_looks(
    page: Page, panel: RobustnessView, session: Session
) -> None:
    for changed, words in (
        ({"subject": "data", "data": ""}, "Name your data"),
        ({"pathways": []}, "does not fit"),
        ({"n_images": 1}, "does not fit"),
    ):
        with pytest.raises((Refusal, gr.Error), match=words):
            list(panel.look(session, *values(page, panel, **changed), None))
