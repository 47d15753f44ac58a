"""Sequences of different lengths, read side by side: the contexts of a batch.

Each row has its own question, thought and drawing. Shorter texts are padded at their end; padding takes no
rotary position and no later token looks at it, so a row computes what it would alone (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.models.bagel.language import KeyValue
from workbench.models.bagel.network import Bagel, Context, SpecialTokens


@dataclass(frozen=True)
class Rows:
    """What each row of a batch has read; never changed in place.

    past: keys and values of T tokens for each layer; visible: bool (B, T), which of them later tokens may
    look at; place: int64 (B, 1), the next rotary position.
    """

    past: list[KeyValue]
    visible: Tensor
    place: Tensor

    @staticmethod
    def after(context: Context, count: int, device: torch.device) -> Rows:
        """`count` rows that have all read a context; one of a batch of that many, or of one."""
        past = [(k.expand(count, -1, -1, -1), v.expand(count, -1, -1, -1)) for k, v in context.past]
        visible = torch.ones(count, context.length, dtype=torch.bool, device=device)
        return Rows(past, visible, torch.full((count, 1), context.position, device=device))

    def __len__(self) -> int:
        return len(self.visible)

    def at(self, rows: Sequence[int]) -> Rows:
        """Some of the rows, in this order; one may stand several times."""
        if list(rows) == list(range(len(self))):
            return self
        index = torch.tensor(list(rows), device=self.visible.device)
        past = [(k[index.to(k.device)], v[index.to(v.device)]) for k, v in self.past]
        return Rows(past, self.visible[index], self.place[index])

    def read_text(self, network: Bagel, texts: Sequence[Sequence[int]]) -> tuple[Rows, Tensor]:
        """After one text of token ids each, read causally; with the normed states (B, N, width)."""
        ids, there = padded(texts, self.visible.device)
        positions = self.place + torch.arange(ids.shape[1], device=ids.device)
        n = ids.shape[1]
        mask = there[:, None] & torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
        mask = mask | torch.eye(n, dtype=torch.bool, device=ids.device)
        states, past = self._pass(network, network.embed_text(ids), positions, mask, None)
        lengths = there.sum(1, keepdim=True)
        return Rows(past, torch.cat([self.visible, there], 1), self.place + lengths), states

    def states_of(self, network: Bagel, ids: Tensor, places: Tensor, among: Tensor) -> Tensor:
        """Normed states (B, N, width) of text of which tokens may look at one another as `among` says.

        ids (B, N); places (B, N): their positions from the next one on; among: bool (B, N, N).
        """
        states, _ = self._pass(network, network.embed_text(ids), self.place + places, among, None)
        return states

    def read_image(self, network: Bagel, tokens: Tensor, special: SpecialTokens, *, latent: bool) -> Rows:
        """After an image each: what `embed_vision` or, `latent`, `embed_latent` made of it, (B, N, width)."""
        _, past = self._image(network, tokens, special, latent)
        seen = torch.ones(len(self), tokens.shape[1] + 2, dtype=torch.bool, device=self.visible.device)
        return Rows(past, torch.cat([self.visible, seen], 1), self.place + 1)

    def velocity(
        self, network: Bagel, tokens: Tensor, grid: tuple[int, int], t: float, special: SpecialTokens
    ) -> Tensor:
        """Flow velocity (B, N, D) of noisy latent tokens on a grid at time t; the rows are only read."""
        times = torch.full((len(tokens),), t, device=tokens.device)
        states, _ = self._image(network, network.embed_latent(tokens, *grid, times), special, True)
        return network.llm2vae(states[:, 1:-1]).to(tokens)

    def _image(
        self, network: Bagel, tokens: Tensor, special: SpecialTokens, latent: bool
    ) -> tuple[Tensor, list[KeyValue]]:
        x = network.framed(tokens, special)
        n = x.shape[1]
        whole = torch.ones(len(x), n, n, dtype=torch.bool, device=self.visible.device)
        gen = slice(1, n - 1) if latent else None
        return self._pass(network, x, self.place.expand(-1, n), whole, gen)

    def _pass(
        self, network: Bagel, x: Tensor, positions: Tensor, among: Tensor, gen: slice | None
    ) -> tuple[Tensor, list[KeyValue]]:
        """New tokens that may look at what is visible, and at one another as `among` (B, N, N) says."""
        seen = torch.cat([self.visible[:, None].expand(-1, x.shape[1], -1), among], -1)
        mask = None if gen is not None and bool(seen.all()) else seen[:, None]
        return network.language_model.model(x, positions, gen=gen, past=self.past or None, mask=mask)


def padded(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (B, N) with zeros after the shorter ones, and where there is a token, bool (B, N)."""
    longest = max(len(text) for text in texts)
    ids = torch.zeros(len(texts), longest, dtype=torch.long)
    there = torch.zeros(len(texts), longest, dtype=torch.bool)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(list(text), dtype=torch.long)
        there[row, : len(text)] = True
    return ids.to(device), there.to(device)
