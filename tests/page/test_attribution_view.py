"""The panel Attribution: maps as they come, a word and a layer chosen without the model, a collection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from tests.page.visit import values, visitor
from workbench.app import Page, build
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.view import AttributionView

SMALL = {
    "methods": ["attention", "saliency", "deeplift", "random"],
    "curve_steps": 2,
    "removals": 2,
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("pocket-bagel"), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def session(page: Page) -> Session:
    return visitor(page)


@pytest.fixture(scope="module")
def panel(page: Page) -> AttributionView:
    found = page.panels["attribution"]
    assert isinstance(found, AttributionView)
    return found


def looks(page: Page, panel: AttributionView, session: Session, **changed: Any) -> list[dict[Any, Any]]:
    return list(panel.look(session, *values(page, panel, SMALL, **changed), None))


@pytest.fixture(scope="module")
def shown(page: Page, panel: AttributionView, session: Session) -> list[dict[Any, Any]]:
    return looks(page, panel, session, answer="a yellow star")


def drawn(panel: AttributionView, session: Session, key: str, *choices: Any) -> dict[Any, Any]:
    return panel.overlay(session, key, [], [], *choices, None, False)


def test_maps_come_one_after_the_other(panel: AttributionView, shown: list[dict[Any, Any]]) -> None:
    counts = [updates[panel.maps].count("<figure") for updates in shown[:-1] if panel.maps in updates]
    assert counts[0] == 2 and counts == sorted(counts) and counts[-1] == 4
    last = shown[-1]
    assert [text for text, _ in last[panel.word].choices] == ["the answer", "a", "yellow", "star"]
    assert last[panel.choices].visible and last[panel.layer].maximum == 8
    assert "DeepLIFT does not apply" in last[panel.verdict]
    assert "The answer is “a yellow star”" in last[panel.verdict]


def test_a_word_a_layer_and_opacity_redraw_without_the_model(
    panel: AttributionView, session: Session, shown: list[dict[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*args: Any, **how: Any) -> None:
        raise AssertionError("the model was asked")

    monkeypatch.setattr(panel.bench.host, "model", nobody)
    key = shown[-1][panel.result]
    whole = drawn(panel, session, key, 0, 0, 0.8)
    assert whole[panel.maps].count("<figure") == 4 and "insertion ↑" in whole[panel.maps]
    assert whole[panel.layer].label == "Layer: all layers"
    word = drawn(panel, session, key, 2, 0, 0.8)
    layer = drawn(panel, session, key, 0, 3, 0.8)
    faint = drawn(panel, session, key, 0, 0, 0.2)
    assert len({updates[panel.maps] for updates in (whole, word, layer, faint)}) == 4
    assert layer[panel.layer].label == "Layer: llm 3" and "llm 3" in layer[panel.maps]
    panel.choose(session, key, 2, 3)
    result = panel.kept(session, key)
    assert result is not None
    standing = panel.standing(session, result)
    assert standing[panel.layer].value == 3 and standing[panel.word].value == 2
    beside = panel.overlaid([("", result)], [("pinned", result)], 2, 3, 0.8, None, False)[panel.beside]
    assert "Explained is “yellow”" in beside and "llm 3" in beside


def test_one_tick_measures_sensitivity(page: Page, panel: AttributionView, session: Session) -> None:
    few = {"methods": ["relevancy"], "curve_steps": 0}
    without = looks(page, panel, session, **few)[-1]
    assert (
        "sensitivity"
        not in panel.overlay(session, without[panel.result], [], [], 0, 0, 0.8, None, 0)[panel.maps]
    )
    ticked = looks(page, panel, session, **few, sensitivity=True)[-1]
    result = panel.kept(session, ticked[panel.result])
    assert result is not None and result.config["sensitivity"] == AttributionConfig().sensitivity
    assert (
        "sensitivity" in panel.overlay(session, ticked[panel.result], [], [], 0, 0, 0.8, None, 0)[panel.maps]
    )


def test_what_is_downloaded_is_what_is_shown(
    panel: AttributionView, session: Session, shown: list[dict[Any, Any]]
) -> None:
    result = panel.kept(session, shown[-1][panel.result])
    assert result is not None
    panel.prove(result)
    figure = panel.paper([("clean", result)], 2, 3, None)
    words = {text.get_text() for text in figure.texts}
    assert any("yellow, p" in text for text in words) and "saliency" in words
    assert set(panel.table(result)["method"]) == {"attention", "saliency", "random"}
    assert panel.name(result) == "darkness 0.90, pocket-bagel"


def test_a_collection_is_a_chart(page: Page, panel: AttributionView, session: Session) -> None:
    last = looks(page, panel, session, subject="probes", n=3, resamples=100)[-1]
    key = last[panel.result]
    assert "point above chance" in last[panel.verdict] and last[panel.measure].visible
    drawing = panel.overlay(session, key, [], [], None, 0, 0.8, "energy", True)
    assert drawing[panel.plot].visible and not drawing[panel.maps]
    result = panel.kept(session, key)
    assert result is not None
    panel.prove(result)
    assert panel.paper([("", result)], None, 0, "pointing").axes


def test_a_drawing_is_explained_with_a_map_of_one_patch(
    page: Page, panel: AttributionView, session: Session
) -> None:
    given = {"methods": ["saliency", "ablation", "random"], "explains": "drawing", "regions": "masks"}
    *_, last = looks(page, panel, session, **given, patch="3, 3")
    assert [text for text, _ in last[panel.word].choices] == ["the drawing", "patch 3, 3"]
    shown = drawn(panel, session, last[panel.result], 1, 0, 0.8)[panel.maps]
    assert shown.count("<figure") == 4 and "patch 3, 3, outlined" in shown
    for wrong in ("x", "3", "3, 4, 5", "-1, 0"):
        *_, refused = refusals(page, panel, session, **given, patch=wrong)
        assert "by its row and column" in refused[panel.status]


def refusals(page: Page, panel: AttributionView, session: Session, **changed: Any) -> list[dict[Any, Any]]:
    found: list[dict[Any, Any]] = []
    with pytest.raises(gr.Error):
        for updates in panel.look(session, *values(page, panel, SMALL, **changed), None):
            found.append(updates)
    return found
