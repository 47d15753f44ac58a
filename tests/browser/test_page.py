"""The page as a person uses it: from an uploaded photograph to a downloaded figure."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.tabs import bring

pytestmark = pytest.mark.browser
SLOW = 120_000
"""Milliseconds within which a look is finished on two busy cores."""


@pytest.fixture(scope="session")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from skimage import data

    path = tmp_path_factory.mktemp("photograph") / "astronaut.png"
    Image.fromarray(np.asarray(data.astronaut())).save(path)
    return path


@pytest.fixture
def page(browser: Browser, app: str) -> Iterator[Page]:
    """A fresh visit; at its end: no request left the origin, and the browser complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    tab = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(f"{app}/?__theme=light")
    expect(tab.locator("#bench-look-states")).to_be_visible(timeout=SLOW)
    yield tab
    context.close()
    outside = {url for url in asked if urlsplit(url).scheme in ("http", "https") and not url.startswith(app)}
    assert not outside
    assert not faults


def look(page: Page, panel: str) -> None:
    page.locator(f"#bench-look-{panel}").click()
    measured(page, panel)


def measured(page: Page, panel: str) -> None:
    expect(page.locator(f"#{panel}-status")).to_contain_text("Measured", timeout=SLOW)


def upload(page: Page, path: Path) -> None:
    page.locator("#image input[type=file]").set_input_files(path)


