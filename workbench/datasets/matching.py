"""Whether what a model said is the answer: by the kind of question, after VLMEvalKit's conventions.

Ours after open-compass/VLMEvalKit (`vlmeval/utils/matching_util.py`, `vlmeval/dataset`). Everywhere an
`<answer>…</answer>` on one line counts for the whole (CLEAR's public evaluation code).

- choice: the one option letter that stands alone among the words (an "A" that begins a sentence is an article
  where a further word follows, but a few; VLMEvalKit passes over any "A" among more than three words, so that
  "The answer is A." counts as wrong and "The answer is B." as right; ours holds A to what B is held to);
  without one, the only option whose text is in what was said, unless that is more than twice as long as all
  options together;
- yes or no: the one of both words that is said, if the other is not;
- number: the last number that is said, in digits or as a word up to twenty;
- words: the same words without case, punctuation and articles ("exact"), or in the same order somewhere in
  what was said ("contained").

An answer may name several in the way of MM-Vet (arXiv 2308.02490): of those between `<OR>` one must be given,
of those between `<AND>` all (VLMEvalKit has a judge mark these; ours is a match of each part, of numbers
anywhere in what was said).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from workbench.datasets.collection import Asked

Kind = Literal["choice", "yes or no", "number", "words"]
Words = Literal["contained", "exact"]

_TAGGED = re.compile(r"<answer>(.*?)</answer>")
_OPTION = re.compile(r"^([A-J])\. (.*)$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_EDGES = re.compile(r"^[^\w-]+|[^\w]+$")
"""What may stand around a number: a sign of currency, of per cent, a full stop."""
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
_ARTICLES = ("a", "an", "the")
_LETTERS = "ABCDEFGHIJ"
_ARTICLE = re.compile(
    r"(?:^|(?<=[.!?]\s)|(?<=\n))([\"'“*]*)A(?=\s+(?!(?:is|was|are|or|and|but|because|since|as)\b)[^\W\d_]{2})"
)
"""A capital "A" that may be an article: it begins a sentence, and a word follows that goes on from none."""
_OR, _AND = "<OR>", "<AND>"


def kind_of(asked: Asked) -> Kind:
    """How the answer to a question is told: by its candidates, else by the answer itself."""
    candidates = {candidate.lower() for candidate in asked.candidates}
    if candidates and all(re.fullmatch("[A-J]", candidate) for candidate in asked.candidates):
        return "choice"
    if candidates == {"yes", "no"} or asked.answer.strip().lower() in ("yes", "no"):
        return "yes or no"
    spelt = _NUMBER.fullmatch(_EDGES.sub("", asked.answer)) is not None
    alone = len(_words(asked.answer)) < 2 and bool(numbers_in(asked.answer))
    return "number" if spelt or alone else "words"


def by_hand(text: str, answer: str) -> Asked:
    """A question as somebody typed it, with its answer: the options that it lists are its candidates.

    The answer to these is the letter or the text of one. An answer that is one letter from A to J is an
    option, too, where the question lists none.
    """
    listed = _OPTION.findall(text)
    letters = tuple(letter for letter, _ in listed)
    options = {words.strip().lower(): letter for letter, words in listed}
    option = options.get(answer.strip().lower(), answer.strip().upper())
    if not letters and re.fullmatch("[A-J]", option):
        letters = tuple(_LETTERS[: max(4, _LETTERS.index(option) + 1)])
    return Asked(text, option, letters, "choice") if option in letters else Asked(text, answer.strip())


def matches(asked: Asked, said: str, words: Words = "contained") -> bool:
    """Whether what was said gives the answer."""
    if _OR in asked.answer or _AND in asked.answer:
        return any(_all_of(asked, one.split(_AND), said, words) for one in asked.answer.split(_OR))
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


def _all_of(asked: Asked, parts: list[str], said: str, words: Words) -> bool:
    """Whether what was said gives every part; of several none can be all that was said."""
    each = [replace(asked, answer=part.strip()) for part in parts]
    if len(each) == 1:
        return matches(each[0], said, words)
    numbers = numbers_in(answer_in(said))
    return all(
        number_in(part.answer) in numbers if kind_of(part) == "number" else matches(part, said)
        for part in each
    )


def answer_in(said: str) -> str:
    """What stands in the answer's tags, or everything."""
    found = _TAGGED.search(said)
    return (found[1] if found else said).strip()


def choice_in(said: str, asked: Asked) -> str:
    """The option that was chosen, empty where it is none or not only one."""
    split = re.sub(r"[.()\[\],:;!*#{}]", " ", _ARTICLE.sub(r"\1", said)).split()
    letters = [letter for letter in asked.candidates if letter in split]
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
    found = numbers_in(said)
    return found[-1] if found else None


def numbers_in(said: str) -> list[float]:
    """All numbers that are said, in digits or as a word up to twenty."""
    found = []
    for word in re.findall(r"-?\d[\d,]*(?:\.\d+)?|[a-z]+", said.lower()):
        if word in _NUMBERS:
            found.append(float(_NUMBERS.index(word)))
        elif digits := _NUMBER.fullmatch(word.rstrip(",")):
            found.append(float(digits[0].replace(",", "")))
    return found


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in _ARTICLES]
