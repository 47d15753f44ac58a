"""One click, one file, made at that moment; where it cannot be made, a sentence, and then a second try."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.page.fake import FakeModel
from workbench.app import Page, build, launch
from workbench.page.host import Host
from workbench.page.session import Sessions

pytestmark = pytest.mark.browser


@dataclass
class Served:
    page: Page
    root: Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    sessions = Sessions(tmp_path / "sessions")
    page = build(host=Host("pocket-fake", opener=lambda name, **how: FakeModel()), sessions=sessions)
    launch(page, quiet=True, prevent_thread_lock=True)
    yield Served(page, tmp_path / "sessions")
    page.close()
    sessions.close_all()


def test_a_figure_is_made_on_the_click_and_a_failure_is_told(
    browser: Browser, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = served.page.panels["states"]
    paper, made = panel.paper, []

    def slow(named: Sequence[Any], *printed_with: Any) -> Any:
        made.append(len(named))
        time.sleep(1)
        return paper(named, *printed_with)

    monkeypatch.setattr(panel, "paper", slow)
    tab = browser.new_page(viewport={"width": 1280, "height": 500}, accept_downloads=True)
    tab.goto(served.page.local_url)
    png, status = tab.locator("#states-png"), tab.locator("#states-status")
    expect(tab.locator("#bench-look-states")).to_be_visible(timeout=60_000)
    expect(png).to_be_disabled()
    tab.locator("#bench-look-states").click()
    expect(status).to_contain_text("Measured", timeout=30_000)
    expect(png).to_be_enabled()
    tab.wait_for_timeout(1000)
    (folder,) = served.root.iterdir()
    assert not made and not (folder / "exports").exists()

    in_the_way = folder / "exports"
    in_the_way.write_text("")
    given: list[Any] = []
    tab.on("download", lambda download: given.append(download))
    png.focus()
    expect(status).not_to_be_in_viewport()
    png.press("Enter")
    expect(status.locator("[role=alert]")).to_contain_text("cannot be written to", timeout=10_000)
    expect(status).to_be_in_viewport()
    assert not given and not made

    in_the_way.unlink()
    with tab.expect_download() as download:
        png.press("Enter")
        expect(png).to_have_attribute("aria-busy", "true")
    assert download.value.suggested_filename == "afterimage-states.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    expect(png).not_to_have_attribute("aria-busy", "true")
    expect(png).to_be_focused()
    assert made == [1] and [path.suffix for path in in_the_way.rglob("*.*")] == [".png"]
    with tab.expect_download() as download:
        png.click()
    assert made == [1] and len(given) == 2
    tab.close()
