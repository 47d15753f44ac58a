"""Whether what a model said is the answer: by the kind of question, after VLMEvalKit's conventions.

Ours after open-compass/VLMEvalKit (`vlmeval/utils/matching_util.py`, `vlmeval/dataset`). Everywhere an
`<answer>…</answer>` on one line counts for the whole (CLEAR's public evaluation code).

- choice: the one option letter that stands alone among the words ("A" does not count in a sentence, where it
  may be an article); without one, the only option whose text is in what was said, unless that is more than
  twice as long as all options together;
- yes or no: the one of both words that is said, if the other is not;
- number: the last number that is said, in digits or as a word up to twenty;
- words: the same words without case, punctuation and articles ("exact"), or in the same order somewhere in
  what was said ("contained").
"""

from __future__ import annotations

import re
from typing import Literal

from workbench.datasets.collection import Asked

Kind = Literal["choice", "yes or no", "number", "words"]
Words = Literal["contained", "exact"]

_TAGGED = re.compile(r"<answer>(.*?)</answer>")
_OPTION = re.compile(r"^([A-J])\. (.*)$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
_ARTICLES = ("a", "an", "the")
_SENTENCE = 3
"""Words above which an "A" among them may be an article (VLMEvalKit)."""


def kind_of(asked: Asked) -> Kind:
    """How the answer to a question is told: by its candidates, else by the answer itself."""
    candidates = {candidate.lower() for candidate in asked.candidates}
    if candidates and all(re.fullmatch("[A-J]", candidate) for candidate in asked.candidates):
        return "choice"
    if candidates == {"yes", "no"} or asked.answer.strip().lower() in ("yes", "no"):
        return "yes or no"
    return "words" if number_in(asked.answer) is None or len(_words(asked.answer)) > 1 else "number"


def matches(asked: Asked, said: str, words: Words = "contained") -> bool:
    """Whether what was said gives the answer."""
    said = answer_in(said)
    kind = kind_of(asked)
    if kind == "choice":
        return choice_in(said, asked) == asked.answer
    if kind == "yes or no":
        return yes_or_no_in(said) == asked.answer.strip().lower()
    if kind == "number":
        return number_in(said) == number_in(asked.answer)
    given, true = _words(said), _words(asked.answer)
    if words == "exact":
        return given == true
    return any(given[k : k + len(true)] == true for k in range(len(given) - len(true) + 1)) and bool(true)


def answer_in(said: str) -> str:
    """What stands in the answer's tags, or everything."""
    found = _TAGGED.search(said)
    return (found[1] if found else said).strip()


def choice_in(said: str, asked: Asked) -> str:
    """The option that was chosen, empty where it is none or not only one."""
    split = re.sub(r"[.()\[\],:;!*#{}]", " ", said).split()
    letters = [letter for letter in asked.candidates if letter in split]
    if letters == ["A"] and len(split) > _SENTENCE:
        letters = []
    if letters:
        return letters[0] if len(letters) == 1 else ""
    options = {letter: text.strip().lower() for letter, text in _OPTION.findall(asked.text)}
    if len(said) > 2 * sum(map(len, options.values())):
        return ""
    named = [letter for letter, text in options.items() if text and text in said.lower()]
    return named[0] if len(named) == 1 else ""


def yes_or_no_in(said: str) -> str:
    """The one of "yes" and "no" that is said; nothing where both or neither is."""
    found = {"yes", "no"} & set(re.findall(r"[a-z]+", said.lower()))
    return found.pop() if len(found) == 1 else ""


def number_in(said: str) -> float | None:
    """The last number that is said; None where there is none."""
    found: float | None = None
    for word in re.findall(r"-?\d[\d,]*(?:\.\d+)?|[a-z]+", said.lower()):
        if word in _NUMBERS:
            found = float(_NUMBERS.index(word))
        elif digits := _NUMBER.fullmatch(word.rstrip(",")):
            found = float(digits[0].replace(",", ""))
    return found


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in _ARTICLES]
