"""What of a look at a tokeniser can stand in a figure: the pictures of its codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from workbench.panels.studies import Nothing

if TYPE_CHECKING:
    from workbench.panels.tokens.figure import Named
    from workbench.runs.parts import Part, Table

PICTURES = "pictures"
SHOWS: dict[str, type[Nothing]] = {PICTURES: Nothing}
WIDE = (PICTURES,)
TABLES: dict[str, type[Nothing]] = {}


def lacks(config: BaseModel, show: str, chosen: Nothing) -> str:
    """Why a run of these settings will not hold it: every run has pictures."""
    return ""


def part(many: Sequence[Named], show: str, chosen: Nothing) -> Part:
    """One of SHOWS of these results."""
    from workbench.panels.tokens.figure import Shots

    return Shots(many)


def table(many: Sequence[Named], show: str, chosen: Nothing) -> Table:
    """There is none."""
    raise ValueError(f"tokens have no table {show!r}")
