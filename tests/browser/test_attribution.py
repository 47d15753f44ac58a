"""What an answer rests on, as a person asks it: a word, a layer, a figure; and dark and narrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.tabs import bring
from tests.browser.test_page import SLOW, downloaded, look, measured, page  # noqa: F401

pytestmark = pytest.mark.browser


@pytest.fixture
def dark(browser: Browser, app: str) -> Iterator[Page]:
    """A visit in the dark on a phone."""
    context = browser.new_context(viewport={"width": 420, "height": 860})
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(f"{app}/?__theme=dark")
    expect(tab.locator("#states-look")).to_be_visible(timeout=SLOW)
    yield tab
    context.close()
    assert not faults


def quick(page: Page) -> None:  # noqa: F811
    """Two quick methods and few steps, of an answer of three words."""
    page.locator("#attribution-settings").get_by_role("button").first.click()
    settings = page.locator("#attribution-settings")
    settings.get_by_role("textbox", name="Answer").first.fill("a yellow star")
    for name in (
        "saliency",
        "input × gradient",
        "Grad-CAM",
        "integrated gradients",
        "occlusion",
        "KernelSHAP",
    ):
        settings.get_by_label(name, exact=True).uncheck()
    settings.get_by_label("Curves").fill("2")
    settings.get_by_label("Infidelity").fill("4")
    settings.get_by_role("button").first.click()


def test_a_word_and_a_layer_change_the_maps_and_the_figure_is_of_them(
    page: Page,  # noqa: F811
    tmp_path: Path,
) -> None:
    bring(page, "Attribution")
    quick(page)
    page.locator("#attribution-sensitivity").get_by_label("Sensitivity too").check()
    look(page, "attribution")
    maps = page.locator("#attribution-maps")
    expect(maps.locator("figure")).to_have_count(4)
    expect(maps).to_contain_text("sensitivity")
    attention = maps.locator("figure").nth(1)
    whole = attention.locator("img").get_attribute("src") or ""
    page.locator("#attribution-word").get_by_label("yellow").check()
    expect(attention.locator("img")).not_to_have_attribute("src", whole)
    word = attention.locator("img").get_attribute("src") or ""
    page.locator("#attribution-layer input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    expect(attention).to_contain_text("llm 1")
    expect(attention.locator("img")).not_to_have_attribute("src", word)
    bold = attention.locator("img").get_attribute("src") or ""
    page.locator("#attribution-opacity input[type=number]").fill("0.3")
    page.keyboard.press("Enter")
    expect(attention.locator("img")).not_to_have_attribute("src", bold)

    with Image.open(downloaded(page, "#attribution-png", tmp_path)) as figure:
        assert figure.width == pytest.approx(6.75 * 300, abs=1)
    numbers = pd.read_csv(downloaded(page, "#attribution-csv", tmp_path))
    assert {"attention", "relevancy", "random"} == set(numbers["method"])

    page.get_by_role("textbox", name="Question").fill("")
    page.locator("#bench-look-attribution").click()
    expect(page.locator("#attribution-status [role=alert]")).to_contain_text("There is no question")
    expect(page.locator("#attribution-word").get_by_label("yellow")).to_be_checked()
    expect(maps.locator("figure")).to_have_count(4)


def test_in_the_dark_and_narrow_the_three_fit_and_their_plots_are_dark(dark: Page) -> None:
    bring(dark, "Attribution")
    quick(dark)
    for panel in ("attribution", "attention", "causal"):
        bring(dark, panel.capitalize())
        if panel == "causal":
            dark.locator("#causal-settings").get_by_role("button").first.click()
            dark.locator("#causal-settings").get_by_label("map", exact=True).uncheck()
            dark.locator("#causal-settings").get_by_role("button").first.click()
        dark.locator(f"#{panel}-look").click()
        measured(dark, panel)
        if panel != "attribution":
            plot = dark.locator(f"#{panel}-plot .main-svg").first
            expect(plot).to_be_visible()
            assert "0, 0, 0, 0" in plot.evaluate("e => getComputedStyle(e).backgroundColor")
            ink = dark.locator(f"#{panel}-plot .xtick text").first.evaluate("e => getComputedStyle(e).fill")
            assert sum(int(value) for value in re.findall(r"\d+", ink)[:3]) / 3 > 180
        assert dark.evaluate("document.documentElement.scrollWidth") <= 420
    dark.locator("#causal-show").get_by_label("attention knockout").check()
    expect(dark.locator("#causal-plot")).to_contain_text("middle of the blocked layers")
    expect(dark.locator("#causal-plot")).to_contain_text("all layers blocked at once")
