"""Names of results that stand beside one another."""

from __future__ import annotations

from collections.abc import Sequence


def shortened(titles: Sequence[str]) -> list[str]:
    """The names without the parts, after commas, in which all of them end alike, such as the model's.

    One name stays whole, and so do all where one of them would be left with nothing.
    """
    parts = [title.split(", ") for title in titles]
    shared = 0
    if len(parts) > 1:
        while shared < min(map(len, parts)) - 1 and len({each[-1 - shared] for each in parts}) == 1:
            shared += 1
    return [", ".join(each[: len(each) - shared]) for each in parts]
