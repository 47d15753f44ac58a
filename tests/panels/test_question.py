"""One question is the same words to every study."""

from __future__ import annotations

import pytest

from workbench.errors import Refusal
from workbench.models.length import MOST_CHARACTERS
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.question import required, short_enough, tidy
from workbench.panels.studies import STUDIES

RAW = "  what colour\t is  the star? \r\n A.  red \n B. blue\n "
ASKED = "what colour is the star?\nA. red\nB. blue"


def test_one_space_between_words_and_lines_stay() -> None:
    assert tidy(RAW) == ASKED
    assert tidy(" \n ") == ""


def test_every_study_that_asks_asks_the_same_words() -> None:
    asking = 0
    for config in [CaptureConfig, *(study.config_class() for study in STUDIES.values())]:
        for name in {"question", "prompt"} & set(config.model_fields):
            besides = {"images": ("scene:1",)} if config is CaptureConfig else {}
            assert getattr(config(**{name: RAW, **besides}), name) == ASKED
            asking += 1
    assert asking >= 9


def test_none_and_too_long_are_told_apart() -> None:
    required("x" * MOST_CHARACTERS)
    short_enough("")
    with pytest.raises(Refusal, match="There is no question"):
        required("")
    with pytest.raises(Refusal, match="4,001 characters; at most 4,000"):
        short_enough("x" * (MOST_CHARACTERS + 1))
