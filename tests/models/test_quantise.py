"""BAGEL in 8 and 4 bits by a stand-in for bitsandbytes, which test_bitsandbytes.py has itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models import tiny
from tests.models.test_checkpoint import shard
from workbench.errors import Refusal
from workbench.models import Opening, bits
from workbench.models.bagel import load as loading
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.config import BagelConfig
from workbench.models.bagel.network import Bagel
from workbench.models.bits import in_bagel
from workbench.models.memory import Size
from workbench.models.verify import verify


class Rounded(nn.Parameter):
    """Numbers of so many levels each side of zero, with a scale a row; whole only once they were moved."""

    levels: int
    scale: Tensor | None

    def __new__(cls, data: Tensor, requires_grad: bool = True, levels: int = 0, scale: Any = None) -> Rounded:
        made: Rounded = torch.Tensor._make_subclass(cls, data, requires_grad)  # type: ignore[attr-defined]
        made.levels, made.scale = levels, scale
        return made

    def to(self, device: torch.device) -> Rounded:  # type: ignore[override]
        assert self.data.device.type == "cpu" and self.scale is None, "quantised twice"
        scale = self.data.float().abs().amax(1, keepdim=True) / self.levels
        self.data = (self.data.float() / scale).round().to(torch.int8)
        self.scale = scale.to(device)
        return self


class Small(nn.Linear):
    """What both layers of the stand-in do: its matrix times, in the numbers that came in."""

    made: list[dict[str, Any]]

    def __init__(self, inputs: int, outputs: int, bias: bool, levels: int, **how: Any) -> None:
        assert how["device"] == "meta", "filled with random numbers first"
        super().__init__(inputs, outputs, bias, device="meta")
        self.made.append(how)
        self.weight = Rounded(self.weight.data, requires_grad=False, levels=levels)

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.weight, Rounded) and self.weight.scale is not None
        return F.linear(x, (self.weight.data.float() * self.weight.scale).to(x.dtype), self.bias)


class Linear8bitLt(Small):
    made = []

    def __init__(self, inputs: int, outputs: int, bias: bool = True, **how: Any) -> None:
        super().__init__(inputs, outputs, bias, 127, **how)


class Linear4bit(Small):
    made = []

    def __init__(self, inputs: int, outputs: int, bias: bool = True, **how: Any) -> None:
        super().__init__(inputs, outputs, bias, 7, **how)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in, on a machine on which quantising is possible."""
    nn_ = SimpleNamespace(Linear8bitLt=Linear8bitLt, Linear4bit=Linear4bit)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(nn=nn_))
    monkeypatch.setattr(loading, "demand_bits", lambda *a: None)
    Linear8bitLt.made.clear()
    Linear4bit.made.clear()


def opened(folder: Path, kind: str, dtype: torch.dtype = torch.float32) -> BagelModel:
    how = Opening(device="cpu", quantised=kind)
    return loading.load(folder, name="tiny", device=torch.device("cpu"), dtype=dtype, opening=how)


KINDS = {"8bit": Linear8bitLt, "4bit": Linear4bit}


@pytest.mark.parametrize("kind", KINDS)
def test_the_language_layers_are_replaced_and_nothing_else(
    installed: None, whole_folder: Path, kind: str
) -> None:
    model, whole = opened(whole_folder, kind), tiny.opened(whole_folder)
    small = {name for name, module in model.network.named_modules() if isinstance(module, KINDS[kind])}
    linear = {name for name, module in whole.network.named_modules() if isinstance(module, nn.Linear)}
    layers = {name for name in linear if name.startswith("language_model.model.layers.")}
    assert small == layers and len(small) == 3 * 14
    ours, theirs = model.network.state_dict(), whole.network.state_dict()
    assert ours.keys() == theirs.keys()
    kept = [name for name in theirs if name.removesuffix(".weight") not in small]
    assert kept and all(torch.equal(ours[name], theirs[name]) for name in kept)
    assert any(name.endswith("q_proj_moe_gen.bias") for name in kept)
    assert model.card.dtype == f"{kind} float32" and model.card.parameters == whole.card.parameters


