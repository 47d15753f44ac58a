"""Words that training must not speak against: what completes a pair of colour and shape never shown.

A model that never sees a red heart learns that what is red is no heart, and then denies what it sees. So
where the word to be said is a shape, the shape that its colour never comes with takes no part in the loss,
and the other way round: the prior of the training pairs is taken out of it, as logit adjustment does with
class frequencies (Menon et al., ICLR 2021, section 4), here for frequencies of none. Nothing that is held out
is shown or told by that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.images.scenes import HELD_OUT_PAIRS
from workbench.training.data import TextRows


@dataclass(frozen=True)
class UnseenPairs:
    """Ids of words: `shape_of` the colour that it never comes with, and `colour_of` likewise."""

    shape_of: dict[int, int]
    colour_of: dict[int, int]

    @classmethod
    def of(cls, encode: Callable[[str], Sequence[int]]) -> UnseenPairs:
        """The pairs in a tokenizer's ids. Raises ValueError where it cuts one of the words up."""
        pairs = [(_one(encode, colour), _one(encode, shape)) for colour, shape in HELD_OUT_PAIRS]
        return cls({c: s for c, s in pairs}, {s: c for c, s in pairs})

    def excluded(self, rows: TextRows) -> Tensor:
        """For each place of rows (B, n) up to two ids that its loss leaves out, -1 for none: (B, n, 2).

        A shape that is to be said leaves out what its own colour never comes with, the colour being that of
        the segment's last target, and what the colour that is read last never comes with; a colour leaves
        out what the next shape of its segment to be said, or the last that is read, never comes with.
        """
        out = torch.full((*rows.ids.shape, 2), -1)
        table = zip(rows.ids.tolist(), rows.targets.tolist(), rows.segments.tolist(), strict=True)
        for b, (ids, targets, segments) in enumerate(table):
            own = read = asked = -1
            for j, (word, target, segment) in enumerate(zip(ids, targets, segments, strict=True)):
                if j == 0 or segment != segments[j - 1]:
                    own = read = asked = -1
                read = word if word in self.shape_of else read
                asked = word if word in self.colour_of else asked
                if target in self.shape_of:
                    own = target
                    last = len(segments) - segments[::-1].index(segment)
                    ahead = next((t for t in targets[j + 1 : last] if t in self.colour_of), asked)
                    out[b, j, 0] = self.colour_of.get(ahead, -1)
                elif target in self.colour_of:
                    out[b, j, 0] = self.shape_of.get(own, -1)
                    out[b, j, 1] = self.shape_of.get(read, -1)
        # What is to be said is never left out, whatever a random colour before it says.
        return torch.where(out == rows.targets[..., None].cpu(), -1, out)


def _one(encode: Callable[[str], Sequence[int]], word: str) -> int:
    place = len(encode("a small"))
    ids = encode(f"a small {word} plain")
    if len(ids) != len(encode("a small plain")) + 1:
        raise ValueError(f"{word!r} is more than one token")
    return ids[place]
