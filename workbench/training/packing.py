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
from torch.nn import functional as F

from workbench.models.bagel.language import Attend, Decoder

RUN = 96
"""Most queries that attend together: fewer leave more keys out, more make larger products."""


def sparse(mask: Tensor, starts: Sequence[int]) -> Attend:
    """Attention under a bool mask (B, 1, n, n) that leaves out the keys which no query of a run sees.

    starts: where blocks begin; a run never holds two of them. Equal to masked attention over all keys
    (tested), in time that grows with what is seen.
    """
    n = mask.shape[-1]
    cuts = sorted({0, n, *starts})
    cuts = sorted({*cuts, *(c for a, b in zip(cuts, cuts[1:], strict=False) for c in range(a, b, RUN))})
    runs = list(zip(cuts, cuts[1:], strict=False))
    seen = mask[:, 0].any(0)
    wanted = [
        torch.nn.functional.pad(seen[a:b].any(0).int(), (1, 1)).diff().nonzero()[:, 0].tolist()
        for a, b in runs
    ]
    edges = sorted({0, n, *(e for found in wanted for e in found)})
    sizes = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    plan: list[tuple[list[int], Tensor | None]] = []
    for (a, b), found in zip(runs, wanted, strict=True):
        keys = [(found[i], found[i + 1]) for i in range(0, len(found), 2)]
        pieces = [i for i, edge in enumerate(edges[:-1]) if any(x <= edge < y for x, y in keys)]
        allowed = torch.cat([mask[:, :, a:b, x:y] for x, y in keys], -1)
        bias = (
            None
            if allowed.all()
            else torch.zeros(allowed.shape, device=mask.device).masked_fill_(~allowed, -torch.inf)
        )
        plan.append((pieces, bias))
    lengths = [b - a for a, b in runs]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ks, vs, out = k.split(sizes, 2), v.split(sizes, 2), []
        for some, (pieces, bias) in zip(q.split(lengths, 2), plan, strict=True):
            keys, values = (torch.cat([x[i] for i in pieces], 2) for x in (ks, vs))
            out.append(F.scaled_dot_product_attention(some, keys, values, attn_mask=bias, enable_gqa=True))
        return torch.cat(out, 2)

    return attend


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
        runs = [place.start for place in self.places]
        states, _ = decoder(self.tokens, self.positions, gen=self.gen, mask=sparse(self.mask, runs))
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
