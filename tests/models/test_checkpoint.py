"""Folders that cannot be opened: each is refused in a sentence that names the thing and what to do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import tiny
from workbench import models
from workbench.errors import Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.config import BagelConfig, read_config, write_config
from workbench.models.bagel.network import Bagel
from workbench.models.checkpoint import fingerprint, load_strict
from workbench.models.protocol import Capability

NORM = "language_model.model.norm.weight"
ADVICE = ("etch", "convert", "Take", "Give", "give", "Remove", "Mend", "Try", "Choose", "Check", "open it as")


@pytest.fixture
def folder(whole_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own to damage."""
    return Path(shutil.copytree(whole_folder, tmp_path / "damaged"))


def refusal(folder: str | Path, **given: str) -> str:
    """The sentence with which opening is refused; it must tell what to do."""
    with pytest.raises(Refusal) as refused:
        models.open(folder, device=given.get("device", "cpu"), dtype=given.get("dtype", "auto"))
    sentence = str(refused.value)
    assert any(word in sentence for word in ADVICE), sentence
    assert "Traceback" not in sentence
    return sentence


def test_a_whole_folder_opens(whole_folder: Path) -> None:
    model = models.open(whole_folder, device="cpu")
    card = model.card
    assert (card.id, card.family, card.dtype, card.device) == ("tiny", "bagel", "float32", "cpu")
    assert (card.vision_layers, card.llm_layers, card.width) == (2, 3, 32)
    assert card.knows == "nothing"
    assert card.attention == "sdpa" and json.loads(json.dumps(card.processor)) == card.processor
    assert len(card.revision) == 12
    assert isinstance(model, BagelModel)
    assert card.parameters == sum(
        p.numel() for module in (model.network, model.autoencoder) for p in module.parameters()
    )
    weights = load_file(whole_folder / "ema.safetensors")
    own = model.network.state_dict()
    assert all(torch.equal(own[name], value.float()) for name, value in weights.items())
    assert not any(p.requires_grad for p in model.network.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_it_opens_in_16_bits(whole_folder: Path, dtype: str) -> None:
    model = models.open(whole_folder, device="cpu", dtype=dtype)
    assert model.card.dtype == dtype
    answer = model.answer(model.prepare([tiny.picture()], "what dark is it?"), max_new_tokens=2)[0]
    assert answer.logprob <= 0


def test_only_a_folder_with_a_system_prompt_interleaves(folder: Path) -> None:
    assert Capability.INTERLEAVES in models.open(folder, device="cpu").card.capabilities
    extra = json.loads((folder / "bagel_config.json").read_text())
    (folder / "bagel_config.json").write_text(json.dumps(extra | {"system_prompt": ""}))
    without = models.open(folder, device="cpu").card.capabilities
    assert without == frozenset(Capability) - {Capability.INTERLEAVES, Capability.TOKENISES}


def test_the_revision_follows_whatever_decides_the_result(folder: Path) -> None:
    before = models.open(folder, device="cpu").card.revision
    assert models.open(folder, device="cpu").card.revision == before
    extra = json.loads((folder / "bagel_config.json").read_text())
    (folder / "bagel_config.json").write_text(json.dumps(extra | {"system_prompt": "another."}))
    changed = models.open(folder, device="cpu").card.revision
    weights = load_file(folder / "ema.safetensors")
    weights[NORM] = weights[NORM] * 1.5
    save_file(weights, folder / "ema.safetensors")
    assert len({before, changed, models.open(folder, device="cpu").card.revision}) == 3


def test_shards_are_one_checkpoint(folder: Path, whole_folder: Path) -> None:
    shard(folder)
    ours, whole = (tiny.opened(f).network.state_dict() for f in (folder, whole_folder))
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_loading_says_which_shard_it_is_at(folder: Path) -> None:
    heard: list[str] = []
    shard(folder)
    models.open(folder, device="cpu", say=lambda words, share: heard.append(words))
    said = [words for words in dict.fromkeys(heard) if words.startswith("Loading weights")]
    # The autoencoder, which comes last, is one file.
    first, second = (f"Loading weights, shard {k} of 2" for k in (1, 2))
    assert said == [first, second, "Loading weights"]


def test_a_tensor_in_two_shards_is_refused_by_its_name(folder: Path) -> None:
    shard(folder)
    second = load_file(folder / "ema-2.safetensors")
    name = next(iter(load_file(folder / "ema-1.safetensors")))
    save_file(second | {name: torch.zeros(1)}, folder / "ema-2.safetensors")
    said = refusal(folder)
    assert f"{name} (ema-1.safetensors and ema-2.safetensors)" in said


def shard(folder: Path) -> None:
    weights = load_file(folder / "ema.safetensors")
    names = sorted(weights)
    parts = {"ema-1.safetensors": names[::2], "ema-2.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({name: weights[name] for name in some}, folder / file)
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (folder / "ema.safetensors.index.json").write_text(json.dumps(index))
    (folder / "ema.safetensors").unlink()


def without(*names: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return damage


def filled(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: void((folder / name).write_bytes(content))


def void(_: object) -> None:
    """For lambdas that write."""


def pickled(folder: Path) -> None:
    (folder / "ema.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")


def tensors(change: Callable[[dict[str, torch.Tensor]], Any], name: str = "ema.safetensors") -> Any:
    def damage(folder: Path) -> None:
        weights = load_file(folder / name)
        change(weights)
        save_file(weights, folder / name)

    return damage


def sharded(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        shard(folder)
        damage(folder)

    return both


def set_values(name: str, **values: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return damage


DAMAGE: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "no weights": (without("ema.safetensors"), ("ema.safetensors", "lacks its weights")),
    "no autoencoder": (without("ae.safetensors"), ("ae.safetensors",)),
    "pickled only": (pickled, ("pytorch_model.bin", "never loaded", "safetensors")),
    "weights cut off": (cut("ema.safetensors", 0.6), ("ema.safetensors", "cut off")),
    "autoencoder cut off": (cut("ae.safetensors", 0.99), ("ae.safetensors", "cut off")),
    "weights cut in the header": (cut("ema.safetensors", 0.01), ("ema.safetensors",)),
    "weights of zero bytes": (filled("ema.safetensors", b""), ("ema.safetensors", "not a whole")),
    "weights that are a pickle": (filled("ema.safetensors", b"\x80\x04K\x01."), ("ema.safetensors",)),
    "weights that are a page": (
        filled("ema.safetensors", b"<html>Not found</html>" * 50),
        ("ema.safetensors",),
    ),
    "a tensor missing": (tensors(lambda w: w.pop(NORM)), ("missing", NORM)),
    "many tensors missing": (tensors(lambda w: [w.pop(k) for k in list(w)[:20]]), ("missing", "and 14 more")),
    "an unexpected tensor": (
        tensors(lambda w: w.update({"lora.up": torch.zeros(2)})),
        ("unexpected", "lora.up"),
    ),
    "a tensor of another shape": (
        tensors(lambda w: w.update({NORM: torch.zeros(7)})),
        ("configuration beside it. Tensors of another shape", NORM, "(7,)", "(32,)"),
    ),
    "a quantised tensor": (
        tensors(lambda w: w.update({NORM: torch.zeros(32, dtype=torch.int8)})),
        ("number type", NORM, "I8"),
    ),
    "numbers that are not finite": (
        tensors(lambda w: w.update({NORM: w[NORM] * torch.nan})),
        (NORM, "not finite"),
    ),
    "a pixel tensor missing": (
        tensors(lambda w: w.pop("decoder.conv_in.bias"), "ae.safetensors"),
        ("ae.safetensors", "decoder.conv_in.bias"),
    ),
    "a shard missing": (sharded(without("ema-2.safetensors")), ("ema-2.safetensors", "missing shards")),
    "a shard cut off": (sharded(cut("ema-2.safetensors", 0.5)), ("ema-2.safetensors", "cut off")),
    "an unreadable index": (
        sharded(filled("ema.safetensors.index.json", b"{")),
        ("ema.safetensors.index.json",),
    ),
    "an index of something else": (
        sharded(filled("ema.safetensors.index.json", b'{"weight_map": [1]}')),
        ("ema.safetensors.index.json",),
    ),
    "an index that leads elsewhere": (
        sharded(filled("ema.safetensors.index.json", b'{"weight_map": {"x": "../../other.safetensors"}}')),
        ("own folder",),
    ),
    "no llm_config": (without("llm_config.json"), ("llm_config.json",)),
    "no vit_config": (without("vit_config.json"), ("vit_config.json", "missing")),
    "JSON cut off": (cut("vit_config.json", 0.5), ("vit_config.json", "JSON")),
    "JSON that is not text": (filled("llm_config.json", b"\xff\xfe\x00"), ("llm_config.json", "JSON")),
    "JSON that is a list": (filled("llm_config.json", b"[1, 2]"), ("llm_config.json", "object")),
    "JSON nested without end": (filled("llm_config.json", b"[" * 100_000), ("llm_config.json",)),
    "a size that is text": (
        set_values("llm_config.json", hidden_size="32"),
        ("llm_config.json", "hidden_size", '"32"', "whole number"),
    ),
    "a negative size": (
        set_values("vit_config.json", patch_size=-8),
        ("vit_config.json", "patch_size", "-8"),
    ),
    "a size of zero": (set_values("llm_config.json", num_key_value_heads=0), ("num_key_value_heads", "0")),
    "a fraction of a layer": (set_values("llm_config.json", num_hidden_layers=2.5), ("num_hidden_layers",)),
    "true as a size": (set_values("llm_config.json", vocab_size=True), ("vocab_size", "true")),
    "no size": (set_values("llm_config.json", vocab_size=None), ("vocab_size", "null")),
    "a million layers": (
        set_values("llm_config.json", num_hidden_layers=10**6),
        ("num_hidden_layers", "1,000"),
    ),
    "an epsilon that is not a number": (
        set_values("llm_config.json", rms_norm_eps=float("nan")),
        ("rms_norm_eps", "NaN"),
    ),
    "a list that is a number": (
        set_values("bagel_config.json", autoencoder={"ch_mult": 2}),
        ("bagel_config.json", "autoencoder", "ch_mult"),
    ),
    "a list of words": (
        set_values("bagel_config.json", autoencoder={"ch_mult": [1, "two"]}),
        ("ch_mult", "whole numbers"),
    ),
    "an autoencoder that is text": (set_values("bagel_config.json", autoencoder="flux"), ("autoencoder",)),
    "a resize rule without its stride": (
        set_values("bagel_config.json", vit_resize={"longest": 48, "shortest": 16}),
        ("vit_resize", "stride"),
    ),
    "a field from elsewhere": (set_values("bagel_config.json", banana=1), ("bagel_config.json", "banana")),
    "a prompt that is a number": (
        set_values("bagel_config.json", system_prompt=3),
        ("system_prompt", "text"),
    ),
    "heads that do not divide": (set_values("llm_config.json", num_attention_heads=5), ("32", "5")),
    "a table too small for the images": (
        set_values("bagel_config.json", latent_side=4),
        ("vae_resize", "position table"),
    ),
    "strides that do not fit patches": (
        set_values("bagel_config.json", vit_resize={"longest": 48, "shortest": 16, "stride": 6}),
        ("vit_resize", "patch_size"),
    ),
    "another width": (
        set_values("llm_config.json", hidden_size=64),
        ("another shape", "(384, 32)", "(384, 64)"),
    ),
    "one layer more": (set_values("llm_config.json", num_hidden_layers=4), ("missing", "layers.3")),
    "no tokenizer": (without("tokenizer.json"), ("tokenizer.json", "missing")),
    "a tokenizer of zero bytes": (filled("tokenizer.json", b""), ("tokenizer.json", "tokenizer")),
    "a tokenizer cut off": (cut("tokenizer.json", 0.7), ("tokenizer.json", "tokenizer")),
    "a tokenizer without the specials": (
        lambda folder: void(
            (folder / "tokenizer.json").write_text(
                (folder / "tokenizer.json").read_text().replace("<|vision_", "<|picture_")
            )
        ),
        ("tokenizer.json", "<|vision_start|>, <|vision_end|>"),
    ),
    "a tokenizer larger than the network": (
        set_values("bagel_config.json", usable_vocabulary=100),
        ("tokenizer.json", "100 tokens"),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_folder(folder: Path, name: str) -> None:
    damage, named = DAMAGE[name]
    damage(folder)
    sentence = refusal(folder)
    assert not [words for words in named if words not in sentence], sentence
    assert sentence.endswith(".")
    assert len(sentence) < 900


def test_nothing_is_changed_by_weights_that_do_not_fit(folder: Path) -> None:
    tensors(lambda w: w.pop(NORM))(folder)
    network = Bagel(read_config(folder))
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(Refusal):
        load_strict(network, [folder / "ema.safetensors"])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_no_memory_is_taken_for_weights_that_do_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only the second file, the autoencoder, is wrong."""
    cut("ae.safetensors", 0.5)(folder)
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *args, **kwargs: pytest.fail("memory was taken"))
    assert "ae.safetensors" in refusal(folder)


def test_too_little_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nlong story")

    monkeypatch.setattr(torch.nn.Module, "to_empty", full)
    with pytest.raises(Refusal, match=r"damaged needs 1 MiB .* cpu did not give .* Close other models"):
        models.open(folder, device="cpu")
    monkeypatch.setattr("workbench.models.bagel.placement.free_on", lambda device: 1000)
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory was taken"))
    with pytest.raises(Refusal, match="damaged needs 1 MiB for its weights in float32, and cpu has") as said:
        models.open(folder, device="cpu")
    assert "quantise" not in str(said.value)


class TestNames:
    def test_an_unknown_one(self) -> None:
        sentence = refusal("paligemma-900b")
        assert "'paligemma-900b'" in sentence
        if any(models.EMBEDDED.glob("*")):
            assert "pocket-bagel" in sentence

    @pytest.mark.parametrize("name", ["", "   "])
    def test_none(self, name: str) -> None:
        assert "No checkpoint was named" in refusal(name)

    def test_a_file(self, whole_folder: Path) -> None:
        assert "is a file" in refusal(whole_folder / "ema.safetensors")

    def test_another_folder(self, tmp_path: Path) -> None:
        assert "nor llm_config.json" in refusal(tmp_path)

    @pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-of-that-name/x"])
    def test_what_is_no_path(self, name: str) -> None:
        assert f"{name[0]}" in refusal(name).split("cannot be opened")[0]

    @pytest.mark.parametrize("name", ["..", ".", "../checkpoints"])
    def test_an_embedded_name_is_a_name(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        refusal(name)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
    def test_a_folder_that_may_not_be_read(self, folder: Path) -> None:
        folder.chmod(0)
        try:
            assert "damaged" in refusal(folder)
        finally:
            folder.chmod(0o755)


class TestDevices:
    @pytest.mark.parametrize("device", ["banana", "cuda:99", "meta", ""])
    def test_one_that_is_not_there(self, whole_folder: Path, device: str) -> None:
        assert repr(device) in refusal(whole_folder, device=device)

    @pytest.mark.parametrize("dtype", ["float64", "int8", "nn", "", "float"])
    def test_a_number_type_that_is_not_known(self, whole_folder: Path, dtype: str) -> None:
        sentence = refusal(whole_folder, dtype=dtype)
        assert repr(dtype) in sentence
        assert "bfloat16" in sentence


class TestConfiguration:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        for name, config in (("tiny", tiny.CONFIG), ("published", BagelConfig())):
            (tmp_path / name).mkdir()
            write_config(config, tmp_path / name)
            assert read_config(tmp_path / name) == config

    def test_a_published_folder_needs_no_file_of_ours(self, tmp_path: Path) -> None:
        """Fields of transformers that say nothing new are passed over."""
        (tmp_path / "llm_config.json").write_text(
            json.dumps({"model_type": "qwen2", "max_window_layers": 28})
        )
        (tmp_path / "vit_config.json").write_text(json.dumps({"hidden_size": 1152, "attention_dropout": 0.0}))
        assert read_config(tmp_path) == BagelConfig()

    def test_the_rotary_base_of_newer_files(self, tmp_path: Path) -> None:
        (tmp_path / "llm_config.json").write_text(json.dumps({"rope_parameters": {"rope_theta": 5e5}}))
        (tmp_path / "vit_config.json").write_text("{}")
        assert read_config(tmp_path).language.rope_theta == 5e5


def test_the_fingerprint_is_sha256(tmp_path: Path) -> None:
    for name, content in (("a", b"ab"), ("b", b"c")):
        (tmp_path / name).write_bytes(content)
    assert fingerprint([tmp_path / "a", tmp_path / "b"]) == "ba7816bf8f01"  # sha256("abc"), FIPS 180-2
