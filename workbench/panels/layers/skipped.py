"""What a study over a collection says of its images: what its numbers rest on, and what could not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.runs.result import Result


def skipped(result: Result) -> str:
    """How many images were skipped, and the first of them, in a sentence; empty where none was."""
    table = result.tables.get("skipped")
    if table is None or not len(table):
        return ""
    first = table.iloc[0]
    return (
        f"Skipped, because they could not be used: {len(table):,}; the first, {first['name']}: "
        f"{first['reason']} All of them are in the table “skipped” of the run."
    )


def said(result: Result) -> list[str]:
    """The collection's notes and what was skipped, a text each, for whoever reads the curves."""
    table = result.tables.get("data")
    notes = [] if table is None else table.loc[table["what"] == "note", "value"].tolist()
    return [text for text in (" ".join(notes), skipped(result)) if text]
