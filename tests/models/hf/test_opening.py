"""Folders that are damaged, foreign or too large, ids of the hub, and models that are let go again."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from huggingface_hub import errors as hub_errors
from safetensors.torch import load_file, save_file

from tests.models.hf.builders import saved
from workbench import models
from workbench.errors import Refusal
from workbench.models import Opening, hub, memory
from workbench.models.checkpoint import check_finite, finite
from workbench.models.estimate import foreseen
from workbench.models.hf import errors, load


@pytest.fixture
def copy(llava: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llava, tmp_path / "copy"))


def refused(folder: Path | str, **how: Any) -> str:
    with pytest.raises(Refusal) as caught:
        models.open(folder, device="cpu", **how)
    return str(caught.value)


def test_a_whole_folder_opens_and_says_how_far_it_is(llava: Path) -> None:
    heard: list[tuple[str, float]] = []
    model = models.open(llava, device="cpu", say=lambda words, share: heard.append((words, share)))
    assert model.card.id == "llava" and model.card.family == "llava"
    shares = [share for _, share in heard]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_loading_says_which_shard_it_is_at(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    names = sorted(weights, key=lambda name: "language_model" in name)
    cuts = [0, len(names) // 3, len(names) // 2, len(names)]
    parts = {f"model-{k}.safetensors": names[cuts[k - 1] : cuts[k]] for k in (1, 2, 3)}
    for file, some in parts.items():
        save_file({name: weights[name] for name in some}, copy / file, metadata={"format": "pt"})
    places = {name: file for file, some in parts.items() for name in some}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    (copy / "model.safetensors").unlink()
    heard: list[tuple[str, float]] = []
    models.open(copy, device="cpu", say=lambda words, share: heard.append((words, share)))
    loading = [words for words, _ in heard if words.startswith("Loading weights")]
    assert {words: loading.count(words) for words in loading} == {
        f"Loading weights, shard {k} of 3": len(parts[f"model-{k}.safetensors"]) for k in (1, 2, 3)
    }


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_weights_that_do_not_fit_are_named(copy: Path) -> None:
    name = "model.language_model.layers.0.mlp.up_proj.weight"
    path = copy / "model.safetensors"
    stored = next(key for key in load_file(path) if key.endswith("layers.0.mlp.up_proj.weight"))
    change(path, lambda w: w.pop(stored))
    said = refused(copy)
    assert "missing" in said and name in said

    change(path, lambda w: w.update({stored: torch.zeros(3, 3)}))
    said = refused(copy)
    assert "another shape" in said and name in said


def test_a_tensor_too_many_is_named(copy: Path) -> None:
    change(copy / "model.safetensors", lambda w: w.update({"adapter.weight": torch.zeros(2)}))
    said = refused(copy)
    assert "unexpected" in said and "adapter.weight" in said


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_a_sentence(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    said = refused(copy)
    assert str(copy) in said or copy.name in said


def test_pickled_weights_are_never_loaded(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "never loaded" in refused(copy)


def test_a_truncated_file_is_a_sentence(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    assert "not a whole safetensors file" in refused(copy)


def test_a_download_that_broke_off_is_a_sentence(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "fetch it again" in refused(copy) and f"of {len(whole):,} bytes" in refused(copy)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "git lfs pull" in refused(copy)


def test_the_kernel_that_runs_stands_on_the_card(copy: Path) -> None:
    assert models.open(copy, device="cpu").card.attention == "sdpa"
    assert models.open(copy, device="cpu", attention="eager").card.attention == "eager"
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"_attn_implementation": "somebody/kernel"}))
    assert models.open(copy, device="cpu").card.attention == "sdpa", "a folder chooses no kernel"


def test_wrong_shapes_are_told_and_transformers_says_nothing_else(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(copy / "model.safetensors")
    name = next(name for name in tensors if name.endswith("lm_head.weight"))
    rows, width = tensors[name].shape
    tensors[name] = tensors[name][:-1].clone()
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert f"is ({rows - 1}, {width}), should be ({rows}, {width})" in refused(copy)
    assert "initialized" not in capfd.readouterr().err


def test_code_beside_the_weights_is_not_run(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["model_type"] = "something_new"
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text("raise SystemExit('this code ran')")
    assert "Python code of its own" in refused(copy)


OWN = """
from pathlib import Path
from transformers import LlavaConfig, LlavaForConditionalGeneration

(Path(MARK)).touch()


class OwnConfig(LlavaConfig):
    model_type = "own_llava"


