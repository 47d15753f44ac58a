"""Work in the lane is watched, stopped at once, and never overlaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Cancelled, Refusal
from workbench.page.lane import follow
from workbench.page.session import Session, Sessions


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Sessions(tmp_path).of("a")


def test_what_the_work_says_arrives_in_order(session: Session) -> None:
    def work(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        for number in range(5):
            say(number)

    assert [item for item in follow(session, work) if item is not None] == list(range(5))
    assert not session.busy


def test_silence_is_told_too_so_that_the_page_can_go_on(session: Session) -> None:
    heard = list(follow(session, lambda say, stop: time.sleep(0.2), every=0.05))
    assert heard.count(None) >= 2


def test_an_error_of_the_work_is_raised_and_the_lane_is_free_again(session: Session) -> None:
    def fails(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        raise Refusal("no such thing")

    with pytest.raises(Refusal, match="no such thing"):
        list(follow(session, fails))
    assert list(follow(session, lambda say, stop: say(1))) == [1]


def test_a_stop_is_seen_at_once_even_where_the_work_does_not_look(session: Session) -> None:
    release = threading.Event()

    def deaf(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        say("begun")
        release.wait(10)

    events = follow(session, deaf, every=0.02)
    while next(events) is None:
        pass
    began = time.monotonic()
    session.stop()
    with pytest.raises(Cancelled):
        list(events)
    assert time.monotonic() - began < 0.5
    release.set()


def test_a_watcher_that_goes_away_stops_the_work_and_frees_the_lane(session: Session) -> None:
    ended = threading.Event()

    def patient(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        say("begun")
        while not stop():
            time.sleep(0.01)
        ended.set()

    events = follow(session, patient)
    while next(events) is None:
        pass
    events.close()  # type: ignore[attr-defined]
    assert ended.wait(2)
    assert [item for item in follow(session, lambda say, stop: say("next")) if item is not None] == ["next"]


def test_two_visitors_never_run_the_model_at_once(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    inside, most = [0], [0]

    def work(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.05)
        inside[0] -= 1

    threads = [
        threading.Thread(target=lambda k=k: list(follow(sessions.of(f"v{k}"), work))) for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def test_waiting_for_the_lane_can_be_stopped(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    release, started = threading.Event(), threading.Event()

    def long(say: Callable[[Any], None], stop: Callable[[], bool]) -> None:
        started.set()
        release.wait(10)

    first = threading.Thread(target=lambda: list(follow(sessions.of("a"), long)))
    first.start()
    assert started.wait(2)
    waiting = follow(sessions.of("b"), lambda say, stop: say("never"), every=0.02)
    assert next(waiting) is None
    sessions.of("b").stop()
    with pytest.raises(Cancelled):
        list(waiting)
    release.set()
    first.join()
