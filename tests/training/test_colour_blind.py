"""Captions whose colours give nothing away: what is mixed, what is greyed, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.images.scenes import COLOURS, generate
from workbench.models.bagel.network import SpecialTokens
from workbench.training.colour_blind import colour_ids, greyed, mixed
from workbench.training.data import TextPacker


class Words:
    """A tokenizer with an id for every word, in the order in which they are met."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def encode(self, text: str) -> Words:
        self.known += [word for word in text.split() if word not in self.known]
        self.ids = [10 + self.known.index(word) for word in text.split()]
        return self


@pytest.fixture
def packer() -> TextPacker:
    return TextPacker(Words(), SpecialTokens(bos=0, eos=1, image_start=2, image_end=3))


def test_colours_are_found_where_they_stand_in_a_caption(packer: TextPacker) -> None:
    ids = colour_ids(packer.encode)
    assert [packer.encode(colour)[0] for colour in COLOURS] == ids.tolist()
    with pytest.raises(ValueError, match="more than one token"):
        colour_ids(list)


def test_only_colours_that_are_read_in_the_captions_named_are_mixed(packer: TextPacker) -> None:
    ids = colour_ids(packer.encode)
    pairs = [[("what colour", "red"), ("describe", "a small red ring a small blue star")]] * 300
    rows = packer.rows(pairs, start=1)
    captions = np.arange(300) % 2 * 2 - 1  # the caption of every other row
    unsaid = np.arange(300) % 4 == 1
    found = mixed(rows, captions, ids, unsaid, np.random.default_rng(0))
    assert torch.equal(found.ids[0], rows.ids[0]) and torch.equal(found.targets[0], rows.targets[0])
    changed = found.ids != rows.ids
    among = torch.as_tensor(ids)
    assert torch.isin(rows.ids[changed], among).all() and torch.isin(found.ids[changed], among).all()
    assert not changed[:, :6].any(), "the question and its answer stay"
    shares = changed[1::2].float().mean(0)
    places = (torch.isin(rows.ids[0], among) & (rows.segments[0] == 1)).nonzero()[:, 0]
    assert len(places) == 2 and (shares[places] > 0.8).all(), "seven of eight draws are another colour"
    said = rows.targets[0] != found.targets[1]
    assert torch.isin(rows.targets[0][said], among).all() and int(said.sum()) == 2
    assert torch.equal(found.targets[3], rows.targets[3])


def test_grey_is_pillows() -> None:
    images = generate(np.arange(2), "train").images
    found = greyed(images, np.array([True, False]))
    expected = np.asarray(Image.fromarray(images[0]).convert("L"), dtype=int)
    assert np.abs(found[0].astype(int) - expected[..., None]).max() <= 1
    assert np.array_equal(found[1], images[1]) and found.dtype == np.uint8
