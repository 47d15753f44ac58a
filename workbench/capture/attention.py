"""Attention of chosen queries to everything, at every layer, from one pass under the model's own kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, Prompt, Stage
from workbench.models.weights import listing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.models.watch import Computed, Seen

    Call: TypeAlias = "Seen | Computed | _Read"


@dataclass(frozen=True)
class Attended:
    """Attention weights of one pass.

    stages: the one that each layer writes. weights: one float32 array a stage, (B, heads, rows, keys); each
    row sums to 1, and keys that a row cannot see have weight 0. rows: the queries' places in the sequence.

    first: one int64 array a stage, (rows,): column j of a row is the key at place first[row] + j. It is 0
    where the columns are the whole sequence. Where a tower takes the tiles of an image, or several images,
    side by side, the columns are the keys of the row's own tile, and first is where that tile begins.
    """

    stages: list[Stage]
    weights: list[NDArray[np.float32]]
    rows: NDArray[np.int64]
    first: list[NDArray[np.int64]]


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
    gathering = _Gathering(model.card.id, prompt.batch, layers, rows)

    def told() -> Attended:
        with torch.inference_mode():
            gathering.finish()
        if absent := [stage.name for k, (stage, _) in enumerate(layers) if k not in gathering.found]:
            raise Refusal(
                f"{model.card.id} computes the attention of {', '.join(absent)} past the kernel that is "
                "watched. Open it with another kernel: sdpa or eager."
            )
        found = [gathering.found[k] for k in range(len(layers))]
        return Attended(
            [stage for stage, _ in layers],
            [weights.cpu().numpy() for weights, _ in found],
            rows.cpu().numpy(),
            [first.cpu().numpy() for _, first in found],
        )

    with torch.inference_mode(), watching(gathering.take):
        yield told


def attention_rows(model: Model, prompt: Prompt, rows: Tensor, *, band: str = "llm") -> Attended:
    """Run the prompt once and return what the queries at `rows` attend to, at every layer of a band.

    Only the asked rows are computed: memory is layers × heads × rows × keys. The output comes from the
    model's own fast kernel, and so does everything downstream of it.

    Args:
        model: an open model.
        prompt: from `model.prepare`.
        rows: int64 (R,), places in the language model's sequence or, for band "vision", in the tower's, as a
            `Tap` counts them: over all tokens of one sequence's images and tiles, one after the other.
        band: "llm" or "vision".

    Raises:
        Refusal: where the model's attention cannot be watched, has no such row, or comes in calls of which it
            is not known whose they are.
    """
    with keeping_rows(model, prompt, rows, band=band) as attended:
        model.forward(prompt)
    return attended()


@dataclass(frozen=True)
class _Read:
    """A call of one sequence, of which the asked rows are computed: weights (1, heads, rows, keys)."""

    queries: int
    keys: int
    weights: Tensor
    entries: int = 1

    def rows(self, queries: Tensor) -> Tensor:
        """The weights; what is asked for are the same rows, and no others."""
        assert len(queries) == self.weights.shape[2]
        return self.weights


class _Gathering:
    """The rows of one pass, layer by layer.

    A tower may attend piece by piece. Either its calls cover the tokens of the batch one after the other
    (windows, images): then what a row does not see in its own piece has weight 0. Or one call has the pieces
    side by side in its batch axis (tiles): then a row's columns are those of its own piece. Where the pieces
    of a sequence begin is known only once a layer is over, so the calls of one layer are held till then.
    """

    def __init__(self, name: str, batch: int, layers: list[tuple[Stage, nn.Module]], rows: Tensor) -> None:
        self.name, self.batch, self.rows = name, batch, rows
        self.stages = [stage for stage, _ in layers]
        self.slots = {id(part): slot for slot, (_, layer) in enumerate(layers) for part in layer.modules()}
        self.current = -1
        self.calls: list[Call] = []
        self.found: dict[int, tuple[Tensor, Tensor]] = {}

    def take(self, module: nn.Module, seen: Call) -> None:
        """Hold one call; the layer before it is over if it is another's."""
        slot = self.slots.get(id(module))
        if slot is None:
            return
        if slot != self.current:
            self.finish()
        self.current = slot
        if seen.entries == self.batch == 1:
            # Where its queries stand is known, so that nothing large of it need wait for the layer's end.
            begin = sum(call.queries for call in self.calls)
            inside = (self.rows >= begin) & (self.rows < begin + seen.queries)
            seen = _Read(seen.queries, seen.keys, seen.rows(self.rows[inside] - begin))
        self.calls.append(seen)

    def finish(self) -> None:
        """Compute the asked rows of the layer whose calls are held: weights, and where columns begin."""
        if not self.calls:
            return
        calls, stage = self.calls, self.stages[self.current].name
        if self.current in self.found:
            raise Refusal(f"{self.name} runs {stage} more than once in a pass: which is meant is not known.")
        total = sum(call.entries * call.queries for call in calls)
        length = total // self.batch
        strange = sorted({row for row in self.rows.tolist() if not 0 <= row < length})
        if strange:
            raise Refusal(
                f"{self.name} has {length} places at {stage}, of which {listing([str(r) for r in strange])} "
                f"is none. Ask for rows from 0 to {length - 1}."
            )
        whole, entries = len(calls) == 1, calls[0].entries
        if whole and entries == self.batch:
            made = calls[0].rows(self.rows), self.rows.new_zeros(len(self.rows))
        elif total % self.batch or any(call.keys != call.queries for call in calls):
            raise self._unknown(stage)
        elif whole and entries % self.batch == 0 and not isinstance(calls[0], _Read):
            made = _of_tiles(calls[0], self.rows, self.batch)
        elif all(call.entries == 1 for call in calls):
            made = _of_pieces(calls, self.rows, self.batch, length), self.rows.new_zeros(len(self.rows))
        else:
            raise self._unknown(stage)
        self.found[self.current] = made
        self.calls = []

    def _unknown(self, stage: str) -> Refusal:
        return Refusal(
            f"{self.name} computes the attention of {stage} in parts of which it is not known whose they "
            "are. Ask with one image, or for the language model's attention."
        )


