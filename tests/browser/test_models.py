"""Another model in the running app: a tiny LLaVA is opened, looked at, closed, and remembered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.tabs import bring
from tests.models.hf.builders import saved

pytestmark = pytest.mark.browser
SLOW = 120_000


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("llava", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def page(browser: Browser, app: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    tab = context.new_page()
    tab.goto(f"{app}/?__theme=light")
    expect(tab.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    tab.get_by_role("button", name="About this model").click()
    yield tab
    context.close()


def choose(page: Page, name: str) -> None:
    box = page.get_by_label("Another model")
    box.fill(name)
    box.press("Tab")


def test_another_model_is_opened_looked_at_and_closed(page: Page, llava: Path) -> None:
    expect(page.locator("#model-limits")).to_contain_text("CUDA", timeout=SLOW)
    choose(page, str(llava))
    expect(page.locator("#model-estimate")).to_contain_text(
        re.compile(r"MiB in float32; \d.* free on cpu"), timeout=30_000
    )
    page.locator("#model-open").click()
    expect(page.locator("#card")).to_contain_text("llava", timeout=SLOW)
    expect(page.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    expect(page.locator("#model-close")).to_be_visible()

    expect(page.locator("#states-status")).to_contain_text(
        "Not with llava, which cannot draw an image", timeout=30_000
    )
    expect(page.locator("#bench-look-states")).to_be_disabled()
    bring(page, "Layers")
    page.locator("#bench-look-layers").click()
    expect(page.locator("#layers-status")).to_contain_text("Measured", timeout=SLOW)
    expect(page.locator("#layers-plot .main-svg").first).to_be_visible(timeout=30_000)
    bring(page, "Patches")
    page.locator("#bench-look-patches").click()
    expect(page.locator("#patches-status")).to_contain_text("Measured", timeout=SLOW)
    caption = page.locator("#patches-caption")
    expect(caption).to_contain_text("at llm 2", timeout=30_000)
    page.wait_for_function(
        "() => { const i = document.querySelector('#patches-map img');"
        " return i?.complete && i.naturalWidth === 384 && i.getBoundingClientRect().width === 384; }"
    )
    page.locator("#patches-map img").click(position={"x": 380, "y": 5})
    expect(caption).to_contain_text("row 1, column 6", timeout=30_000)
    bring(page, "Layers")
    page.locator("#layers-copy").click()
    expect(page.locator("#layers-command")).to_contain_text(f"--model {llava}")

    page.locator("#model-close").click()
    expect(page.locator("#card")).to_contain_text("pocket-bagel", timeout=30_000)
    expect(page.locator("#layers-status")).to_contain_text("has changed")

    page.locator("#model-close").click()
    expect(page.locator("#card")).to_contain_text("No model is open", timeout=30_000)
    expect(page.locator("#model-close")).to_be_hidden()
    expect(page.locator("#bench-look-layers")).to_be_disabled()
    choose(page, "pocket-bagel")
    page.locator("#model-open").click()
    expect(page.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    expect(page.locator("#bench-look-layers")).to_be_enabled()

    page.reload()
    expect(page.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    page.get_by_role("button", name="About this model").click()
    page.get_by_label("Another model").click()
    expect(page.get_by_role("option", name=str(llava))).to_be_visible(timeout=30_000)


def test_what_cannot_be_opened_leaves_the_model_and_its_card(page: Page, llava: Path) -> None:
    (llava.parent / "code").mkdir()
    (llava.parent / "code" / "config.json").write_text(
        '{"model_type": "own_kind", "auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}'
    )
    choose(page, str(llava.parent / "code"))
    page.locator("#model-open").click()
    expect(page.locator("#model-notice [role=alert]")).to_contain_text("Python code of its own", timeout=SLOW)
    expect(page.locator("#card")).to_contain_text("pocket-bagel")
    expect(page.locator("#card")).to_contain_text("parameters")
    expect(page.locator("#model-open")).to_be_enabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_the_choices_fit_their_column(
    browser: Browser, app: str, tmp_path: Path, theme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 860})
    tab = context.new_page()
    tab.goto(f"{app}/?__theme={theme}")
    if width < 768:
        expect(tab.locator(".sidebar.open")).to_have_count(0, timeout=SLOW)
        tab.get_by_role("button", name="Fold or unfold the bench").click()
    expect(tab.locator("#card")).to_contain_text("parameters", timeout=SLOW)
    tab.get_by_role("button", name="About this model").click()
    expect(tab.locator("#model-limits")).to_contain_text("CUDA", timeout=SLOW)
    choose(tab, "pocket-bagel")
    tab.wait_for_timeout(1000)
    tab.screenshot(path=tmp_path / f"models-{theme}-{width}.png")
    column = tab.locator("#other-model").bounding_box()
    assert column
    for part in ("#model-name", "#model-open", "#model-limits", ".pairs >> nth=0", ".pairs >> nth=1"):
        box = tab.locator(part).bounding_box()
        assert box and column["x"] <= box["x"] and box["x"] + box["width"] <= column["x"] + column["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
