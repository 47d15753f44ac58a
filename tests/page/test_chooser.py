"""Opening, switching and closing models by the handlers of the bench."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.page.fake import CARD, FakeModel
from workbench.app import Page, build
from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.estimate import Choices
from workbench.models.progress import Say
from workbench.page.chooser import MOST, NOTHING, Chooser
from workbench.page.host import Chosen, Host
from workbench.page.session import Sessions

HOW = [getattr(Opening(), field.name) for field in fields(Opening) if field.type != "bool"]
"""The fields below the name, as they stand at first."""


def opener(name: str, *, say: Say, **how: Any) -> FakeModel:
    say("Loading weights", 0.4)
    if name == "damaged":
        raise Refusal("damaged is cut off.")
    model = FakeModel()
    model.card = replace(CARD, id=name, dtype=how["dtype"])
    return model


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "sessions")
    yield build(host=Host("pocket-fake", opener=opener), sessions=sessions)
    sessions.close_all()


@pytest.fixture
def chooser(page: Page) -> Chooser:
    return page.bench.chooser


def visitor(name: str) -> Any:
    return SimpleNamespace(session_hash=name)


def opened(
    chooser: Chooser,
    name: str,
    *how: str,
    current: Chosen | None = None,
    recent: Any = (),
    by: str = "visitor",
) -> list[dict[Any, Any]]:
    current = current or chooser.host.first
    how = (*how, *HOW[len(how) :])
    seen: list[dict[Any, Any]] = []
    try:
        for updates in chooser.open_model(visitor(by), name, *how, current, "<b>the card</b>", list(recent)):
            seen.append(updates)
    except gr.Error as error:
        seen.append({"raised": str(error)})
    return seen


def test_a_model_opens_with_its_progress_and_everything_chosen(chooser: Chooser) -> None:
    *loading, last = opened(chooser, " other ", "cpu", "bfloat16", "v1", "eager", "")
    chosen = Chosen("other", Opening("cpu", "bfloat16", "v1", "eager", ""))
    assert last[chooser.model] == chosen
    assert "other" in last[chooser.card] and "bfp16" in last[chooser.card]
    assert last[chooser.close].visible and last[chooser.open].interactive and not last[chooser.stop].visible
    said = "".join(updates.get(chooser.card, "") for updates in loading)
    assert "Opening the checkpoint" in said
    assert chooser.host.opened(chosen) is not None


def test_weights_alone_open_over_a_base_with_a_prompt(chooser: Chooser, tmp_path: Path) -> None:
    chosen = Opening(base="owner/bagel", weights="model", system_prompt=str(tmp_path / "prompt.txt"))
    *_, last = opened(chooser, "clear", *list(asdict(chosen).values())[: len(HOW)])
    assert last[chooser.model] == Chosen("clear", chosen)


def test_how_far_it_is_stands_on_the_card(chooser: Chooser) -> None:
    go_on = threading.Event()

    def slow(name: str, *, say: Say, **how: Any) -> FakeModel:
        say("Loading weights", 0.4)
        assert go_on.wait(10)
        return FakeModel()

    chooser.host._opener = slow
    events = chooser.open_model(visitor("a"), "other", *HOW, chooser.host.first, "", [])
    for updates in events:
        if "Loading weights" in updates.get(chooser.card, ""):
            assert 'aria-valuenow="40"' in updates[chooser.card]
            go_on.set()
    assert go_on.is_set()


def test_what_cannot_be_opened_is_a_sentence_and_the_open_one_stays(chooser: Chooser) -> None:
    *_, last, raised = opened(chooser, "damaged")
    assert "damaged is cut off." in last[chooser.notice] and "damaged is cut off." in raised["raised"]
    assert last[chooser.card] == "<b>the card</b>" and chooser.model not in last
    assert last[chooser.open].interactive and not last[chooser.stop].visible


def test_a_fault_nobody_foresaw_brings_card_and_buttons_back(chooser: Chooser) -> None:
    def faulty(name: str, **how: Any) -> FakeModel:
        raise KeyError("no such part")

    chooser.host._opener = faulty
    *_, last, raised = opened(chooser, "other")
    assert "KeyError" in last[chooser.notice] and "KeyError" in raised["raised"]
    assert last[chooser.card] == "<b>the card</b>" and last[chooser.open].interactive


@pytest.mark.parametrize(
    ("given", "word"), [([" ", *HOW], "Name a model"), (["x", "", "int7", *HOW[2:]], "int7")]
)
def test_fields_that_say_nothing_are_a_sentence(chooser: Chooser, given: list[str], word: str) -> None:
    *_, last, raised = opened(chooser, *given)
    assert word in last[chooser.notice] and word in raised["raised"]


def test_a_stopped_opening_brings_the_card_back(chooser: Chooser) -> None:
    def endless(name: str, *, say: Say, **how: Any) -> FakeModel:
        while True:
            say("Loading weights", 0.4)

    chooser.host._opener = endless
    events = chooser.open_model(visitor("a"), "other", *HOW, chooser.host.first, "<b>the card</b>", [])
    assert next(events)[chooser.stop].visible
    next(events)
    chooser.stop_opening(visitor("another visitor"))
    chooser.stop_opening(visitor("a"))
    *_, last = events
    assert last[chooser.card] == "<b>the card</b>" and "Stopped" in last[chooser.notice]
    assert chooser.model not in last and last[chooser.open].interactive


def loaded(chooser: Chooser, by: str = "visitor") -> dict[Any, Any]:
    """A visitor's page with the first model on it; the last update."""
    *_, last = chooser.show_card(chooser.host.first, visitor(by))
    return last


