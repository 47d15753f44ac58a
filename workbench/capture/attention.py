"""Attention of chosen queries to everything, at every layer, from one pass under the model's own kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, Prompt, Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.models.watch import Computed, Seen


@dataclass(frozen=True)
class Attended:
    """Attention weights of one pass.

    stages: the one that each layer writes. weights: one float32 array a stage, (B, heads, rows, keys); each
    row sums to 1, and keys that a row cannot see have weight 0. rows: the queries' places in the sequence.
    """

    stages: list[Stage]
    weights: list[NDArray[np.float32]]
    rows: NDArray[np.int64]


@contextmanager
def keeping_rows(
    model: Model, prompt: Prompt, rows: Tensor, *, band: str = "llm"
) -> Iterator[Callable[[], Attended]]:
    """Keep what the queries at `rows` attend to while the body runs the prompt through the model once.

    Yields a function that tells it once the pass is over. The pass may be any that shows the prompt, such as
    that of `capture`: then states and attention cost one pass. Arguments and errors as in `attention_rows`.
    """
    import torch

    from workbench.models.watch import watching

    if Capability.ATTENTION not in model.card.capabilities:
        raise Refusal(
            f"The attention of {model.card.id} cannot be read. Open it with another kernel: sdpa or eager."
        )
    layers = [(stage, module) for stage, module in model.attending(prompt) if stage.band == band]
    gathering = _Gathering([module for _, module in layers], rows)

    def told() -> Attended:
        found = [gathering.whole(slot) for slot in range(len(layers))]
        if absent := [stage.name for (stage, _), w in zip(layers, found, strict=True) if w is None]:
            raise Refusal(
                f"{model.card.id} computes the attention of {', '.join(absent)} past the kernel that is "
                "watched. Open it with another kernel: sdpa or eager."
            )
        weights = [w.cpu().numpy() for w in found if w is not None]
        return Attended([stage for stage, _ in layers], weights, rows.cpu().numpy())

    with torch.inference_mode(), watching(gathering.take):
        yield told


def attention_rows(model: Model, prompt: Prompt, rows: Tensor, *, band: str = "llm") -> Attended:
    """Run the prompt once and return what the queries at `rows` attend to, at every layer of a band.

    Only the asked rows are computed: memory is layers × heads × rows × keys. The output comes from the
    model's own fast kernel, and so does everything downstream of it.

    Args:
        model: an open model.
        prompt: from `model.prepare`.
        rows: int64 (R,), places in the language model's sequence or, for band "vision", in the tower's.
        band: "llm" or "vision".

    Raises:
        Refusal: where the model's attention cannot be watched.
    """
    with keeping_rows(model, prompt, rows, band=band) as attended:
        model.forward(prompt)
    return attended()


class _Gathering:
    """The rows of one pass, layer by layer.

    A tower may attend piece by piece (windows, images): then its calls cover the sequence one after the
    other, and what a row does not see in its own piece has weight 0.
    """

    def __init__(self, layers: list[nn.Module], rows: Tensor) -> None:
        self.rows = rows
        self.slots = {id(part): slot for slot, layer in enumerate(layers) for part in layer.modules()}
        self.pieces: list[list[tuple[int, Tensor, Tensor]]] = [[] for _ in layers]
        self.length = [0] * len(layers)

    def take(self, module: nn.Module, seen: Seen | Computed) -> None:
        """Keep the asked rows of one call."""
        slot = self.slots.get(id(module))
        if slot is None:
            return
        first = self.length[slot]
        inside = ((self.rows >= first) & (self.rows < first + seen.queries)).nonzero()[:, 0]
        self.pieces[slot].append((first, inside, seen.rows(self.rows[inside] - first)))
        self.length[slot] = first + seen.queries

    def whole(self, slot: int) -> Tensor | None:
        """(B, heads, rows, keys) of one layer; None where it showed nothing."""
        import torch

        pieces = self.pieces[slot]
        if not pieces:
            return None
        if len(pieces) == 1:
            return pieces[0][2]
        batch, heads = pieces[0][2].shape[:2]
        out = torch.zeros(batch, heads, len(self.rows), self.length[slot], device=pieces[0][2].device)
        for first, inside, weights in pieces:
            out[:, :, inside, first : first + weights.shape[-1]] = weights
        return out
