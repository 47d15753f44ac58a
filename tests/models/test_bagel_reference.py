"""Our BAGEL against numbers computed with the authors' public code (tests/data/bagel_tiny/README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.models import bagel_published
from workbench.models.bagel import flow
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import AutoencoderConfig, BagelConfig, read_config
from workbench.models.bagel.embeddings import grid_ids, sincos_table
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.bagel.patches import patchify, unpatchify
from workbench.models.checkpoint import load_strict

DATA = Path(__file__).parents[1] / "data" / "bagel_tiny"
SPECIAL = SpecialTokens(bos=300, eos=301, image_start=302, image_end=303)
TOLERANCE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def expected() -> dict[str, torch.Tensor]:
    return load_file(DATA / "outputs.safetensors")


@pytest.fixture(scope="module")
def network() -> Bagel:
    model = Bagel(read_config(DATA))
    load_strict(model, [DATA / "ema.safetensors"])
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    model = Autoencoder(read_config(DATA).autoencoder)
    load_strict(model, [DATA / "ae.safetensors"])
    return model.eval().requires_grad_(False)


def read(network: Bagel, expected: dict[str, torch.Tensor], *parts: str) -> Context:
    context = Context()
    if "vae" in parts:
        tokens = patchify(expected["input.latent"], 2)
        context = network.add_latent(context, network.embed_latent(tokens, 2, 3, torch.zeros(1)), SPECIAL)
    if "vit" in parts:
        patches = patchify(expected["input.img_vit"][None], 14)
        context = network.add_vision(context, network.embed_vision(patches, 2, 3), SPECIAL)
    if "text" in parts:
        context, _ = network.add_text(context, torch.tensor([[300, 5, 17, 200, 33, 8, 301]]))
    return context


def test_autoencoder(autoencoder: Autoencoder, expected: dict[str, torch.Tensor]) -> None:
    pixels = expected["input.img_vae"][None]
    torch.testing.assert_close(autoencoder.encoder(pixels), expected["vae.moments"], **TOLERANCE)
    torch.testing.assert_close(autoencoder.encode(pixels), expected["input.latent"], **TOLERANCE)
    torch.testing.assert_close(
        autoencoder.decode(expected["input.latent"]), expected["vae.decoded"], **TOLERANCE
    )


def test_tables_and_ids(network: Bagel, expected: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(
        sincos_table(8, 64), network.latent_pos_embed.pos_embed.data, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(sincos_table(10, 64), network.vit_pos_embed.pos_embed.data, atol=1e-5, rtol=0)
    assert grid_ids(2, 3, 8).tolist() == expected["vae.position_ids"].tolist()
    assert grid_ids(2, 3, 10).tolist() == expected["vit.position_ids"].tolist()
    t = torch.tensor([0.0, 0.3, 1.0])
    torch.testing.assert_close(network.time_embedder(t), expected["time_embedding"], **TOLERANCE)


def test_vision(network: Bagel, expected: dict[str, torch.Tensor]) -> None:
    patches = patchify(expected["input.img_vit"][None], 14)
    torch.testing.assert_close(patches[0], expected["vit.tokens"], atol=1e-6, rtol=0)
    ids = grid_ids(2, 3, 10)
    torch.testing.assert_close(network.vit_model(patches, ids)[0], expected["vit.features"], **TOLERANCE)
    torch.testing.assert_close(network.embed_vision(patches, 2, 3)[0], expected["vit.llm_input"], **TOLERANCE)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("after_vae", ("vae",)),
        ("after_vae_vit", ("vae", "vit")),
        ("after_vae_vit_text", ("vae", "vit", "text")),
    ],
)
def test_caches(network: Bagel, expected: dict[str, torch.Tensor], name: str, parts: tuple[str, ...]) -> None:
    context = read(network, expected, *parts)
    for layer, (key, value) in enumerate(context.past):
        torch.testing.assert_close(key[0].transpose(0, 1), expected[f"{name}.key.{layer}"], **TOLERANCE)
        torch.testing.assert_close(value[0].transpose(0, 1), expected[f"{name}.value.{layer}"], **TOLERANCE)


def test_text_generation(network: Bagel, expected: dict[str, torch.Tensor]) -> None:
    context = read(network, expected, "vae", "vit", "text")
    assert context.length == expected["full.len"].item()
    assert context.position == expected["full.rope"].item()
    token, greedy = SPECIAL.bos, [SPECIAL.bos]
    for step in range(7):
        context, states = network.add_text(context, torch.tensor([[token]]))
        logits = network.logits(states[:, -1])
        if step == 0:
            torch.testing.assert_close(logits, expected["text.first_logits"], **TOLERANCE)
        token = int(logits.argmax())
        greedy.append(token)
    assert greedy == expected["text.greedy"].tolist()


@pytest.mark.parametrize("t", [1.0, 0.75, 0.3])
def test_velocity(network: Bagel, expected: dict[str, torch.Tensor], t: float) -> None:
    context = read(network, expected, "vae", "vit", "text")
    velocity = network.velocity(context, expected["image.noise"][None], 2, 3, t, SPECIAL)
    torch.testing.assert_close(velocity[0], expected[f"image.velocity_t{t}"], **TOLERANCE)


@pytest.mark.parametrize(
    ("name", "text_scale", "image_scale", "renorm"),
    [
        ("plain", 1.0, 1.0, "global"),
        ("global", 4.0, 2.0, "global"),
        ("channel", 4.0, 2.0, "channel"),
        ("text_channel", 3.0, 1.5, "text_channel"),
        ("text_only_global", 4.0, 1.0, "global"),
    ],
)
def test_guided_sampling(
    network: Bagel,
    expected: dict[str, torch.Tensor],
    name: str,
    text_scale: float,
    image_scale: float,
    renorm: str,
) -> None:
    def velocity(context: Context) -> flow.Velocity:
        return lambda x, t: network.velocity(context, x, 2, 3, t, SPECIAL)

    steps = list(
        flow.sample(
            expected["image.noise"][None],
            points=6,
            shift=3.0,
            guidance=flow.Guidance(text_scale, image_scale, (0.4, 1.0), renorm, 0.0),
            full=velocity(read(network, expected, "vae", "vit", "text")),
            no_text=velocity(read(network, expected, "vae", "vit")),
            no_image=velocity(read(network, expected, "text")),
        )
    )
    assert len(steps) == 5
    assert steps[-1].t == 0.0
    torch.testing.assert_close(steps[-1].x[0], expected[f"image.sample.{name}"], **TOLERANCE)


def test_unpatchify_inverts_patchify() -> None:
    x = torch.randn(2, 16, 4, 6)
    torch.testing.assert_close(unpatchify(patchify(x, 2), 2, 3, 2), x, atol=0, rtol=0)


def test_published_dimensions_give_the_published_tensors() -> None:
    with torch.device("meta"):
        network, autoencoder = Bagel(BagelConfig()), Autoencoder(AutoencoderConfig())
    for model, expected, count in (
        (network, bagel_published.network(), 1223),
        (autoencoder, bagel_published.autoencoder(), 244),
    ):
        assert len(expected) == count
        assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == expected
    assert sum(tensor.numel() for tensor in network.parameters()) == pytest.approx(14.607e9, rel=1e-3)
