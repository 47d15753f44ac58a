"""The panel "Corruptions": it works without a model, and a click lays a damage on the bench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.app import Page, build
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.panels.corruptions.view import CorruptionsView


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "bare")
    yield build("", host=Host(""), sessions=sessions)
    sessions.close_all()


def looked(page: Page, session: Session) -> dict[Any, Any]:
    panel = page.panels["corrupt"]
    values = ["sample:0", "none", 0.45, "", 0, page.bench.host.first, "relative", None]
    shown: dict[Any, Any] = {}
    for updates in panel.look(session, *values):
        shown |= updates
    return shown


def test_without_a_model_the_image_is_damaged(bare: Page) -> None:
    panel = bare.panels["corrupt"]
    session = bare.bench.session(SimpleNamespace(session_hash="visitor"))
    assert panel.controls.looks[0].interactive
    shown = looked(bare, session)
    sheet = shown[panel.outputs[0]]
    assert sheet.count("<button") == 48 and 'data-corruption="graffiti" data-level="high"' in sheet
    assert "pixel sizes relative" in sheet and "Measured in" in shown[panel.status]
    again = panel.refresh(session, "sample:0", "none", 0.45, "", 0, bare.bench.host.first, "relative", None)
    assert "Kept from before" in again[panel.status]


def test_a_clicked_damage_lies_on_the_bench(page: Page) -> None:
    panel = page.panels["corrupt"]
    assert isinstance(panel, CorruptionsView)
    laid = panel.lay(SimpleNamespace(_data={"corruption": "lens_flare", "level": "mid"}))  # type: ignore[arg-type]
    assert laid == {page.bench.corruption: "lens_flare", page.bench.intensity: 0.45}
    nothing = panel.lay(SimpleNamespace(_data={"corruption": "<b>", "level": "mid"}))  # type: ignore[arg-type]
    assert page.bench.intensity not in nothing


def test_the_command_names_no_model(page: Page, session: Session) -> None:
    values = ["sample:0", "none", 0.45, "", 5, page.bench.host.first, "native"]
    command = page.panels["corrupt"].as_command(session, *values).value
    assert command.startswith("python -m workbench corrupt --image scene:")
    assert "--seed 5 --pixels native" in command and "--model" not in command
