"""A panel that the model on the bench cannot serve says why, and its Look sleeps; the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.page.fake import CARD, FakeModel
from workbench.app import Page, build
from workbench.models.protocol import Capability
from workbench.page.host import Chosen, Host
from workbench.page.session import Session, Sessions

CANNOT = "cannot draw an image"


def opener(name: str, **how: Any) -> FakeModel:
    model = FakeModel()
    if name == "no-drawing":
        model.card = replace(CARD, id=name, capabilities=CARD.capabilities - {Capability.GENERATES})
    return model


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "sessions")
    page = build(host=Host("pocket-fake", opener=opener), sessions=sessions)
    for name in ("pocket-fake", "no-drawing"):
        page.models.model(Chosen(name))
    yield page
    sessions.close_all()


@pytest.fixture
def session(page: Page) -> Session:
    request: Any = SimpleNamespace(session_hash="visitor")
    return page.bench.session(request)


def values(page: Page, study: str, model: str) -> list[Any]:
    bench = [Chosen(model) if part is page.bench.model else part.value for part in page.bench.inputs]
    settings = {name: part.value for name, part in page.panels[study].settings.items()} | (
        {"steps": 4} if study == "states" else {}
    )
    return [*bench, *settings.values()]


def test_each_panel_declares_what_it_needs(page: Page) -> None:
    for panel in page.panels.values():
        assert bool(panel.needs) == panel.asks_model and panel.needs <= frozenset(Capability)


def test_the_tab_says_why_and_only_this_panels_look_sleeps(page: Page, session: Session) -> None:
    for study, able in (("states", False), ("layers", True)):
        panel = page.panels[study]
        looks = panel.controls.looks
        assert page.bench.looks[study] in looks
        updates = panel.refresh(session, *values(page, study, "no-drawing"), None)
        assert (CANNOT in updates[panel.status]) is not able
        assert [updates[button].interactive for button in looks] == [able, able]
        back = panel.refresh(session, *values(page, study, "pocket-fake"), None)
        assert panel.invitation in back[panel.status]
        assert all(back[button].interactive for button in looks)


def test_a_result_of_another_model_stays_and_comes_back_with_it(page: Page, session: Session) -> None:
    panel = page.panels["states"]
    key = list(panel.look(session, *values(page, "states", "pocket-fake"), None))[-1][panel.result]
    updates = panel.refresh(session, *values(page, "states", "no-drawing"), key)
    assert CANNOT in updates[panel.status] and panel.result not in updates
    assert "Measured" in panel.refresh(session, *values(page, "states", "pocket-fake"), key)[panel.status]


def test_a_look_that_gets_through_is_refused_and_leaves_the_button_asleep(
    page: Page, session: Session
) -> None:
    panel = page.panels["states"]
    yielded: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error, match=CANNOT):
        for updates in panel.look(session, *values(page, "states", "no-drawing"), None):
            yielded.append(updates)
    assert CANNOT in yielded[-1][panel.status]
    assert not any(yielded[-1][button].interactive for button in panel.controls.all)
    stopped = panel.stopped(session, *values(page, "states", "no-drawing"), None)
    assert CANNOT in stopped[panel.status] and not stopped[panel.controls.looks[0]].interactive


def test_a_running_look_keeps_its_buttons_until_it_ends(page: Page, session: Session) -> None:
    panel = page.panels["states"]
    panel.beginning(session)
    updates = panel.refresh(session, *values(page, "states", "no-drawing"), None)
    assert list(updates.values()) == [gr.skip()]


def test_before_the_model_is_open_nothing_is_said_of_it(page: Page, session: Session) -> None:
    panel = page.panels["states"]
    updates = panel.refresh(session, *values(page, "states", "not-yet"), None)
    assert panel.invitation in updates[panel.status]
    assert all(updates[button].interactive for button in panel.controls.looks)
