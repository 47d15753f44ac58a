"""The panel "Layers" by its handlers, on a model whose states can be captured."""

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
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.page.subject import DATA, IMAGE, PROBES
from workbench.panels.layers.measures import BETWEEN, GROUPS
from workbench.panels.layers.view import LayersView

SMALL = {"permutations": 20, "n_train": 40, "n_validation": 16, "n_test": 24, "resamples": 100}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("fake", opener=lambda name, **how: FakeModel(side=12, width=16)), sessions=sessions)
    sessions.close_all()


@pytest.fixture(scope="module")
def session(page: Page) -> Session:
    return visit.visitor(page)


@pytest.fixture(scope="module")
def panel(page: Page) -> LayersView:
    found = page.panels["layers"]
    assert isinstance(found, LayersView)
    return found


def values(page: Page, panel: LayersView, **changed: Any) -> list[Any]:
    return visit.values(page, panel, SMALL, **changed)


@pytest.fixture(scope="module")
def picture(page: Page, panel: LayersView, session: Session) -> dict[Any, Any]:
    return list(panel.look(session, *values(page, panel), None))[-1]


@pytest.fixture(scope="module")
def probed(page: Page, panel: LayersView, session: Session) -> dict[Any, Any]:
    return list(panel.look(session, *values(page, panel, subject=PROBES), None))[-1]


def test_a_picture_brings_its_groups(panel: LayersView, picture: dict[Any, Any]) -> None:
    assert "Measured" in picture[panel.status]
    groups = [name for name, _ in picture[panel.group].choices]
    assert "patch structure" in groups and "global reader" not in groups
    assert GROUPS["patch structure"].measures == ("cohesion", "coupling") and "contrast" in groups
    assert len(picture[panel.numbers]) > 0


def test_the_probe_set_brings_readers(panel: LayersView, probed: dict[Any, Any]) -> None:
    groups = [name for name, _ in probed[panel.group].choices]
    assert groups[:3] == ["global reader", "nearest neighbours", "segmentation reader"]


def test_progress_is_told_in_words(page: Page, panel: LayersView, session: Session) -> None:
    said = [u[panel.status] for u in panel.look(session, *values(page, panel, seed=1, subject=PROBES), None)]
    assert any("Reading images, 16 of 80" in text for text in said)
    assert any("progressbar" in text for text in said)


def test_curves_are_drawn_for_the_ground_they_stand_on(
    panel: LayersView, session: Session, picture: dict[Any, Any]
) -> None:
    key = picture[panel.result]
    light = str(panel.overlay(session, key, [], [], "patch structure", False)[panel.plot].value)
    dark = str(panel.overlay(session, key, [], [], "patch structure", True)[panel.plot].value)
    assert light != dark
    note = panel.overlay(session, key, [], [], "patch structure", False)[panel.note]
    assert "Cohesion" in note


def test_a_new_result_is_drawn_as_its_own_choices_say_not_as_those_before_it(
    panel: LayersView, session: Session, picture: dict[Any, Any], probed: dict[Any, Any]
) -> None:
    session.drawn.clear()
    stale = "token norm"  # both have it, and the page may still send it with the new result
    drawn = panel.overlay(session, probed[panel.result], [], [], stale, False)
    assert probed[panel.group].value == "global reader" and "chance" in str(drawn[panel.plot].value)
    again = panel.overlay(session, probed[panel.result], [], [], stale, False)
    assert "chance" not in str(again[panel.plot].value)
    other = panel.overlay(session, picture[panel.result], [], [], stale, False)
    assert "Cohesion" in other[panel.note]


def test_a_pinned_result_of_the_other_kind_is_not_laid_over(
    panel: LayersView, session: Session, picture: dict[Any, Any], probed: dict[Any, Any]
) -> None:
    key, other = probed[panel.result], picture[panel.result]
    pins, shown = [("layers", other, "one picture")], [f"layers/{other}"]

    def plot(group: str) -> str:
        return str(
            panel.overlay(session, visit.chosen(panel, session, key), pins, shown, group, False)[
                panel.plot
            ].value
        )

    assert "one picture" in plot("token norm")
    assert "one picture" not in plot("global reader") and "chance" in plot("global reader")


def test_what_was_chosen_stays_with_the_next_look_where_it_holds(
    page: Page, panel: LayersView, picture: dict[Any, Any]
) -> None:
    session = visit.visitor(page, "chooser")

    def looked(**changed: Any) -> dict[Any, Any]:
        return list(panel.look(session, *values(page, panel, **changed), None))[-1]

    first = looked()
    assert first[panel.group].value == "patch structure"
    panel.choose(session, "token norm")
    assert looked(seed=5)[panel.group].value == "token norm"
    panel.choose(session, "a group of another time")
    assert looked(seed=6)[panel.group].value == "patch structure"


