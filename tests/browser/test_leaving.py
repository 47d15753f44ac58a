"""Stop, and a tab that is closed while the model works: the work ends and the next person is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.fake import FakeModel
from workbench.app import build, launch
from workbench.page.host import Host
from workbench.page.session import Sessions

pytestmark = pytest.mark.browser


@dataclass
class Slow:
    """A workbench on a model that takes half a minute to draw."""

    url: str
    model: FakeModel
    sessions: Path


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    model = FakeModel(delay=2.5)
    root = tmp_path_factory.mktemp("sessions")
    sessions = Sessions(root)
    page = build(host=Host("pocket-fake", opener=lambda name, **how: model), sessions=sessions)
    launch(page, quiet=True, prevent_thread_lock=True)
    yield Slow(page.local_url, model, root)
    page.close()
    sessions.close_all()


def visit(browser: Browser, slow: Slow) -> Page:
    tab = browser.new_page(viewport={"width": 1280, "height": 860})
    tab.goto(slow.url)
    expect(tab.locator("#card")).to_contain_text("parameters", timeout=60_000)
    return tab


def begin(tab: Page) -> None:
    tab.locator("#bench-look-states").click()
    expect(tab.locator("#states-status")).to_contain_text("Denoising", timeout=30_000)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False


def test_stop_ends_at_once_and_the_page_can_look_again(browser: Browser, slow: Slow) -> None:
    tab = visit(browser, slow)
    begin(tab)
    began = time.monotonic()
    tab.locator("#bench-stop-states").click()
    expect(tab.locator("#states-status")).to_contain_text("Stopped", timeout=2_000)
    assert time.monotonic() - began < 2.5
    expect(tab.locator("#bench-look-states")).to_be_enabled()
    expect(tab.locator("#bench-stop-states")).to_be_disabled()
    begin(tab)
    tab.locator("#bench-stop-states").click()
    expect(tab.locator("#states-status")).to_contain_text("Stopped", timeout=2_000)
    tab.close()


def test_on_a_phone_stop_stands_beside_the_panels_own_look(browser: Browser, slow: Slow) -> None:
    tab = browser.new_page(viewport={"width": 420, "height": 860}, has_touch=True)
    tab.goto(slow.url)
    look, stop = tab.locator("#states-look"), tab.locator("#states-stop")
    expect(look).to_be_visible(timeout=60_000)
    expect(tab.locator(".sidebar.open")).to_have_count(0)
    expect(stop).to_be_disabled()
    look.tap()
    expect(tab.locator("#states-status")).to_contain_text("Denoising", timeout=30_000)
    expect(tab.locator(".sidebar.open")).to_have_count(0)
    expect(stop).to_be_in_viewport(ratio=1)
    at, beside = stop.bounding_box(), look.bounding_box()
    assert at and beside and at["y"] == beside["y"] and at["x"] + at["width"] <= 420
    stop.tap()
    expect(tab.locator("#states-status")).to_contain_text("Stopped", timeout=2_000)
    expect(look).to_be_enabled()
    expect(stop).to_be_disabled()
    tab.close()


def test_a_closed_tab_stops_its_work_frees_the_lane_and_leaves_nothing(browser: Browser, slow: Slow) -> None:
    def left() -> list[Path]:
        return list(slow.sessions.iterdir())

    assert within(20, lambda: not left())
    tab = visit(browser, slow)
    begin(tab)
    assert left()
    tab.close()
    assert within(20, lambda: not left()), f"a closed visit leaves {left()}"
    taken = slow.model.steps_taken
    time.sleep(6)
    assert slow.model.steps_taken <= taken + 1, "the model goes on for nobody"
    assert not left()
    other = visit(browser, slow)
    begin(other)
    other.close()


def test_one_waits_while_another_looks_and_is_told_so(browser: Browser, slow: Slow) -> None:
    first, second = visit(browser, slow), visit(browser, slow)
    begin(first)
    second.locator("#bench-look-states").click()
    expect(second.locator("#states-status")).to_contain_text("Waiting for the model")
    second.wait_for_timeout(1500)
    expect(second.locator("#states-status")).to_contain_text("Waiting for the model")
    first.close()
    expect(second.locator("#states-status")).to_contain_text("Denoising", timeout=30_000)
    second.locator("#bench-stop-states").click()
    second.close()


# Gradio's own request to cancel, which ends whatever the session runs of that handler, may come late.
LATE = """
const fetched = window.fetch;
window.fetch = async (...asked) => {
    if (String(asked[0]).endsWith("/cancel")) await new Promise((done) => setTimeout(done, 1500));
    return fetched(...asked);
};
"""


def test_look_and_stop_in_quick_turns_end_as_the_last_click_says(browser: Browser, slow: Slow) -> None:
    tab = browser.new_page(viewport={"width": 1280, "height": 860})
    tab.add_init_script(LATE)
    tab.goto(slow.url)
    expect(tab.locator("#card")).to_contain_text("parameters", timeout=60_000)
    look, stop, status = (
        tab.locator(f"#{name}") for name in ("bench-look-states", "bench-stop-states", "states-status")
    )
    for wait in (0, 60, 150, 400, 0, 250):
        look.click()
        tab.wait_for_timeout(wait)
        stop.click()
    expect(status).to_contain_text("Stopped")
    look.click()
    expect(status).to_contain_text("Denoising", timeout=30_000)
    expect(stop).to_be_enabled()
    stop.click()
    tab.close()


def test_a_look_that_was_stopped_while_it_waited_never_begins(browser: Browser, slow: Slow) -> None:
    first, second = visit(browser, slow), visit(browser, slow)
    begin(first)
    status = second.locator("#states-status")
    for _ in range(2):
        second.locator("#bench-look-states").click()
        expect(status).to_contain_text("Waiting for the model")
        second.locator("#bench-stop-states").click()
        expect(status).to_contain_text("Stopped")
    first.locator("#bench-stop-states").click()
    expect(first.locator("#states-status")).to_contain_text("Stopped")
    time.sleep(3)  # The step that was being taken ends.
    taken = slow.model.steps_taken
    second.wait_for_timeout(4000)
    assert slow.model.steps_taken == taken
    expect(status).to_contain_text("Stopped")
    begin(second)
    second.locator("#bench-stop-states").click()
    for tab in (first, second):
        tab.close()
