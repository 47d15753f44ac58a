"""Weights of transformers' layout whose numbers or shards leave open what is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.hf.builders import saved
from workbench.errors import Refusal
from workbench.models.hf.load import load


def refusal(path: Path) -> str:
    with pytest.raises(Refusal) as refused:
        load(path, name="llava", device=torch.device("cpu"), dtype=torch.float32)
    return str(refused.value)


def test_a_matrix_of_whole_numbers_is_refused_by_its_name(tmp_path: Path) -> None:
    path = saved("llava", tmp_path)
    weights = load_file(path / "model.safetensors")
    name = next(key for key in weights if key.endswith("q_proj.weight"))
    weights[name] = (weights[name] * 100).to(torch.int8)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    said = refusal(path)
    assert f"{name} is I8" in said and "names no quantisation" in said


def test_a_tensor_in_two_shards_is_refused_by_its_name(tmp_path: Path) -> None:
    path = saved("llava", tmp_path)
    weights = load_file(path / "model.safetensors")
    name, *rest = sorted(weights)
    parts = {"model-1.safetensors": [name], "model-2.safetensors": [name, *rest]}
    for file, names in parts.items():
        save_file({key: weights[key].clone() for key in names}, path / file, metadata={"format": "pt"})
    index = {"weight_map": dict.fromkeys(rest, "model-2.safetensors") | {name: "model-1.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "model.safetensors").unlink()
    assert f"{name} (model-1.safetensors and model-2.safetensors)" in refusal(path)
