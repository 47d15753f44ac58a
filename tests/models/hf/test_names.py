"""Names and shapes of weights are compared from their headers, and say what loading them would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.hf.builders import saved
from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.estimate import foreseen
from workbench.models.hf import load, names, progress
from workbench.models.memory import header

CPU = torch.device("cpu")
KINDS = ("llava", "llava_next", "qwen2_5_vl", "qwen3_vl_moe", "internvl", "llama4", "emu3", "video_llava")
"""Of several ways to rename and join what is stored; that all whole ones fit, opening them tells."""


def compared(folder: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    config = load._config(folder, trusted=False)
    with torch.device("meta"):
        network = load._class_for(config, folder)(config)
    found = names._placed(network, shapes)
    assert found is not None, "the installed transformers can be asked"
    return dict(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_checkpoint_is_told(kind: str, tmp_path: Path) -> None:
    folder = saved(kind, tmp_path)
    shapes = {tensor.name: tensor.shape for tensor in header(folder / "model.safetensors")}
    spoiled = next(name for name in sorted(shapes) if "norm" in name and name.endswith("weight"))
    shape = shapes.pop(spoiled)
    lacking = compared(folder, shapes | {"adapter.weight": (2,)})
    assert len(lacking["missing_keys"]) == 1 and lacking["unexpected_keys"] == {"adapter.weight"}
    (wrong,) = compared(folder, shapes | {spoiled: (shape[0] + 1,)})["mismatched_keys"]
    assert tuple(wrong[1]) == (shape[0] + 1,) and tuple(wrong[2]) == shape


def test_it_is_told_beside_the_estimate_and_as_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("qwen3_vl_moe", tmp_path)
    assert foreseen(str(folder), Opening(device="cpu")) == ""
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("layers.1.self_attn.q_proj.weight"))
    del tensors[gone]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    told = foreseen(str(folder), Opening(device="cpu"))
    assert told.startswith("The weights in qwen3_vl_moe do not fit") and gone in told
    # While transformers loads another model it cannot be asked; then opening itself tells.
    with progress.heard(None):
        assert foreseen(str(folder), Opening(device="cpu")) == ""
    monkeypatch.setattr(load, "demand_fit", lambda *args: None)
    with pytest.raises(Refusal, match=gone):
        load.load(folder, name="x", device=CPU, dtype=torch.float32)


def test_no_number_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safetensors.safe_open", lambda *a, **k: pytest.fail("a file was opened"))
    folder = saved("llava", tmp_path)
    load.foresee(folder, Opening(), CPU)
