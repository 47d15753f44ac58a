"""How far a long opening is, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str, float], None]
"""Told what is being done and the share of it that is done, 0 … 1. What it raises ends the opening."""


def silent(words: str, share: float) -> None:
    """Tell nobody."""


def part(say: Say | None, start: float, end: float) -> Say:
    """Of a part of the work: what is 0 … 1 there becomes `start` … `end` of the whole."""
    if say is None:
        return silent
    whole = say

    def told(words: str, share: float) -> None:
        whole(words, start + (end - start) * share)

    return told
