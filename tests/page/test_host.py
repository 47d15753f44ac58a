"""Models are opened once each, an open one is there for everybody, and one that is let go is freed."""

from __future__ import annotations

import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.page.fake import FakeModel
from workbench.errors import Cancelled, Refusal
from workbench.models import Opening
from workbench.models.progress import Say
from workbench.page.host import Chosen, Host
from workbench.page.lane import follow, lane
from workbench.page.session import Sessions

FIRST, SECOND, THIRD = Chosen("first"), Chosen("second"), Chosen("third")


def test_an_open_model_is_served_while_another_is_being_opened() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def opener(name: str, **how: Any) -> FakeModel:
        if name == "slow":
            begun.set()
            assert go_on.wait(10)
        return FakeModel()

    host = Host("first", opener=opener)
    first = host.model(FIRST)
    opening = threading.Thread(target=lambda: host.model(Chosen("slow")), daemon=True)
    opening.start()
    assert begun.wait(10)
    served: list[object] = []
    asking = threading.Thread(target=lambda: served.append(host.model(FIRST)), daemon=True)
    asking.start()
    asking.join(5)
    go_on.set()
    opening.join(10)
    assert served == [first]
    assert host.opened(Chosen("slow")) is not None


def test_those_who_want_the_same_model_share_one() -> None:
    opened: list[str] = []
    go_on = threading.Event()

    def opener(name: str, **how: Any) -> FakeModel:
        opened.append(name)
        assert go_on.wait(10)
        return FakeModel()

    host = Host("first", opener=opener)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(host.model(Chosen(" first ")))) for _ in range(6)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert opened == ["first"] and len(set(map(id, found))) == 1 and len(found) == 6


def test_what_failed_to_open_can_be_tried_again() -> None:
    broken = [True]

    def opener(name: str, **how: Any) -> FakeModel:
        if broken:
            raise Refusal("It is damaged.")
        return FakeModel()

    host = Host("first", opener=opener)
    with pytest.raises(Refusal, match="damaged"):
        host.model(FIRST)
    with pytest.raises(Refusal, match="damaged"):
        list(host.opening(FIRST))
    broken.clear()
    assert host.model(FIRST).card.id == "pocket-fake"


def test_no_name_is_a_sentence() -> None:
    with pytest.raises(Refusal, match="Name a model"):
        Host("first").model(Chosen("  "))


def test_the_same_checkpoint_opened_in_two_ways_is_two_models() -> None:
    given: list[Any] = []

    def opener(name: str, *, say: Say, **how: Any) -> FakeModel:
        given.append((name, how))
        return FakeModel()

    host = Host("first", opening=Opening(device="cpu"), opener=opener)
    half = Chosen("first", Opening(dtype="bfloat16", revision="v1", attention="eager", quantised="4bit"))
    assert host.model(host.first) is not host.model(half)
    assert host.model(Chosen("first", Opening(device="cpu"))) is host.model(host.first)
    assert [name for name, _ in given] == ["first", "first"]
    assert given[0][1]["device"] == "cpu" and Opening(**given[1][1]) == half.opening


def test_the_first_model_and_the_last_other_one_stay_open_and_the_third_frees_the_second() -> None:
    host = Host("first", opener=lambda name, **how: FakeModel())
    for chosen in (FIRST, SECOND):
        host.model(chosen)
    second = weakref.ref(host.model(SECOND))
    host.model(THIRD)
    assert host.opened(FIRST) and host.opened(THIRD) and host.opened(SECOND) is None
    assert second() is None
    card = host.card(SECOND)
    assert card is not None and card.id == "pocket-fake", "what it was is known without it"


@pytest.mark.parametrize("chosen", [FIRST, SECOND])
def test_closing_frees_any_model_and_it_can_be_opened_again(chosen: Chosen) -> None:
    host = Host("first", opener=lambda name, **how: FakeModel())
    host.model(FIRST)
    gone = weakref.ref(host.model(chosen))
    host.close(chosen)
    host.close(chosen)
    assert gone() is None and host.opened(chosen) is None
    assert host.card(chosen) is not None, "what it was is known without it"
    assert host.model(chosen) is host.opened(chosen)


