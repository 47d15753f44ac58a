"""What a study over a collection says of images that it could not use."""

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
