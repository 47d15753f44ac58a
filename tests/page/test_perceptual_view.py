"""The panel Perceptual on the page: of the states there, of files, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.page import visit
from tests.probes.perceptual.pictures import damaged
from workbench.app import Page, build
from workbench.page.frame import Updates
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.panels.perceptual import reading
from workbench.panels.perceptual.view import FILES
from workbench.runs.result import Result


@pytest.fixture(autouse=True)
def _no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def values(page: Page, study: str, **changed: Any) -> list[Any]:
    settings = {name: part.value for name, part in page.panels[study].settings.items()} | changed
    return [*(part.value for part in page.bench.inputs), *settings.values()]


@pytest.fixture
def key(page: Page, session: Session) -> str:
    """The id of the states on the page."""
    *_, last = page.panels["states"].look(session, *values(page, "states", restore="always", steps=3), None)
    found: str = last[page.panels["states"].result]
    return found


def looked(page: Page, session: Session, **changed: Any) -> tuple[Updates, Result]:
    panel: Any = page.panels["perceptual"]
    *_, last = panel.look(
        session, *values(page, "perceptual", measures=["psnr", "ssim", "ms-ssim"], **changed), None
    )
    result = panel.kept(session, last[panel.result])
    assert result is not None
    return last, result


def test_the_states_on_the_page_are_measured(page: Page, session: Session, key: str) -> None:
    panel: Any = page.panels["perceptual"]
    last, result = looked(page, session, states=key)
    assert "Measured" in last[panel.status] and "No MS-SSIM" in last[panel.left_out]
    assert reading.places(result)[-1] == "restored" and result.manifest["model"]["id"] == "pocket-fake"
    assert "darkness" in panel.name(result)
    assert last[panel.pair].value == "6,0" and last[panel.measure].visible
    shown = visit.chosen(panel, session, last[panel.result])
    updates = panel.overlay(session, shown, [], [], "6,0", "difference", "psnr", False)
    left, right = updates[panel.slider]
    assert left.shape == right.shape and updates[panel.drawn].shape == left.shape
    assert "levels of 255" in updates[panel.caption] and "higher is better" in updates[panel.scores]
    assert updates[panel.plot].visible
    assert len(panel.paper([("one", result)], "6,0", "difference", "psnr").axes) >= 6
    panel.prove(result)


def test_choices_of_an_earlier_result_fall_back(page: Page, session: Session, key: str) -> None:
    panel: Any = page.panels["perceptual"]
    last, result = looked(page, session, states=key)
    panel.choose("pair", session, "99,0")
    panel.choose("map", session, "difference")
    assert panel.standing(session, result)[panel.pair].value == "6,0"
    assert panel.standing(session, result)[panel.map].value == "difference"
    assert panel.overlay(session, last[panel.result], [], [], None, "gone", "gone", True)[panel.plot].visible


def test_pinned_results_stand_beside(page: Page, session: Session, key: str) -> None:
    panel: Any = page.panels["perceptual"]
    _, result = looked(page, session, states=key)
    updates = panel.overlaid([("now", result)], [("before", result)], "6,0", "ssim", "ssim", False)
    assert "before" in updates[panel.beside] and "SSIM ↑" in updates[panel.beside]
    assert len(updates[panel.plot].value.data if hasattr(updates[panel.plot].value, "data") else "ab") >= 2


def test_without_states_a_sentence_says_what_to_do(page: Page, session: Session) -> None:
    panel: Any = page.panels["perceptual"]
    seen: list[Updates] = []
    with pytest.raises(Exception, match="look at States first"):
        for each in panel.look(session, *values(page, "perceptual"), None):
            seen.append(each)
    assert "look at States first" in seen[-1][panel.status]


def test_files_are_measured_where_no_model_is_open(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path / "sessions")
    page = build(host=Host(""), sessions=sessions)
    session = sessions.of("visitor")
    panel: Any = page.panels["perceptual"]
    assert panel.controls.looks[0].interactive and panel._unable(page.bench.host.first) == ""
    noisy, clean = damaged("noise", 60, 60)
    for name, pixels in (("clean", clean), ("noisy", noisy), ("wide", np.tile(clean, (1, 2, 1)))):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    files = [str(tmp_path / "clean.png"), str(tmp_path / "noisy.png")]
    last, result = looked(page, session, source=FILES, files=files)
    assert (
        reading.places(result) == ["clean.png", "noisy.png"] and panel.name(result) == "clean.png, noisy.png"
    )
    assert not last[panel.measure].visible
    wide = [files[0], str(tmp_path / "wide.png")]
    with pytest.raises(Exception, match="without stretching"):
        looked(page, session, source=FILES, files=wide)
    command = panel.as_command(session, *values(page, "perceptual", source=FILES, files=files)).value
    assert "perceptual clean.png noisy.png --out" in command and command.startswith("# Put the paths")
    sessions.close_all()


def test_the_command_names_the_states_run(page: Page, session: Session, key: str) -> None:
    panel: Any = page.panels["perceptual"]
    command = panel.as_command(session, *values(page, "perceptual", states=key, measures=["psnr"])).value
    assert "python -m workbench perceptual results/states --measures psnr --out results/perceptual" in command


def test_the_same_states_are_not_measured_twice(page: Page, session: Session, key: str) -> None:
    panel: Any = page.panels["perceptual"]
    last, result = looked(page, session, states=key)
    again = values(page, "perceptual", states=key, measures=["psnr", "ssim", "ms-ssim"])
    assert "Measured" in panel.refresh(session, *again, last[panel.result])[panel.status]
    other = values(page, "perceptual", states=key, measures=["psnr"])
    assert "changed" in panel.refresh(session, *other, last[panel.result])[panel.status]
    assert panel.from_saved(result, lambda done, words: None, lambda: False) == [result]
