"""The panel Causal: what it shows of a look at one picture, of a clean one, and of a collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models import tiny
from tests.page.visit import values
from workbench.app import Page, build
from workbench.page.host import Chosen, Host
from workbench.page.session import Session, Sessions
from workbench.panels.causal.view import CausalView

SMALL = {"every": 3, "resamples": 100, "map_stages": "llm 1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("causal") / "tiny")


@pytest.fixture
def page(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sessions = Sessions(tmp_path / "sessions")
    yield build(host=Host("tiny", opener=lambda name, **how: tiny.opened(folder)), sessions=sessions)
    sessions.close_all()


def looked(page: Page, session: Session, **changed: Any) -> tuple[CausalView, dict[Any, Any]]:
    panel = page.panels["causal"]
    assert isinstance(panel, CausalView)
    given = values(page, panel, SMALL, model=Chosen("tiny"), **changed)
    return panel, list(panel.look(session, *given, None))[-1]


def test_a_degraded_picture_shows_curves_and_maps(page: Page, session: Session) -> None:
    panel, shown = looked(page, session, corruption="dark_illumination", intensity=0.9)
    assert "The damage changes the log-probability of" in shown[panel.verdict]
    assert shown[panel.maps].count("<img") == 5, "two pictures, two maps, the colours"
    assert [key for _, key in shown[panel.show].choices] == ["restore", "damage", "knockout"]
    key = shown[panel.result]
    for show, measure in (("restore", "log p"), ("knockout", "nats")):
        updates = panel.overlay(session, key, [], [], show, measure, False, False)
        assert updates[panel.plot].value is not None and updates[panel.measure].value == measure
    # A measure of other curves is none of these.
    assert (
        panel.overlay(session, key, [], [], "knockout", "log p", True, True)[panel.measure].value
        == "relative"
    )
    result = panel.kept(session, key)
    assert result is not None and "darkness" in panel.name(result)
    assert len(panel.paper([("", result)], "damage", "log p").axes) == 3 + 5
    panel.prove(result)
    panel.choose(session, "knockout", "nats")
    assert panel.standing(session, result)[panel.show].value == "knockout"


def test_a_clean_picture_shows_knockout(page: Page, session: Session) -> None:
    panel, shown = looked(page, session, corruption="none")
    assert [key for _, key in shown[panel.show].choices] == ["knockout"] and shown[panel.maps] == ""
    assert "The answer is" in shown[panel.verdict]
    assert set(panel.table(panel.kept(session, shown[panel.result]))["measure"]) == {"relative", "nats"}  # type: ignore[arg-type]


def test_a_collection_shows_intervals(page: Page, session: Session) -> None:
    panel, shown = looked(
        page, session, subject="probes", n=2, parts=["patching"], corruption="dark_illumination"
    )
    assert shown[panel.maps] == "" and "of 2 answers" in shown[panel.verdict]
    result = panel.kept(session, shown[panel.result])
    assert result is not None and "bundled scenes" in panel.name(result)
    assert result.config["question"] == "", "a collection is asked its own questions"
