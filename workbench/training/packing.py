"""Several blocks of a sequence in one forward pass, with who may attend to whom.

Training reads an image once and asks many things of it: each question sees the image and itself, each noise
draw sees the context and itself. `pack` lays the blocks side by side (generation tokens last, so that the
experts work on contiguous slices) and builds the attention mask. What a block sees in one packed pass is what
it would see through the inference cache (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.models.bagel.language import Decoder
from workbench.training.sparse import sparse


@dataclass(frozen=True)
class Block:
    """Tokens that stand together in the sequence.

    tokens (B, n, width); positions (B or 1, n) rotary positions; `sees`: indices of the other blocks it may
    attend to, besides itself; `causal` within itself or bidirectional; `generation`: which expert; `valid`
    (B, n) false where a token is padding; `segments` (B, n): tokens of the block see one another only within
    a segment.
    """

    tokens: Tensor
    positions: Tensor
    sees: tuple[int, ...] = ()
    causal: bool = False
    generation: bool = False
    valid: Tensor | None = None
    segments: Tensor | None = None


@dataclass(frozen=True)
class Packed:
    """A packed batch: inputs of the decoder, and where each block went.

    tokens (B, n, width); positions (B, n); mask bool (B, 1, n, n), true where a query (row) sees a key; gen:
    the generation tokens, if any; places: one slice for each block.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    gen: slice | None
    places: tuple[slice, ...]

    def run(self, decoder: Decoder) -> list[Tensor]:
        """Normed states of each block, in the order the blocks were given."""
        starts = [place.start for place in self.places]
        states, _ = decoder(self.tokens, self.positions, gen=self.gen, mask=sparse(self.mask, starts))
        return [states[:, place] for place in self.places]


def pack(blocks: Sequence[Block]) -> Packed:
    """Lay out blocks (at least one) of one batch; see the module's docstring."""
    order = sorted(range(len(blocks)), key=lambda i: blocks[i].generation)
    places: list[slice] = [slice(0, 0)] * len(blocks)
    end = 0
    for i in order:
        places[i] = slice(end, end + blocks[i].tokens.shape[1])
        end = places[i].stop
    first = blocks[0].tokens
    batch, device = first.shape[0], first.device
    mask = torch.zeros(batch, end, end, dtype=torch.bool, device=device)
    for i, block in enumerate(blocks):
        for j in (*block.sees, i):
            seen = torch.ones(
                places[i].stop - places[i].start, places[j].stop - places[j].start, dtype=torch.bool
            )
            if j == i and block.causal:
                seen = seen.tril()
            seen = seen.to(device)[None]
            if j == i and block.segments is not None:
                seen = seen & (block.segments[:, :, None] == block.segments[:, None, :])
            valid = blocks[j].valid
            mask[:, places[i], places[j]] = seen if valid is None else seen & valid[:, None]
    # A padding token attends to itself, or its softmax would be empty.
    mask |= torch.eye(end, dtype=torch.bool, device=device)
    started = [places[i].start for i in order if blocks[i].generation]
    return Packed(
        tokens=torch.cat([blocks[i].tokens for i in order], dim=1),
        positions=torch.cat([blocks[i].positions.expand(batch, -1) for i in order], dim=1),
        mask=mask[:, None],
        gen=slice(started[0], end) if started else None,
        places=tuple(places),
    )
