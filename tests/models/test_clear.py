"""CLEAR as it is published: weights alone over a BAGEL folder, and a system prompt that a person supplies."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models import tiny
from tests.models.test_checkpoint import NORM, tensors
from workbench import models
from workbench.errors import Refusal
from workbench.models import Opening
from workbench.models.bagel import prompts
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.config import BagelConfig, ResizeRule, read_config
from workbench.models.bagel.load import foresee
from workbench.models.bagel.prompts import INTERLEAVED, PUBLISHED, read_prompt
from workbench.models.estimate import estimate
from workbench.models.protocol import Capability, Sampling, Thought
from workbench.runs.manifest import manifest

OWN = {"vit_resize": {"longest": 40, "shortest": 16, "stride": 8}, "usable_vocabulary": 330}
"""What brings CLEAR's sizes, which are its own, down to the tiny base's."""
SAYS = "You restore first.\nThen you answer.\n"


@pytest.fixture
def base(whole_folder: Path, tmp_path: Path) -> Path:
    """A BAGEL folder without a system prompt, as the published one is."""
    folder = Path(shutil.copytree(whole_folder, tmp_path / "base"))
    extra = json.loads((folder / "bagel_config.json").read_text())
    (folder / "bagel_config.json").write_text(json.dumps(extra | {"system_prompt": ""}))
    return folder


@pytest.fixture
def clear(base: Path, tmp_path: Path) -> Path:
    """Weights alone, as reinforcement learning leaves them; the final norm tells them from the base's."""
    folder = tmp_path / "clear"
    folder.mkdir()
    write(base, folder, "model", 2.0)
    (folder / "bagel_config.json").write_text(json.dumps(OWN))
    return folder


def write(base: Path, folder: Path, kind: str, norm: float) -> None:
    weights = load_file(base / "ema.safetensors")
    weights[NORM] = torch.full_like(weights[NORM], norm)
    save_file(weights, folder / f"{kind}.safetensors")


def opened(folder: Path, base: Path, **how: Any) -> BagelModel:
    model = models.open(folder, base=base, device="cpu", **how)
    assert isinstance(model, BagelModel)
    return model


def norm_of(model: BagelModel) -> float:
    return float(model.network.language_model.model.norm.weight[0])


def refused(folder: str | Path, **how: Any) -> str:
    with pytest.raises(Refusal) as said:
        models.open(folder, device="cpu", **how)
    assert str(said.value).endswith(".")
    return str(said.value)


