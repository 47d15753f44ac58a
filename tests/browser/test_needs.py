"""A model that one panel cannot use: its tab says why from the first moment, and another model wakes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.tabs import bring
from tests.page.fake import CARD, FakeModel
from workbench.app import build, launch
from workbench.models.protocol import Capability
from workbench.page.host import Host
from workbench.page.session import Sessions

pytestmark = pytest.mark.browser


def opener(name: str, **how: Any) -> FakeModel:
    model = FakeModel()
    able = CARD.capabilities - ({Capability.GENERATES} if name == "no-drawing" else set())
    model.card = replace(CARD, id=name, capabilities=able)
    return model


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    page = build(host=Host("no-drawing", opener=opener), sessions=sessions)
    launch(page, quiet=True, prevent_thread_lock=True)
    yield page.local_url
    page.close()
    sessions.close_all()


def test_the_tab_says_why_and_a_model_that_can_wakes_it(browser: Browser, url: str) -> None:
    tab = browser.new_page(viewport={"width": 1280, "height": 860})
    tab.goto(url)
    status, look = tab.locator("#states-status"), tab.locator("#bench-look-states")
    expect(status).to_contain_text("no-drawing, which cannot draw an image", timeout=60_000)
    expect(look).to_be_disabled()
    tab.get_by_label("Question").press("Enter")
    bring(tab, "Layers")
    expect(tab.locator("#bench-look-layers")).to_be_enabled()
    expect(tab.locator("#layers-status")).to_contain_text("Press Look")
    bring(tab, "States")
    expect(status).to_contain_text("cannot draw an image")

    tab.get_by_role("button", name="About this model").click()
    tab.get_by_label("Another model").fill("drawing")
    tab.get_by_role("button", name="Open", exact=True).click()
    expect(look).to_be_enabled(timeout=30_000)
    expect(status).to_contain_text("Press Look")
    look.click()
    expect(status).to_contain_text("Measured", timeout=30_000)
    tab.get_by_label("Another model").fill("no-drawing")
    tab.get_by_role("button", name="Open", exact=True).click()
    expect(look).to_be_disabled(timeout=30_000)
    expect(status).to_contain_text("cannot draw an image")
    assert tab.locator("#states-pictures img").count() > 2
    tab.close()