def downloaded(page: Page, button: str, folder: Path, key: str = "") -> Path:
    """The file behind a download button, clicked or, with ``key``, pressed on the keyboard."""
    expect(page.locator(button)).to_be_enabled(timeout=30_000)
    with page.expect_download() as download:
        if key:
            page.locator(button).press(key)
        else:
            page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_person_who_has_never_seen_it_presses_look(page: Page) -> None:
    expect(page.locator("#card")).to_contain_text("pocket-bagel")
    expect(page.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    assert page.locator("#bench-picture img").count() == 2
    look(page, "states")
    answers = page.locator("#states-trace [role=row]")
    assert answers.count() >= 3
    for row in answers.all():
        assert row.locator("[role=cell]").first.inner_text().strip()
    assert re.search(r"p (= [01]\.\d\d|< 0\.01)", answers.last.inner_text())


def test_a_photograph_through_both_panels_and_out_as_figures(
    page: Page, photograph: Path, tmp_path: Path
) -> None:
    upload(page, photograph)
    expect(page.locator("#bench-picture")).to_contain_text("512 × 512, astronaut.png", timeout=SLOW)
    expect(page.locator("#bench-outside")).to_contain_text("outside that", timeout=SLOW)
    page.get_by_label("Question").fill("what colour is the suit?")
    look(page, "states")
    expect(page.locator("#states-outside")).to_contain_text("outside that")
    said = page.locator("#states-trace .now [role=cell]").first
    answer = said.evaluate("cell => cell.firstChild.textContent").strip()
    assert answer

    figure = downloaded(page, "#states-png", tmp_path)
    with Image.open(figure) as image:
        assert image.width == pytest.approx(6.75 * 300, abs=1)
    table = pd.read_csv(downloaded(page, "#states-csv", tmp_path))
    assert table["event"].iloc[0] == "degraded"
    assert answer in set(table["text"].dropna())
    svg = downloaded(page, "#states-svg", tmp_path, key="Enter").read_bytes()
    assert b"<svg" in svg
    assert downloaded(page, "#states-svg", tmp_path, key="Space").read_bytes() == svg
    pdf = downloaded(page, "#states-pdf", tmp_path)
    if shutil.which("pdffonts"):
        fonts = subprocess.run(["pdffonts", str(pdf)], capture_output=True, text=True, check=True).stdout
        assert "TrueType" in fonts and " yes yes " in fonts

    bring(page, "Layers")
    look(page, "layers")
    expect(page.locator("#layers-plot .main-svg").first).to_be_visible(timeout=30_000)
    curves = pd.read_csv(downloaded(page, "#layers-csv", tmp_path))
    assert "llm 0" in set(curves["stage"])


def test_from_the_curves_to_one_patch(page: Page) -> None:
    """Layers leads to the map of one patch, which is there without another press."""
    bring(page, "Layers")
    look(page, "layers")
    page.locator("#layers-patches").click()
    measured(page, "patches")
    page.locator("#patches-map img").click(position={"x": 20, "y": 20})
    expect(page.locator("#patches-row input")).to_have_value("1")


def test_a_click_on_a_patch_moves_map_and_words_and_the_slider_scrubs(page: Page) -> None:
    bring(page, "Patches")
    look(page, "patches")
    caption, rungs = page.locator("#patches-caption"), page.locator("#patches-rungs")
    expect(caption).to_contain_text("at llm 4", timeout=30_000)
    expect(rungs.locator("tbody tr")).to_have_count(9)
    image = page.locator("#patches-map img")
    page.wait_for_function(
        "() => { const i = document.querySelector('#patches-map img');"
        " return i?.complete && i.naturalWidth === 384 && i.getBoundingClientRect().width === 384; }"
    )
    words = rungs.inner_text()
    image.click(position={"x": 380, "y": 5})
    expect(caption).to_contain_text("row 1, column 12", timeout=30_000)
    expect(page.get_by_label("column")).to_have_value("12")
    assert rungs.inner_text() != words
    first = image.get_attribute("src")
    page.locator("#patches-stage input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(caption).to_contain_text("at llm 3", timeout=30_000)
    expect(rungs.locator("tr.now")).to_contain_text("llm 3")
    expect(image).not_to_have_attribute("src", first or "")
    page.locator("#patches-show").get_by_label("attention received").check()
    expect(caption).to_contain_text("from the answer", timeout=30_000)
    expect(page.locator("#patches-head")).to_be_visible()


def test_clean_stands_beside_corrupted_at_the_same_patch_and_stage(page: Page) -> None:
    bring(page, "Patches")
    look(page, "patches")
    caption = page.locator("#patches-caption")
    expect(caption).to_contain_text("at llm 4", timeout=SLOW)
    page.locator("#patches-show").get_by_label("probability of a word").check(timeout=SLOW)
    expect(caption).to_contain_text("as the lens reads", timeout=SLOW)
    page.locator("#patches-pin").click()
    expect(page.locator("#pins")).to_contain_text("darkness")
    page.get_by_label("Corruption").click()
    page.get_by_role("option", name="none", exact=True).click()
    look(page, "patches")
    beside = page.locator("#patches-beside")
    expect(beside).to_contain_text("darkness", timeout=SLOW)
    mine, its = page.locator("#patches-map img").bounding_box(), beside.locator("img").bounding_box()
    assert mine is not None and its is not None
    assert abs(mine["y"] - its["y"]) <= 4 and its["x"] >= mine["x"] + mine["width"]
    assert round(mine["width"]) == round(its["width"])


def test_every_step_can_be_scrubbed_from_the_keyboard_and_the_pair_compared(page: Page) -> None:
    page.get_by_role("button", name="Sampling").click()
    page.locator("#states-settings").get_by_label("always").check()
    look(page, "states")
    steps = page.locator("#states-pictures figure[data-step]:not([data-kind=estimate])")
    assert steps.count() == 13
    expect(page.locator("#states-pictures figure[data-step]:not([hidden])")).to_contain_text("step 12 of 12")
    page.locator("#states-step input[type=range]").focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#states-pictures figure[data-step]:not([hidden])")).to_contain_text("step 0 of 12")
    expect(page.locator("#states-compare")).to_be_visible()
    before = page.locator("#states-compare img").first.get_attribute("src")
    page.locator("#states-pair").get_by_label("original, restored").check()
    expect(page.locator("#states-compare img").first).not_to_have_attribute("src", before or "")


def test_the_question_is_asked_with_the_enter_key(page: Page) -> None:
    question = page.get_by_label("Question")
    question.fill("how many objects are there?")
    question.press("Enter")
    measured(page, "states")


def test_changing_the_bench_marks_the_panel_and_changing_it_back_brings_the_result(page: Page) -> None:
    look(page, "states")
    slider = page.locator("#intensity input[type=range]")
    page.get_by_role("button", name="Low", exact=True).click()
    expect(slider).to_have_value("0.23")
    expect(page.locator("#states-status")).to_contain_text("has changed", timeout=30_000)
    assert page.locator("#states-pictures img").count() >= 2
    page.get_by_role("button", name="High", exact=True).click()
    expect(page.locator("#states-status")).to_contain_text("Measured", timeout=30_000)


def test_pins_stay_while_the_next_look_is_taken(page: Page) -> None:
    look(page, "states")
    page.locator("#states-pin-name").get_by_role("textbox").fill("dark one")
    page.locator("#states-pin").click()
    expect(page.locator("#pins")).to_contain_text("dark one")
    chip = page.locator("#pins").get_by_text("dark one").first
    chip.scroll_into_view_if_needed()
    assert chip.evaluate(
        "e => { const b = e.getBoundingClientRect();"
        " return e.contains(document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)); }"
    ), "something lies over the pins"
    page.get_by_role("button", name="Mid", exact=True).click()
    expect(page.locator("#states-status")).to_contain_text("has changed", timeout=30_000)
    look(page, "states")
    expect(page.locator("#states-pinned")).to_contain_text("dark one")


def test_a_pinned_page_rests(page: Page) -> None:
    bring(page, "Layers")
    look(page, "layers")
    page.locator("#layers-pin").click()
    expect(page.locator("#layers-status")).to_contain_text("Pinned", timeout=SLOW)
    page.wait_for_timeout(8000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert not [url for url in asked if "queue/join" in url], "nothing is drawn where nothing changed"


def test_the_command_can_be_read_and_copied(page: Page) -> None:
    page.locator("#states-copy").click()
    expect(page.locator("#states-command")).to_contain_text("python -m workbench states")
    expect(page.locator("#states-command")).to_contain_text("scene:10")


@pytest.mark.parametrize("content", [b"", b"GIF89a\x01", b"just some words"])
def test_a_file_that_is_no_image_is_a_sentence_on_the_bench(
    page: Page, tmp_path: Path, content: bytes
) -> None:
    bad = tmp_path / "holiday.png"
    bad.write_bytes(content)
    upload(page, bad)
    expect(page.locator("#bench-notice [role=alert]")).to_contain_text("holiday.png", timeout=30_000)
    expect(page.locator("#bench-picture")).to_contain_text("scene 10 (test)")
    page.get_by_role("button", name="New scene").click()
    expect(page.locator("#bench-picture")).not_to_contain_text("scene 10 (test)", timeout=30_000)
    expect(page.locator("#bench-notice")).not_to_contain_text("holiday.png")


def test_a_mistake_stands_in_the_panel_and_the_last_result_stays(page: Page) -> None:
    look(page, "states")
    page.get_by_label("Question").fill("")
    page.locator("#bench-look-states").click()
    expect(page.locator("#states-status [role=alert]")).to_contain_text(
        "There is no question", timeout=30_000
    )
    assert page.locator("#states-pictures img").count() >= 2
    expect(page.locator("#bench-look-states")).to_be_enabled()


def test_what_a_look_says_is_in_sight_wherever_the_page_was(page: Page) -> None:
    look(page, "states")
    page.set_viewport_size({"width": 1280, "height": 520})
    page.locator("#states-copy").scroll_into_view_if_needed()
    expect(page.locator("#states-status")).not_to_be_in_viewport()
    page.get_by_label("Question").fill("")
    page.locator("#bench-look-states").click()
    expect(page.locator("#states-status [role=alert]")).to_be_in_viewport(timeout=30_000)


def test_a_model_that_is_not_there_is_a_sentence_and_the_open_one_stays(page: Page) -> None:
    page.get_by_role("button", name="About this model").click()
    page.get_by_label("Another model").fill("/no/such/folder")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator("#model-notice [role=alert]")).to_contain_text("/no/such/folder", timeout=30_000)
    expect(page.locator("#card")).to_contain_text("pocket-bagel")


def test_on_a_phone_the_bench_folds_away_when_the_work_starts(browser: Browser, app: str) -> None:
    context = browser.new_context(viewport={"width": 420, "height": 860}, has_touch=True)
    tab = context.new_page()
    tab.goto(app)
    expect(tab.locator("#states-look")).to_be_visible(timeout=SLOW)
    expect(tab.locator(".sidebar.open")).to_have_count(0)
    tab.get_by_role("button", name="Fold or unfold the bench").click()
    expect(tab.locator(".sidebar.open")).to_have_count(1)
    tab.locator("#bench-look-states").click()
    expect(tab.locator(".sidebar.open")).to_have_count(0)
    measured(tab, "states")
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_it_fits_the_window_in_light_and_dark(
    browser: Browser, app: str, tmp_path: Path, theme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 860})
    tab = context.new_page()
    tab.goto(f"{app}/?__theme={theme}")
    button = tab.locator("#bench-look-states" if width > 768 else "#states-look")
    expect(button).to_be_visible(timeout=SLOW)
    if width < 768:
        expect(tab.locator(".sidebar.open")).to_have_count(0)
    for panel in ("states", "patches", "layers"):
        if panel != "states":
            bring(tab, panel.capitalize())
        tab.locator(f"#bench-look-{panel}" if width > 768 else f"#{panel}-look").click()
        measured(tab, panel)
        if panel == "layers":
            expect(tab.locator("#layers-plot .main-svg").first).to_be_visible(timeout=30_000)
        tab.screenshot(path=tmp_path / f"{panel}-{theme}-{width}.png", full_page=True)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = tab.locator("gradio-app").evaluate("e => getComputedStyle(e).backgroundColor")
    brightness = sum(int(value) for value in re.findall(r"\d+", ground)[:3]) / 3
    assert brightness < 60 if theme == "dark" else brightness > 200
    paper = tab.locator("#layers-plot .main-svg").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert "rgba(0, 0, 0, 0)" in paper or "transparent" in paper
    context.close()


def test_only_the_panel_in_front_follows_the_bench_and_another_once_it_comes_forward(page: Page) -> None:
    asked: list[str] = []
    bring(page, "Layers")
    look(page, "layers")
    bring(page, "States")
    expect(page.locator("#states-status")).to_contain_text("Press Look")
    page.on("request", lambda request: "queue/join" in request.url and asked.append(request.url))
    page.get_by_role("button", name="Low", exact=True).click()
    expect(page.locator("#intensity input[type=range]")).to_have_value("0.23")
    page.wait_for_timeout(4000)
    assert len(asked) <= 3, "one handler of the panel in front, and those of the bench itself"
    bring(page, "Layers")
    expect(page.locator("#layers-status")).to_contain_text("has changed")