@pytest.mark.parametrize(("kind", "close"), [("8bit", 0.999), ("4bit", 0.9)])
def test_what_it_computes_is_near_what_the_whole_weights_do(
    installed: None, whole_folder: Path, kind: str, close: float
) -> None:
    model, whole = opened(whole_folder, kind), tiny.opened(whole_folder)
    verify(model)
    image = tiny.picture()
    a, b = (m.forward(m.prepare([image], "what dark is it?")).float().numpy().ravel() for m in (model, whole))
    assert not np.array_equal(a, b)
    assert np.corrcoef(a, b)[0, 1] > close


def test_how_the_layers_of_bitsandbytes_are_made(installed: None, whole_folder: Path) -> None:
    opened(whole_folder, "8bit")
    opened(whole_folder, "4bit", torch.bfloat16)
    assert Linear8bitLt.made[0] == {"has_fp16_weights": False, "threshold": 6.0, "device": "meta"}
    assert Linear4bit.made[0] == {
        "compute_dtype": torch.bfloat16,
        "compress_statistics": False,
        "quant_type": "nf4",
        "device": "meta",
    }


def test_matrix_and_bias_may_lie_in_two_files(installed: None, whole_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole_folder, tmp_path / "sharded"))
    shard(folder)
    ours, whole = (opened(each, "8bit").network.state_dict() for each in (folder, whole_folder))
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_a_number_that_is_not_finite_is_refused_before_it_is_rounded(
    installed: None, whole_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole_folder, tmp_path / "spoiled"))
    weights = load_file(folder / "ema.safetensors")
    name = next(key for key in weights if in_bagel(key))
    weights[name][0, 0] = torch.nan
    save_file(weights, folder / "ema.safetensors")
    with pytest.raises(Refusal, match="not finite") as said:
        opened(folder, "8bit")
    assert name in str(said.value)


def test_what_it_takes_is_known_before(
    installed: None, whole_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.device("meta"):
        network = Bagel(tiny.CONFIG)
    small = sum(p.numel() for name, p in network.named_parameters() if in_bagel(name))
    asked: list[int] = []
    monkeypatch.setattr("workbench.models.bagel.placement.demand", lambda needed, *a: asked.append(needed))
    for kind in ("", "8bit", "4bit"):
        opened(whole_folder, kind)
    assert asked[0] - asked[1] == pytest.approx((4 - 1.05) * small, abs=100)
    assert asked[0] - asked[2] == pytest.approx((4 - 0.56) * small, abs=100)


def test_of_the_published_size_more_than_half_and_a_third_remain() -> None:
    """The published checkpoint's shapes, without its numbers: 29 GB in 16 bits."""
    with torch.device("meta"):
        network = Bagel(BagelConfig()).to(torch.bfloat16)
    small = sum(p.numel() for name, p in network.named_parameters() if in_bagel(name))
    everything = sum(p.numel() for p in network.parameters())
    assert 0.88 < small / everything < 0.93
    for kind, share in (("8bit", 0.57), ("4bit", 0.35)):
        size = Size(small, everything - small, 0)
        whole = size.bytes(torch.bfloat16)
        assert size.bytes(torch.bfloat16, kind) / whole == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("device", "lacks"),
    [("mps", "a device that bitsandbytes computes on, cuda"), ("cuda", "the package bits")],
)
def test_where_it_cannot_be_done_that_is_said(
    monkeypatch: pytest.MonkeyPatch, device: str, lacks: str
) -> None:
    monkeypatch.setattr(bits, "find_spec", lambda name: None if device == "cuda" else True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace())
    with pytest.raises(Refusal, match=f"8bit needs {lacks}") as said:
        bits.demand_bits("8bit", torch.device(device))
    assert "Open it without quantisation" in str(said.value)
    bits.demand_bits("", torch.device(device))


def test_the_devices_are_those_that_the_package_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits, "find_spec", lambda name: True)
    named = SimpleNamespace(supported_torch_devices={"cpu", "cuda", "npu"})
    monkeypatch.setitem(sys.modules, "bitsandbytes", named)
    for device in ("cpu", "cuda:1"):
        bits.demand_bits("4bit", torch.device(device))
    with pytest.raises(Refusal, match=r"cpu or cuda \(this is mps\)"):
        bits.demand_bits("4bit", torch.device("mps"))
