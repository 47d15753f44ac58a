"""A visit leaves nothing behind, and nobody else can name its folder."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest

from workbench.errors import Cancelled, Refusal
from workbench.page.session import Sessions


def test_each_visitor_has_a_private_folder_that_cannot_be_guessed(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    one, other = sessions.of("visitor-one"), sessions.of("visitor-two")
    assert one.folder != other.folder
    assert "visitor" not in one.folder.name
    assert len(one.folder.name) >= 32
    assert stat.S_IMODE(one.sub("results").stat().st_mode) == 0o700
    assert stat.S_IMODE(one.folder.stat().st_mode) == 0o700
    assert sessions.of("visitor-one") is one


def test_a_visit_that_writes_nothing_makes_no_folder(tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    sessions = Sessions(root)
    session = sessions.of("a")
    assert not session.place("results").exists() and not root.exists()
    session.sub("results")
    sessions.close("a")
    late = sessions.of("a")
    assert late is not session and not list(root.iterdir())
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_closing_removes_the_folder_and_stops_the_work(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.of("a")
    (session.sub("results") / "kept").write_text("x")
    with session.working() as flag:
        assert session.busy
        sessions.close("a")
        assert flag.is_set()
    assert not session.folder.exists()
    assert not session.busy
    assert sessions.of("a") is not session


def test_a_closed_visits_folder_does_not_come_back(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.of("a")
    with session.writing():
        folder = session.sub("results")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        sessions.close("a")
        folder.mkdir(parents=True)
    assert not session.folder.exists()
    for refused in (session.sub, session.place):
        with pytest.raises(Cancelled):
            refused("results")
    assert not session.folder.exists()


def test_work_begun_in_a_closed_session_is_stopped_from_the_start(tmp_path: Path) -> None:
    session = Sessions(tmp_path).of("a")
    session.close()
    with session.working() as flag:
        assert flag.is_set()


def test_stop_reaches_every_piece_of_work_of_this_session_only(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    mine, other = sessions.of("a"), sessions.of("b")
    with mine.working() as first, mine.working() as second, other.working() as third:
        mine.stop()
        assert first.is_set() and second.is_set() and not third.is_set()


def test_work_that_is_asked_for_can_be_stopped_before_it_begins(tmp_path: Path) -> None:
    session = Sessions(tmp_path).of("a")
    session.ask("states")
    assert session.measures("states") and not session.measures("layers")
    session.stop("layers")
    assert session.measures("states")
    session.stop("states")
    assert not session.measures("states")
    session.ask("states")
    with session.working("states") as first:
        assert first.is_set() and session.measures("states")
        with session.working("states") as second:
            assert not second.is_set()
    assert not session.measures("states")


def test_folders_that_a_killed_process_left_behind_go_by_age(tmp_path: Path) -> None:
    old, young = tmp_path / "old", tmp_path / "young"
    old.mkdir()
    young.mkdir()
    past = time.time() - 7200
    os.utime(old, (past, past))
    Sessions(tmp_path, max_age=3600).of("a")
    assert not old.exists() and young.exists()


def test_what_a_visitor_uses_stays_and_what_nobody_uses_goes_by_age(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, max_age=3600)
    used, idle, busy = (sessions.of(name) for name in ("used", "idle", "busy"))
    for session in (used, idle, busy):
        (session.sub("pictures") / "x").write_text("x")
    past = time.time() - 7200
    with busy.working():
        for session in (used, idle, busy):
            session.used = past
            os.utime(session.folder, (past, past))
        assert sessions.of("used") is used
        sessions.of("another")
    assert (used.folder / "pictures" / "x").exists() and (busy.folder / "pictures" / "x").exists()
    assert idle.closed and not idle.folder.exists()
    assert sessions.of("busy") is busy and sessions.of("idle") is not idle


def test_a_folder_removed_from_outside_comes_back_empty_when_written_to(tmp_path: Path) -> None:
    session = Sessions(tmp_path).of("a")
    (session.sub("pictures") / "x").write_text("x")
    shutil.rmtree(tmp_path)
    assert not list(session.sub("pictures").iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Refusal, match="cannot be written to"):
        Sessions(tmp_path).of("a").sub("results")


def test_a_file_in_the_way_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(Refusal, match="cannot be written to"):
        Sessions(tmp_path / "root").of("a").sub("results")


def test_many_visitors_at_once_get_one_session_each(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda k=k: found.append(sessions.of(f"v{k % 4}").folder)) for k in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 4
