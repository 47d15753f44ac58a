"""The panel "Patches" by its handlers, on a model whose states can be captured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.capture.fake import FakeModel
from tests.page.visit import chosen
from workbench.app import Page, build
from workbench.page.host import Host
from workbench.page.session import Session, Sessions
from workbench.panels.patches.quantities import ENTROPY, NORM, SIMILARITY, WORD
from workbench.panels.patches.view import PatchesView


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    yield build(host=Host("fake", opener=lambda name, **how: FakeModel(side=12, width=16)), sessions=sessions)
    sessions.close_all()


def visitor(page: Page, name: str = "visitor") -> Session:
    request: Any = SimpleNamespace(session_hash=name)
    return page.bench.session(request)


@pytest.fixture(scope="module")
def session(page: Page) -> Session:
    return visitor(page)


@pytest.fixture(scope="module")
def panel(page: Page) -> PatchesView:
    found = page.panels["patches"]
    assert isinstance(found, PatchesView)
    return found


def values(page: Page, panel: PatchesView, **changed: Any) -> list[Any]:
    names = ["specimen", "corruption", "intensity", "question", "seed", "model"]
    bench = {name: component.value for name, component in zip(names, page.bench.inputs, strict=True)}
    settings = {name: setting.value for name, setting in panel.settings.items()} | {"words": "red,  star ,"}
    return [
        *(bench | {k: v for k, v in changed.items() if k in bench}).values(),
        *(settings | {k: v for k, v in changed.items() if k in settings}).values(),
    ]


def looked(page: Page, panel: PatchesView, session: Session, **changed: Any) -> dict[Any, Any]:
    return list(panel.look(session, *values(page, panel, **changed), None))[-1]


@pytest.fixture(scope="module")
def dark(page: Page, panel: PatchesView, session: Session) -> dict[Any, Any]:
    return looked(page, panel, session)


@pytest.fixture(scope="module")
def clean(page: Page, panel: PatchesView, session: Session) -> dict[Any, Any]:
    return looked(page, panel, session, corruption="none")


def drawn(panel: PatchesView, session: Session, key: str, asked: Any, *pins: str) -> dict[Any, Any]:
    all_pins = [("patches", pinned, f"pin {number}") for number, pinned in enumerate(pins)]
    chosen(panel, session, key)
    return panel.overlay(session, key, all_pins, [f"patches/{pinned}" for pinned in pins], asked)


def test_a_look_goes_in_as_the_bench_says_with_its_question(
    page: Page, panel: PatchesView, session: Session, dark: dict[Any, Any]
) -> None:
    result = panel.kept(session, dark[panel.result])
    assert result is not None and "Measured" in dark[panel.status]
    assert result.config["question"] == page.bench.question.value
    assert result.config["corruption"] == page.bench.corruption.value
    assert result.config["words"] == ["red", "star"]
    assert dark[panel.parts].visible and dark[panel.empty] == ""


def test_what_can_be_chosen_is_what_the_result_holds(panel: PatchesView, dark: dict[Any, Any]) -> None:
    assert [value for _, value in dark[panel.show].choices] == [SIMILARITY, WORD, ENTROPY, NORM]
    assert [value for value, _ in dark[panel.word].choices] == ["red", "star"]
    assert dark[panel.query].choices == [] and dark[panel.stage].maximum == 8
    assert dark[panel.asked]["stage"] == "llm 2" and dark[panel.stage].value == 6


def test_map_words_and_caption_follow_the_choices(
    panel: PatchesView, session: Session, dark: dict[Any, Any]
) -> None:
    key, asked = dark[panel.result], dark[panel.asked]
    first = drawn(panel, session, key, asked | {"row": 1, "column": 1})
    other = drawn(panel, session, key, asked | {"row": 5, "column": 7})
    assert first[panel.map].shape == (384, 384, 3) and not np.array_equal(first[panel.map], other[panel.map])
    assert "row 5, column 7" in other[panel.caption] and other[panel.row] == 5 and other[panel.col] == 7
    assert first[panel.rungs] != other[panel.rungs]
    for show, words in ((WORD, "Probability of “star”"), (ENTROPY, "nats"), (NORM, "Euclidean length")):
        seen = drawn(panel, session, key, asked | {"show": show, "word": "star"})
        assert words in seen[panel.caption] and "The outlined patch: " in seen[panel.caption]
        assert seen[panel.word].visible == (show == WORD) and not seen[panel.query].visible
    seen = drawn(panel, session, key, asked | {"show": WORD, "stage": "vision 2"})
    assert "The lens reads stages of the language model" in seen[panel.caption]
    assert 'aria-current="true"' not in seen[panel.rungs] and seen[panel.stage].label == "Stage: vision 2"


def test_the_ladder_has_a_row_for_each_language_stage_and_says_where_it_misleads(
    panel: PatchesView, session: Session, dark: dict[Any, Any]
) -> None:
    seen = drawn(panel, session, dark[panel.result], dark[panel.asked])
    stages = re.findall(r'<th scope="row">(.*?)</th>', seen[panel.rungs])
    assert stages == [f"llm {k}" for k in range(5)]
    assert seen[panel.rungs].count('aria-current="true"') == 1
    assert (
        "trained for the last one" in seen[panel.remark]
        and "never trained to predict words" in seen[panel.remark]
    )
    assert "attention" in seen[panel.remark] and "received" not in seen[panel.rungs]


def test_pinned_looks_stand_beside_with_the_same_place_stage_and_colours(
    panel: PatchesView, session: Session, dark: dict[Any, Any], clean: dict[Any, Any]
) -> None:
    asked = clean[panel.asked] | {"show": WORD}
    alone = drawn(panel, session, clean[panel.result], asked)
    both = drawn(panel, session, clean[panel.result], asked, dark[panel.result])
    assert alone[panel.beside] == "" and both[panel.beside].count("<img") == 1
    assert "pin 0" in both[panel.beside] and "the lens reads" in both[panel.beside]
    other = drawn(panel, session, dark[panel.result], asked, clean[panel.result])
    scale = both[panel.caption].split("scale num")[1]
    assert scale == other[panel.caption].split("scale num")[1], "one scale, whichever is in front"


def test_a_choice_is_clamped_and_a_click_names_the_patch_under_it(
    page: Page, panel: PatchesView, dark: dict[Any, Any]
) -> None:
    request: Any = SimpleNamespace(session_hash="visitor")
    session, key, asked = visitor(page), dark[panel.result], dark[panel.asked]
    for row, col in ((1, 1), (3, 12), (12, 5)):
        picked: Any = SimpleNamespace(index=[(col - 0.5) * 32, (row - 0.5) * 32])
        found = panel.pick(key, asked, request, picked)
        assert (found["row"], found["column"]) == (row, col) and found["show"] == asked["show"]
    assert panel.choose("row", session, key, asked, 99)["row"] == 12
    assert panel.choose("stage", session, key, asked, 99)["stage"] == "llm 4"


def test_what_was_chosen_stays_with_the_next_look_where_it_holds(page: Page, panel: PatchesView) -> None:
    session = visitor(page, "chooser")
    first = looked(page, panel, session)
    key, asked = first[panel.result], first[panel.asked]
    for name, value in (("stage", 1), ("row", 12), ("show", WORD), ("word", "star")):
        asked = panel.choose(name, session, key, asked, value)
    second = looked(page, panel, session, seed=5)
    assert second[panel.asked] == asked and second[panel.stage].value == 1 and second[panel.row].value == 12
    third = looked(page, panel, session, seed=5, words="")
    assert third[panel.asked]["show"] == SIMILARITY and third[panel.asked]["row"] == 12


def test_the_figure_and_the_numbers_are_of_the_chosen_patch_map_and_stage(
    panel: PatchesView, session: Session, dark: dict[Any, Any], clean: dict[Any, Any]
) -> None:
    one, two = (panel.kept(session, look[panel.result]) for look in (dark, clean))
    assert one is not None and two is not None
    asked = dark[panel.asked]

    def pictures(**chosen: Any) -> dict[str, np.ndarray]:
        figure = panel.paper([("", one)], asked | chosen)
        return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes[:-1]}

    assert list(pictures())[0] == "the input" and "llm 3" not in pictures()
    assert "llm 3" in pictures(stage="llm 3")
    assert not np.array_equal(pictures()["llm 4"], pictures(row=1)["llm 4"])
    assert all(name.startswith(("llm", "the input")) for name in pictures(show=ENTROPY))
    over = panel.paper([("dark", one), ("clean", two)], asked)
    words = [text.get_text() for text in over.texts]
    assert {"a", "b", "dark", "clean"} <= set(words)
    assert {text.get_fontsize() for text in over.texts} == {8.0}
    table = panel.behind(one, asked | {"row": 1, "column": 1})
    assert table["cosine"].iloc[0] == pytest.approx(1, abs=1e-3) and len(table) == 9 * 144


def test_every_file_can_be_had_and_the_command_too(
    page: Page, panel: PatchesView, session: Session, dark: dict[Any, Any]
) -> None:
    for form, button in panel.downloads.buttons.items():
        given = panel.download(form, session, dark[panel.result], [], [], dark[panel.asked])
        assert Path(given[button]).suffix == f".{form}" and Path(given[button]).stat().st_size > 0
    command = panel.as_command(session, *values(page, panel)).value
    assert "workbench patches --image scene:10" in command and "--words red star" in command


def test_a_word_that_the_model_cannot_spell_is_refused_and_the_last_look_stays(
    page: Page, panel: PatchesView, session: Session, dark: dict[Any, Any]
) -> None:
    looking = panel.look(session, *values(page, panel, words="xyz"), dark[panel.result])
    with pytest.raises(Exception, match="no token for 'xyz'"):
        while True:
            last = next(looking)
    assert "no token for" in last[panel.status] and last[panel.parts].visible
    shown = panel.refresh(session, *values(page, panel), dark[panel.result])
    assert "Measured" in shown[panel.status]
