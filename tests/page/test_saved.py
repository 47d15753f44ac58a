"""Saved runs on the page, by its handlers: opened for all or dropped by one, with a model or without."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.capture.fake import FakeModel as Captured
from tests.page.fake import FakeModel
from workbench.app import Page, build
from workbench.errors import Refusal
from workbench.page.host import Chosen
from workbench.page.session import Session, Sessions
from workbench.panels.capture import study as capture
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.layers import study as layers
from workbench.panels.layers.config import LayersConfig
from workbench.panels.patches.saved import from_capture
from workbench.panels.states import study as states
from workbench.panels.states.config import StatesConfig
from workbench.runs.archive import opened, pack
from workbench.runs.result import Result
from workbench.runs.store import save

NONE = Chosen("")
"""What lies on the bench where no model is open."""


def never(fraction: float, text: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def runs() -> dict[str, Result]:
    """One result of each study that the page can show."""
    shows: Any = Captured(side=12, width=16)
    drawn: Any = FakeModel()
    return {
        "states": states.run(StatesConfig(image="scene:3", question="what?", steps=3), drawn),
        "layers": layers.run(LayersConfig(image="scene:3", permutations=20), shows),
        "capture": capture.run(CaptureConfig(images=("scene:4",), corruption="gaussian_noise"), shows),
    }


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Page]:
    """A page without a model."""
    sessions = Sessions(tmp_path / "sessions")
    yield build("", sessions=sessions)
    sessions.close_all()


@pytest.fixture
def visit(bare: Page) -> Session:
    request: Any = SimpleNamespace(session_hash="visitor")
    return bare.bench.session(request)


def zipped(run: Result, folder: Path, name: str = "run.zip") -> str:
    pack(run, folder / name)
    return str(folder / name)


def dropped(page: Page, session: Session, path: str, model: Chosen = NONE) -> dict[Any, Any]:
    """The page after a drop and once each panel was in front: all updates, the last ones first."""
    seen: dict[Any, Any] = {}
    for updates in page.saved.lay(session, path, [], []):
        assert set(updates) <= set(page.saved.outputs)
        seen |= updates
    return seen | fronted(page, session, model)


def fronted(page: Page, session: Session, model: Chosen = NONE) -> dict[Any, Any]:
    """What the panels show of runs that were opened, each of them brought to the front."""
    seen: dict[Any, Any] = {}
    for study in list(session.due):
        panel = page.panels[study]
        updates = panel.refresh(session, *values(page, study, model), None)
        assert set(updates) <= set(panel.every)
        seen |= updates
    assert not session.due
    return seen


@pytest.mark.parametrize(
    ("study", "panels"),
    [
        ("states", ["states"]),
        ("layers", ["layers"]),
        ("capture", ["layers", "patches", "atlas", "perceptual"]),
    ],
)
def test_a_dropped_run_is_pinned_and_shown(
    study: str, panels: list[str], runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    seen = dropped(bare, visit, zipped(runs[study], tmp_path))
    keys = [seen[bare.panels[panel].result] for panel in panels]
    name = seen[bare.panels[panels[0]].pin_name]
    assert seen[bare.bench.pins.all] == [(panel, key, name) for panel, key in zip(panels, keys, strict=True)]
    chips = [f"{name} ({panel})" if len(panels) > 1 else name for panel in panels]
    assert [label for label, _ in seen[bare.bench.pins.shown]["choices"]] == chips
    assert seen[bare.bench.pins.shown]["value"] == [
        f"{panel}/{key}" for panel, key in zip(panels, keys, strict=True)
    ]
    assert seen[bare.bench.turns.front] == panels[0]
    assert seen[bare.bench.run_notice] == ""
    for panel, key in zip(panels, keys, strict=True):
        shown = bare.panels[panel]
        assert "Opened from a saved run: pocket-fake" in seen[shown.status]
        assert ("Open a model to look again" in seen[shown.status]) == shown.asks_model
        assert all(seen[button]["interactive"] for button in shown.downloads.buttons.values())
        kept = shown.kept(visit, key)
        assert kept is not None and kept.study == panel
    other = next(p for name, p in bare.panels.items() if name not in panels)
    assert other.result not in seen


def test_without_a_model_the_stored_result_does_all_it_can(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    panel: Any = bare.panels["layers"]
    seen = dropped(bare, visit, zipped(runs["capture"], tmp_path))
    key, group = seen[panel.result], seen[panel.group].value
    plot = panel.overlay(visit, key, [], [], group, False)[panel.plot]
    assert plot.visible
    for form, button in panel.downloads.buttons.items():
        path = panel.download(form, visit, key, [], [], group)[button]
        assert Path(path).stat().st_size > 0
    name = seen[panel.pin_name]
    assert panel.pinned(key, name, [], [])[bare.bench.pins.all] == [("layers", key, name)]


def test_patches_of_a_capture_are_clicked_and_scrubbed_without_a_model(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    panel: Any = bare.panels["patches"]
    seen = dropped(bare, visit, zipped(runs["capture"], tmp_path))
    key = seen[panel.result]
    asked = seen[panel.asked]
    drawn = [
        panel.overlay(visit, key, [], [], panel.choose("stage", visit, key, asked, stage)) for stage in (0, 5)
    ]
    assert drawn[0][panel.stage].label != drawn[1][panel.stage].label
    assert not np.array_equal(drawn[0][panel.map], drawn[1][panel.map])
    assert "the lens reads" in drawn[1][panel.rungs] and "is not to be had" in drawn[1][panel.remark]
    request: Any = SimpleNamespace(session_hash="visitor")
    clicked = panel.pick(key, asked, request, SimpleNamespace(index=[383, 383]))
    assert (clicked["row"], clicked["column"]) == (12, 12)
    for form, button in panel.downloads.buttons.items():
        path = panel.download(form, visit, key, [], [], clicked | {"show": "entropy"})[button]
        assert Path(path).stat().st_size > 0


def test_a_panel_that_a_capture_is_too_small_for_says_so_and_the_others_show_it(
    bare: Page, visit: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.atlas.study.FEWEST", 10)
    shows: Any = Captured(side=3, width=16)
    seen = dropped(bare, visit, zipped(capture.run(CaptureConfig(images=("scene:4",)), shows), tmp_path))
    assert {study for study, _, _ in seen[bare.bench.pins.all]} == {"layers", "patches"}
    assert "a plane wants" in seen[bare.bench.run_notice] and "note" in seen[bare.bench.run_notice]


def test_captures_of_two_images_are_told_apart(bare: Page, visit: Session, tmp_path: Path) -> None:
    shows: Any = Captured(side=12, width=16)
    for seed in (4, 5):
        run = capture.run(CaptureConfig(images=(f"scene:{seed}",)), shows)
        save(run, tmp_path / str(seed))
        bare.saved.open_for_all(tmp_path / str(seed), never)
    seen = bare.saved.begin(visit, [], [])
    names = [name for study, _, name in seen[bare.bench.pins.all] if study == "layers"]
    assert names == ["clean, pocket-fake", "scene:5, clean, pocket-fake"]
    status = fronted(bare, visit)[bare.panels["layers"].status]
    assert "Opened from a saved run: pocket-fake, scene:4, 20" in status


def values(page: Page, study: str, model: Chosen = NONE) -> list[Any]:
    """What stands on the bench, with a model, and in a panel's settings."""
    panel = page.panels[study]
    on_bench = [model if part is page.bench.model else part.value for part in page.bench.inputs]
    return [*on_bench, *(part.value for part in panel.settings.values())]


