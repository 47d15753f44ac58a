"""docs/models.md says what the models say."""

from __future__ import annotations

from tests.models.hf.builders import BUILDERS
from tests.models.hf.table import DOCUMENT, row
from workbench.models.hf.adapter import HFModel


def test_its_line_is_in_the_table(model: HFModel) -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert row(model.card.id, model) in lines, "run python -m tests.models.hf.table"


def test_no_line_is_left_over() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) == len(BUILDERS) + 1
