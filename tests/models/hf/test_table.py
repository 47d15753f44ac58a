"""docs/models.md says what the models say."""

from __future__ import annotations

import pytest
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

from tests.models.hf.builders import BUILDERS
from tests.models.hf.table import DOCUMENT, KNOWN, compared, refused, row, untried
from tests.models.hf.verified import whole
from workbench.models.hf.adapter import HFModel


def test_its_line_is_in_the_table(model: HFModel) -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert row(model.card.id, model) in lines, "run python -m tests.models.hf.table"


def test_what_was_verified_is_what_its_tests_compared(model: HFModel) -> None:
    """Where they have all run in this process, as in a run of everything; they come before this one."""
    if not whole(model.card.id):
        pytest.skip("its tests were not all run")
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert compared(model.card.id) in lines, "run python -m tests.models.hf.table"


def test_no_line_is_left_over() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) == 2 * (len(BUILDERS) + 1)


def test_types_that_are_refused_or_not_tried_are_named_with_the_reason() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("- `")] == refused()
    assert all(line in lines for line in untried()), "run python -m tests.models.hf.table"


def test_what_was_not_tried_needs_torchvision() -> None:
    for name in untried()[0].replace("`", "").split(", "):
        assert "pil" not in IMAGE_PROCESSOR_MAPPING_NAMES[name]


def test_names_that_people_use_are_those_of_rows() -> None:
    assert set(KNOWN.values()) <= set(BUILDERS)
