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

from workbench import models
from workbench.errors import Refusal
from workbench.models import hub, memory


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
    assert size.floats == sum(t.numel() for t in tensors if t.is_floating_point())
    assert size.bytes(4) == sum(t.numel() * t.element_size() for t in tensors)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"dtype": "int7"}, "int7"),
        ({"attention": "fast"}, "fast"),
        ({"quantised": "4bit"}, "CUDA"),
        ({"attention": "flash_attention_2"}, "CUDA"),
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


def test_a_hub_id_is_opened_from_where_it_was_fetched_to(
    llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fetch(name: str, **how: Any) -> str:
        if how.get("local_files_only"):
            raise hub_errors.LocalEntryNotFoundError("not cached")
        asked.append((name, how["revision"], how["allow_patterns"]))
        return str(llava)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert models.open("owner/model", device="cpu", revision="v1").card.id == "owner/model"
    name, revision, patterns = asked[0]
    assert (name, revision) == ("owner/model", "v1")
    assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in patterns)


def test_what_will_not_be_opened_is_refused_before_its_weights_are_downloaded(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(name: str, **how: Any) -> str:
        if how.get("local_files_only"):
            raise hub_errors.LocalEntryNotFoundError("not cached")
        asked.extend(how["allow_patterns"])
        return str(copy)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    config = json.loads((copy / "config.json").read_text())
    for kind, said in (("blip-2", "learned queries"), ("bert", "answers no questions about images")):
        (copy / "config.json").write_text(json.dumps({"model_type": kind}))
        assert said in refused("owner/model")
    (copy / "config.json").write_text(
        json.dumps(config | {"model_type": "new", "auto_map": {"AutoModel": "x.Y"}})
    )
    assert "code of its own" in refused("owner/model")
    (copy / "config.json").unlink()
    assert "neither config.json" in refused("owner/model")
    assert asked and not any(pattern.endswith(".safetensors") for pattern in asked)


@pytest.mark.parametrize("name", ["a/b", "Qwen/Qwen2.5-VL-7B-Instruct", "x/y.z-1"])
def test_ids_of_the_hub_are_told_from_paths(name: str) -> None:
    assert hub.is_hub_id(name)
    assert not any(hub.is_hub_id(path) for path in ("./a/b", "/a/b", "a", "a/b/c", "../b", "~/a"))


def test_a_cache_with_a_part_of_the_weights_is_not_whole(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(tmp_path))
    assert hub.cached("owner/name") is None
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1.safetensors").touch()
    assert hub.cached("owner/name") is None
    (tmp_path / "model-2.safetensors").touch()
    assert hub.cached("owner/name") == tmp_path
    assert hub.cached("owner/name", "", models.BASE_FILES) is None
    (tmp_path / "ae.safetensors").touch()
    assert hub.cached("owner/name", "", models.BASE_FILES) == tmp_path


def test_a_page_of_the_hub_is_its_id() -> None:
    assert models.plain(" https://huggingface.co/owner/name/ ") == "owner/name"
    assert models.plain("/a/folder/") == "/a/folder/"
