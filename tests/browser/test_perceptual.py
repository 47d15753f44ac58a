"""The panel Perceptual in a browser: of the states on the page, then of two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.browser.tabs import bring

pytestmark = pytest.mark.browser
SLOW = 120_000


def test_states_then_files_with_map_numbers_and_a_download(
    browser: Browser, app: str, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{app}/?__theme=light")
    expect(page.locator("#bench-look-states")).to_be_visible(timeout=SLOW)
    page.locator("#bench-look-states").click()
    expect(page.locator("#states-status")).to_contain_text("Measured", timeout=SLOW)
    bring(page, "Perceptual")
    page.locator("#bench-look-perceptual").click()
    expect(page.locator("#perceptual-status")).to_contain_text("Measured", timeout=SLOW)
    scores = page.locator("#perceptual-scores")
    expect(scores).to_contain_text("PSNR ↑", timeout=30_000)
    expect(page.locator("#perceptual-left-out")).to_contain_text("defined from 176 pixels")
    expect(page.locator("#perceptual-plot .main-svg").first).to_be_visible(timeout=30_000)
    page.get_by_label("difference", exact=True).check()
    expect(page.locator("#perceptual-caption")).to_contain_text("levels of 255", timeout=30_000)
    with page.expect_download() as download:
        page.locator("#perceptual-csv").click()
    download.value.save_as(tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert {"picture", "measure", "value", "better", "weights", "size"} <= set(table.columns)

    rng = np.random.default_rng(0)
    clean = rng.integers(60, 200, (40, 40, 3), dtype=np.uint8)
    for name, pixels in (("clean", clean), ("brighter", clean + 20)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    page.get_by_label("my files").check()
    page.locator("#perceptual-files input[type=file]").set_input_files(
        [tmp_path / "clean.png", tmp_path / "brighter.png"]
    )
    expect(page.locator("#perceptual-status")).to_contain_text("changed", timeout=30_000)
    page.locator("#bench-look-perceptual").click()
    expect(page.locator("#perceptual-status")).to_contain_text("Measured", timeout=SLOW)
    expect(scores).to_contain_text("22.1 dB", timeout=30_000)
    expect(page.locator("#perceptual-plot")).to_be_hidden()
    assert not faults
    context.close()
