"""The whole BAGEL network: what goes into a context, what comes out of it.

A *context* is everything the model has read so far: keys and values of every layer, how many tokens, and the
next rotary position. It is never changed in place; each `add_*` returns a longer one, so that branches (for
guidance, for interventions) share their past.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workbench.models.bagel.config import BagelConfig
from workbench.models.bagel.embeddings import PositionTable, TimeEmbedder, grid_ids
from workbench.models.bagel.language import KeyValue, LanguageModel
from workbench.models.bagel.vision import Connector, VisionTower


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the four tokens that frame text and images."""

    bos: int
    eos: int
    image_start: int
    image_end: int


@dataclass(frozen=True)
class Context:
    """What the model has read: keys and values (one pair a layer), token count, next rotary position."""

    past: list[KeyValue] = field(default_factory=list)
    length: int = 0
    position: int = 0

    def without(self, count: int) -> Context:
        """The context less its last `count` tokens, which must be text: each has a position of its own."""
        if count == 0:
            return self
        past = [(k[:, :, :-count], v[:, :, :-count]) for k, v in self.past]
        return Context(past, self.length - count, self.position - count)

    def repeated(self, count: int) -> Context:
        """The context of a batch in which each row stands `count` times, side by side."""
        past = [(k.repeat_interleave(count, 0), v.repeat_interleave(count, 0)) for k, v in self.past]
        return Context(past, self.length, self.position)

    def row(self, index: int) -> Context:
        """The context of one row of a batch."""
        return Context(
            [(k[index : index + 1], v[index : index + 1]) for k, v in self.past], self.length, self.position
        )


class Bagel(nn.Module):
    """Parameters under the published names; the autoencoder lives apart (`ae.safetensors`)."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.language.hidden_size
        self.language_model = LanguageModel(config.language)
        self.vit_model = VisionTower(config.vision)
        self.connector = Connector(config.vision.hidden_size, width)
        self.vit_pos_embed = PositionTable(config.vision.side, width)
        self.latent_pos_embed = PositionTable(config.latent_side, width)
        self.time_embedder = TimeEmbedder(width)
        self.vae2llm = nn.Linear(config.latent_dim, width)
        self.llm2vae = nn.Linear(width, config.latent_dim)

    @property
    def device(self) -> torch.device:
        """Where inputs go: the first of the devices that the weights are on."""
        return self.vae2llm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' number type."""
        return self.vae2llm.weight.dtype

    def embed_text(self, ids: Tensor) -> Tensor:
        """Token ids (B, N) → (B, N, width)."""
        return self.language_model.model.embed_tokens(ids.to(self.device))

    def embed_vision(self, patches: Tensor, rows: int, cols: int) -> Tensor:
        """Patch vectors (B, rows·cols, p·p·3) in −1 … 1 → LLM input (B, rows·cols, width)."""
        ids = grid_ids(rows, cols, self.config.vision.side, patches.device)
        return self.connector(self.vit_model(patches.to(self.dtype), ids)) + self.vit_pos_embed(ids)

    def embed_latent(self, tokens: Tensor, rows: int, cols: int, t: Tensor) -> Tensor:
        """Latent tokens (B, rows·cols, D) at times t (B,) → LLM input (B, rows·cols, width).

        An image that is context, not being drawn, stands at t = 0.
        """
        ids = grid_ids(rows, cols, self.config.latent_side, tokens.device)
        return (
            self.vae2llm(tokens.to(self.dtype)) + self.time_embedder(t)[:, None] + self.latent_pos_embed(ids)
        )

    def logits(self, states: Tensor) -> Tensor:
        """Normed states → logits over the usable vocabulary."""
        return self.language_model.lm_head(states)[..., : self.config.usable_vocabulary]

    def add_text(self, context: Context, ids: Tensor) -> tuple[Context, Tensor]:
        """Read token ids (B, N), causally; returns the context and the normed states (B, N, width)."""
        n = ids.shape[1]
        positions = torch.arange(context.position, context.position + n, device=self.device)[None]
        states, past = self.language_model.model(
            self.embed_text(ids), positions, past=context.past or None, causal=True
        )
        return Context(past, context.length + n, context.position + n), states

    def framed(self, tokens: Tensor, special: SpecialTokens) -> Tensor:
        """Image tokens (B, N, width) between the two that frame them, (B, N + 2, width)."""
        frame = torch.tensor([[special.image_start, special.image_end]], device=tokens.device)
        start, end = self.embed_text(frame).to(tokens.dtype).expand(tokens.shape[0], -1, -1).split(1, dim=1)
        return torch.cat([start, tokens, end], dim=1)

    def _image_block(
        self, context: Context, tokens: Tensor, special: SpecialTokens, latent: bool
    ) -> tuple[Tensor, list[KeyValue]]:
        x = self.framed(tokens, special)
        positions = torch.full((1, x.shape[1]), context.position, device=tokens.device)
        gen = slice(1, 1 + tokens.shape[1]) if latent else None
        return self.language_model.model(x, positions, gen=gen, past=context.past or None)

    def add_vision(self, context: Context, tokens: Tensor, special: SpecialTokens) -> Context:
        """Read an image through `embed_vision` tokens (B, N, width), framed, all at one rotary position."""
        _, past = self._image_block(context, tokens, special, latent=False)
        return Context(past, context.length + tokens.shape[1] + 2, context.position + 1)

    def add_latent(self, context: Context, tokens: Tensor, special: SpecialTokens) -> Context:
        """Read an image through `embed_latent` tokens (B, N, width), given or drawn (the bridge)."""
        _, past = self._image_block(context, tokens, special, latent=True)
        return Context(past, context.length + tokens.shape[1] + 2, context.position + 1)

    def velocity(
        self, context: Context, tokens: Tensor, rows: int, cols: int, t: float, special: SpecialTokens
    ) -> Tensor:
        """Flow velocity (B, rows·cols, D) of noisy latent tokens at time t; the context is only read."""
        times = torch.full((tokens.shape[0],), t, device=tokens.device)
        embedded = self.embed_latent(tokens, rows, cols, times)
        states, _ = self._image_block(context, embedded, special, latent=True)
        return self.llm2vae(states[:, 1:-1]).to(tokens)
