"""What is fetched from the hub is what is read, and what will be refused is refused before it is fetched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.models.hf.builders import saved
from tests.models.repository import Hub
from tests.models.test_checkpoint import shard
from workbench import models
from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.estimate import estimate, foreseen

NAME = "owner/name"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("llava", tmp_path_factory.mktemp("tiny"))


def weights(hub: Hub) -> list[str]:
    return [name for name in hub.fetched if name.endswith(".safetensors")]


def refused(name: str = NAME, **how: str) -> str:
    with pytest.raises(Refusal) as caught:
        models.open(name, device="cpu", **how)  # type: ignore[arg-type]
    return str(caught.value)


def test_of_a_transformers_repository_the_weights_that_are_read(hub: Hub, llava: Path) -> None:
    there = hub.add(NAME, llava)
    for other in ("consolidated.safetensors", "original/model.safetensors", "pytorch_model.bin", "own.py"):
        (there / other).parent.mkdir(exist_ok=True)
        (there / other).touch()
    assert models.open(NAME, device="cpu", revision="v1").card.id == NAME
    assert weights(hub) == ["model.safetensors"]
    assert not any(name.endswith((".bin", ".py")) for name in hub.fetched)
    assert set(hub.asked) == {(NAME, "v1")}
    hub.reachable = False
    assert models.open(NAME, device="cpu", revision="v1").card.id == NAME, "from the cache alone"


def test_of_a_sharded_one_the_shards_of_its_index(hub: Hub, llava: Path) -> None:
    there = hub.add(NAME, llava)
    whole = load_file(there / "model.safetensors")
    names = sorted(whole)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, some in shards.items():
        save_file({name: whole[name] for name in some}, there / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, some in shards.items() for name in some}}
    (there / "model.safetensors.index.json").write_text(json.dumps(index))
    (there / "model.safetensors").rename(there / "consolidated.safetensors")
    models.open(NAME, device="cpu")
    assert weights(hub) == ["model-1.safetensors", "model-2.safetensors"]


@pytest.mark.parametrize(("kind", "read"), [("auto", "ema.safetensors"), ("model", "model.safetensors")])
def test_of_bagel_the_weights_that_were_chosen(hub: Hub, whole_folder: Path, kind: str, read: str) -> None:
    there = hub.add(NAME, whole_folder)
    shutil.copy(there / "ema.safetensors", there / "model.safetensors")
    models.open(NAME, device="cpu", weights=kind)
    assert weights(hub) == ["ae.safetensors", read]


def test_of_bagel_in_shards(hub: Hub, whole_folder: Path) -> None:
    there = hub.add(NAME, whole_folder)
    shutil.copy(there / "ema.safetensors", there / "model.safetensors")
    shard(there)
    models.open(NAME, device="cpu")
    assert weights(hub) == ["ae.safetensors", "ema-1.safetensors", "ema-2.safetensors"]


def test_of_a_base_its_autoencoder_alone(hub: Hub, whole_folder: Path) -> None:
    base, alone = hub.add("owner/base", whole_folder), hub.add(NAME)
    shutil.copy(base / "ema.safetensors", alone / "model.safetensors")
    (alone / "consolidated.safetensors").touch()
    own = {"vit_resize": {"longest": 40, "shortest": 16, "stride": 8}, "usable_vocabulary": 330}
    (alone / "bagel_config.json").write_text(json.dumps(own))
    assert "give BAGEL as the base" in refused()
    assert models.open(NAME, base="owner/base", device="cpu").card.choices["base"] == "owner/base"
    assert weights(hub) == ["model.safetensors", "ae.safetensors"]


def test_weights_that_do_not_fit_are_named_before_they_are_fetched(hub: Hub, llava: Path) -> None:
    path = hub.add(NAME, llava) / "model.safetensors"
    tensors = load_file(path)
    gone = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    save_file({name: t for name, t in tensors.items() if name != gone} | {"lora": tensors[gone]}, path)
    said = refused()
    assert "missing: model.language_model.layers.1.mlp.up_proj.weight" in said and "unexpected: lora" in said
    assert not weights(hub)


class TestBeforeWeightsAreFetched:
    """Each is refused when it is opened, and beside the estimate in the same words."""

    def check(self, hub: Hub, *words: str, **how: str) -> None:
        said = refused(**how)
        assert not [word for word in words if word not in said], said
        assert not weights(hub) and "pytorch_model.bin" not in hub.fetched
        shutil.rmtree(hub.root / "cache")
        hub.fetched.clear()
        opening = Opening(device="cpu", **how)  # type: ignore[arg-type]
        try:
            estimate(NAME, opening)
            told = foreseen(NAME, opening)
        except Refusal as refusal:
            told = str(refusal)
        assert told == said
        assert not [name for name in hub.fetched if "config" not in name and "index" not in name]

    @pytest.mark.parametrize(
        ("kind", "said"), [("blip-2", "learned queries"), ("bert", "answers no questions"), ("new", "new")]
    )
    def test_a_type_that_is_not_opened(self, hub: Hub, llava: Path, kind: str, said: str) -> None:
        (hub.add(NAME, llava) / "config.json").write_text(json.dumps({"model_type": kind}))
        self.check(hub, said)

    def test_code_of_its_own(self, hub: Hub, llava: Path) -> None:
        config = {"model_type": "new", "auto_map": {"AutoModel": "x.Y"}}
        (hub.add(NAME, llava) / "config.json").write_text(json.dumps(config))
        self.check(hub, "code of its own")

    def test_no_configuration(self, hub: Hub, llava: Path) -> None:
        (hub.add(NAME, llava) / "config.json").unlink()
        self.check(hub, "neither config.json")

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"quantised": "4bit"}, "package bitsandbytes"),
            ({"attention": "flash_attention_2"}, "CUDA device"),
        ],
    )
    def test_what_this_machine_cannot_do(
        self, hub: Hub, llava: Path, how: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workbench.models.bits.find_spec", lambda name: None)
        hub.add(NAME, llava)
        self.check(hub, said, **how)

    @pytest.mark.parametrize("how", [{"quantised": "8bit"}, {"attention": "eager"}])
    def test_what_bagel_cannot_do_here(self, hub: Hub, whole_folder: Path, how: dict[str, str]) -> None:
        hub.add(NAME, whole_folder)
        self.check(hub, "bitsandbytes" if "quantised" in how else "sdpa", **how)

    def test_a_configuration_that_contradicts_itself(self, hub: Hub, whole_folder: Path) -> None:
        config = hub.add(NAME, whole_folder) / "llm_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"num_attention_heads": 5}))
        self.check(hub, "contradicts itself")

    def test_pickles_alone(self, hub: Hub, llava: Path) -> None:
        there = hub.add(NAME, llava)
        (there / "model.safetensors").rename(there / "pytorch_model.bin")
        self.check(hub, "pytorch_model.bin", "never loaded", "--revision refs/pr/N", "safetensors/convert")

    def test_an_adapter(self, hub: Hub) -> None:
        there = hub.add(NAME)
        (there / "adapter_model.safetensors").touch()
        (there / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
        self.check(hub, "LORA adapter", "merge_and_unload")

    def test_weights_with_a_base_that_they_do_not_need(self, hub: Hub, llava: Path) -> None:
        hub.add(NAME, llava)
        self.check(hub, "needs no base", base="pocket-bagel")


def test_words_and_memory_are_asked_before_a_download(
    hub: Hub, llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = hub.add(NAME, llava)
    hub.floats = 10**15
    assert "GiB for its weights in float32" in refused()
    assert not weights(hub)
    hub.floats = None
    (there / "tokenizer.json").unlink()
    shutil.rmtree(hub.root / "cache")
    assert "tokenizer.json" in refused() and not weights(hub)


def test_a_part_of_the_weights_in_the_cache_is_not_all(hub: Hub, whole_folder: Path) -> None:
    hub.add(NAME, whole_folder)
    assert estimate(NAME, Opening(device="cpu")).download
    models.open(NAME, device="cpu")
    assert estimate(NAME, Opening(device="cpu")).download is None
    (hub.root / "cache" / NAME / "ae.safetensors").unlink()
    assert estimate(NAME, Opening(device="cpu")).download
