"""A saved run on a page without any model: opened at the start, clicked, downloaded; another one dropped."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.tabs import bring
from tests.capture.fake import FakeModel as Captured
from tests.page.fake import FakeModel
from workbench.app import build, launch
from workbench.page.session import Sessions
from workbench.panels.capture import study as capture
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.states import study as states
from workbench.panels.states.config import StatesConfig
from workbench.runs.archive import pack
from workbench.runs.store import save

pytestmark = pytest.mark.browser
SLOW = 120_000
"""Milliseconds within which a page is there on two busy cores."""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("workbench.models.EMBEDDED", tmp_path / "no checkpoint")
    return tmp_path


@pytest.fixture
def bare(root: Path) -> Iterator[str]:
    """The address of a page with a capture open, and no checkpoint anywhere."""
    shows: Any = Captured(side=12, width=16)
    save(capture.run(CaptureConfig(images=("scene:4",)), shows), root / "captured")
    sessions = Sessions(root / "sessions")
    page = build("", sessions=sessions)
    page.saved.open_for_all(root / "captured", lambda fraction, text: None)
    launch(page, quiet=True, prevent_thread_lock=True)
    yield page.local_url
    page.close()
    sessions.close_all()


def test_a_saved_run_is_read_without_a_model(browser: Browser, bare: str, root: Path) -> None:
    tab = browser.new_page(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(bare)
    status, image = tab.locator("#layers-status"), tab.locator("#patches-map img")
    expect(status).to_contain_text("Opened from a saved run: pocket-fake", timeout=SLOW)
    expect(status).to_contain_text("Open a model to look again")
    expect(tab.locator("#bench-look-layers")).to_be_visible()
    expect(tab.locator("#bench-look-layers")).to_be_disabled()
    expect(tab.locator("#bench-look-states")).not_to_be_visible()
    expect(tab.locator("#card")).to_contain_text("No model is open")
    expect(tab.locator("#pins")).to_contain_text("clean, pocket-fake")
    expect(tab.locator("#layers-plot .js-plotly-plot")).to_be_visible(timeout=SLOW)

    bring(tab, "Patches")
    expect(image).to_be_visible(timeout=SLOW)
    expect(tab.locator("#patches-rungs")).to_contain_text("the lens reads", timeout=SLOW)
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    image.click(position={"x": box["width"] * 2.5 / 12, "y": box["height"] * 10.5 / 12})
    expect(tab.locator("#patches-caption")).to_contain_text("row 11, column 3", timeout=SLOW)
    before = image.get_attribute("src")
    tab.locator("#patches-stage input[type=range]").focus()
    tab.keyboard.press("End")
    expect(tab.locator("#patches-stage")).to_contain_text("llm 4", timeout=SLOW)
    expect(image).not_to_have_attribute("src", str(before), timeout=SLOW)
    if folder := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=f"{folder}/saved.png", full_page=True)

    bring(tab, "Layers")
    with tab.expect_download() as download:
        tab.locator("#layers-zip").click()
    assert download.value.suggested_filename == "afterimage-layers.zip"
    with zipfile.ZipFile(download.value.path()) as run:
        assert "afterimage-layers/result.json" in run.namelist()

    drawn: Any = FakeModel()
    pack(states.run(StatesConfig(image="scene:3", question="what?", steps=3), drawn), root / "seen.zip")
    (root / "other.zip").write_bytes(b"not a run")
    chooser = tab.locator("#saved-run input[type=file]")
    chooser.set_input_files(root / "other.zip")
    expect(tab.locator("#saved-run-notice [role=alert]")).to_contain_text("“other.zip”", timeout=SLOW)
    chooser.set_input_files(root / "seen.zip")
    expect(tab.locator("#states-status")).to_contain_text("Opened from a saved run", timeout=SLOW)
    expect(tab.locator("#states-status")).to_be_visible()
    expect(tab.locator("#states-pictures img")).not_to_have_count(0)
    expect(tab.locator("#bench-look-states")).to_be_visible()
    expect(tab.locator("#saved-run-notice")).to_be_empty()
    bring(tab, "Patches")
    expect(image).to_be_visible()
    expect(tab.locator("#bench-look-patches")).to_be_visible()
    assert not faults
    tab.close()