class TestOverABase:
    def test_weights_are_its_own_and_the_rest_is_the_bases(self, clear: Path, base: Path) -> None:
        assert not any("pos_embed.pos_embed" in name for name in load_file(clear / "model.safetensors"))
        model = opened(clear, base)
        assert norm_of(model) == 2.0
        pixels = load_file(base / "ae.safetensors")
        own = model.autoencoder.state_dict()
        assert all(torch.equal(own[name], value.float()) for name, value in pixels.items())
        assert (model.card.id, model.card.family) == ("clear", "bagel")
        assert model.card.choices == {
            "base": "base",
            "read as": "CLEAR: at most 40 pixels a side for the vision tower, 330 tokens",
            "weight file": "model.safetensors",
        }
        assert model.card.processor["vision_size"]["longest_edge"] == 40
        assert model.network.logits(torch.zeros(1, 32)).shape == (1, 330)
        prompt = model.prepare([tiny.picture()], "what?")
        assert (prompt.grid.rows, prompt.grid.cols) == (5, 5)

    def test_published_sizes(self, tmp_path: Path) -> None:
        """Of BAGEL's own configuration nothing else changes."""
        (tmp_path / "base").mkdir()
        (tmp_path / "clear").mkdir()
        for name in ("llm_config.json", "vit_config.json"):
            (tmp_path / "base" / name).write_text("{}")
        bagel, clear = read_config(tmp_path / "base"), read_config(tmp_path / "base", tmp_path / "clear")
        assert bagel == BagelConfig()
        assert (clear.vit_resize, clear.usable_vocabulary) == (ResizeRule(518, 224, 14), 151665)
        assert clear.vae_resize == bagel.vae_resize == ResizeRule(1024, 512, 16)
        assert (clear.language, clear.vision, clear.latent_side) == (bagel.language, bagel.vision, 64)

    def test_its_own_configuration_has_the_last_word(self, clear: Path, base: Path) -> None:
        (clear / "bagel_config.json").unlink()
        said = refused(clear, base=base)
        assert "vit_resize: sides of 224 to 518" in said and "usable_vocabulary 151665" in said

    def test_a_fine_tune_of_bagel_is_read_as_bagel_where_that_is_said(
        self, base: Path, tmp_path: Path
    ) -> None:
        """Nothing in the weights tells it from CLEAR."""
        folder = tmp_path / "tuned"
        folder.mkdir()
        write(base, folder, "model", 2.0)
        model = opened(folder, base, read_as="bagel")
        assert norm_of(model) == 2.0
        assert model.card.processor == tiny.opened(base).card.processor
        assert model.card.choices["read as"] == (
            "BAGEL: at most 48 pixels a side for the vision tower, 320 tokens"
        )
        assert model.card.licence == "the weights' own; BAGEL's is Apache-2.0"

    def test_a_folder_with_clears_weights_is_read_as_clear_where_that_is_said(self, tmp_path: Path) -> None:
        for name in ("llm_config.json", "vit_config.json"):
            (tmp_path / name).write_text("{}")
        config, _ = foresee(tmp_path, Opening(read_as="clear"), torch.device("cpu"))
        assert config == read_config(tmp_path, tmp_path) and config.vit_resize.longest == 518
        assert foresee(tmp_path, Opening(), torch.device("cpu"))[0].vit_resize.longest == 980

    def test_shards(self, clear: Path, base: Path) -> None:
        weights = load_file(clear / "model.safetensors")
        places = {name: f"model-{i % 2 + 1}.safetensors" for i, name in enumerate(sorted(weights))}
        for file in set(places.values()):
            save_file({name: weights[name] for name in weights if places[name] == file}, clear / file)
        (clear / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
        (clear / "model.safetensors").unlink()
        model = opened(clear, base)
        assert norm_of(model) == 2.0
        assert model.card.choices["weight file"] == "model.safetensors"

    def test_the_same_weights_read_as_bagels_are_another_revision(self, clear: Path, base: Path) -> None:
        over = opened(clear, base).card.revision
        inside = Path(shutil.copytree(base, base.parent / "inside"))
        (inside / "ema.safetensors").unlink()
        shutil.copy(clear / "model.safetensors", inside)
        assert models.open(inside, device="cpu").card.revision != over
        (clear / "bagel_config.json").write_text(json.dumps(OWN | {"usable_vocabulary": 340}))
        assert opened(clear, base).card.revision != over


class TestWhichWeights:
    """Fine-tuning leaves both, reinforcement learning model.safetensors alone."""

    @pytest.mark.parametrize(
        ("there", "asked", "norm", "said"),
        [
            (("model",), "auto", 2.0, "model.safetensors"),
            (("ema", "model"), "auto", 3.0, "ema.safetensors; model.safetensors is there, too"),
            (("ema", "model"), "model", 2.0, "model.safetensors; ema.safetensors is there, too"),
            (("ema",), "ema", 3.0, "ema.safetensors"),
        ],
    )
    def test_they_are_told(
        self, clear: Path, base: Path, there: tuple[str, ...], asked: str, norm: float, said: str
    ) -> None:
        (clear / "model.safetensors").unlink()
        for kind in there:
            write(base, clear, kind, {"model": 2.0, "ema": 3.0}[kind])
        model = opened(clear, base, weights=asked)
        assert (norm_of(model), model.card.choices["weight file"]) == (norm, said)

    def test_of_a_bagel_folder_with_both_too(self, base: Path) -> None:
        assert models.open(base, device="cpu").card.choices == {}
        write(base, base, "model", 2.0)
        model = models.open(base, device="cpu", weights="model")
        assert isinstance(model, BagelModel) and norm_of(model) == 2.0
        assert model.card.choices == {"weight file": "model.safetensors; ema.safetensors is there, too"}

    def test_those_that_are_not_there(self, clear: Path, base: Path) -> None:
        assert "there is no ema.safetensors" in refused(clear, base=base, weights="ema")
        assert "auto, ema, model" in refused(clear, base=base, weights="raw")


class TestRefusals:
    def test_weights_alone_without_a_base(self, clear: Path) -> None:
        said = refused(clear)
        assert "neither config.json" in said and "give BAGEL as the base" in said

    def test_a_base_where_none_is_needed(self, base: Path) -> None:
        assert "configuration of its own" in refused(base, base=base)

    def test_a_base_that_is_none(self, clear: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        assert "no checkpoint" in refused(clear, base=other)
        (other / "config.json").write_text("{}")
        assert "has no llm_config.json" in refused(clear, base=other)
        assert "no checkpoint 'nowhere'" in refused(clear, base="nowhere")

    def test_an_empty_folder(self, base: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "bagel_config.json").write_text(json.dumps(OWN))
        assert "lacks its weights" in refused(tmp_path / "empty", base=base)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda w: w.pop(NORM), ("missing", NORM)),
            (lambda w: w.update({"bridge.weight": torch.zeros(2)}), ("unexpected", "bridge.weight")),
            (lambda w: w.update({NORM: torch.zeros(7)}), ("another shape", NORM)),
        ],
    )
    def test_weights_of_something_else(
        self, clear: Path, base: Path, change: Any, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tensors(change, "model.safetensors")(clear)
        monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory was taken"))
        said = refused(clear, base=base)
        assert all(word in said for word in words)
        assert f"the configuration in {base}" in said and "Give the base" in said

    @pytest.mark.parametrize("bits", ["8bit", "4bit"])
    def test_fewer_bits(self, clear: Path, base: Path, bits: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workbench.models.bits.find_spec", lambda name: None)
        said = refused(clear, base=base, quantised=bits)
        assert f"{bits} needs the package bitsandbytes" in said and "Open it without quantisation" in said

    def test_another_kernel(self, clear: Path, base: Path) -> None:
        assert "sdpa, not eager" in refused(clear, base=base, attention="eager")


class TestSystemPrompt:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "prompt.txt"
        path.write_text(SAYS)
        return path

    def test_without_one_nothing_is_drawn(self, clear: Path, base: Path, file: Path) -> None:
        assert Capability.INTERLEAVES not in opened(clear, base).card.capabilities
        assert Capability.INTERLEAVES in opened(clear, base, system_prompt=file).card.capabilities

    def test_it_is_what_the_model_reads(self, clear: Path, base: Path, file: Path) -> None:
        model = opened(clear, base, system_prompt=file)
        read: list[list[int]] = []
        real = model.network.add_text

        def heard(context: Any, ids: torch.Tensor) -> Any:
            read.append(ids[0].tolist())
            return real(context, ids)

        model.network.add_text = heard  # type: ignore[method-assign]
        first = next(model.respond(tiny.picture(), "what?", Sampling()))
        assert isinstance(first, Thought)
        assert read[0] == model.segment(model.pieces(SAYS))[0].tolist()

    def test_it_decides_the_revision(self, clear: Path, base: Path, file: Path) -> None:
        first = opened(clear, base, system_prompt=file).card.revision
        file.write_text(SAYS + "Be brief.")
        assert (
            len(
                {first, opened(clear, base).card.revision}
                | {opened(clear, base, system_prompt=file).card.revision}
            )
            == 3
        )

    def test_one_that_was_not_published_is_called_so(self, clear: Path, base: Path, file: Path) -> None:
        card = opened(clear, base, system_prompt=file).card
        digits = hashlib.sha256(SAYS.encode()).hexdigest()[:12]
        assert card.choices["system prompt"] == f"not the published prompt (sha256 {digits})"
        told = manifest(card, {}, 0, {}, time.time())["model"]["choices"]
        assert told == card.choices and json.loads(json.dumps(told)) == told

    @pytest.mark.parametrize(
        "written",
        [SAYS, SAYS.rstrip(), SAYS + "\n\n", SAYS.replace("\n", "\r\n"), "\N{BYTE ORDER MARK}" + SAYS],
    )
    @pytest.mark.parametrize("published", [SAYS, SAYS.rstrip()])
    def test_a_published_one_is_known_as_an_editor_leaves_it(
        self, file: Path, written: str, published: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sha256 = hashlib.sha256(published.encode()).hexdigest()
        monkeypatch.setattr(prompts, "PUBLISHED", {sha256: "the published one"})
        file.write_bytes(written.encode())
        prompt = read_prompt(file)
        assert prompt.text == published
        assert prompt.about == f"the published one (sha256 {sha256[:12]})"

    def test_what_is_not_published_stands_as_it_is(self, file: Path) -> None:
        for text in ("  One.\r\n", "One.\n\n", "\N{BYTE ORDER MARK}One."):
            file.write_bytes(text.encode())
            assert read_prompt(file).text == text

    def test_the_published_ones_are_known_by_their_sha256_alone(self) -> None:
        assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in PUBLISHED)
        assert "CLEAR" in PUBLISHED[INTERLEAVED] and len(PUBLISHED) == 4

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "is empty"),
            (b" \n ", "is empty"),
            (b"\xff\xfe\x00", "as text"),
            (b"x" * 100_001, "larger than"),
        ],
    )
    def test_files_that_are_none(self, base: Path, file: Path, content: bytes, words: str) -> None:
        file.write_bytes(content)
        assert words in refused(base, system_prompt=file)

    def test_no_file(self, base: Path, tmp_path: Path) -> None:
        for path in (tmp_path / "none.txt", tmp_path, "~nobody-of-that-name/x"):
            assert "cannot be read as text" in refused(base, system_prompt=path)


def test_a_base_of_another_shape_is_said_to_be_that(clear: Path, base: Path) -> None:
    (clear / "bagel_config.json").unlink()
    with pytest.raises(Refusal) as refused:
        opened(clear, base)
    said = str(refused.value)
    assert "CLEAR's settings" in said and "BAGEL-7B-MoT" in said and str(base) in said
    assert "vit_resize" in said and "Fetch it again" not in said


def test_the_estimate_counts_the_autoencoder_of_the_base(clear: Path, base: Path) -> None:
    found = estimate(str(clear), Opening(base=str(base), device="cpu", dtype="float32"))
    files = (clear / "model.safetensors", base / "ae.safetensors")
    assert found.needed == 4 * sum(value.numel() for file in files for value in load_file(file).values())