def test_closing_goes_back_to_the_first_and_frees_the_other(chooser: Chooser) -> None:
    assert loaded(chooser)[chooser.close].visible, "the first can be closed, too"
    chosen = opened(chooser, "other")[-1][chooser.model]
    back = chooser.close_model(chosen, visitor("visitor"))
    assert back[chooser.model] == chooser.host.first and "pocket-fake" in back[chooser.card]
    assert chooser.host.opened(chosen) is None and not back[chooser.notice]


def test_closing_the_first_leaves_no_model_and_says_how_to_open_one(page: Page, chooser: Chooser) -> None:
    loaded(chooser)
    first = chooser.host.first
    gone = weakref.ref(chooser.host.model(first))
    closed = chooser.close_model(first, visitor("visitor"))
    assert gone() is None
    assert closed[chooser.model] == NOTHING and not closed[chooser.close].visible
    assert "No model is open" in closed[chooser.card] and "press Open" in closed[chooser.card]
    assert closed[chooser.details] == "" and closed[chooser.estimate] == ""
    panel, session = page.panels["states"], page.bench.session(visitor("visitor"))
    resting = panel.refresh(session, *values(page, "states", NOTHING), None)
    assert "No model is open" in resting[panel.status]
    again = opened(chooser, first.name, current=NOTHING)[-1]
    assert again[chooser.model] == first and again[chooser.close].visible
    assert chooser.host.opened(first) is not None


def test_with_the_first_closed_closing_another_opens_nothing(chooser: Chooser) -> None:
    loaded(chooser)
    chooser.close_model(chooser.host.first, visitor("visitor"))
    chosen = opened(chooser, "other", current=NOTHING)[-1][chooser.model]
    assert chooser.close_model(chosen, visitor("visitor"))[chooser.model] == NOTHING
    assert chooser.host.opened(chooser.host.first) is None


def test_the_first_is_opened_again_as_it_was_at_the_start(tmp_path: Path) -> None:
    how = Opening(dtype="float32", base="a/bagel", system_prompt="prompt.txt", trust_remote_code=True)
    sessions = Sessions(tmp_path / "sessions")
    chooser = build(host=Host("pocket-fake", opening=how, opener=opener), sessions=sessions).bench.chooser
    parts = [chooser.device, chooser.dtype, chooser.revision, chooser.attention, chooser.quantised]
    parts += [chooser.base, chooser.weights, chooser.prompt]
    fields = [part.value for part in parts]
    assert opened(chooser, "pocket-fake", *fields)[-1][chooser.model] == chooser.host.first
    other = opened(chooser, "other", *fields)[-1][chooser.model]
    assert not other.opening.trust_remote_code, "what is named on the page runs no code of its own"
    sessions.close_all()


