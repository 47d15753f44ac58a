"""What completes a pair that is never shown takes no part in the loss, and nothing else is left out."""

from __future__ import annotations

import pytest
import torch

from tests.training.test_colour_blind import Words
from workbench.images.scenes import HELD_OUT_PAIRS
from workbench.models.bagel.network import SpecialTokens
from workbench.training.data import TextPacker
from workbench.training.unseen import UnseenPairs


@pytest.fixture
def packer() -> TextPacker:
    return TextPacker(Words(), SpecialTokens(bos=0, eos=1, image_start=2, image_end=3))


def test_shapes_and_colours_leave_out_their_missing_partner(packer: TextPacker) -> None:
    pairs = UnseenPairs.of(packer.encode)
    (colour, shape), (other, partner) = HELD_OUT_PAIRS[:2]
    # A caption with two things, neither of them a pair that is held out; then two questions.
    said = f"a {colour} plain {partner} a {other} plain {shape}"
    asked = [
        ("describe", said),
        (f"what shape is the {colour} thing", partner),
        (f"what colour is the {shape}", other),
    ]
    rows = packer.rows([asked], start=1)
    left = pairs.excluded(rows)[0]
    word = {name: packer.encode(name)[0] for name in (colour, other, shape, partner)}
    found: dict[tuple[int, int], set[int]] = {}
    for target, segment, ids in zip(
        rows.targets[0].tolist(), rows.segments[0].tolist(), left.tolist(), strict=True
    ):
        if named := {i for i in ids if i >= 0}:
            found[segment, target] = named
    assert found == {
        (0, word[partner]): {word[shape]},  # it is `colour`, which never comes with `shape`
        (0, word[colour]): {word[other]},  # it is a `partner`, which never comes with `other`
        (0, word[other]): {word[colour]},
        (0, word[shape]): {word[partner]},
        (1, word[partner]): {word[shape]},
        (2, word[other]): {word[colour]},
    }


def test_what_is_to_be_said_is_never_left_out(packer: TextPacker) -> None:
    pairs = UnseenPairs.of(packer.encode)
    colour, shape = HELD_OUT_PAIRS[0]
    # As where the colours that are read are random: what is read is the partner of what is to be said.
    rows = packer.rows([[(f"a {colour}", f"plain {shape}")]], start=1)
    left, targets = pairs.excluded(rows), rows.targets
    assert not (left == targets[..., None]).logical_and(targets[..., None] >= 0).any()
    assert (left == -1).all()


def test_a_word_that_is_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one token"):
        UnseenPairs.of(lambda text: list(text.encode()))


def test_the_loss_does_not_push_down_what_is_left_out(packer: TextPacker) -> None:
    from types import SimpleNamespace

    from workbench.training.understanding import answer_loss

    colour, shape = HELD_OUT_PAIRS[0]
    other = HELD_OUT_PAIRS[1][1]
    UnseenPairs.of(packer.encode)  # all words have ids
    rows = packer.rows([[(f"what is the {colour} thing", other)]], start=1)
    states = torch.zeros(1, rows.ids.shape[1], 64, requires_grad=True)
    kit = SimpleNamespace(network=SimpleNamespace(logits=lambda x: x), packer=packer)
    answer_loss(kit, states, rows)[0].backward()  # type: ignore[arg-type]
    (place,) = (rows.targets[0] == packer.encode(other)[0]).nonzero()[:, 0]
    assert states.grad is not None
    pushed = states.grad[0, place]
    assert pushed[packer.encode(shape)[0]] == 0 and pushed[packer.encode(other)[0]] < 0
    assert pushed[packer.encode(HELD_OUT_PAIRS[2][1])[0]] > 0
