"""Training a published checkpoint further: the mean of several, and drawing alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.errors import Refusal
from workbench.images.scenes import generate
from workbench.models import EMBEDDED
from workbench.training import base
from workbench.training.drawing import DrawingStage
from workbench.training.kit import LANGUAGE, Kit, further
from workbench.training.loop import Schedule, Stage, train
from workbench.training.understanding import GENERATION

POCKET = EMBEDDED / "pocket-bagel"


def other(folder: Path) -> Path:
    """The embedded checkpoint with all weights of its network doubled."""
    shutil.copytree(POCKET, folder)
    weights = load_file(folder / "ema.safetensors")
    save_file({name: 2 * value for name, value in weights.items()}, folder / "ema.safetensors")
    return folder


def test_several_checkpoints_start_as_their_mean(tmp_path: Path) -> None:
    doubled = other(tmp_path / "doubled")
    kit = further([POCKET, doubled, doubled], tmp_path / "run")
    found = kit.network.state_dict()
    for name, value in load_file(POCKET / "ema.safetensors").items():
        torch.testing.assert_close(found[name], value.float() * 5 / 3)


def test_a_mean_over_another_tokenizer_is_refused(tmp_path: Path) -> None:
    doubled = other(tmp_path / "doubled")
    (doubled / "tokenizer.json").write_text((doubled / "tokenizer.json").read_text() + " ")
    with pytest.raises(Refusal, match="another configuration or tokenizer"):
        further([POCKET, doubled], tmp_path / "run")


def test_drawing_alone_needs_a_start(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="--start"):
        base.main(["base", "--drawing", "--out", str(tmp_path / "run")])


def test_drawing_leaves_what_reads_as_it_is(tmp_path: Path) -> None:
    kit = further([POCKET], tmp_path / "run")
    before = {name: value.clone() for name, value in kit.network.state_dict().items()}
    images = generate(np.arange(2), "test").images
    said = _logits(kit, images)
    train(DrawingStage(kit, Schedule(steps=2, batch=2, warmup=1), 0), tmp_path / "run", say=lambda _: None)
    changed = {n for n, value in kit.network.state_dict().items() if not torch.equal(value, before[n])}
    assert changed
    assert all(any(part in name for part in GENERATION) for name in changed)
    torch.testing.assert_close(_logits(kit, images), said, atol=0, rtol=0)


def test_a_language_model_learns_anew_over_the_tower_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def step(stage: Stage, folder: Path, *, say: object, after: Callable[[int], None]) -> None:
        trained.append(stage.name)
        after(1)

    monkeypatch.setattr(base, "train", step)
    base.main(["base", "--start", str(POCKET), "--anew", "--keep", "1", "--out", str(tmp_path / "run")])
    assert trained == ["understanding"]
    series = tmp_path / "run" / "series"
    assert sorted(path.name for path in series.iterdir()) == ["step-0000", "step-0001"]
    first = load_file(series / "step-0000" / "ema.safetensors")
    for name, value in load_file(POCKET / "ema.safetensors").items():
        assert torch.equal(first[name], value) != name.startswith(LANGUAGE), name


@pytest.mark.parametrize("wrong", [["--anew"], ["--start", str(POCKET), "--anew", "--drawing"]])
def test_learning_anew_starts_from_a_checkpoint_and_draws_nothing(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(Refusal, match="--anew"):
        base.main(["base", *wrong, "--out", str(tmp_path / "run")])


def _logits(kit: Kit, images: np.ndarray) -> torch.Tensor:
    """What the model would say of images, without a drawing."""
    from workbench.training.dialogue import seen_of
    from workbench.training.understanding import read_packed

    rows = kit.packer.rows([[("describe the picture.", "a small red plain star")]] * len(images), start=1)
    with torch.no_grad():
        return kit.network.logits(read_packed(kit, seen_of(kit, images), rows))
