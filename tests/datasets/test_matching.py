"""What counts as the answer, by worked examples."""

from __future__ import annotations

import pytest

from workbench.datasets.collection import Asked
from workbench.datasets.judges import judge_named, judged
from workbench.datasets.matching import answer_in, by_hand, kind_of, matches, number_in
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


@pytest.mark.parametrize(
    "said",
    [
        "{}",
        "{}.",
        "({})",
        "**{}**",
        "The answer is {}.",
        "The correct answer is {}",
        "The answer is ({}) cat",
        "The answer is {} cat",
        "Answer: {}",
        "Answer: {} because it has whiskers",
        "Option {} shows what is asked for",
        "{}. It can be seen well",
        "{}) it can be seen well",
        "{} is the right one here",
        "{} because it has whiskers and ears",
        "It has whiskers and ears. {} is right",
        "<think>{} or C?</think><answer>{}</answer>",
    ],
)
def test_a_is_held_to_what_b_is_held_to(said: str) -> None:
    """The same sentence is right with either letter where it is the answer, and wrong with the other."""
    for right, other in (("A", "B"), ("B", "A")):
        asked = Asked("Which?\nA. whale\nB. horse\nC. crab", right, ("A", "B", "C"), "choice")
        assert matches(asked, said.replace("{}", right)) and not matches(asked, said.replace("{}", other))


@pytest.mark.parametrize(
    "said",
    ["A horse", "A horse can be seen.", "“A horse” is shown.", "I looked. A horse is there.", "So:\nA horse"],
)
def test_an_article_is_no_option(said: str) -> None:
    asked = Asked("Which?\nA. whale\nB. horse\nC. crab", "B", ("A", "B", "C"), "choice")
    assert matches(asked, said) and not matches(asked, said.replace("horse", "dog"))


@pytest.mark.parametrize(
    ("truth", "said", "right"),
    [
        ("0.5", "0.50", True),
        ("0.5", "about 0.5 of it", True),
        ("0.5", "5", False),
        ("1,000", "1000", True),
        ("1000", "about 1,000 m", True),
        ("1,000", "1", False),
        ("-2.5", "-2.50", True),
        ("$3.50", "3.5 dollars", True),
        ("12.5%", "12.5", True),
        ("three", "3", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "3", False),
        ("3 cats", "3", False),
    ],
)
def test_numbers_are_compared_as_numbers(truth: str, said: str, right: bool) -> None:
    assert matches(Asked("How much?", truth), said) is right


@pytest.mark.parametrize(
    ("truth", "said", "right"),
    [
        ("yellow<AND>star", "A star, and it is yellow.", True),
        ("yellow<AND>star", "a star", False),
        ("cat<OR>dog", "It is a dog", True),
        ("cat<OR>dog", "It is a horse", False),
        ("red<AND>ring<OR>blue<AND>cross", "a cross in blue", True),
        ("red<AND>ring<OR>blue<AND>cross", "a red cross", False),
        ("3<AND>7", "Of the 3 there are 7 each", True),
        ("3<AND>7", "37", False),
        ("2<OR>two pairs", "There are two", True),
        ("yes<AND>red", "Yes, it is red", True),
        ("yes<AND>red", "No, it is red", False),
    ],
)
def test_several_parts_and_alternatives(truth: str, said: str, right: bool) -> None:
    assert matches(Asked("What?", truth), said) is right


def test_an_alternative_may_be_all_that_counts() -> None:
    either = Asked("What?", "cat<OR>dog")
    assert matches(either, "A dog.", "exact") and not matches(either, "A dog there", "exact")


def test_options_of_a_typed_question_are_its_candidates() -> None:
    listed = by_hand("Which?\nA. whale\nB. horse", "b")
    assert (listed.answer, listed.candidates) == ("B", ("A", "B"))
    assert matches(listed, "A horse") and matches(listed, "Option B") and not matches(listed, "A")
    assert by_hand("Which?\nA. whale\nB. horse", "Horse") == listed
    bare = by_hand("Which one?", "A")
    assert matches(bare, "The answer is A.") and not matches(bare, "The answer is B.")
    assert by_hand("How many?", " 3 ") == Asked("How many?", "3")


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
