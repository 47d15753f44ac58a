"""Values that a result has made impossible are taken for what they are."""

from __future__ import annotations

from workbench.page import lenient


def test_a_value_that_cannot_be_chosen_any_more_is_none() -> None:
    radio = lenient.Radio(["curves", "maps"])
    assert radio.preprocess("maps") == "maps" and radio.preprocess(None) is None
    radio.choices = [("curves", "curves")]
    assert radio.preprocess("maps") is None


def test_a_number_stays_within_its_bounds() -> None:
    number = lenient.Number(1, minimum=1, maximum=12, precision=0)
    assert [number.preprocess(n) for n in (0, 5, 99)] == [1, 5, 12] and number.preprocess(None) is None


def test_they_look_as_gradios_own() -> None:
    assert lenient.Radio([]).get_block_name() == "radio" and lenient.Number().get_block_name() == "number"
