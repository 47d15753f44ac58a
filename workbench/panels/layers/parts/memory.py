"""Whether what the parts keep of the images fits: told after one batch, not after hours of passes."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.datasets.collection import Split
from workbench.errors import Refusal
from workbench.panels.layers.parts.part import Part

COPIES = 2
"""Times that what is kept lies in memory where it is put together, put down, or read."""


def check_memory(
    parts: Mapping[Part, str], counts: Mapping[Split, int], stages: int, *, held: int = 0
) -> None:
    """Refuse what would not fit.

    Args:
        parts: and the measures that each is for, in words.
        counts: images of each split that is read.
        stages: on the axis.
        held: bytes in memory already of work that is taken up again: what was begun is not refused then.

    Raises:
        Refusal: it takes more than what is free.
    """
    import torch

    from workbench.models.memory import free_on, in_words

    costs = {
        part: COPIES * sum(counts[split] * part.bytes_of(split) for split in part.splits) for part in parts
    }
    needed, free = sum(costs.values()), free_on(torch.device("cpu"))
    if free is not None and needed > (free := free + held):
        most = max(costs, key=costs.__getitem__)
        raise Refusal(
            f"What is kept of {sum(counts.values()):,} images at {stages} stages takes {in_words(needed)} "
            f"while it is read, {in_words(costs[most])} of it for {parts[most]}, and {in_words(free)} are "
            f"free: {most.instead}, or ask for fewer images."
        )
