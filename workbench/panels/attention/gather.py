"""One pass over prompt and answer, and of every layer what the panel needs of its attention."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.attribution.blocks import Blocks
from probes.attribution.sinks import Received, massive, massive_dimensions
from workbench.capture.editing import replacing
from workbench.capture.layers import attending, value_norms
from workbench.errors import Refusal
from workbench.models.protocol import Model, Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.capture.layers import Call
    from workbench.models.protocol import Stage

AT_ONCE = 256
"""Queries whose weights are held at once, of all heads."""
MOST_BYTES = 512 * 1024**2
"""Of the rows that a result holds."""
MOST_WHOLE = 3072
"""Tokens up to which whole matrices of all layers are held for rollout: layers × tokens² numbers."""


@dataclass
class Gathered:
    """What one pass shows; lists have an entry for each language layer that attends.

    stages: by the name of the stage that the layer writes. rows: float16 (heads, queries, tokens), what each
    asked query gives to every token. norms: float32 (heads, tokens), of the values; through_output: whether
    W_O is in them. blocks: float32 (heads, kinds, kinds), means. received: float32 (tokens,), mean over heads
    and over the queries that see the token. lengths, massive: float32 (tokens,), of the state that the layer
    writes. means: float32 (tokens, tokens) over heads, empty where there are too many tokens.
    """

    stages: list[str] = field(default_factory=list)
    rows: list[NDArray[np.float16]] = field(default_factory=list)
    norms: list[NDArray[np.float32]] = field(default_factory=list)
    blocks: list[NDArray[np.float32]] = field(default_factory=list)
    received: list[NDArray[np.float32]] = field(default_factory=list)
    lengths: list[NDArray[np.float32]] = field(default_factory=list)
    massive: list[NDArray[np.float32]] = field(default_factory=list)
    means: list[NDArray[np.float32]] = field(default_factory=list)
    through_output: bool = True
    first: int = 0
    """The place of the first token that was read."""


def gather(model: Model, prompt: Prompt, queries: Tensor, which: NDArray[np.int64], count: int) -> Gathered:
    """Run prompt and answer once.

    queries: places; which: the kind of each token, of so many kinds.

    Raises:
        Refusal: where the model's attention cannot be watched, or is too much for one result.
    """
    import torch

    out = Gathered()
    tokens = len(which)
    asked = queries.cpu()

    def look(stage: Stage, module: torch.nn.Module, call: Call) -> None:
        heads = call.rows(asked[:1]).shape[1]
        if (size := 2 * len(names) * heads * len(asked) * tokens) > MOST_BYTES:
            raise Refusal(
                f"The attention of {len(asked)} tokens to {tokens:,}, {heads} heads, {len(names)} layers, "
                f"would take {size / 1024**2:,.0f} MB; a result holds {MOST_BYTES // 1024**2:,}. Keep "
                "fewer tokens of the answer, or take a smaller image."
            )
        blocks, received = Blocks(which, count, heads), Received(tokens)
        whole = np.empty((tokens, tokens), np.float32) if tokens <= MOST_WHOLE else None
        for start in range(0, tokens, AT_ONCE):
            some = call.rows(torch.arange(start, min(start + AT_ONCE, tokens)))[0].cpu().numpy()
            blocks.add(some, start)
            received.add(some)
            if whole is not None:
                whole[start : start + AT_ONCE] = some.mean(axis=0)
        if not out.stages:
            # The first token that was read is seen by all; latents stand before it where there are any.
            out.first = int(np.argmax(np.where(which == 0, received.counts, -1)))
        norms, through = value_norms(module, call)
        out.through_output &= through
        out.stages.append(stage.name)
        out.rows.append(call.rows(asked)[0].cpu().numpy().astype(np.float16))
        out.norms.append(norms[0].cpu().numpy())
        out.blocks.append(blocks.means().astype(np.float32))
        out.received.append(received.means().astype(np.float32))
        if whole is not None:
            out.means.append(whole)

    def written(x: Tensor) -> Tensor:
        state = x[0].float().cpu().numpy()
        dimensions = massive_dimensions(state[out.first])
        out.lengths.append(np.linalg.norm(state, axis=-1))
        out.massive.append(massive(state, dimensions).astype(np.float32))
        return x

    names = [stage.name for stage, _ in model.attending(prompt) if stage.band == "llm"]
    everywhere = torch.arange(tokens)
    with torch.inference_mode(), ExitStack() as stack:
        for name in names:
            stack.enter_context(replacing(model, prompt, name, written, places=everywhere))
        stack.enter_context(attending(model, prompt, look))
        model.forward(prompt)
    return out


def shares_of(rows: Sequence[NDArray[np.floating]], which: NDArray[np.int64], count: int) -> np.ndarray:
    """What falls on each kind, float64 (layers, heads, queries, count)."""
    from probes.attribution.blocks import shares

    most = max(len(layer) for layer in rows)
    out = np.full((len(rows), most, rows[0].shape[1], count), np.nan)
    for k, layer in enumerate(rows):
        out[k, : len(layer)] = shares(layer, which, count)
    return out