def test_without_a_model_look_sleeps_and_every_panel_says_so(bare: Page, visit: Session) -> None:
    for study, panel in bare.panels.items():
        if not panel.asks_model:
            continue  # it looks all the same
        updates = panel.refresh(visit, *values(bare, study), None)
        assert "open a model to look" in updates[panel.status]
        assert not any(updates[button].interactive for button in panel.controls.looks)
    chooser, request = bare.bench.chooser, SimpleNamespace(session_hash="visitor")
    (card,) = chooser.show_card(NONE, request)  # type: ignore[arg-type]
    assert "No model is open" in card[chooser.card]
    bare.models.warm()
    assert not bare.models._open


def test_a_run_that_was_seen_in_a_browser_opens_elsewhere(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    panel = bare.panels["states"]
    key = dropped(bare, visit, zipped(runs["states"], tmp_path))[panel.result]
    path = Path(panel.download("zip", visit, key, [], [])[panel.downloads.buttons["zip"]])
    assert path.name == "afterimage-states.zip"
    found = opened(path)[1]
    assert found.config == runs["states"].config and found.manifest == runs["states"].manifest
    again = dropped(bare, visit, str(path))
    assert again[panel.result] == key, "the same run has the same id"


def test_runs_of_the_command_line_are_there_for_every_visitor(
    runs: dict[str, Result], bare: Page, tmp_path: Path
) -> None:
    for name in ("states", "capture"):
        save(runs[name], tmp_path / name)
        bare.saved.open_for_all(tmp_path / name, never)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["capture", "states"]
    for visitor in ("one", "other"):
        request: Any = SimpleNamespace(session_hash=visitor)
        session = bare.bench.session(request)
        seen = bare.saved.begin(session, [], [])
        seen |= fronted(bare, session)
        expected = ["states", "layers", "patches", "atlas", "perceptual"]
        assert [study for study, _, _ in seen[bare.bench.pins.all]] == expected
        assert len(seen[bare.bench.pins.shown]["value"]) == len(expected)
        for panel in (bare.panels[name] for name in expected):
            assert panel.kept(session, seen[panel.result]) is not None
        assert seen[bare.bench.turns.front] == "states"
        assert not session.folder.exists(), "nothing is copied"


def test_with_nothing_opened_a_visit_begins_as_ever(bare: Page, visit: Session) -> None:
    assert list(bare.saved.begin(visit, [], [])) == [bare.bench.run_notice]


def test_beside_an_open_model_a_saved_run_stays_until_somebody_looks(
    runs: dict[str, Result], page: Page, session: Session, tmp_path: Path
) -> None:
    page.models.model(page.models.first)
    panel = page.panels["states"]
    seen = dropped(page, session, zipped(runs["states"], tmp_path), page.models.first)
    key = seen[panel.result]
    said = panel.refresh(session, *values(page, "states", page.models.first), key)
    assert "Opened from a saved run" in said[panel.status] and "look again" not in said[panel.status]
    done = list(panel.look(session, *values(page, "states", page.models.first), key))[-1]
    assert done[panel.result] != key and "Measured" in done[panel.status]
    stopped = panel.stopped(session, *values(page, "states", page.models.first), key)
    assert "Opened from a saved run" in stopped[panel.status]


def test_a_look_comes_before_a_saved_run_that_its_panel_has_not_shown(
    runs: dict[str, Result], page: Page, session: Session, tmp_path: Path
) -> None:
    page.models.model(page.models.first)
    panel, laid = page.panels["states"], values(page, "states", page.models.first)
    list(page.saved.lay(session, zipped(runs["states"], tmp_path), [], []))
    assert set(session.due) == {"states"}
    panel.beginning(session)
    done = list(panel.look(session, *laid, None))[-1]
    assert "Measured" in panel.refresh(session, *laid, done[panel.result])[panel.status]
    assert panel.result not in panel.refresh(session, *laid, done[panel.result])


def broken(run: Result, **changed: Any) -> Result:
    return replace(run, tables=dict(run.tables), arrays=dict(run.arrays), images=dict(run.images), **changed)


def without(run: Result, kind: str, name: str) -> Result:
    found = broken(run)
    getattr(found, kind).pop(name)
    return found


def test_what_cannot_be_shown_is_a_sentence_and_the_page_stays(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    patches = from_capture(runs["capture"])[0]
    stretched = broken(patches)
    stretched.arrays["grid"] = np.array([1000, 1000])
    faults = {
        "no curves": without(runs["layers"], "tables", "curves"),
        "no picture": without(patches, "images", "shown"),
        "no tokens": without(patches, "arrays", "tokens_004"),
        "no entropy": without(runs["capture"], "arrays", "lens_entropy_005"),
        "no vocabulary": without(runs["capture"], "tables", "vocabulary"),
        "another grid": stretched,
        "no trace": without(runs["states"], "tables", "trace"),
        "no original": without(runs["states"], "images", "original"),
        "no states": without(runs["capture"], "arrays", "states_003"),
        "no boxes": without(runs["capture"], "arrays", "boxes_00"),
        "no model": broken(runs["states"], manifest={}),
        "no condition": broken(runs["states"], config={}),
        "another study": broken(runs["states"], study="<b>atlas</b>"),
    }
    for name, run in faults.items():
        seen = dropped(bare, visit, zipped(run, tmp_path, f"{name}.zip"))
        notice = seen[bare.bench.run_notice]
        assert 'role="alert"' in notice and f"“{name}.zip”" in notice, name
        assert "<b>" not in notice.replace("<b>Afterimage</b>", "")
        assert seen[bare.bench.run] is None
        assert not {panel.result for panel in bare.panels.values()} & set(seen), name
    assert not visit.opened


def test_what_is_no_run_is_a_sentence(bare: Page, visit: Session, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("../../evil", "x")
    for name in ("photo.png", "other.zip"):
        notice = dropped(bare, visit, str(tmp_path / name))[bare.bench.run_notice]
        assert 'role="alert"' in notice and name in notice
    with pytest.raises(Refusal, match="holds no result"):
        bare.saved.open_for_all(tmp_path / "absent", never)


def test_nothing_heavy_is_said_where_memory_runs_out(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("workbench.runs.archive.opened", large)
    assert (
        "too little memory" in dropped(bare, visit, zipped(runs["states"], tmp_path))[bare.bench.run_notice]
    )


def test_a_visit_that_ends_while_a_run_is_opened_leaves_nothing(
    runs: dict[str, Result], bare: Page, visit: Session, tmp_path: Path
) -> None:
    opening = bare.saved.lay(visit, zipped(runs["capture"], tmp_path), [], [])
    next(opening)
    visit.close()
    assert list(opening)[-1] == {bare.bench.run_notice: ""}
    assert not visit.folder.exists()
