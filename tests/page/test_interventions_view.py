"""The panel Interventions: what it shows of a look, a painting that holds for one drawing, a collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.page.conftest import opener
from tests.panels.fake_branch import Branching
from workbench.app import Page, build
from workbench.errors import Refusal
from workbench.page.host import Chosen, Host
from workbench.page.markup import enlarged
from workbench.page.session import Session, Sessions
from workbench.panels.interventions.config import OWN
from workbench.panels.interventions.painting import SIDE, flattened
from workbench.panels.interventions.view import InterventionsView


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sessions = Sessions(tmp_path / "sessions")
    host = Host("pocket-fake", opener=lambda name, **how: Branching() if name == "drawer" else opener(name))
    yield build(host=host, sessions=sessions)
    sessions.close_all()


def values(page: Page, **changed: Any) -> list[Any]:
    panel = page.panels["intervene"]
    names = ["specimen", "corruption", "intensity", "question", "seed", "model"]
    found = {name: part.value for name, part in zip(names, page.bench.inputs, strict=True)}
    found |= {"model": Chosen("drawer")}
    settings = {name: part.value for name, part in panel.settings.items()} | {"steps": 2}
    for name, value in changed.items():
        (settings if name in settings else found)[name] = value
    return [*found.values(), *settings.values()]


def looked(page: Page, session: Session, **changed: Any) -> tuple[InterventionsView, dict[Any, Any]]:
    panel = page.panels["intervene"]
    assert isinstance(panel, InterventionsView)
    return panel, list(panel.look(session, *values(page, **changed), None))[-1]


def test_every_state_stands_there_with_its_answers(page: Page, session: Session) -> None:
    panel, shown = looked(page, session)
    html = shown[panel.rows]
    assert html.count("<img") == 6 and html.count('scope="row"') == 3
    for words in ("its own drawing", "no drawing", "the clean image", "noise", "Δ", "(changed)"):
        assert words in html
    assert "By re-encode, the answer" in shown[panel.verdict]
    assert shown[panel.editing.fold].visible and not shown[panel.measure].visible
    assert "The right answer is “yellow”" in html


def test_a_painting_counts_for_the_drawing_it_was_made_of(page: Page, session: Session) -> None:
    panel, shown = looked(page, session)
    key = shown[panel.result]
    drawing = panel.kept(session, key).images[OWN]  # type: ignore[union-attr]
    edited = enlarged(drawing, SIDE).copy()
    edited[:, : SIDE // 2] = 0
    updates = panel.paint(session, {"composite": edited}, *values(page), key)
    painted = updates[panel.editing.chosen]
    _, again = looked(page, session, painted=painted)
    assert "the painted edit" in again[panel.rows] and again[panel.result] != key
    kept = panel.kept(session, again[panel.result])
    assert kept is not None and (kept.images["painted"][:, :48] == 0).all()
    np.testing.assert_array_equal(kept.images["painted"][:, 48:], drawing[:, 48:])
    assert not kept.config["painted"], "no path of this visit's folder leaves it"
    _, other = looked(page, session, painted=painted, seed=5)
    assert "the painted edit" not in other[panel.rows]
    _, plain = looked(page, session, painted="")
    assert plain[panel.result] == key


def test_nothing_painted_is_said(page: Page, session: Session) -> None:
    panel, shown = looked(page, session)
    drawing = panel.kept(session, shown[panel.result]).images[OWN]  # type: ignore[union-attr]
    with pytest.raises(Refusal, match="Nothing was painted"):
        flattened({"composite": enlarged(drawing, SIDE)}, drawing)
    updates = panel.paint(session, None, *values(page), shown[panel.result])
    assert "paint over the drawing first" in updates[panel.status]
    updates = panel.paint(session, None, *values(page), None)
    assert "look first" in updates[panel.status]


def test_a_collection_shows_its_effects(page: Page, session: Session) -> None:
    panel, shown = looked(page, session, subject="probes", n=3, resamples=100)
    assert shown[panel.rows] == "" and not shown[panel.editing.fold].visible
    assert "n = 3 images" in shown[panel.verdict]
    key = shown[panel.result]
    updates = panel.overlay(session, key, [], [], "flips", False)
    assert updates[panel.plot].value is not None
    result = panel.kept(session, key)
    assert result is not None
    assert len(panel.paper([("", result)], "flips").axes) == 4
    panel.prove(result)