@pytest.mark.parametrize("name", ["pocket-fake", "other"])
def test_who_has_a_model_on_the_bench_that_somebody_closed_opens_it_by_looking(
    page: Page, chooser: Chooser, name: str
) -> None:
    loaded(chooser, "a")
    loaded(chooser, "b")
    chosen = opened(chooser, name, by="a")[-1][chooser.model]
    opened(chooser, name, by="b")
    closed = chooser.close_model(chosen, visitor("a"))
    assert "opens again when they look" in closed[chooser.notice] and chooser.host.opened(chosen) is None
    session, panel = page.bench.session(visitor("b")), page.panels["states"]
    said = [updates[panel.status] for updates in panel.look(session, *values(page, "states", chosen), None)]
    assert any("Loading weights" in text for text in said) and "Measured" in said[-1]
    assert chooser.host.opened(chosen) is not None
    chooser.sessions.close("b")
    opened(chooser, name, by="a")
    assert not chooser.close_model(chosen, visitor("a"))[chooser.notice]


def named(recent: list[dict[str, str]]) -> list[str]:
    return [entry["name"] for entry in recent]


def test_a_browser_remembers_the_names_it_opened_last(chooser: Chooser) -> None:
    recent: list[Any] = []
    for name in ("a", "b", "a"):
        recent = opened(chooser, name, recent=recent)[-1][chooser.recent]
    assert named(recent) == ["a", "b"]
    many = [f"model {k}" for k in range(20)]
    assert named(opened(chooser, "b", recent=many)[-1][chooser.recent]) == ["b", *many[: MOST - 1]]
    for odd in ("text", None, 3, [1, {"x": 2}, "kept"]):
        names = chooser.offer(odd)[chooser.name].choices
        assert ("pocket-bagel", "pocket-bagel") in names
        assert (("kept", "kept") in names) == isinstance(odd, list)


def test_a_name_is_remembered_with_what_belongs_to_it(chooser: Chooser) -> None:
    def chosen(name: str, *source: str) -> tuple[str, ...]:
        told = chooser.choose(name, *source, recent)
        parts = (chooser.revision, chooser.base, chooser.weights, chooser.read_as)
        return tuple(told[part] for part in parts)

    plain, own = ("", "", "auto", "auto"), ("v2", "owner/bagel", "model", "bagel")
    tuned = Opening(revision="v2", base="owner/bagel", weights="model", read_as="bagel")
    how = list(asdict(tuned).values())[: len(HOW)]
    recent = opened(chooser, "tuned", *how)[-1][chooser.recent]
    recent = opened(chooser, "other", recent=recent)[-1][chooser.recent]
    assert named(recent) == ["other", "tuned"]
    assert chosen("tuned", *plain) == own
    # What belongs to a former choice goes with it, also where the new name was never opened.
    for name in ("other", "new", "pocket-fake"):
        assert chosen(name, *own) == plain
    # What was written for a new name before it stays.
    assert chosen("new", "", "owner/other", "ema", "auto") == ("", "owner/other", "ema", "auto")
    recent = [{"name": "odd", "revision": 3, "weights": "pickled", "read_as": "x"}, {"base": "x"}]
    assert chosen("odd", *plain) == plain


