"""Models are opened once each, and an open one is there for everybody meanwhile."""

from __future__ import annotations

import threading

import pytest

from tests.page.fake import FakeModel
from workbench.errors import Refusal
from workbench.page.host import Host


def test_an_open_model_is_served_while_another_is_being_opened() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def opener(name: str) -> FakeModel:
        if name == "slow":
            begun.set()
            assert go_on.wait(10)
        return FakeModel()

    host = Host("first", opener=opener)
    first = host.model("first")
    opening = threading.Thread(target=lambda: host.model("slow"), daemon=True)
    opening.start()
    assert begun.wait(10)
    served: list[object] = []
    asking = threading.Thread(target=lambda: served.append(host.model("first")), daemon=True)
    asking.start()
    asking.join(5)
    go_on.set()
    opening.join(10)
    assert served == [first]
    assert host.opened("slow") is not None


def test_those_who_want_the_same_model_share_one() -> None:
    opened: list[str] = []
    go_on = threading.Event()

    def opener(name: str) -> FakeModel:
        opened.append(name)
        assert go_on.wait(10)
        return FakeModel()

    host = Host("first", opener=opener)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(host.model(" first "))) for _ in range(6)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert opened == ["first"] and len(set(map(id, found))) == 1 and len(found) == 6


def test_what_failed_to_open_can_be_tried_again() -> None:
    broken = [True]

    def opener(name: str) -> FakeModel:
        if broken:
            raise Refusal("It is damaged.")
        return FakeModel()

    host = Host("first", opener=opener)
    with pytest.raises(Refusal, match="damaged"):
        host.model("first")
    broken.clear()
    assert host.model("first").card.id == "pocket-fake"


def test_the_first_model_and_the_last_other_one_stay_open() -> None:
    host = Host("first", opener=lambda name: FakeModel())
    for name in ("first", "second", "third"):
        host.model(name)
    assert host.opened("first") and host.opened("third") and host.opened("second") is None
