"""A manifest says how a result was made, in JSON's types, and not where the machine keeps its files."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from tests.card import CARD
from workbench import cli
from workbench.images.fit import fitted
from workbench.images.read import read
from workbench.runs.manifest import made_with, manifest

AT_HOME = replace(CARD, folder=Path("/home/somebody/checkpoints/pocket"), revision="0123456789ab")


def test_holds_what_it_takes_to_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["/home/somebody/repo/workbench/__main__.py", "states", "--question", "what is this?"]
    monkeypatch.setattr(sys, "argv", argv)
    made = manifest(AT_HOME, {"steps": 12}, 7, {"original": "ab" * 32}, time.time() - 2)
    assert json.loads(json.dumps(made)) == made
    assert made["model"]["revision"] == "0123456789ab" and made["model"]["dtype"] == "float32"
    assert made["model"]["device"] == "cpu" and made["model"]["attention"] == "eager"
    assert made["model"]["processor"] == {"size": {"longest_edge": 96}, "image_mean": [0.5, 0.5, 0.5]}
    assert made["config"] == {"steps": 12} and made["seed"] == 7 and made["images"]["original"] == "ab" * 32
    assert 2 <= made["seconds"] < 4 and made["started"].endswith("+00:00")
    assert made["packages"]["torch"] == metadata.version("torch")
    assert made["command"] == "python -m workbench states --question 'what is this?'"
    assert "somebody" not in json.dumps(made)


def test_says_what_was_done_to_an_image() -> None:
    large = fitted(read(np.zeros((20, 2048), dtype=np.uint8)))
    plain = read(np.zeros((20, 20, 3), dtype=np.uint8))
    made = manifest(CARD, {}, 0, {"original": large, "painted": plain, "data": "ab" * 32}, time.time())
    assert json.loads(json.dumps(made)) == made
    assert made["images"] == {"original": large.sha256, "painted": plain.sha256, "data": "ab" * 32}
    greyscale, fit = made["notes"].pop("original")
    assert "greyscale" in greyscale and "2048 × 20 to 1024 × 10" in fit
    assert made["notes"] == {}


def test_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/x/app.py"])
    assert manifest(CARD, {}, 0, {}, time.time())["command"] == "app.py"


def test_a_command_called_from_python_keeps_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/x/notebook.py"])
    commands: list[str] = []
    work = ["layers", "--image", "my scene.png", "--out", "o"]
    monkeypatch.setattr(cli, "_main", lambda words: commands.append(made_with()["command"]) or len(words))
    assert cli.main(work) == 5
    assert commands == ["python -m workbench layers --image 'my scene.png' --out o"]
    assert made_with()["command"] == "notebook.py", "afterwards it is the process' own again"
