"""What an answer attends to: choices redraw, a pinned run lies beside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import bring
from tests.browser.test_page import downloaded, look, page  # noqa: F401

pytestmark = pytest.mark.browser


def test_layer_head_and_rollout_change_the_map_and_it_is_downloaded(
    page: Page,  # noqa: F811
    tmp_path: Path,
) -> None:
    bring(page, "Attention")
    look(page, "attention")
    image, caption = page.locator("#attention-map img"), page.locator("#attention-caption")
    expect(caption).to_contain_text("writes llm 4")
    seen = [image.get_attribute("src") or ""]
    page.locator("#attention-stage input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    expect(caption).to_contain_text("writes llm 5")
    expect(page.locator("#attention-blocks")).to_contain_text("at llm 5")
    expect(image).not_to_have_attribute("src", seen[0])
    seen.append(image.get_attribute("src") or "")
    page.locator("#attention-head input").click()
    page.get_by_role("option", name="head 2", exact=True).click()
    expect(caption).to_contain_text("head 2")
    expect(image).not_to_have_attribute("src", seen[1])
    page.locator("#attention-way").get_by_label("rollout").check()
    expect(page.locator("#attention-head")).not_to_be_visible()
    numbers = pd.read_csv(downloaded(page, "#attention-csv", tmp_path))
    assert len(numbers)
    assert downloaded(page, "#attention-pdf", tmp_path).read_bytes().startswith(b"%PDF")


def test_a_pinned_run_lies_beside_and_says_what_its_curve_is(page: Page) -> None:  # noqa: F811
    bring(page, "Attention")
    look(page, "attention")
    page.locator("#attention-pin").click()
    expect(page.locator("#pins")).to_contain_text("darkness")
    page.get_by_role("button", name="Low", exact=True).click()
    expect(page.locator("#attention-status")).to_contain_text("has changed")
    look(page, "attention")
    expect(page.locator("#attention-beside img")).to_be_visible()
    expect(page.locator("#attention-plot")).to_contain_text("attention to the image, %")
