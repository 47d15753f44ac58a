"""What the tests of the families compared and found equal, counted family by family, for docs/models.md."""

from __future__ import annotations

from collections import Counter, defaultdict

from workbench.models.hf.adapter import HFModel

LEDGER: defaultdict[str, Counter[str]] = defaultdict(Counter)
"""By checkpoint, then by what was compared. A test that fails adds nothing."""
TESTS = 12
"""How many tests of one family add to its ledger; two of them once for each shape of image or band."""
COLUMNS = {
    "places": "cells and pixels",
    "tower places": "tower's cells",
    "several": "images together",
    "logits": "logits",
    "words": "words said",
    "scores": "scores",
    "llm rows": "attention rows",
    "vision rows": "tower's rows",
}
"""The columns of the table, in order, by what they count."""


def verified(model: HFModel, what: str, count: int = 1) -> None:
    """A test of this model is through: it compared so many of these."""
    LEDGER[model.card.id][what] += count
    LEDGER[model.card.id]["tests"] += 1


def whole(name: str) -> bool:
    """Whether every test of a family that counts has passed in this process."""
    return LEDGER[name]["tests"] == TESTS


def cells(name: str) -> list[str]:
    """The table's cells: how many were compared, – for what the model does not have."""
    return [f"{LEDGER[name][what]:,}" if LEDGER[name][what] else "–" for what in COLUMNS]
