"""Images as tokens, held against what the language model gets and against codebooks read by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.load import load

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 100, 3)).astype(np.uint8)


def opened(name: str, folder: Path) -> HFModel:
    return load(saved(name, folder), name=name, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("name", ["emu3", "chameleon"])
def test_tokens_are_those_that_the_language_model_gets(name: str, tmp_path: Path) -> None:
    model = opened(name, tmp_path)
    found = model.tokenised(IMAGE)
    inputs = model.prepare([IMAGE], "what is this?").inputs
    given = (inputs["pixel_values"], inputs["image_sizes"]) if name == "emu3" else (inputs["pixel_values"],)
    words = model.network.model.get_image_tokens(*given).flatten().tolist()
    known = model.network.model.vocabulary_mapping.bpe2img
    assert found.tokens.ravel().tolist() == [known[word] for word in words if word in known]
    assert len(np.unique(found.tokens)) > 5 and found.codes == 64
    assert found.seen.shape == (8 * found.tokens.shape[0], 8 * found.tokens.shape[1], 3)
    assert (found.decoded is None) == (name == "chameleon")


def test_emu3_reads_back_what_its_decoder_makes_of_the_tokens(tmp_path: Path) -> None:
    model = opened("emu3", tmp_path)
    found = model.tokenised(IMAGE)
    with torch.no_grad():
        made = model.network.model.vqmodel.decode(torch.from_numpy(found.tokens)[None])[0]
    settings = model.processor.image_processor
    mean, std = (np.array(each)[:, None, None] for each in (settings.image_mean, settings.image_std))
    expected = (255 * (made.numpy() * std + mean)).clip(0, 255).transpose(1, 2, 0)
    assert np.abs(found.decoded - expected).max() <= 0.51


def test_janus_takes_the_code_of_the_smallest_angle(tmp_path: Path) -> None:
    model = opened("janus", tmp_path)
    found = model.tokenised(IMAGE)
    tokeniser = model.network.model.vqmodel
    pixels = model.processor.image_processor(images=[IMAGE], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        made = tokeniser.quant_conv(tokeniser.encoder(pixels))[0].numpy()
    book = tokeniser.quantize.embedding.weight.numpy()
    for row, col in np.ndindex(6, 6):
        vector = made[:, row, col]
        angles = book @ vector / np.linalg.norm(book, axis=1) / np.linalg.norm(vector)
        assert angles[found.tokens[row, col]] == pytest.approx(angles.max(), abs=1e-6)
    assert len(np.unique(found.tokens)) > 5


def test_the_image_in_janus_square_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    model = opened("janus", tmp_path)
    white = model.tokenised(np.full((70, 100, 3), 255, np.uint8))
    top, left, bottom, right = white.inside
    assert (left, right) == (0, 48)
    assert (white.seen[top:bottom, left:right] > 250).all()
    assert (white.seen[: top - 1] < 250).all() and (white.seen[bottom + 1 :] < 250).all()
