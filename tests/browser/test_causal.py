"""Where damage enters: curves for what is chosen, and out as numbers and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import bring
from tests.browser.test_page import downloaded, look, page  # noqa: F401

pytestmark = pytest.mark.browser


def test_recovery_is_drawn_and_downloaded(page: Page, tmp_path: Path) -> None:  # noqa: F811
    bring(page, "Causal")
    page.locator("#causal-settings").get_by_role("button").first.click()
    page.locator("#causal-settings").get_by_label("map", exact=True).uncheck()
    look(page, "causal")
    expect(page.locator("#causal-verdict")).to_contain_text("The answer becomes “orange”")
    plot = page.locator("#causal-plot")
    expect(plot).to_contain_text("share of the damage undone")
    page.locator("#causal-show").get_by_label("damaging, stage by stage").check()
    expect(plot).to_contain_text("share of the damage done")
    page.locator("#causal-measure").get_by_label("probability of the clean answer").check()
    table = pd.read_csv(downloaded(page, "#causal-csv", tmp_path))
    whole = table[(table["tokens"] == "all") & (table["stage"] == "llm 0") & (table["measure"] == "log p")]
    assert whole["value"].tolist() == pytest.approx([1, 1])
    assert b"<svg" in downloaded(page, "#causal-svg", tmp_path).read_bytes()
