"""The atlas under a mouse: the patch of a point, and layouts that leave the page free."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tabs import bring
from tests.browser.test_page import SLOW, look, page  # noqa: F401

pytestmark = pytest.mark.browser
POINT = """() => {
  const plot = document.querySelector('#atlas-plot .js-plotly-plot');
  const trace = plot._fullData[0], axes = plot._fullLayout, box = plot.getBoundingClientRect();
  const x = axes[trace.xaxis.replace('x', 'xaxis')], y = axes[trace.yaxis.replace('y', 'yaxis')];
  return [box.left + x._offset + x.l2p(trace.x[0]), box.top + y._offset + y.l2p(trace.y[0]),
          trace.customdata[0][6]];
}"""
OUTLINED = """() => [...document.querySelectorAll('#atlas-card canvas')].map((canvas) => {
  const seen = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let white = 0;
  for (let k = 0; k < seen.length; k += 4) white += seen[k] + seen[k + 1] + seen[k + 2] > 690;
  return white;
})"""


def hover(page: Page) -> str:  # noqa: F811
    x, y, words = page.evaluate(POINT)
    page.mouse.move(x - 20, y - 20)
    page.mouse.move(x, y, steps=4)
    return str(words)


def test_the_patch_of_a_point_is_shown_and_a_layout_comes_beside_the_page(page: Page) -> None:  # noqa: F811
    bring(page, "Atlas")
    page.locator("#atlas-method").get_by_label("PCA").click()
    look(page, "atlas")
    expect(page.locator("#atlas-note")).to_contain_text("PCA is a shadow", timeout=SLOW)
    expect(page.locator("#atlas-plot .js-plotly-plot")).to_be_visible(timeout=SLOW)
    page.wait_for_function("() => document.querySelector('#atlas-plot .js-plotly-plot')?.atlasEvents")
    page.wait_for_timeout(500)
    place, source = hover(page).split("; ")
    card = page.locator("#atlas-card")
    expect(card).to_contain_text(place)
    expect(card).to_contain_text(source)
    page.wait_for_function(f"() => ({OUTLINED})().every((white) => white > 20)")

    page.locator("#atlas-method").get_by_label("t-SNE").click()
    expect(page.locator("#atlas-laying")).to_contain_text("beside the page", timeout=SLOW)
    bring(page, "Layers")  # nobody waits for it
    expect(page.locator("#bench-look-layers")).to_be_enabled()
    bring(page, "Atlas")
    expect(page.locator("#atlas-note")).to_contain_text("t-SNE (perplexity 15", timeout=SLOW)
    page.wait_for_timeout(500)
    place, _ = hover(page).split("; ")
    expect(card).to_contain_text(place)
