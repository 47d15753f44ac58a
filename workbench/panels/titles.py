"""Names of results that stand beside one another."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(titles: Sequence[str]) -> list[str]:
    """The names without the parts, between commas, in which all end or begin alike: a model, a collection.

    One name stays whole; of several each keeps a part at least.
    """
    parts = [title.split(", ") for title in titles]
    for end in (-1, 0):
        while len(parts) > 1 and min(map(len, parts)) > 1 and len({each[end] for each in parts}) == 1:
            for each in parts:
                each.pop(end)
    return [", ".join(each) for each in parts]
