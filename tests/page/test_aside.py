"""Work in a process beside the page: what it returns, what it raises, and that it can be ended."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator

import pytest

from workbench.errors import Cancelled
from workbench.page.aside import Aside


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    made = Aside()
    yield made
    made.close()


def test_it_is_another_process_and_the_same_one_again(aside: Aside) -> None:
    first = aside.call(os.getpid)
    assert first != os.getpid() and aside.call(os.getpid) == first
    assert aside.call(math.isclose, 1.0, 1.1, rel_tol=0.2) is True


def test_what_it_raises_is_raised_here(aside: Aside) -> None:
    with pytest.raises(ValueError, match="nonnegative|math domain"):
        aside.call(math.sqrt, -1)


def test_it_is_ended_where_it_stands_and_begins_again(aside: Aside) -> None:
    before = aside.call(os.getpid)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        aside.call(time.sleep, 600, stop=stop.is_set)
    assert time.monotonic() - began < 100
    assert aside.call(os.getpid) != before


def test_a_process_that_dies_is_said_and_replaced(aside: Aside) -> None:
    with pytest.raises(RuntimeError, match="ended"):
        aside.call(os._exit, 3)
    assert aside.call(math.sqrt, 4) == 2


def test_who_waits_for_another_may_give_up(aside: Aside) -> None:
    stop = threading.Event()
    other = threading.Thread(
        target=lambda: pytest.raises(Cancelled, aside.call, time.sleep, 600, stop=stop.is_set)
    )
    other.start()
    time.sleep(0.5)
    with pytest.raises(Cancelled):
        aside.call(os.getpid, stop=lambda: True)
    stop.set()
    other.join(60)
    assert not other.is_alive()
