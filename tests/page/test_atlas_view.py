"""The panel "Atlas" by its handlers, on a model whose states can be captured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from tests.capture.fake import FakeModel
from tests.page import visit
from workbench.app import Page, build
from workbench.errors import Cancelled
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.page.subject import DATA, PROBES
from workbench.panels.atlas import ways
from workbench.panels.atlas.view import AtlasView
from workbench.panels.atlas.view_layout import LAYING
from workbench.panels.atlas.view_settings import BOTH

UMAP = ("umap", "each", 15, 0.1)
TSNE = ("tsne", "each", 10, 0.1)
SMALL = {"images": 2, "tokens": 180}
PCA = ("pca", "each", 15, 0.1)
FAKE = FakeModel(side=12, width=16)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("fake", opener=lambda name, **how: FAKE), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def session(page: Page) -> Session:
    return visit.visitor(page)


@pytest.fixture(scope="module")
def panel(page: Page) -> AtlasView:
    found = page.panels["atlas"]
    assert isinstance(found, AtlasView)
    return found


@pytest.fixture(autouse=True)
def at_once(panel: AtlasView, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Layouts are made here, not in another process; returns the methods that were asked for."""
    asked: list[str] = []

    def call(function: Any, kept: Any, method: str, *, stop: Any, **named: Any) -> Any:
        asked.append(method)
        if stop():
            raise Cancelled
        return function(kept, method, **named)

    monkeypatch.setattr(panel.aside, "call", call)
    return asked


def values(page: Page, panel: AtlasView, **changed: Any) -> list[Any]:
    return visit.values(page, panel, SMALL, **changed)


@pytest.fixture(scope="module")
def looked(page: Page, panel: AtlasView, session: Session) -> dict[Any, Any]:
    return list(panel.look(session, *values(page, panel), None))[-1]


def overlay(panel: AtlasView, session: Session, key: str, way: Any, *others: Any, pins: Any = ()) -> Any:
    shown = [f"atlas/{key}" for _, key, _ in pins]
    visit.chosen(panel, session, key)
    return panel.overlay(session, key, list(pins), shown, *way, *(others or ("class", False, False)), "")


def test_a_look_brings_principal_components_whatever_the_layout(
    panel: AtlasView, session: Session, looked: dict[Any, Any]
) -> None:
    assert "Measured" in looked[panel.status]
    assert [name for _, name in looked[panel.colour].choices][0] == "class" == looked[panel.colour].value
    drawn = overlay(panel, session, looked[panel.result], UMAP)
    assert "PCA is a shadow" in drawn[panel.note] and drawn[panel.plot].visible
    assert 'class="sheet"' in drawn[panel.card].value
    assert {"tokens", "variance kept", "PC 1"} <= set(looked[panel.numbers].columns)


def test_the_layout_takes_its_place_and_no_switch_asks_the_model(
    panel: AtlasView, session: Session, looked: dict[Any, Any], at_once: list[str]
) -> None:
    key, passes = looked[panel.result], FAKE.passes
    said = list(panel.lay(session, key, [], [], *TSNE))
    assert "beside the page" in said[0][panel.laying] and said[-1][panel.laying_row].visible is False
    assert at_once == ["tsne"] * 3 and any(panel.ready in update for update in said)
    assert "t-SNE (perplexity 10" in overlay(panel, session, key, TSNE)[panel.note]
    assert "PCA is" in overlay(panel, session, key, PCA, "row", True, True)[panel.note]
    list(panel.lay(session, key, [], [], *TSNE))
    assert at_once == ["tsne"] * 3, "what was laid out is kept"
    assert FAKE.passes == passes


def test_what_cannot_be_laid_out_is_said_and_pca_stays(
    panel: AtlasView, session: Session, looked: dict[Any, Any]
) -> None:
    key = looked[panel.result]
    said = list(panel.lay(session, key, [], [], "umap", "each", 100, 0.1))
    assert "at most 59 neighbours, not 100" in said[-1][panel.laying]
    assert "PCA is" in overlay(panel, session, key, ("umap", "each", 100, 0.1))[panel.note]


def test_stages_of_different_widths_share_no_plane(page: Page, panel: AtlasView, session: Session) -> None:
    two = values(page, panel, stages=["vision 1", "llm 0"])
    key = list(panel.look(session, *two, None))[-1][panel.result]
    said = list(panel.lay(session, key, [], [], "umap", "joint", 15, 0.1))
    assert "different widths" in said[-1][panel.laying]
    assert "PCA is" in overlay(panel, session, key, ("umap", "joint", 15, 0.1))[panel.note]


