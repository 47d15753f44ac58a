"""The network, its tokenizer and its autoencoder as training starts: the shape of pocket-bagel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from workbench.errors import Refusal
from workbench.images.scene_language import captions, questions
from workbench.images.scenes import generate
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import (
    AutoencoderConfig,
    BagelConfig,
    LanguageConfig,
    ResizeRule,
    VisionConfig,
    read_config,
)
from workbench.models.bagel.language import Layer
from workbench.models.bagel.load import REGENERATED
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.bagel.patches import patchify
from workbench.models.bagel.vision import Block
from workbench.models.checkpoint import load_strict
from workbench.training import tokenizer as pocket_tokenizer
from workbench.training.data import TextPacker, images_to_unit
from workbench.training.phrases import SYSTEM, all_phrases

SIDE = 96
"""Pixels of a scene; a vision patch covers 8, a latent token 16."""

POCKET = BagelConfig(
    language=LanguageConfig(
        hidden_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=352,
        vocab_size=640,
    ),
    vision=VisionConfig(
        hidden_size=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=512,
        image_size=SIDE,
        patch_size=8,
    ),
    autoencoder=AutoencoderConfig(
        ch=16, ch_mult=(1, 2, 4, 4), num_res_blocks=1, z_channels=16, norm_groups=4, scale=1.0, shift=0.0
    ),
    latent_patch=2,
    latent_side=SIDE // 16,
    vit_resize=ResizeRule(SIDE, 32, 8),
    vae_resize=ResizeRule(SIDE, 32, 16),
    system_prompt=SYSTEM,
    knows="procedural scenes of one to four coloured, textured objects, some with a handwritten digit",
)


LANGUAGE = ("language_model.", "connector.")
"""Beginnings of the names of what reads the tower's tokens."""


@dataclass(frozen=True)
class Kit:
    """Everything that is trained or used in training; tokenizer is a `tokenizers.Tokenizer`."""

    network: Bagel
    autoencoder: Autoencoder
    tokenizer: Any
    special: SpecialTokens
    packer: TextPacker


def corpus(scenes: int) -> list[str]:
    """Every kind of sentence that training shows, from the first `scenes` training scenes."""
    batch, rng = generate(np.arange(scenes), "train"), np.random.default_rng(0)
    texts = list(all_phrases())
    for i in range(len(batch)):
        texts += captions(batch, i, rng)
        for question in questions(batch, i, rng):
            texts += [question.text, question.answer]
    return texts