def test_what_works_here_is_offered_and_the_rest_explained(
    chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Choices(("auto", "cpu"), ("auto",), ("auto", "sdpa", "eager"), ("",), "No CUDA here.")
    monkeypatch.setattr("workbench.models.estimate.choices", lambda: bare)
    offered = chooser.offer([])
    assert not offered[chooser.device].visible and not offered[chooser.quantised].visible
    assert "No CUDA here." in offered[chooser.limits]
    rich = Choices(("auto", "cpu", "cuda"), ("auto",), ("auto", "flash_attention_2"), ("", "4bit"), "")
    monkeypatch.setattr("workbench.models.estimate.choices", lambda: rich)
    offered = chooser.offer([])
    assert offered[chooser.device].visible and offered[chooser.quantised].visible
    assert ("flash_attention_2", "flash_attention_2") in offered[chooser.attention].choices
    assert offered[chooser.limits] == ""


def estimated(chooser: Chooser, *fields: str) -> str:
    """What stands below the name in the end."""
    *_, last = chooser.show_estimate(*fields, *HOW[len(fields) - 1 :])
    return str(last[chooser.estimate])


def test_the_estimate_stands_below_the_name(chooser: Chooser) -> None:
    assert "MiB in float32" in estimated(chooser, "pocket-bagel")
    assert estimated(chooser, "") == ""
    assert "/no/such" in estimated(chooser, "/no/such")
    opened(chooser, "other")
    assert "open already" in estimated(chooser, "other")


def test_why_it_will_not_be_opened_stands_beside_the_estimate(
    chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.bits.find_spec", lambda name: None)
    said = estimated(chooser, "pocket-bagel", "cpu", "auto", "", "sdpa", "4bit")
    assert "MiB in 4bit" in said and "4bit needs the package bitsandbytes" in said
    assert "run under sdpa" in estimated(chooser, "pocket-bagel", "cpu", "auto", "", "eager")
    assert "run under" not in estimated(chooser, "pocket-bagel", "cpu", "auto", "", "sdpa")


def test_a_model_that_cannot_be_opened_at_all_is_said_on_its_card(chooser: Chooser) -> None:
    *_, shown = chooser.show_card(Chosen("damaged"), visitor("visitor"))
    assert "damaged is cut off." in shown[chooser.card]


def test_what_a_card_does_not_say_has_no_row(chooser: Chooser) -> None:
    details = opened(chooser, "other")[-1][chooser.details]
    assert "knows" in details and "attention" in details
    silent = replace(CARD, knows="", licence="")
    from workbench.page import cards

    assert "knows" not in cards.details(silent) and "licence" not in cards.details(silent)


def values(page: Page, study: str, model: Chosen) -> list[Any]:
    bench = [model if part is page.bench.model else part.value for part in page.bench.inputs]
    settings = {name: part.value for name, part in page.panels[study].settings.items()}
    settings |= {"steps": 2} if study == "states" else {}
    return [*bench, *settings.values()]


def test_two_visitors_with_two_models_at_once_never_mix(page: Page) -> None:
    panel, found = page.panels["states"], {}

    def look(name: str) -> None:
        session = page.bench.session(visitor(name))
        chosen = opened(page.bench.chooser, name, by=name)[-1][page.bench.chooser.model]
        for _ in range(3):
            *_, last = panel.look(session, *values(page, "states", chosen), None)
            result = panel.kept(session, last[panel.result])
            assert result is not None
            found.setdefault(name, []).append(result.manifest["model"]["id"])
            session._recent.drop(session.folder.name)

    threads = [threading.Thread(target=look, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {"one": ["one"] * 3, "two": ["two"] * 3}


def test_a_kept_result_of_a_closed_model_comes_back_without_opening_it(page: Page) -> None:
    panel, chooser = page.panels["states"], page.bench.chooser
    chosen = opened(chooser, "other")[-1][chooser.model]
    session = page.bench.session(visitor("visitor"))
    *_, last = panel.look(session, *values(page, "states", chosen), None)
    chooser.close_model(chosen, visitor("visitor"))
    *_, again = panel.look(session, *values(page, "states", chosen), None)
    assert again[panel.result] == last[panel.result]
    assert chooser.host.opened(chosen) is None


def test_a_look_opens_a_model_that_was_let_go_and_says_so(page: Page) -> None:
    panel, chooser = page.panels["states"], page.bench.chooser
    chosen = opened(chooser, "other")[-1][chooser.model]
    chooser.host.close(chosen)
    session = page.bench.session(visitor("visitor"))
    said = [updates[panel.status] for updates in panel.look(session, *values(page, "states", chosen), None)]
    assert any("Loading weights" in text for text in said) and "Measured" in said[-1]


def test_the_command_names_the_model_and_how_it_was_opened(page: Page) -> None:
    chosen = opened(page.bench.chooser, "other", "cpu", "bfloat16", "", "sdpa", "")[-1][page.bench.model]
    panel = page.panels["layers"]
    code = panel.as_command(page.bench.session(visitor("visitor")), *values(page, "layers", chosen))
    assert "--model other --device cpu --dtype bfloat16 --attention sdpa" in code.value
    assert "--revision" not in code.value and "--quantised" not in code.value
