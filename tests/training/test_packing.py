"""Packed training passes compute what the inference cache computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from workbench.models.bagel.config import AutoencoderConfig, BagelConfig, LanguageConfig, VisionConfig
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.training.packing import Block, pack

SPECIAL = SpecialTokens(bos=0, eos=1, image_start=2, image_end=3)


@pytest.fixture(scope="module")
def network() -> Bagel:
    torch.manual_seed(0)
    model = Bagel(
        BagelConfig(
            language=LanguageConfig(32, 3, 4, 2, 48, 40),
            vision=VisionConfig(16, 3, 2, 24, 32, 8),
            autoencoder=AutoencoderConfig(z_channels=4),
            latent_side=4,
        )
    )
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return model.eval().requires_grad_(False)


def framed(network: Bagel, tokens: torch.Tensor) -> torch.Tensor:
    start, end = network.embed_text(torch.tensor([[2, 3]])).expand(len(tokens), -1, -1).split(1, dim=1)
    return torch.cat([start, tokens, end], dim=1)


def test_question_after_image_equals_the_cache(network: Bagel) -> None:
    seen = network.embed_vision(torch.randn(2, 16, 192), 4, 4)
    first, second = torch.randint(4, 40, (2, 5)), torch.randint(4, 40, (2, 3))
    blocks = [
        Block(framed(network, seen), torch.zeros(1, 18, dtype=torch.long)),
        Block(
            network.embed_text(torch.cat([first, second], 1)),
            torch.tensor([[1, 2, 3, 4, 5, 1, 2, 3]]),
            (0,),
            causal=True,
            segments=torch.tensor([[0] * 5 + [1] * 3]).expand(2, -1),
        ),
    ]
    states = pack(blocks).run(network.language_model.model)[1]
    context = network.add_vision(Context(), seen, SPECIAL)
    for ids, place in ((first, slice(0, 5)), (second, slice(5, 8))):
        torch.testing.assert_close(states[:, place], network.add_text(context, ids)[1], atol=1e-5, rtol=1e-5)


def test_velocity_on_padded_contexts_equals_the_cache(network: Bagel) -> None:
    """A noise block behind texts of different lengths, beside another draw it must not see."""
    lengths, ids = (4, 2), torch.randint(4, 40, (2, 4))
    valid = torch.arange(4)[None] < torch.tensor(lengths)[:, None]
    noise = torch.randn(2, 4, network.config.latent_dim)
    t = torch.tensor([0.7, 0.7])
    place = torch.tensor(lengths)[:, None]
    blocks = [Block(network.embed_text(ids), torch.arange(4)[None], causal=True, valid=valid)]
    for x in (noise, torch.randn_like(noise)):
        n = len(blocks)
        frame = network.embed_text(torch.tensor([[2, 3]])).expand(2, -1, -1)
        blocks.append(Block(frame, place.expand(-1, 2), (0, n + 1)))
        blocks.append(Block(network.embed_latent(x, 2, 2, t), place.expand(-1, 4), (0, n), generation=True))
    states = pack(blocks).run(network.language_model.model)[2]
    for row, length in enumerate(lengths):
        context, _ = network.add_text(Context(), ids[row : row + 1, :length])
        expected = network.velocity(context, noise[row : row + 1], 2, 2, 0.7, SPECIAL)
        torch.testing.assert_close(network.llm2vae(states[row : row + 1]), expected, atol=1e-5, rtol=1e-5)


def test_cache_equals_one_pass(network: Bagel) -> None:
    ids = torch.randint(4, 40, (1, 9))
    whole = network.add_text(Context(), ids)[1]
    context, parts = Context(), []
    for piece in ids.split([4, 1, 3, 1], dim=1):
        context, states = network.add_text(context, piece)
        parts.append(states)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_a_block_that_sees_less_changes_nothing_else(network: Bagel) -> None:
    a = Block(torch.randn(1, 3, 32), torch.arange(3)[None], causal=True)
    b = Block(torch.randn(1, 2, 32), torch.arange(3, 5)[None], (0,))
    other = replace(b, tokens=torch.randn(1, 2, 32))
    decoder = network.language_model.model
    one, two = pack([a, b]).run(decoder), pack([a, b, other]).run(decoder)
    torch.testing.assert_close(one[0], two[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(one[1], two[1], atol=1e-6, rtol=0)
