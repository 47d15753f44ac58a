"""What transformers said when it failed, as far as it helps: what was wrong, and what to do about it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

DOING = re.compile(
    r"\b(install(ed|ing)?|requires?|needs?|need(ed)?|upgrade|update|missing|must)\b", re.IGNORECASE
)
"""Words of sentences that say what to do."""
MOST = 3
"""Of these at most so many; an error may be a page long."""


def told(error: BaseException) -> str:
    """The first sentence of an error, and those of the rest that say what to do, on one line."""
    whole = " ".join(str(error).split()) or type(error).__name__
    first, *rest = re.split(r"(?<=[.!?:]) (?=[A-Z(`'\"])", whole)
    return " ".join([first, *[sentence for sentence in rest if DOING.search(sentence)][:MOST]])


def tokenizer_lacks(folder: Path) -> str:
    """What a folder whose tokenizer cannot be read lacks: a file, or a package to read one; else empty.

    transformers asks for tiktoken where it is sentencepiece that is not installed, so the file is looked at.
    """
    if (folder / "tokenizer.json").is_file():
        return ""
    models = sorted(folder.glob("*.model"))
    if not models:
        return (
            ""
            if any((folder / name).is_file() for name in ("vocab.json", "vocab.txt", "tekken.json"))
            else "There is no tokenizer.json. Fetch it from where the weights are from."
        )
    with models[0].open("rb") as file:
        # A file of tiktoken is lines of text; one of sentencepiece is a binary message.
        package = "tiktoken" if file.read(64).isascii() and models[0].stat().st_size else "sentencepiece"
    if find_spec(package):
        return ""
    return f"{models[0].name} is read by the package {package}. Install it: pip install {package}."