def build(folder: Path, config: BagelConfig = POCKET, seed: int = 0) -> Kit:
    """A freshly initialised kit; the same seed gives the same weights.

    The tokenizer is fitted once for a training `folder` and kept there: weights are nothing without their
    ids.
    """
    torch.manual_seed(seed)
    network, autoencoder = Bagel(config), Autoencoder(config.autoencoder)
    _initialise(network)
    if not (folder / pocket_tokenizer.FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        pocket_tokenizer.save(pocket_tokenizer.fit(corpus(1000), config.language.vocab_size), folder)
    tokenizer = pocket_tokenizer.load(folder)
    special = SpecialTokens(*(tokenizer.token_to_id(name) for name in pocket_tokenizer.SPECIALS))
    return Kit(network, autoencoder, tokenizer, special, TextPacker(tokenizer, special))


def further(published: Sequence[Path], folder: Path) -> Kit:
    """Build a kit from published checkpoints, to be trained further in `folder`.

    Of several the network starts as the mean of their weights (model soups: Wortsman et al. 2022, arXiv
    2203.05482), the autoencoder as the first's. Raises Refusal where one is no checkpoint of this layout, or
    they differ in configuration or tokenizer.
    """
    first, *others = published
    config = replace(read_config(first), usable_vocabulary=None)
    words = (first / pocket_tokenizer.FILE).read_bytes()
    for other in others:
        same = replace(read_config(other), usable_vocabulary=None) == config
        if not same or (other / pocket_tokenizer.FILE).read_bytes() != words:
            raise Refusal(
                f"{other} has another configuration or tokenizer than {first}: their weights have no mean."
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / pocket_tokenizer.FILE).write_bytes(words)
    kit = build(folder, config)
    load_strict(kit.autoencoder, [first / "ae.safetensors"])
    total: dict[str, Tensor] = {}
    for each in published:
        load_strict(kit.network, [each / "ema.safetensors"], regenerated=REGENERATED)
        for name, value in kit.network.state_dict().items():
            total[name] = total.get(name, 0.0) + value.double()
    kit.network.load_state_dict({name: (value / len(published)).float() for name, value in total.items()})
    return kit


@torch.no_grad()
def forget_language(kit: Kit, folder: Path, seed: int) -> None:
    """Put connector and language model back to how training starts; the tower stays what it is."""
    fresh = build(folder, kit.network.config, seed).network.state_dict()
    mine = {name: value for name, value in fresh.items() if name.startswith(LANGUAGE)}
    kit.network.load_state_dict(kit.network.state_dict() | mine)


def _initialise(network: Bagel) -> None:
    """Normal weights by fan-in; what writes to the residual stream starts smaller by the depth."""
    depth = (2 * network.config.language.num_hidden_layers) ** 0.5
    for name, p in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(p)
        elif p.ndim == 2:
            writes = name.endswith(("o_proj.weight", "down_proj.weight", "out_proj.weight", "fc2.weight"))
            nn.init.normal_(p, std=p.shape[1] ** -0.5 / (depth if writes and ".layers." in name else 1))
    _whiten_patches(network)
    nn.init.normal_(network.language_model.model.embed_tokens.weight, std=0.2)
    nn.init.normal_(network.language_model.lm_head.weight, std=0.02)
    network.vit_pos_embed.reset()
    network.latent_pos_embed.reset()
    _start_local(network)
    start_places(network)


PLACE_WAVES = (5, 6, 7)
"""Waves of the language model's position table whose half period is about the width of a scene."""
PLACE_GAIN = 5.0
"""Factor by which the language layers' norms raise what the table says of the place of a patch."""


@torch.no_grad()
def start_places(network: Bagel) -> None:
    """Start with a few dimensions of vision tokens that hold nothing but where a patch is, and speed them up.

    The fixed position table is small beside what the connector writes: without this, which of two objects
    is further left was at chance after tens of thousands of questions.
    """
    quarter = network.config.language.hidden_size // 4
    places = [half + wave for half in range(0, 4 * quarter, quarter) for wave in PLACE_WAVES]
    network.connector.fc2.weight[places] = 0.0
    network.connector.fc2.bias[places] = 0.0
    for module in network.language_model.model.layers:
        layer = cast(Layer, module)
        layer.input_layernorm.weight[places] *= PLACE_GAIN
        # What is computed stays as it was; what is learned about places comes so much faster.
        for name in ("q_proj", "k_proj", "v_proj"):
            cast(nn.Linear, getattr(layer.self_attn, name)).weight[:, places] /= PLACE_GAIN


POSITION_DIMS = 32
WAVELENGTHS = (3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""In patches; a sine and a cosine for each of them and each axis fill POSITION_DIMS."""
NEIGHBOURS = (
    ((0, 1), (0, -1), (1, 0), (-1, 0)),
    ((1, 1), (1, -1), (-1, 1), (-1, -1)),
    ((0, 2), (0, -2), (2, 0), (-2, 0)),
)
"""Row and column offset that each head of the first blocks starts with."""
CONTENT_GAIN = 2.5
"""Makes up for the small share that contents have after the norm."""
LOOK_SHARPNESS = 1.0
"""Factor on the queries that look for a neighbour."""
POSITION_SIZE, CONTENT_SIZE = 2.0, 0.5
"""Places outweigh contents at first, so that the norm before attention treats all patches alike."""
WHITEN_FLOOR = 0.02
"""Variance (pixels in −1 … 1) below which a component of a patch counts as noise."""


@torch.no_grad()
def _whiten_patches(network: Bagel) -> None:
    """Start the patch embedding as whitened components, so that edges weigh as much as mean colour."""
    embedding = network.vit_model.vision_model.embeddings.patch_embedding
    patch = network.config.vision.patch_size
    rows = patchify(images_to_unit(generate(np.arange(400), "train", SIDE).images), patch).flatten(0, 1)
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh(((rows - mean).T @ (rows - mean) / len(rows)).double())
    kept = values.argsort(descending=True)[: embedding.out_features - POSITION_DIMS]
    scale = CONTENT_SIZE * (values[kept] + WHITEN_FLOOR).rsqrt()
    embedding.weight.zero_()
    embedding.weight[POSITION_DIMS:] = (vectors[:, kept] * scale).T.float()
    embedding.bias.copy_(-embedding.weight @ mean)


@torch.no_grad()
def _start_local(network: Bagel) -> None:
    """Start the heads of the tower's first blocks looking at one neighbour each, as a convolution would.

    A place in the grid is written into the first POSITION_DIMS dimensions as sines and cosines; a shift of
    the place is a rotation of them, so a rotated query meets the key of the neighbour. Learnable like
    everything else; it saves the tower from finding out first that patches have neighbours.
    """
    tower, config = network.vit_model.vision_model, network.config.vision
    omega = 2 * math.pi / torch.tensor(WAVELENGTHS)
    place = torch.arange(config.side)[:, None] * omega

    def waves(angles: Tensor) -> Tensor:
        """(…, k) angles as (…, 2k) sines and cosines, in pairs."""
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)

    rows, cols = waves(place)[:, None], waves(place)[None]
    table = torch.cat([rows.expand(-1, config.side, -1), cols.expand(config.side, -1, -1)], dim=-1)
    tower.embeddings.position_embedding.weight.zero_()
    tower.embeddings.position_embedding.weight[:, :POSITION_DIMS] = POSITION_SIZE * table.flatten(0, 1)
    width = config.hidden_size // config.num_attention_heads
    blocks = [cast(Block, layer) for layer in tower.encoder.layers]
    for block, shifts in zip(blocks, NEIGHBOURS, strict=False):
        for head, shift in enumerate(shifts):
            turn = torch.zeros(POSITION_DIMS, POSITION_DIMS)
            for axis, steps in enumerate(shift):
                for k, w in enumerate(omega):
                    c, d = float(torch.cos(steps * w)), float(torch.sin(steps * w))
                    i = axis * POSITION_DIMS // 2 + 2 * k
                    turn[i : i + 2, i : i + 2] = torch.tensor([[c, d], [-d, c]])
            mine = slice(head * width, head * width + POSITION_DIMS)
            for projection, matrix in (
                (block.self_attn.q_proj, LOOK_SHARPNESS * turn),
                (block.self_attn.k_proj, None),
            ):
                projection.weight[head * width : (head + 1) * width] = 0.0
                projection.weight[mine, :POSITION_DIMS] = (
                    torch.eye(POSITION_DIMS) if matrix is None else matrix
                )
    for block in blocks:
        attention, mlp = block.self_attn, block.mlp
        for reads in (attention.v_proj, mlp.fc1):
            reads.weight *= CONTENT_GAIN
            reads.weight[:, :POSITION_DIMS] = 0.0
        for writes in (attention.out_proj, mlp.fc2):
            writes.weight *= 2.0
            writes.weight[:POSITION_DIMS] = 0.0
