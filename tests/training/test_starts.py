"""What attention starts with: heads that look at their own place, and dimensions that hold only places."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.watch import Seen, watching
from workbench.training.interleaving import ALIGNED_LAYERS, start_experts
from workbench.training.kit import POCKET, start_places

SPECIAL = SpecialTokens(bos=0, eos=1, image_start=2, image_end=3)


@pytest.fixture
def network() -> Bagel:
    torch.manual_seed(0)
    config = replace(POCKET, language=replace(POCKET.language, num_hidden_layers=4))
    model = Bagel(config).requires_grad_(False)
    for p in model.parameters():
        if p.ndim == 2:
            torch.nn.init.normal_(p, std=p.shape[1] ** -0.5)
    model.vit_pos_embed.reset()
    model.latent_pos_embed.reset()
    return model


def test_a_latent_token_looks_at_its_own_place(network: Bagel) -> None:
    """Of the damaged latent's 36 tokens, the one at a token's own place gets most of what they get."""
    start_experts(network)
    side = network.config.latent_side
    damaged, noisy = torch.randn(2, 1, side * side, network.config.latent_dim)
    context = network.add_latent(
        Context(), network.embed_latent(damaged, side, side, torch.zeros(1)), SPECIAL
    )
    found: list[torch.Tensor] = []

    def watch(module: torch.nn.Module, seen: Seen) -> None:
        found.append(seen.rows(torch.arange(seen.query.shape[2])))

    with watching(watch):
        network.velocity(context, noisy, side, side, 0.7, SPECIAL)
    group = network.config.language.num_attention_heads // network.config.language.num_key_value_heads
    own = torch.eye(side * side, dtype=torch.bool)
    for weights in found[:ALIGNED_LAYERS]:
        # Past the frame tokens that begin each block: queries of the new latents, keys of the damaged ones.
        looked = weights[0, :group, -side * side - 1 : -1, 1 : 1 + side * side]
        share = looked[:, own].sum(-1) / looked.sum((-1, -2))
        assert (share > 0.7).all()


def test_places_change_nothing_of_words_and_carry_nothing_of_pixels(network: Bagel) -> None:
    ids = torch.randint(4, 600, (1, 9))
    before = network.add_text(Context(), ids)[1]
    start_places(network)
    torch.testing.assert_close(network.add_text(Context(), ids)[1], before, atol=1e-4, rtol=1e-4)
    patch, side = network.config.vision.patch_size, network.config.vision.side
    one, two = torch.randn(2, 1, side * side, 3 * patch * patch)
    same = (network.embed_vision(one, side, side) == network.embed_vision(two, side, side)).all(1)[0]
    assert same.sum() == 12
    held = network.embed_vision(one, side, side)[0, :, same]
    assert len(held.unique(dim=0)) == side * side
