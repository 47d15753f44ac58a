"""Two rows of tabs, and what bringing a panel to the front does."""

from __future__ import annotations

from workbench.app import GROUPS, build


def test_a_panel_comes_to_the_front_with_its_group() -> None:
    page = build("")
    tabs = page.saved.tabs
    for name, views in GROUPS:
        for _, view in views:
            updates = tabs.front(view.study)
            assert updates[tabs.top].selected == name
            assert updates[tabs.rows[name]].selected == view.study == updates[page.bench.turns.front]
            assert set(updates) <= set(tabs.parts)


def test_every_group_begins_with_its_first_panel_and_the_page_with_the_first_of_all() -> None:
    page = build("")
    tabs = page.saved.tabs
    firsts = [views[0][1].study for _, views in GROUPS]
    assert [part.value for part in tabs.last.values()] == firsts
    assert page.bench.turns.front.value == firsts[0]
    assert list(page.bench.turns.bench.due) == list(page.panels) == list(page.bench.turns.drawn.due)