def test_the_figure_for_paper_is_what_the_screen_shows(
    panel: LayersView, session: Session, picture: dict[Any, Any], probed: dict[Any, Any]
) -> None:
    one, many = panel.kept(session, picture[panel.result]), panel.kept(session, probed[panel.result])
    assert one is not None and many is not None

    drawn = panel.paper([("", one)], "token norm")
    assert drawn.axes[0].get_ylabel().startswith(GROUPS["token norm"].axis) and len(drawn.axes) == 4
    printed = panel.paper([("", many)], "segmentation reader")
    assert [axes.get_ylabel()[:7] for axes in printed.axes] == ["patch a"]
    over = panel.paper([("probes", many), ("picture", one)], "global reader")
    assert len(over.axes) == 1
    png = panel.downloads.buttons["png"]
    files = {
        Path(panel.download("png", session, picture[panel.result], [], [], group)[png]).read_bytes()
        for group in ("token norm", "contrast")
    }
    assert len(files) == 2


def test_files_for_paper_and_the_command_for_both_subjects(
    page: Page, panel: LayersView, session: Session, picture: dict[Any, Any], probed: dict[Any, Any]
) -> None:
    for updates in (picture, probed):
        for form, button in panel.downloads.buttons.items():
            group = updates[panel.group].value
            given = panel.download(form, session, updates[panel.result], [], [], group)
            assert Path(given[button]).suffix == f".{form}" and Path(given[button]).stat().st_size > 0
    image = panel.as_command(session, *values(page, panel, subject=IMAGE)).value
    probes = panel.as_command(session, *values(page, panel, subject=PROBES)).value
    assert "--image scene:10" in image and "--image" not in probes


def test_a_folder_of_ones_own_is_measured(
    page: Page, panel: LayersView, session: Session, tmp_path: Path
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(100):
        place = tmp_path / ("ab"[k % 2])
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(place / f"{k}.png")
    given = values(page, panel, subject=DATA, data=str(tmp_path), measures=["linear reader", "content"])
    done = list(panel.look(session, *given, None))[-1]
    assert "Measured" in done[panel.status]
    groups = [name for name, _ in done[panel.group].choices]
    assert groups == ["global reader", "content reader"]
    assert tmp_path.name in done[panel.pin_name]
    key = visit.chosen(panel, session, done[panel.result])
    drawn = panel.overlay(session, key, [], [], "content reader", False)
    assert "read-pictures" in drawn[panel.beneath] and drawn[panel.beneath].count("<img") == 16


@pytest.mark.parametrize(
    ("data", "said"), [("", "Name your data"), ("nowhere", "no data at nowhere"), ("a" * 9, "no data")]
)
def test_data_that_are_not_there_are_a_sentence(
    page: Page, panel: LayersView, session: Session, data: str, said: str
) -> None:
    with pytest.raises(gr.Error, match=said):
        list(panel.look(session, *values(page, panel, subject=DATA, data=data), None))


def test_a_space_opens_no_folder(
    page: Page, panel: LayersView, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    with pytest.raises(gr.Error, match="only data sets of the hub"):
        list(panel.look(session, *values(page, panel, subject=DATA, data=str(tmp_path)), None))


def test_pinned_results_are_held_against_the_present_one(
    page: Page, panel: LayersView, session: Session, picture: dict[Any, Any]
) -> None:
    assert BETWEEN in [name for name, _ in picture[panel.group].choices]
    key = visit.chosen(panel, session, picture[panel.result])
    alone = panel.overlay(session, key, [], [], BETWEEN, False)
    assert "pin this result and look at the same images again" in alone[panel.note]
    assert alone[panel.plot].visible is False
    given = values(page, panel, corruption="none")
    clean = list(panel.look(session, *given, None))[-1][panel.result]
    pins, shown = [("layers", picture[panel.result], "in the dark")], [f"layers/{picture[panel.result]}"]
    both = panel.overlay(session, visit.chosen(panel, session, clean), pins, shown, BETWEEN, False)
    assert "in the dark" in str(both[panel.plot].value) and "The first: clean" in both[panel.note]
    assert "with every stage of in the dark" in both[panel.beneath] and "n = 1 image," in both[panel.beneath]
    for form, button in panel.downloads.buttons.items():
        file = Path(panel.download(form, session, clean, pins, shown, BETWEEN)[button])
        if form == "csv":
            assert "CKA with the first" in file.read_text() and "Moran" not in file.read_text()
    said = panel.download("pdf", session, clean, [], [], BETWEEN)
    assert "ask for two results" in said[panel.status]
