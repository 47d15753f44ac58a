"""Words that a model reads as an image, a video or a sound, wherever they stand: no question may hold one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from workbench.errors import Refusal

SENSES = r"image|img|boi|eoi|vision|visual|video|audio|boa|eoa"
WORD = re.compile(rf"(?:^|_)(?:{SENSES})(?:_.*)?_token$")
"""Under what names processors and tokenizers keep such words."""
NUMBER = re.compile(rf"(?:^|_)(?:{SENSES})(?:_.*)?_token_(?:ids?|index)$")
"""Under what names configurations keep their numbers."""


def marks_of(config: Any, processor: Any) -> frozenset[str]:
    """Every such word of a model, as its processor, its tokenizer and its configuration name them."""
    tokenizer = getattr(processor, "tokenizer", processor)
    owners = (vars(processor), tokenizer.special_tokens_map)
    named = [str(word) for owner in owners for name, word in owner.items() if word and WORD.search(name)]
    known = tokenizer.added_tokens_decoder
    numbers = [number for number in _numbers(config) if number in known]
    return frozenset([*named, *(str(known[number]) for number in numbers)])


def _numbers(config: Any) -> Iterator[int]:
    for name in dir(config):
        if NUMBER.search(name):
            found = getattr(config, name)
            yield from (n for n in (found if isinstance(found, (list, tuple)) else [found]) if n is not None)


def without_marks(text: str, marks: frozenset[str], name: str) -> str:
    """The text; raises Refusal where it holds one of the words, with the longest that begins first."""
    found = [(text.find(mark), -len(mark), mark) for mark in marks if mark in text]
    if found:
        word = min(found)[2]
        raise Refusal(
            f"The text holds {word}, which {name} reads as a part of an image, a video or a sound and not as "
            "a word. Leave it out, or write it with a space in it; images are put in by themselves."
        )
    return text
