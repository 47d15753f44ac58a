"""A visit's results: each on disk, the last ones in memory too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Cancelled
from workbench.page.session import Session

if TYPE_CHECKING:
    from workbench.runs.result import Result
    from workbench.runs.store import Store

FOLDER = "results"


def kept(session: Session, key: str | None) -> Result | None:
    """A result of this visit by its id, to be read only; None where there is none or the visit is over."""
    if not key:
        return None
    try:
        result = session.recall(key)
        if result is None and (result := _store(session.place(FOLDER)).get(key)) is not None:
            session.remember(key, result)
    except Cancelled:
        return None
    return result


def keep(session: Session, key: str, result: Result) -> None:
    """Keep a result for this visit. Raises Refusal where it cannot be written, Cancelled after the visit."""
    store = _store(session.sub(FOLDER))
    with session.writing():
        store.put(key, result)
    session.remember(key, result)


def check_room(session: Session) -> None:
    """Raise Refusal where no result could be kept, before one is measured; Cancelled after the visit."""
    session.sub(FOLDER)


def _store(folder: Path) -> Store:
    from workbench.runs.store import Store

    return Store(folder)
