"""A page on a fake model, with a folder of its own for its visitors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.page.fake import FakeModel
from workbench.app import Page, build
from workbench.errors import Refusal
from workbench.page.host import Host
from workbench.page.session import Session, Sessions


def opener(name: str, **how: Any) -> FakeModel:
    if name.startswith("broken"):
        raise Refusal(f"{name} is not a checkpoint.")
    return FakeModel()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "sessions")
    yield build(host=Host("pocket-fake", opener=opener), sessions=sessions)
    sessions.close_all()


@pytest.fixture
def request_() -> Any:
    return SimpleNamespace(session_hash="visitor")


@pytest.fixture
def session(page: Page, request_: Any) -> Session:
    return page.bench.session(request_)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    from skimage import data

    path = tmp_path / "astronaut.png"
    Image.fromarray(np.asarray(data.astronaut())).save(path)
    return path