class OwnModel(LlavaForConditionalGeneration):
    config_class = OwnConfig


class NoModel(OwnModel):
    def get_decoder(self):
        raise KeyError("none of the usual parts")
"""


def own(folder: Path, name: str) -> Path:
    """The folder as that of a model of its own code, which leaves a mark where it runs; the mark."""
    # Under the network's own names: transformers renames what it reads by a model type that it knows.
    state = models.open(folder, device="cpu").network.state_dict()  # type: ignore[attr-defined]
    save_file({name: t.clone() for name, t in state.items()}, folder / "model.safetensors")
    mark = folder / "this code ran"
    (folder / "own.py").write_text(OWN.replace("MARK", repr(str(mark))))
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own_llava",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": f"own.{name}"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return mark


def test_trusted_code_is_run_and_said(llava: Path, copy: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    mark = own(copy, "OwnModel")
    assert "--trust-remote-code" in refused(copy) and not mark.exists()
    model = models.open(copy, device="cpu", trust_remote_code=True)
    assert mark.exists() and "own.OwnModel" in model.card.choices["own code"]
    assert type(model.network).__name__ == "OwnModel"  # type: ignore[attr-defined]
    plain = models.open(llava, device="cpu", trust_remote_code=True)
    assert not plain.card.choices and plain.card.revision != model.card.revision
    image = np.zeros((40, 60, 3), np.uint8)
    both = [each.forward(each.prepare([image], "what?")) for each in (model, plain)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize(("name", "said"), [("NoModel", "usual parts"), ("Missing", "does not work")])
def test_trusted_code_that_keeps_to_no_convention_is_a_sentence(
    copy: Path, tmp_path: Path, monkeypatch: Any, name: str, said: str
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    own(copy, name)
    assert said in refused(copy, trust_remote_code=True)


def test_a_processor_that_is_code_is_not_run_either(copy: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        if (path := copy / name).is_file():
            found = json.loads(path.read_text())
            found["auto_map"] = {"AutoProcessor": "evil.Processor"}
            found["processor_class"] = "EvilProcessor"
            path.write_text(json.dumps(found))
    config = json.loads((copy / "config.json").read_text())
    (copy / "evil.py").write_text("raise SystemExit('this code ran')")
    assert config["model_type"] == "llava", "transformers knows the model itself"
    assert "Python code of its own" in refused(copy)


def test_a_model_that_sees_no_images_is_refused(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    LlamaConfig(hidden_size=64).save_pretrained(tmp_path / "words")
    assert "answers no questions about images" in refused(tmp_path / "words")


def test_too_little_memory_is_said_before_anything_is_loaded(
    llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.hf.load.free_on", lambda device: 1000)
    said = refused(llava)
    assert "needs 1 MiB" in said and "bfloat16 halves it" in said


def test_headers_tell_what_the_weights_take(llava: Path) -> None:
    files = [llava / "model.safetensors"]
    tensors = load_file(files[0]).values()
    size = memory.size_of(files)
    assert size.linear + size.floats == sum(t.numel() for t in tensors if t.is_floating_point())
    assert size.bytes(torch.float32) == sum(t.numel() * t.element_size() for t in tensors)


def test_quantising_makes_small_what_is_a_linear_layer(tmp_path: Path) -> None:
    shapes = {
        "model.layers.0.mlp.up_proj.weight": (40, 30),
        "model.vision_tower.layers.0.fc1.weight": (20, 10),
        "model.language_model.embed_tokens.weight": (100, 30),
        "lm_head.weight": (100, 30),
        "model.vision_tower.patch_embedding.weight": (20, 3, 4, 4),
        "model.norm.weight": (30,),
    }
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "x.safetensors")
    size = memory.size_of([tmp_path / "x.safetensors"])
    assert (size.linear, size.floats) == (1400, 3000 + 3000 + 960 + 30)
    assert size.bytes(torch.bfloat16, "8bit") == 1470 + 2 * size.floats
    assert size.bytes(torch.bfloat16) == 2 * (1400 + size.floats)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["up_proj.weight", "lm_head.weight"])
def test_a_weight_that_is_not_finite_is_named(copy: Path, name: str, value: float) -> None:
    path = copy / "model.safetensors"
    stored = next(key for key in load_file(path) if key.endswith(name))

    def spoil(weights: dict[str, Any]) -> None:
        weights[stored][1, 1] = value

    change(path, spoil)
    said = refused(copy)
    assert name in said and "not finite in float32" in said and "Fetch the file again" in said
    with pytest.raises(Refusal, match=name):
        check_finite([path])


def test_what_is_finite_is_told_from_what_is_not() -> None:
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        numbers = torch.full((64, 64), torch.finfo(kind).max, dtype=kind)
        assert finite(numbers) and finite(-numbers) and finite(numbers[:0])
        for odd in (torch.nan, torch.inf, -torch.inf):
            spoiled = numbers.clone()
            spoiled[63, 5] = odd
            assert not finite(spoiled)
    assert finite(torch.ones(3, dtype=torch.int8))


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"quant_method": "awq", "bits": 4, "version": "gemm"}, "quantised (awq)"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "quantised (bitsandbytes)"),
        ({"quant_method": "fp8"}, "quantised (fp8)"),
    ],
)
def test_weights_that_were_quantised_say_before_what_they_need(
    copy: Path, monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any], said: str
) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"quantization_config": stored}))
    monkeypatch.setattr(load, "find_weights", lambda *a: pytest.fail("weights were looked for"))
    told = refused(copy)
    assert said in told and "install" in told and "not quantised" in told
    assert foreseen(str(copy), Opening(device="cpu")) == told
    monkeypatch.setattr(load, "demand_bits", lambda *a: None)
    assert "quantised already" in refused(copy, quantised="4bit")


def test_of_an_omni_model_the_part_that_sees_is_opened(tmp_path: Path) -> None:
    """As published: weights under "thinker.", and those of the parts that speak beside them."""
    from transformers import Qwen2_5OmniConfig

    folder = saved("qwen2_5_omni_thinker", tmp_path)
    alone = load.load(folder, name="thinker", device=torch.device("cpu"), dtype=torch.float32)
    weights = {f"thinker.{name}": t.clone() for name, t in alone.network.state_dict().items()}
    weights |= {"talker.model.norm.weight": torch.zeros(2), "token2wav.x": torch.zeros(2)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    Qwen2_5OmniConfig(thinker_config=alone.network.config.to_dict()).save_pretrained(folder)
    model = models.open(folder, device="cpu")
    assert model.card.family == "qwen2_5_omni_thinker"
    prompts = [each.prepare([np.zeros((40, 60, 3), np.uint8)], "what?") for each in (alone, model)]
    torch.testing.assert_close(alone.forward(prompts[0]), model.forward(prompts[1]))


LORA = {"peft_type": "LORA", "base_model_name_or_path": "owner/base"}


def test_an_adapter_beside_the_weights_is_said_not_to_be_applied(copy: Path) -> None:
    (copy / "adapter_config.json").write_text(json.dumps(LORA))
    card = models.open(copy, device="cpu").card
    assert card.choices == {"adapter": "LORA adapter for owner/base, beside the weights: it is not applied"}


def test_what_transformers_is_told_keeps_it_from_applying_an_adapter(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.integrations import peft

    (copy / "adapter_config.json").write_text(json.dumps(LORA))
    asked: list[Any] = []
    looks = peft.find_adapter_config_file

    def looking(*args: Any, **how: Any) -> Any:
        asked.append(looks(*args, **how))
        return asked[-1]

    monkeypatch.setattr(peft, "is_peft_available", lambda: True)
    monkeypatch.setattr(peft, "find_adapter_config_file", looking)
    models.open(copy, device="cpu")
    assert asked == [None]


def test_an_adapter_alone_is_a_sentence_with_what_to_do(copy: Path, tmp_path: Path) -> None:
    (copy / "adapter_config.json").write_text(json.dumps(LORA))
    (copy / "model.safetensors").rename(copy / "adapter_model.safetensors")
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(copy / name, alone)
    for folder in (copy, alone):
        said = refused(folder)
        assert "LORA adapter for owner/base" in said and "merge_and_unload" in said and "CLEAR" not in said


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "tokenizer.model",
            b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02\xff",
            "pip install sentencepiece",
        ),
        ("tokenizer.model", b"IQ== 0\nIg== 1\n", "pip install tiktoken"),
        ("", b"", "no tokenizer.json. Fetch it"),
    ],
)
def test_a_tokenizer_that_cannot_be_read_says_what_it_takes(
    copy: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: bytes, said: str
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    (copy / "tokenizer.json").unlink()
    if file:
        (copy / file).write_bytes(content)
    assert said in refused(copy)


def test_of_a_long_error_what_is_to_be_done_stays() -> None:
    long = (
        "Couldn't instantiate the backend tokenizer from one of: \n(1) a `tokenizers` library file, \n(2) a "
        "slow tokenizer instance to convert or \n(3) an equivalent class. \nYou need to have sentencepiece "
        "or tiktoken installed to convert a slow tokenizer to a fast one."
    )
    told = errors.told(ValueError(long))
    assert told.startswith("Couldn't instantiate") and told.endswith(
        "convert a slow tokenizer to a fast one."
    )
    assert "(2)" not in told and "\n" not in told
    assert errors.told(ValueError("One thing.\nAnother.\nInstall x.\nIt ran at 3 p.m.")) == (
        "One thing. Install x."
    )
    assert errors.told(KeyError()) == "KeyError"


class TestOnTheWayToADevice:
    """Nothing here is a GPU, so what transformers is told, and what is asked of the host, stand for one."""

    CUDA = torch.device("cuda")

    def options(self, monkeypatch: pytest.MonkeyPatch, *there: str) -> dict[str, Any]:
        monkeypatch.setattr(load, "find_spec", lambda name: name in there or None)
        monkeypatch.setattr(load, "free_on", lambda device: 10**9)
        return load._options(models.Opening(device="cuda"), torch.bfloat16, self.CUDA, 10**6)

    def test_with_accelerate_weights_go_straight_to_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.options(monkeypatch, "accelerate")["device_map"] == {"": "cuda"}
        assert "device_map" not in self.options(monkeypatch)

    def test_without_it_the_host_needs_the_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(load, "free_on", lambda device: 10**6 if device.type == "cpu" else 10**12)
        load.demand_passage(10**6, "model", self.CUDA)
        with pytest.raises(Refusal, match="passes through the memory .* accelerate"):
            load.demand_passage(10**6 + 1, "model", self.CUDA)

    def test_it_is_asked_before_anything_is_read(self, llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(load, "find_spec", lambda name: None)
        monkeypatch.setattr(load, "free_on", lambda device: 1000 if device.type == "cpu" else 10**12)
        monkeypatch.setattr(load, "_network", lambda *a: pytest.fail("weights were read"))
        with pytest.raises(Refusal, match="on its way to mps"):
            load.load(llava, name="llava", device=torch.device("mps"), dtype=torch.float32)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"dtype": "int7"}, "int7"),
        ({"attention": "fast"}, "fast"),
        ({"quantised": "4bit"}, "bitsandbytes"),
        ({"attention": "flash_attention_2"}, "CUDA"),
        ({"attention": "flash_attention_2", "dtype": "float32"}, "16 bits only"),
    ],
)
def test_what_cannot_be_done_is_said(llava: Path, how: dict[str, str], word: str) -> None:
    assert word in refused(llava, **how)


def test_a_model_that_is_let_go_is_freed(llava: Path) -> None:
    model = models.open(llava, device="cpu")
    inner = weakref.ref(model.network)  # type: ignore[attr-defined]
    del model
    gc.collect()
    assert inner() is None


def answering(error: Exception) -> Callable[..., Path]:
    def fetch(*_: Any, **__: Any) -> Path:
        raise error

    return fetch


RESPONSE = httpx.Response(403, request=httpx.Request("GET", "https://hub.invalid"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (hub_errors.GatedRepoError("gated", response=RESPONSE), ["licence", "HF_TOKEN"]),
        (hub_errors.RepositoryNotFoundError("none", response=RESPONSE), ["spelling", "HF_TOKEN"]),
        (hub_errors.RevisionNotFoundError("none", response=RESPONSE), ["revision", "v9"]),
        (hub_errors.LocalEntryNotFoundError("offline"), ["cache", "hf download"]),
        (OSError(28, "No space left on device"), ["No space left", "Free some space"]),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do(
    error: Exception, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", answering(error))
    said = refused("owner/model", revision="v9")
    assert all(word in said for word in words)


@pytest.mark.parametrize("name", ["a/b", "Qwen/Qwen2.5-VL-7B-Instruct", "x/y.z-1"])
def test_ids_of_the_hub_are_told_from_paths(name: str) -> None:
    assert hub.is_hub_id(name)
    assert not any(
        hub.is_hub_id(path)
        for path in (
            "./a/b",
            "/a/b",
            "a",
            "a/b/c",
            "../b",
            "~/a",
            "a/b-",
            "a/b--c",
            f"a/{'b' * 97}",
        )
    )


def test_a_page_of_the_hub_is_its_id() -> None:
    assert models.plain(" https://huggingface.co/owner/name/ ") == "owner/name"
    assert models.plain("/a/folder/") == "/a/folder/"