def test_a_model_closed_while_it_works_is_freed_as_soon_as_that_is_done(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()
    host, session = Host("first", opener=knotted), Sessions(tmp_path).of("a")

    def work(say: Any, stop: Any) -> None:
        model = host.model(FIRST)
        began.set()
        assert go_on.wait(10)
        assert model.card.id == "pocket-fake"

    looking = threading.Thread(target=lambda: list(follow(session, work)), daemon=True)
    looking.start()
    assert began.wait(10)
    model = host.opened(FIRST)
    assert model is not None
    gone = weakref.ref(model)
    del model
    host.close(FIRST)
    assert gone() is not None
    go_on.set()
    looking.join(10)
    for _ in range(100):
        if gone() is None:
            break
        time.sleep(0.05)
    assert gone() is None, "without anything else being opened or closed"


def knotted(name: str, **how: Any) -> FakeModel:
    """A model that only the collector of cycles frees, as networks are."""
    model = FakeModel()
    model.itself = model  # type: ignore[attr-defined]
    return model


def test_a_model_at_work_is_freed_once_that_is_done_though_its_parts_refer_to_one_another() -> None:
    host = Host("first", opener=knotted)
    working = host.model(SECOND)
    gone = weakref.ref(working)
    host.close(SECOND)
    assert gone() is working
    del working
    host.model(THIRD)
    assert gone() is None


def test_how_far_an_opening_is_can_be_followed_by_all_who_wait_for_it() -> None:
    go_on = threading.Semaphore(0)

    def opener(name: str, *, say: Say, **how: Any) -> FakeModel:
        for share in (0.25, 0.5, 1.0):
            say("Loading weights", share)
            assert go_on.acquire(timeout=10)
        return FakeModel()

    host = Host("first", opener=opener)
    one, other = host.opening(FIRST, every=0.01), host.opening(FIRST, every=0.01)
    loading = [next(one), next(other)]
    while loading[0].share < 0.25:
        loading[0] = next(one)
    while loading[1].share < 0.25:
        loading[1] = next(other)
    assert loading[0] == loading[1] == ("Loading weights", 0.25)
    for _ in range(3):
        go_on.release()
    shares = [share for _, share in one]
    assert shares == sorted(shares)
    list(other)
    assert host.opened(FIRST) is not None


def test_an_opening_that_is_stopped_ends_and_leaves_nothing_open() -> None:
    ended = threading.Event()

    def opener(name: str, *, say: Say, **how: Any) -> FakeModel:
        try:
            while True:
                say("Loading weights", 0.5)
                time.sleep(0.01)
        finally:
            ended.set()

    host, stop = Host("first", opener=opener), threading.Event()
    opening = host.opening(SECOND, stop=stop.is_set, every=0.01)
    next(opening)
    stop.set()
    with pytest.raises(Cancelled):
        list(opening)
    assert ended.wait(5)
    assert host.opened(SECOND) is None


def test_a_model_waits_with_its_opening_for_the_one_at_work(tmp_path: Path) -> None:
    began, go_on, opened = threading.Event(), threading.Event(), threading.Event()

    def opener(name: str, **how: Any) -> FakeModel:
        opened.set()
        return FakeModel()

    def work(say: Any, stop: Any) -> None:
        began.set()
        assert go_on.wait(10)

    host, session = Host("first", opener=opener), Sessions(tmp_path).of("a")
    looking = threading.Thread(target=lambda: list(follow(session, work)), daemon=True)
    looking.start()
    assert began.wait(10)
    opening = host.opening(SECOND, every=0.01)
    assert next(opening).words == "Waiting for the model at work"
    assert not opened.wait(0.2)
    go_on.set()
    list(opening)
    assert opened.is_set()
    looking.join(10)


def test_a_look_in_the_lane_can_open_the_model_that_it_needs() -> None:
    host = Host("first", opener=lambda name, **how: FakeModel())
    with lane():
        assert host.model(SECOND) is host.opened(SECOND)
