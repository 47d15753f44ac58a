"""What all names that stand beside one another end in is left out of each."""

from __future__ import annotations

import pytest

from workbench.panels.titles import shortened


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (["clean, pocket-bagel"], ["clean, pocket-bagel"]),
        (["clean, m", "darkness 0.90, m"], ["clean", "darkness 0.90"]),
        (["clean, scenes, m", "blur, scenes, m"], ["clean", "blur"]),
        (["clean, m", "clean, n"], ["m", "n"]),
        (["scenes, a + b, m", "scenes, a + c, m"], ["a + b", "a + c"]),
        (["m", "clean, m"], ["m", "clean, m"]),
        (["clean, m", "clean, m"], ["clean", "clean"]),
        ([], []),
    ],
)
def test_a_shared_end_is_left_out(titles: list[str], expected: list[str]) -> None:
    assert shortened(titles) == expected
