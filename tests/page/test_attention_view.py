"""The panel "Attention" by its handlers, on the embedded model: a choice computes nothing again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.page.visit import values, visitor
from workbench import models
from workbench.app import Page, build
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.panels.attention import study
from workbench.panels.attention.reading import DRAWING, MOST
from workbench.panels.attention.view import AttentionView

SMALL = {"restore": "always", "steps": 2, "n": 2, "resamples": 100}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    opened = models.open("pocket-bagel", device="cpu")
    yield build(host=Host("pocket-bagel", opener=lambda name, **how: opened), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def session(page: Page) -> Session:
    return visitor(page)


@pytest.fixture(scope="module")
def panel(page: Page) -> AttentionView:
    found = page.panels["attention"]
    assert isinstance(found, AttentionView)
    return found


@pytest.fixture(scope="module")
def screen(page: Page, panel: AttentionView, session: Session) -> dict[Any, Any]:
    return list(panel.look(session, *values(page, panel, SMALL), None))[-1]


def drawn(panel: AttentionView, session: Session, screen: dict[Any, Any], **chosen: Any) -> dict[Any, Any]:
    result = panel.kept(session, screen[panel.result])
    assert result is not None
    asked = screen[panel.asked]
    for name, value in chosen.items():
        asked = panel.choose(name, session, screen[panel.result], asked, value)
    updates = panel.overlaid([("", result)], [], asked, False)
    assert set(updates) <= set(panel.outputs)
    return updates


def test_a_look_offers_what_the_result_holds(panel: AttentionView, screen: dict[Any, Any]) -> None:
    words = [name for name, _ in screen[panel.tokens].choices]
    assert words[-1] == "the drawing" and len(words) > 1
    assert [way for _, way in screen[panel.way].choices] == ["layer", "rollout"]
    assert [name for name, _ in screen[panel.view].choices] == ["image", "drawn image", "image, latent"]
    assert "Measured in" in screen[panel.status]


def test_choices_change_the_map_and_compute_nothing(
    panel: AttentionView, session: Session, screen: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run", lambda *_, **__: pytest.fail("computed again"))
    first = drawn(panel, session, screen)
    seen = [first[panel.map]]
    for chosen in (
        {"view": 1},
        {"stage": 0},
        {"head": MOST},
        {"weighted": True},
        {"way": "rollout"},
        {"tokens": [DRAWING]},
    ):
        now = drawn(panel, session, screen, **chosen)
        assert all(now[panel.map].shape != one.shape or (now[panel.map] != one).any() for one in seen)
        seen.append(now[panel.map])
        assert now[panel.plot].visible and "<table" in now[panel.blocks]
    assert not now[panel.view].visible and "the drawing at t" in now[panel.caption]
    assert not drawn(panel, session, screen, way="rollout")[panel.head].visible
    sinks = drawn(panel, session, screen, sinks="massive")
    assert "by massive activations" in sinks[panel.caption]


def test_the_drawing_and_words_are_not_ticked_together(
    panel: AttentionView, session: Session, screen: dict[Any, Any]
) -> None:
    asked = screen[panel.asked]
    asked = panel.choose("tokens", session, screen[panel.result], asked, [0, DRAWING])
    assert asked["tokens"] == [DRAWING]
    asked = panel.choose("tokens", session, screen[panel.result], asked, [DRAWING, 0])
    assert asked["tokens"] == [0]


def test_a_pinned_result_stands_beside_it(
    panel: AttentionView, session: Session, screen: dict[Any, Any]
) -> None:
    result = panel.kept(session, screen[panel.result])
    assert result is not None
    updates = panel.overlaid([("", result)], [("before", result)], screen[panel.asked], True)
    assert "before" in updates[panel.beside] and "<img" in updates[panel.beside]
    panel.paper([("now", result), ("before", result)], screen[panel.asked])
    assert {"stage", "percent"} <= set(panel.behind(result, screen[panel.asked]).columns)
    panel.prove(result)
    assert np.isfinite(panel.table(result)["value"]).all()


def test_a_collection_has_curves_alone(page: Page, panel: AttentionView, session: Session) -> None:
    screen = list(panel.look(session, *values(page, panel, SMALL, subject="probes"), None))[-1]
    assert not screen[panel.parts].visible
    result = panel.kept(session, screen[panel.result])
    assert result is not None and result.config["restore"] == "never"
    updates = panel.overlaid([("", result)], [], screen[panel.asked], False)
    assert updates[panel.plot].visible and panel.map not in updates
    panel.prove(result)
    panel.paper([("", result)], screen[panel.asked])
