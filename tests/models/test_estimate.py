"""What opening would take, told before it: from headers, from the hub, and against what is free."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file

from workbench import models
from workbench.errors import Cancelled, Refusal
from workbench.models import Opening, estimate, hub, memory
from workbench.models.estimate import Estimate

GIB = 2**30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_on", lambda device: 9 * GIB + GIB // 10)


def test_the_embedded_checkpoint_is_told_from_its_headers(free: None) -> None:
    folder = models.embedded()["pocket-bagel"]
    files = [folder / "ema.safetensors", folder / "ae.safetensors"]
    numbers = sum(tensor.numel() for path in files for tensor in load_file(path).values())
    full, half = (estimate.estimate("pocket-bagel", Opening("cpu", kind)) for kind in ("float32", "bfloat16"))
    assert full.needed == 4 * numbers and half.needed == 2 * numbers
    assert full.words == f"{round(4 * numbers / 2**20)} MiB in float32; 9.1 GiB free on cpu" and full.fits


def test_it_says_where_it_does_not_fit() -> None:
    tight = Estimate(int(14.2 * GIB), int(9.1 * GIB), None, "bfloat16", "cpu")
    assert tight.words.startswith("14.2 GiB in bfloat16; 9.1 GiB free on cpu. It does not fit")
    assert not tight.fits
    assert Estimate(int(14.2 * GIB), None, None, "bfloat16", "mps").words == "14.2 GiB in bfloat16"


def test_quantised_weights_take_less(free: None) -> None:
    sizes = [
        estimate.estimate("pocket-bagel", Opening("cpu", quantised=kind)).needed
        for kind in ("", "8bit", "4bit")
    ]
    stored = load_file(models.embedded()["pocket-bagel"] / "ema.safetensors")
    small = sum(
        t.numel() for name, t in stored.items() if "language_model.model.layers" in name and t.ndim == 2
    )
    assert sizes[0] and sizes[0] - 4 * small > 0
    rest = sizes[0] - 4 * small
    assert sizes == [sizes[0], rest + int(1.05 * small), rest + int(0.56 * small)]


@pytest.mark.parametrize("name", ["/no/such/folder", "nonsense", ""])
def test_what_is_no_checkpoint_is_a_sentence(name: str) -> None:
    with pytest.raises(Refusal):
        estimate.estimate(name, Opening("cpu"))


def test_a_folder_without_weights_is_a_sentence(tmp_path: Path) -> None:
    folder = Path(
        shutil.copytree(
            models.embedded()["pocket-bagel"], tmp_path / "half", ignore=lambda *_: ["ae.safetensors"]
        )
    )
    with pytest.raises(Refusal, match="ae.safetensors"):
        estimate.estimate(str(folder), Opening("cpu"))


def test_a_folder_has_no_revisions() -> None:
    for act in (lambda: estimate.estimate("pocket-bagel", Opening("cpu", revision="v1")), open_with_revision):
        with pytest.raises(Refusal, match="no revisions"):
            act()


def open_with_revision() -> None:
    models.open("pocket-bagel", device="cpu", revision="v1")


def answering(monkeypatch: pytest.MonkeyPatch, **about: Any) -> list[Any]:
    asked: list[Any] = []

    def model_info(self: Any, name: str, **how: Any) -> Any:
        asked.append((name, how))
        return SimpleNamespace(**about)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    return asked


FILES = [
    SimpleNamespace(rfilename="model-00001-of-00002.safetensors", size=8 * GIB),
    SimpleNamespace(rfilename="model-00002-of-00002.safetensors", size=7 * GIB),
    SimpleNamespace(rfilename="pytorch_model.bin", size=15 * GIB),
    SimpleNamespace(rfilename="consolidated.safetensors", size=15 * GIB),
    SimpleNamespace(rfilename="config.json", size=None),
]


def test_before_the_download_the_hub_is_asked(
    free: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = {"weight_map": {"a": FILES[0].rfilename, "b": FILES[1].rfilename}}
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **how: str(tmp_path))
    asked = answering(monkeypatch, siblings=FILES, safetensors=SimpleNamespace(total=7_600_000_000))
    found = estimate.estimate("owner/name", Opening("cpu", "bfloat16", "v1"))
    assert found.download == 15 * GIB and found.needed == 15_200_000_000 and not found.fits
    here = "14.2 GiB in bfloat16; 9.1 GiB free on cpu"
    assert found.words.startswith(f"Not on this machine yet: opening it downloads it, 15.0 GiB; {here}")
    name, how = asked[0]
    assert name == "owner/name" and how["revision"] == "v1" and how["timeout"] <= 3


@pytest.mark.parametrize("error", [httpx.ConnectTimeout("slow"), OSError("none"), ValueError("odd")])
def test_where_the_hub_says_nothing_only_that_is_said(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", silent)
    found = estimate.estimate("owner/name", Opening("cpu"))
    assert found.words == "Not on this machine yet: opening it downloads it" and found.fits


def test_a_download_says_how_far_it_is_and_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard: list[tuple[str, float]] = []

    def download(name: str, *, tqdm_class: Any, **how: Any) -> str:
        files = tqdm_class(total=4, desc="Fetching 4 files")
        sent = tqdm_class(total=0, unit="B", unit_scale=True, desc="Downloading bytes")
        for _ in range(3):
            sent.total = (sent.total or 0) + 5 * GIB
            sent.update(5 * GIB)
            files.update(1)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)

    def say(words: str, share: float) -> None:
        heard.append((words, share))

    assert hub.fetch("owner/name", "", ["x"], say=say, size=15 * GIB) == tmp_path
    assert [words for words, _ in heard] == [f"Downloading, {n}.0 GiB of 15.0 GiB" for n in (5, 10, 15)]
    assert [round(share, 2) for _, share in heard] == [0.33, 0.67, 1.0]

    def stopping(words: str, share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        hub.fetch("owner/name", "", ["x"], say=stopping)


def test_without_a_gpu_nothing_that_needs_one_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(estimate, "find_spec", lambda name: None)
    found = estimate.choices()
    assert "cpu" in found.devices and not any(name.startswith("cuda") for name in found.devices)
    assert found.attention == ("auto", "sdpa", "eager") and found.quantised == ("",)
    assert "CUDA" in found.limits and "bitsandbytes" in found.limits
    monkeypatch.setattr(estimate, "find_spec", lambda name: name)
    found = estimate.choices()
    assert found.attention == ("auto", "sdpa", "eager") and found.quantised == ("", "8bit", "4bit")
    assert "bits" not in found.limits


def test_on_a_gpu_what_is_installed_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"flash_attn", "bitsandbytes"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(estimate, "find_spec", lambda name: name in here or None)
    found = estimate.choices()
    assert found.devices[:4] == ("auto", "cpu", "cuda:0", "cuda:1")
    assert found.attention[3:] == ("flash_attention_2",) and found.quantised == ("", "8bit", "4bit")
    assert found.limits == ""
    here.clear()
    found = estimate.choices()
    assert found.quantised == ("",) and "bitsandbytes" in found.limits and "flash-attn" in found.limits


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"attention": "eager"}, "^BAGEL and CLEAR run under sdpa"),
        ({"quantised": "4bit"}, "^4bit needs the package bitsandbytes"),
    ],
)
def test_what_bagel_does_not_do_is_said(
    how: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.bits.find_spec", lambda name: None)
    with pytest.raises(Refusal, match=said):
        models.open("pocket-bagel", device="cpu", **how)  # type: ignore[arg-type]


def test_bagel_says_how_far_it_is_and_does_not_begin_where_memory_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[tuple[str, float]] = []
    models.open("pocket-bagel", device="cpu", say=lambda words, share: heard.append((words, share)))
    shares = [share for _, share in heard]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert {words for words, _ in heard} >= {"Loading weights", "Taking the weights' fingerprint", "Open"}
    monkeypatch.setattr("workbench.models.bagel.placement.free_on", lambda device: 1000)
    with pytest.raises(Refusal, match="needs .* MiB for its weights"):
        models.open("pocket-bagel", device="cpu")
