"""Tiny checkpoints on disk, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import tiny
from workbench.models.bagel.adapter import BagelModel


@pytest.fixture(scope="session")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("checkpoints") / "tiny", "whole")


@pytest.fixture(scope="session")
def cut_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("checkpoints") / "tiny-cut", "cut")


@pytest.fixture(scope="session")
def model(whole_folder: Path) -> BagelModel:
    return tiny.opened(whole_folder)


@pytest.fixture(params=["whole", "cut"])
def fresh(request: pytest.FixtureRequest) -> BagelModel:
    """A model of one's own to change: once with tags of one token, once with tags of several."""
    folder: Path = request.getfixturevalue(f"{request.param}_folder")
    return tiny.opened(folder)
