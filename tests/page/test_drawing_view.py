"""The panels Drawing and Tokens on the page: what appears as it comes about, and what stands in the end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.page.fake import CARD
from workbench.app import Page
from workbench.page.frame import Done, Updates
from workbench.page.session import Session
from workbench.runs.result import Result


def values(page: Page, study: str, **changed: Any) -> list[Any]:
    settings = {name: part.value for name, part in page.panels[study].settings.items()} | changed
    return [*(part.value for part in page.bench.inputs), *settings.values()]


def looked(page: Page, session: Session, study: str, **changed: Any) -> list[Updates]:
    return list(page.panels[study].look(session, *values(page, study, **changed), None))


def kept(page: Page, session: Session, study: str, updates: Updates) -> Result:
    result = page.panels[study].kept(session, updates[page.panels[study].result])
    assert result is not None
    return result


def drawn(html: str) -> int:
    """How many pictures are there."""
    return html.count("<img")


def test_each_state_is_seen_as_it_comes_about(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    seen = [each for each in looked(page, session, "draw") if panel.pictures in each]
    assert [drawn(each[panel.pictures]) for each in seen] == [0, 1, 2, 3, 3]
    assert "12 of 12 tokens" in seen[-1][panel.pictures]
    assert "8 of 12 tokens" in seen[2][panel.status]


def test_maps_and_curves_are_those_of_the_result(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    *_, last = looked(page, session, "draw")
    result = kept(page, session, "draw", last)
    updates = panel.overlay(session, last[panel.result], [], [], False)
    mean = float(result.arrays["entropy"].mean())
    assert drawn(updates[panel.maps]) == 2 + 1 and f"mean {mean:.2f} nats" in updates[panel.maps]
    assert updates[panel.plot].visible
    assert "log p" in last[panel.numbers] and len(last[panel.numbers]) == 12


def test_a_drawing_by_flow_has_no_map(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    *_, last = looked(page, session, "draw", prompt="a star by flow", steps=20)
    assert drawn(last[panel.pictures]) == 8 and "step 20" in last[panel.pictures]
    updates = panel.overlay(session, last[panel.result], [], [], True)
    assert updates[panel.maps] == "" and updates[panel.plot].visible


def test_pinned_ones_share_the_scale_and_a_figure(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    one, other = (looked(page, session, "draw", prompt=words)[-1] for words in ("a star", "a ring by flow"))
    first, second = (kept(page, session, "draw", each) for each in (one, other))
    updates = panel.overlaid([("star", first)], [("ring", second), ("again", first)], False)
    assert "ring" in updates[panel.maps] and updates[panel.maps].count("colours from low to high") == 1
    assert len(panel.paper([("star", first), ("ring", second)]).axes) == 3 + 3 + 6 + 1


def test_the_image_on_the_bench_makes_no_difference(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    *_, last = looked(page, session, "draw")
    changed = values(page, "draw")
    changed[page.bench.inputs.index(page.bench.question)] = "another question?"
    assert "Measured" in panel.refresh(session, *changed, last[panel.result])[panel.status]
    other = values(page, "draw", prompt="a blue ring")
    assert "changed" in panel.refresh(session, *other, last[panel.result])[panel.status]


def test_what_is_left_empty_is_the_models_own_and_what_is_no_number_is_refused(
    page: Page, session: Session
) -> None:
    *_, last = looked(page, session, "draw", guidance=" 2.5 ", every="4")
    config = kept(page, session, "draw", last).config
    assert (config["guidance"], config["every"], config["height"]) == (2.5, 4, None)
    with pytest.raises(Exception, match="--height does not fit"):
        looked(page, session, "draw", height="tall")


def test_without_words_a_sentence_says_so(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    seen: list[Updates] = []
    with pytest.raises(Exception, match="no words"):
        for each in panel.look(session, *values(page, "draw", prompt=" "), None):
            seen.append(each)
    assert "no words" in seen[-1][panel.status]


def test_a_model_that_never_learned_it_says_so(page: Page, session: Session) -> None:
    panel: Any = page.panels["draw"]
    *_, last = looked(page, session, "draw")
    done = Done("", kept(page, session, "draw", last), None, CARD)  # type: ignore[arg-type]
    assert panel.remarks(done)[panel.caution] == ""
    pocket = replace(done, card=replace(CARD, family="bagel"))
    assert "never to draw from words" in panel.remarks(pocket)[panel.caution]


@pytest.mark.parametrize("study", ["draw", "tokens"])
def test_the_command_and_the_saved_run_are_whole(
    page: Page, session: Session, study: str, tmp_path: Path
) -> None:
    panel: Any = page.panels[study]
    *_, last = looked(page, session, study)
    result = kept(page, session, study, last)
    panel.prove(result)
    assert panel.from_saved(result, lambda done, words: None, lambda: False) == [result]
    command = panel.as_command(session, *values(page, study)).value
    assert re.match(rf"(# .*\n)?python -m workbench {study} ", command)


def test_tokens_are_seen_with_their_numbers(page: Page, session: Session) -> None:
    panel: Any = page.panels["tokens"]
    *_, last = looked(page, session, "tokens")
    result = kept(page, session, "tokens", last)
    assert drawn(last[panel.pictures]) == 5 + 1  # and the scale
    changed = result.tables["summary"].set_index("measure").loc["tokens changed by the damage", "value"]
    assert f"{changed:,.2f} %" in last[panel.summary] or f"{changed:,.0f} %" in last[panel.summary]
    assert "condition" not in panel.name(result) and "darkness" in panel.name(result)
    assert len(panel.paper([("one", result), ("two", result)]).axes) == 10
