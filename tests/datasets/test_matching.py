"""What counts as the answer, by worked examples."""

from __future__ import annotations

import pytest

from workbench.datasets.collection import Asked
from workbench.datasets.judges import judge_named, judged
from workbench.datasets.matching import answer_in, kind_of, matches, number_in
from workbench.errors import Refusal

CHOICE = Asked("What is it?\nA. a star\nB. a red ring\nC. a cross", "B", ("A", "B", "C"), "choice")
YES = Asked("Is it red?", "Yes", ("Yes", "No"), "yes or no")
COUNT = Asked("How many?", "3", (), "counting")
OPEN = Asked("What does it say?", "the Blue Whale", (), "text")


@pytest.mark.parametrize(
    ("asked", "said", "right"),
    [
        (CHOICE, "B", True),
        (CHOICE, "(B) a red ring.", True),
        (CHOICE, "The answer is B.", True),
        (CHOICE, "A", False),
        (CHOICE, "It is a red ring", True),
        (CHOICE, "A red ring can be seen", True),
        (CHOICE, "A or B", False),
        (CHOICE, "a star and a red ring", False),
        (CHOICE, "There is " + "nothing " * 20 + "but a red ring", False),
        (CHOICE, "<think>A? no.</think><answer>B</answer>", True),
        (CHOICE, "", False),
        (YES, "yes.", True),
        (YES, "Yes, there is no doubt", False),
        (YES, "no", False),
        (YES, "nobody knows", False),
        (COUNT, "3", True),
        (COUNT, "There are three of them.", True),
        (COUNT, "Of 5 things 3 are red", True),
        (COUNT, "3.5", False),
        (COUNT, "many", False),
        (OPEN, "It says Blue Whale on it", True),
        (OPEN, "blue whales", False),
        (OPEN, "", False),
    ],
)
def test_what_is_said_is_matched(asked: Asked, said: str, right: bool) -> None:
    assert matches(asked, said) is right


def test_exact_words_are_the_whole_answer() -> None:
    assert matches(OPEN, "Blue whale!", "exact") and not matches(OPEN, "a blue whale there", "exact")


def test_kinds_are_told_by_candidates_and_answers() -> None:
    assert [kind_of(asked) for asked in (CHOICE, YES, COUNT, OPEN)] == [
        "choice",
        "yes or no",
        "number",
        "words",
    ]
    colours = Asked("what colour?", "red", ("red", "blue"), "colour")
    assert kind_of(colours) == "words" and matches(colours, "It is red.") and not matches(colours, "blue")


def test_the_answers_tags_count_on_one_line() -> None:
    assert answer_in("x <answer> 7 </answer> y") == "7"
    assert answer_in("<answer>7\n</answer>") == "<answer>7\n</answer>"


def test_numbers_are_read() -> None:
    assert number_in("about 1,234.5 m") == 1234.5 and number_in("minus -2") == -2
    assert number_in("twelve") == 12 and number_in("none") is None


def lenient(question: str, answer: str, said: str) -> float:
    return 1.0 if answer in said else 0.2


def test_a_judge_is_a_function_by_name() -> None:
    judge = judge_named(f"{__name__}:lenient")
    assert judged(judge, "?", "red", "reddish") and not judged(judge, "?", "red", "blue")
    for name in ("no.such.module:judge", f"{__name__}:nothing", "not-declared", f"{__name__}:CHOICE"):
        with pytest.raises(Refusal, match="judge"):
            judge_named(name)
    with pytest.raises(Refusal, match="between 0 and 1"):
        judged(lambda *words: 7.0, "?", "a", "b")
