"""The mean of checkpoints is the mean of their weights, and nothing else of them is mixed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import tiny
from workbench.errors import Refusal
from workbench.training.average import average


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tiny.write(tmp_path / "a"), tiny.write(tmp_path / "b")
    changed = {name: t + 1 if t.ndim == 2 else t for name, t in load_file(second / "ema.safetensors").items()}
    save_file(changed, second / "ema.safetensors")
    (first / "measured.json").write_text(json.dumps({"clean": 1}))
    return first, second


def test_weights_are_averaged_by_their_shares(pair: tuple[Path, Path], tmp_path: Path) -> None:
    average(pair, [3.0, 1.0], tmp_path / "mean")
    before, mean = load_file(pair[0] / "ema.safetensors"), load_file(tmp_path / "mean" / "ema.safetensors")
    assert mean.keys() == before.keys()
    for name, values in mean.items():
        assert values.dtype == torch.float16
        expected = before[name].double() + (0.25 if values.ndim == 2 else 0.0)
        torch.testing.assert_close(values.double(), expected, atol=2e-3, rtol=1e-3)
    assert not (tmp_path / "mean" / "measured.json").exists(), "what was measured was of one of them"
    torch.testing.assert_close(
        load_file(tmp_path / "mean" / "ae.safetensors"), load_file(pair[0] / "ae.safetensors")
    )
    tiny.opened(tmp_path / "mean")


@pytest.mark.parametrize("case", ["one", "shares", "other shape", "other tokenizer", "no weights"])
def test_what_has_no_mean_is_refused(pair: tuple[Path, Path], tmp_path: Path, case: str) -> None:
    folders, shares = list(pair), [1.0, 1.0]
    if case == "one":
        folders, shares = folders[:1], shares[:1]
    elif case == "shares":
        shares = [1.0, 0.0]
    elif case == "other shape":
        weights = load_file(pair[1] / "ema.safetensors")
        weights.pop(next(iter(weights)))
        save_file(weights, pair[1] / "ema.safetensors")
    elif case == "other tokenizer":
        (pair[1] / "tokenizer.json").write_text("{}")
    else:
        (pair[1] / "ema.safetensors").unlink()
    with pytest.raises(Refusal):
        average(folders, shares, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
