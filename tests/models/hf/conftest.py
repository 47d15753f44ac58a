"""Tiny checkpoints of transformers, written once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.hf.builders import BUILDERS, saved
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.load import load


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where checkpoints are written, one folder a model type."""
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session")
def llava(folder: Path) -> Path:
    """A whole LLaVA on disk, not to be changed."""
    return saved("llava", folder / "whole")


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def model(request: pytest.FixtureRequest, folder: Path) -> HFModel:
    """Every family's tiny model, opened from disk."""
    path = saved(request.param, folder)
    return load(path, name=request.param, device=torch.device("cpu"), dtype=torch.float32)
