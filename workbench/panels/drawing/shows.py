"""What of a drawing can stand in a figure: its states with the entropy or the path of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.drawing.figure import Named
    from workbench.runs.parts import Part, Table

DRAWING = "drawing"
SHOWS: dict[str, type[Nothing]] = {DRAWING: Nothing}
WIDE = (DRAWING,)
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: BaseModel, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it: every run has one."""
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results."""
    from workbench.panels.drawing.figure import Drawings

    return Drawings(many)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"drawings have no table {show!r}")