def test_stopping_leaves_principal_components(
    panel: AtlasView, session: Session, looked: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(*_: Any, stop: Any, **__: Any) -> Any:
        assert session.measures(LAYING)
        panel.halted(session)
        assert stop()
        raise Cancelled

    monkeypatch.setattr(panel.aside, "call", waits)
    key, way = looked[panel.result], ("tsne", "each", 7, 0.1)
    list(panel.lay(session, key, [], [], *way))
    assert not session.measures(LAYING)
    assert "PCA is" in overlay(panel, session, key, way)[panel.note]


def test_pinned_results_are_laid_out_each_by_itself(
    page: Page, panel: AtlasView, session: Session, looked: dict[Any, Any], at_once: list[str]
) -> None:
    other = list(panel.look(session, *values(page, panel, corruption="none"), None))[-1][panel.result]
    pins = [("atlas", looked[panel.result], "the dark one")]
    list(panel.lay(session, other, pins, [f"atlas/{looked[panel.result]}"], "tsne", "each", 6, 0.1))
    assert at_once == ["tsne"] * 6
    drawn = str(overlay(panel, session, other, ("tsne", "each", 6, 0.1), pins=pins)[panel.plot].value)
    assert "the dark one, llm 0" in drawn and "clean, pocket-fake, llm 4" in drawn


def test_both_conditions_share_a_plane(page: Page, panel: AtlasView, session: Session) -> None:
    both = list(panel.look(session, *values(page, panel, conditions=BOTH, subject=PROBES), None))[-1]
    result = panel.kept(session, both[panel.result])
    assert result is not None
    assert set(result.tables["points"]["condition"]) == {"clean", "darkness 0.90"}
    assert both[panel.pin_name] == "clean and darkness 0.90, bundled scenes, pocket-fake"
    none = list(panel.look(session, *values(page, panel, conditions=BOTH, corruption="none"), None))[-1]
    assert panel.kept(session, none[panel.result]).config["with_clean"] is False  # type: ignore[union-attr]


def test_a_chosen_colour_stays_where_it_holds(page: Page, panel: AtlasView, looked: Any) -> None:
    own = visit.visitor(page, "chooser")
    panel.choose(own, "col")
    again = list(panel.look(own, *values(page, panel), None))[-1]
    assert again[panel.colour].value == "col"
    panel.choose(own, "image")
    assert list(panel.look(own, *values(page, panel, seed=2), None))[-1][panel.colour].value == "class"


def test_files_and_the_command_are_of_what_is_shown(
    page: Page, panel: AtlasView, session: Session, looked: dict[Any, Any]
) -> None:
    key, way = looked[panel.result], ("tsne", "joint", 9, 0.1)

    def csv() -> str:
        button = panel.downloads.buttons["csv"]
        return Path(panel.download("csv", session, key, [], [], *way, "class")[button]).read_text()

    assert "pca_x" in csv() and "tsne_x" not in csv()
    list(panel.lay(session, key, [], [], *way))
    assert "tsne_x" in csv(), "not the file of before"
    for form, button in panel.downloads.buttons.items():
        given = panel.download(form, session, key, [], [], *way, "class")
        assert Path(given[button]).stat().st_size > 0
    command = panel.as_command(session, *values(page, panel), *way, "class").value
    assert "--method tsne --planes joint --neighbours 9" in command and "--image scene:10" in command


def test_a_saved_run_is_shown_as_it_was_laid_out(
    panel: AtlasView, session: Session, looked: dict[Any, Any]
) -> None:
    result = panel.kept(session, looked[panel.result])
    assert result is not None
    way = panel._way("tsne", "joint", 9, 0.1)
    saved = ways.laid(result, way, ways.projected(result, way))
    panel.prove(saved)
    shown = panel.shown(saved)
    assert shown[panel.method] == "tsne" and shown[panel.planes] == "joint"
    assert panel.completed(session, saved, "tsne", "joint", 9, 0.1) is saved


def test_a_folder_of_classes_is_coloured_by_them(
    page: Page, panel: AtlasView, session: Session, tmp_path: Path
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(32):
        place = tmp_path / ("猫", "dog")[k % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(place / f"{k}.png")
    given = values(page, panel, subject=DATA, data=str(tmp_path), images=8, corruption="none")
    done = list(panel.look(session, *given, None))[-1]
    assert "Measured" in done[panel.status] and tmp_path.name in done[panel.pin_name]
    assert done[panel.colour].value == "label"
    result = panel.kept(session, done[panel.result])
    assert result is not None
    points = result.tables["points"]
    assert {"猫", "dog"} == set(points["label"]) and points["class"].isna().all()
    assert all(str(image).startswith(f"{label}/") for image, label in points[["image", "label"]].to_numpy())
    drawn = overlay(panel, session, done[panel.result], PCA, "object", False, False)
    assert "Coloured by image label, not by object: objects are told apart" in drawn[panel.note]
    assert "was divided by the hash" in drawn[panel.note], "what the collection's notes say"
    asked = overlay(panel, session, done[panel.result], PCA, "label", False, False)
    assert "Coloured by" not in asked[panel.note]
    with pytest.raises(gr.Error, match="no data at nowhere"):
        list(panel.look(session, *values(page, panel, subject=DATA, data="nowhere"), None))