def _of_tiles(call: Seen | Computed, rows: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """(B, heads, rows, keys of a tile) of a call with as many tiles for each sequence, and their starts."""
    import torch

    each, tiles = call.entries // batch, rows // call.queries
    out: Tensor | None = None
    for tile in tiles.unique().tolist():
        inside = (tiles == tile).nonzero()[:, 0]
        for b in range(batch):
            weights = call.entry(b * each + tile).rows(rows[inside] % call.queries)
            if out is None:
                shape = (batch, weights.shape[1], len(rows), call.keys)
                out = torch.zeros(shape, device=weights.device)
            out[b, :, inside.to(out.device)] = weights[0]
    assert out is not None
    return out, tiles * call.queries


def _of_pieces(calls: list[Call], rows: Tensor, batch: int, length: int) -> Tensor:
    """(B, heads, rows, length) of calls that cover all sequences of a batch one after the other."""
    import torch

    out: Tensor | None = None
    start = 0
    for call in calls:
        end = start + call.queries
        for b in range(batch):
            begin = b * length
            inside = ((rows + begin >= start) & (rows + begin < end)).nonzero()[:, 0]
            if out is not None and not len(inside):
                continue
            weights = call.rows(rows[inside] + begin - start)[0]
            if out is None:
                out = torch.zeros(batch, len(weights), len(rows), length, device=weights.device)
            # One piece may hold several sequences, which its mask keeps apart.
            low, high = max(start, begin), min(end, begin + length)
            if low < high:
                out[b, :, inside.to(out.device), low - begin : high - begin] = weights[
                    ..., low - start : high - start
                ]
        start = end
    assert out is not None
    return out
