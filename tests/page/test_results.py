"""A visit's results: in memory while there is room, on disk after that, nowhere once the visit is over."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import Cancelled
from workbench.page import results
from workbench.page.recent import Recent
from workbench.page.session import Session, Sessions
from workbench.runs.result import Result
from workbench.runs.store import Store

KEYS = [f"{number:064x}" for number in range(8)]


def made(number: int = 0, size: int = 1000) -> Result:
    return Result(
        "states",
        {"seed": number},
        {"seconds": 1.0},
        {"trace": pd.DataFrame({"event": ["step"], "psnr": [float(number)]})},
        {"a": np.full(size, number, np.uint8)},
        {"original": np.full((2, 2, 3), number, np.uint8)},
    )


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path).of("a")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the results that were asked of the disk."""
    asked: list[str] = []
    get = Store.get

    def counted(self: Store, key: str) -> Result | None:
        asked.append(key)
        return get(self, key)

    monkeypatch.setattr(Store, "get", counted)
    return asked


def test_what_was_kept_is_read_from_disk_once_at_most(session: Session, reads: list[str]) -> None:
    results.keep(session, KEYS[0], made())
    first = results.kept(session, KEYS[0])
    assert first is results.kept(session, KEYS[0]) and not reads
    session._recent.drop(session.folder.name)
    again = results.kept(session, KEYS[0])
    assert again is not None and again is results.kept(session, KEYS[0])
    assert reads == [KEYS[0]]
    assert again.config == {"seed": 0} and again.tables["trace"].equals(made().tables["trace"])
    assert results.kept(session, KEYS[1]) is None and results.kept(session, None) is None


def test_what_many_readers_share_cannot_be_written_to(session: Session) -> None:
    results.keep(session, KEYS[0], made())
    result = results.kept(session, KEYS[0])
    assert result is not None
    for array in (result.arrays["a"], result.images["original"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def test_beyond_the_bound_the_ones_not_used_for_longest_go_and_the_newest_stays() -> None:
    recent = Recent(most=2500)
    for number in range(2):
        recent.put("a", KEYS[number], made(number))
    assert recent.get("a", KEYS[0]) is not None
    recent.put("b", KEYS[2], made(2))
    assert recent.get("a", KEYS[1]) is None
    assert recent.get("a", KEYS[0]) is not None and recent.get("b", KEYS[2]) is not None
    recent.put("a", KEYS[3], made(3, size=10_000))
    assert [name for name in KEYS if recent.get("a", name) or recent.get("b", name)] == [KEYS[3]]


def test_the_same_result_again_counts_once() -> None:
    recent = Recent(most=2500)
    recent.put("a", KEYS[0], made(0))
    for _ in range(5):
        recent.put("a", KEYS[1], made(1))
    assert recent.get("a", KEYS[0]) is not None


def test_another_visit_neither_sees_nor_drops_them(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    mine, other = sessions.of("a"), sessions.of("b")
    results.keep(mine, KEYS[0], made())
    assert results.kept(other, KEYS[0]) is None
    sessions.close("b")
    assert mine.recall(KEYS[0]) is not None


def test_a_visit_that_is_over_holds_nothing(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.of("a")
    results.keep(session, KEYS[0], made())
    sessions.close("a")
    assert session.recall(KEYS[0]) is None and results.kept(session, KEYS[0]) is None
    for late in (lambda: results.keep(session, KEYS[1], made()), lambda: session.remember(KEYS[1], made())):
        with pytest.raises(Cancelled):
            late()
    assert session.recall(KEYS[1]) is None and not list(tmp_path.iterdir())


def test_many_readers_and_writers_at_once_keep_the_bound() -> None:
    recent = Recent(most=5000)
    wrong: list[Result] = []

    def work(visit: str) -> None:
        for turn in range(50):
            recent.put(visit, KEYS[turn % 8], made(turn % 8))
            found = recent.get(visit, KEYS[turn % 8])
            if found is not None and found.config["seed"] != turn % 8:
                wrong.append(found)
        if visit == "v0":
            recent.drop(visit)

    threads = [threading.Thread(target=work, args=(f"v{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(size for size, _ in recent._held.values()) <= 5000
