"""Single tokens as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workbench.models.spelling import beginnings, spelling


@pytest.mark.parametrize(
    ("piece", "text", "told"),
    [
        ("▁red", "red", " red"),
        ("Ġred", " red", " red"),
        ("red", "red", "red"),
        ("▁", "", " "),
        ("<0x0A>", "\n", "\n"),
        ("ä¸", "\ufffd", "ä¸"),
        ("<|im_end|>", "", "<|im_end|>"),
        (None, "", "<7>"),
    ],
)
def test_a_token_keeps_its_space_and_always_has_a_name(piece: str | None, text: str, told: str) -> None:
    assert spelling(7, piece, text) == told


def test_a_word_begins_at_the_start_of_a_text_and_after_a_space() -> None:
    pieces = ["red", " red", " ", "cy", "an"]
    cut = {"red": [0], " red": [1], "cyan": [3, 4], " cyan": [2, 3, 4], "": [], " ": [2]}

    def spelled(ids: Sequence[int]) -> list[str]:
        return [pieces[number] for number in ids]

    assert beginnings("red", cut.__getitem__, spelled) == [0, 1]
    assert beginnings("cyan", cut.__getitem__, spelled) == [3]
    assert beginnings("", cut.__getitem__, spelled) == []
