"""Single tokens as a person reads them: what a lens finds at a place is one token, not a word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

SPACES = ("▁", "Ġ")
"""What tokenizers write for the space before a word; decoding a token alone may lose it."""
HALF = "\N{REPLACEMENT CHARACTER}"


def spelling(number: int, piece: str | None, text: str) -> str:
    """A token's own text with the space before it.

    piece: what the tokenizer calls the token, None where it has none of that number (heads are often padded);
    text: what it decodes to by itself. Of half a character, and of what decodes to nothing, the name.
    """
    if piece is None:
        return f"<{number}>"
    if piece.startswith(SPACES) and not text.startswith(" "):
        text = f" {text}"
    return piece if not text or HALF in text else text


def beginnings(
    word: str, encode: Callable[[str], Sequence[int]], spelled: Callable[[Sequence[int]], Iterable[str]]
) -> list[int]:
    """The tokens that a word begins with: at the start of a text, and after a space; none twice.

    A token that is white space alone begins every word and is passed over.
    """
    found: list[int] = []
    for text in (word, f" {word}"):
        ids = list(encode(text))
        told = [number for number, own in zip(ids, spelled(ids), strict=True) if own.strip()]
        found += [number for number in told[:1] if number not in found]
    return found
