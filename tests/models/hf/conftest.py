"""Tiny checkpoints of transformers, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.hf.builders import saved


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where checkpoints are written, one folder a model type."""
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session")
def llava(folder: Path) -> Path:
    """A whole LLaVA on disk, not to be changed."""
    return saved("llava", folder / "whole")
