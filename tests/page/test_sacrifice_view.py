"""The panel "Sacrifice" by its handlers: a checkpoint is looked at, others come from saved runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.capture.fake import FakeModel
from workbench.app import Page, build
from workbench.models.protocol import Capability, Prompt
from workbench.page.host import Host
from workbench.page.saved import Opened, Read
from workbench.page.session import Session, Sessions
from workbench.panels.sacrifice.config import SacrificeConfig
from workbench.panels.sacrifice.study import run
from workbench.panels.sacrifice.view import THREE, SacrificeView
from workbench.runs.archive import pack
from workbench.runs.result import Result

SMALL = {"n_train": 20, "n_validation": 10, "n_test": 12, "n_asked": 12, "each": 1, "resamples": 100}


class Answering(FakeModel):
    """Takes the candidate of this number, whatever is asked."""

    def __init__(self, name: str, choice: int) -> None:
        super().__init__(side=12, width=16)
        able = self.card.capabilities | {Capability.SCORES}
        self.card, self.choice = replace(self.card, id=name, capabilities=able), choice

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        scores = np.zeros((len(prompt.images), len(candidates)))
        scores[:, self.choice % len(candidates)] = 1.0
        return scores


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("last", opener=lambda name, **how: Answering("last", 0)), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def panel(page: Page) -> SacrificeView:
    found = page.panels["sacrifice"]
    assert isinstance(found, SacrificeView)
    return found


@pytest.fixture
def session(page: Page, request: pytest.FixtureRequest) -> Session:
    visitor: Any = SimpleNamespace(session_hash=request.node.name)
    return page.bench.session(visitor)


def values(page: Page, panel: SacrificeView, **changed: Any) -> list[Any]:
    bench = [component.value for component in page.bench.inputs]
    settings = {name: part.value for name, part in panel.settings.items()} | SMALL | changed
    return [*bench, *settings.values()]


@pytest.fixture(scope="module")
def first() -> Result:
    config = SacrificeConfig(measures=("linear reader",), **SMALL)  # type: ignore[arg-type]
    return run(config, Answering("first", 1))


def text(drawn: dict[Any, Any]) -> str:
    """What stands in a drawn plot."""
    return next(str(part.value) for part in drawn.values() if isinstance(part, gr.Plot))


def test_the_open_model_is_one_point_without_a_correlation(
    page: Page, panel: SacrificeView, session: Session
) -> None:
    screens = list(panel.look(session, *values(page, panel), None))
    last = screens[-1]
    assert any("asking questions" in str(s[panel.status]).lower() for s in screens[:-1] if panel.status in s)
    key = last[panel.result]
    assert last[panel.pin_name] == "last" and "patch mIoU" in dict(last[panel.reader].choices).values()
    drawn = panel.overlay(session, key, [], [], None, THREE, False)
    assert drawn[panel.plot].visible and "no correlation" in drawn[panel.note]
    assert "Pin this checkpoint" in drawn[panel.note]
    result = panel.kept(session, key)
    assert result is not None
    table = panel.behind(result, "patch mIoU", THREE)
    assert set(table["measure"]) == {"patch mIoU"} and {"task", "reader"} <= set(table.columns)


def test_saved_checkpoints_are_the_series_and_the_last_one_ends_it(
    page: Page, panel: SacrificeView, session: Session, first: Result, tmp_path: Path
) -> None:
    last = list(panel.look(session, *values(page, panel), None))[-1]
    pack(first, tmp_path / "run.zip")
    updates = list(page.saved.lay(session, str(tmp_path / "run.zip"), [], []))[-1]
    pins = updates[page.bench.pins.all]
    assert [pin[0] for pin in pins] == ["sacrifice"] and updates[page.bench.turns.front] == "sacrifice"
    shown = updates[page.bench.pins.shown]["value"]
    drawn = panel.overlay(session, last[panel.result], pins, shown, "accuracy, shape", THREE, True)
    assert text(drawn).index("first") < text(drawn).index("last")
    assert "n = 2, too few" in drawn[panel.note]
    # The saved one read nothing of patches: it is named, not drawn.
    drawn = panel.overlay(session, last[panel.result], pins, shown, "patch mIoU", THREE, False)
    assert "Not drawn, because it lacks that: first" in drawn[panel.note]
    result = panel.kept(session, last[panel.result])
    assert result is not None
    made = panel.paper([("last", result), ("first", first)], None, THREE)
    assert made.get_figwidth() == pytest.approx(3.25)


def test_of_a_series_that_is_opened_the_last_is_the_present_one(
    page: Page, panel: SacrificeView, session: Session, first: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["a" * 64, "b" * 64, "c" * 64]
    opened = Read([Opened("sacrifice", key, first) for key in ids], [])
    monkeypatch.setattr(page.saved, "common", opened)
    updates = page.saved.begin(session, [], [])
    assert session.due == {"sacrifice": ids[-1]}
    for key in ids:
        session.remember(key, first)
    shown = updates[page.bench.pins.shown]["value"]
    drawn = panel.overlay(session, ids[-1], updates[page.bench.pins.all], shown, None, THREE, False)
    assert text(drawn).index("first (2)") > text(drawn).index("first") and "n = 3" in drawn[panel.note]


def test_a_choice_stays_for_the_next_checkpoint(
    panel: SacrificeView, session: Session, first: Result
) -> None:
    session.chosen["sacrifice-stage"], session.chosen["sacrifice-reader"] = "llm 1", "patch mIoU"
    updates = panel.standing(session, first)
    assert updates[panel.stage]["value"] == "llm 1" and panel.reader not in updates


def test_what_is_refused_stands_in_the_status(page: Page, panel: SacrificeView, session: Session) -> None:
    with pytest.raises(Exception, match="Name your data"):
        list(panel.look(session, *values(page, panel, subject="data"), None))
