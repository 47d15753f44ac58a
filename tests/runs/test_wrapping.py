"""Text in lines of a width on paper."""

from __future__ import annotations

import pytest

from workbench.runs.wrapping import inches, wrapped


@pytest.mark.parametrize("text", ["the star is yellow and stands left of " * 40, "W" * 500, "short", ""])
def test_wrapping_loses_no_letter(text: str) -> None:
    lines = wrapped(text.strip(), 3.0)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(inches(line) <= 3.0 for line in lines)
