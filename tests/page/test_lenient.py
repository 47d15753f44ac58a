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


def test_a_sliders_box_may_be_empty_or_hold_what_does_not_fit() -> None:
    share = lenient.Slider(0, 1, value=0.9, step=0.01)
    assert [share.preprocess(n) for n in (None, -0.5, 1e-9, 0.45, 90)] == [0.9, 0, 1e-9, 0.45, 1]
    steps = lenient.Slider(1, 200, value=12, step=1)
    assert [steps.preprocess(n) for n in (None, 0, 2.7, 200, 1e9)] == [12, 1, 3, 200, 200]
    assert isinstance(steps.preprocess(2.7), int)


def test_they_look_as_gradios_own() -> None:
    assert lenient.Radio([]).get_block_name() == "radio" and lenient.Number().get_block_name() == "number"
    assert lenient.Slider().get_block_name() == "slider"
