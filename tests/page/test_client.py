"""The served page from outside: its two endpoints, several callers, and nothing else."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.page.conftest import opener
from workbench.app import GROUPS, build, launch
from workbench.page.host import Host
from workbench.page.session import Sessions


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sessions = Sessions(tmp_path_factory.mktemp("sessions"))
    page = build(host=Host("pocket-fake", opener=opener), sessions=sessions)
    launch(page, quiet=True, prevent_thread_lock=True)
    yield page.local_url
    page.close()
    sessions.close_all()


def test_what_can_be_called_is_named_and_nothing_else_is(url: str) -> None:
    endpoints = Client(url, verbose=False, httpx_kwargs={"timeout": 120}).view_api(
        return_format="dict", print_info=False
    )
    assert set(endpoints["named_endpoints"]) == {f"/{view.study}" for _, views in GROUPS for _, view in views}
    assert not endpoints["unnamed_endpoints"]


def test_a_photograph_can_be_looked_at_by_a_programme(url: str, photograph: Path) -> None:
    answer = Client(url, verbose=False, httpx_kwargs={"timeout": 120}).predict(
        image=handle_file(photograph),
        corruption="gaussian_noise",
        question="what is this?",
        seed=3,
        steps=5,
        api_name="/states",
    )
    assert {"original", "degraded", "restored"} <= {row["on"] for row in answer["answers"]}
    assert answer["config"]["steps"] == 5 and answer["config"]["seed"] == 3
    assert sum(row["event"] == "step" for row in answer["trace"]) == 6


def test_two_files_can_be_compared_by_a_programme(url: str, photograph: Path) -> None:
    file = handle_file(photograph)
    answer = Client(url, verbose=False, httpx_kwargs={"timeout": 120}).predict(
        image=None, source="files", files=[file, file], measures=["psnr", "gmsd"], api_name="/perceptual"
    )
    assert {row["measure"]: row["value"] for row in answer["scores"]} == {"psnr": None, "gmsd": 0.0}
    assert answer["config"]["images"] == ["astronaut.png", "astronaut.png"]


def test_what_cannot_be_done_comes_back_as_the_sentence(url: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing of the kind")
    client = Client(url, verbose=False, httpx_kwargs={"timeout": 120})
    with pytest.raises(Exception, match=r"bad\.png"):
        client.predict(image=handle_file(bad), api_name="/states")
    with pytest.raises(Exception, match="no question"):
        client.predict(image=None, question=" ", api_name="/states")
    assert client.predict(image=None, api_name="/states")["answers"]


def test_callers_at_once_are_all_served_their_own(url: str) -> None:
    found: dict[int, int] = {}

    def call(seed: int) -> None:
        answer = Client(url, verbose=False, httpx_kwargs={"timeout": 120}).predict(
            image=None, seed=seed, steps=3, api_name="/states"
        )
        found[seed] = answer["config"]["seed"]

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {seed: seed for seed in range(4)}


def test_an_upload_on_a_full_disk_is_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradio.route_utils.GradioMultiPartParser.parse", full)
    answer = httpx.post(f"{url.rstrip('/')}/gradio_api/upload", files={"files": ("a.png", b"x")}, timeout=120)
    assert answer.status_code == 507
    assert answer.text.startswith("The disk is full") and "Free some space" in answer.text
