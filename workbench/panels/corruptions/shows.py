"""What of a sheet of corruptions can stand in a figure: the sheet, and its numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.corruptions.figure import Named
    from workbench.runs.parts import Part, Table

SHEET = "sheet"
SHOWS: dict[str, type[Nothing]] = {SHEET: Nothing}
WIDE = (SHEET,)
TABLES: dict[str, type[Nothing]] = {}


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results."""
    from workbench.panels.corruptions.figure import Sheet

    return Sheet(many)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"a sheet of corruptions has no table {show!r}")
