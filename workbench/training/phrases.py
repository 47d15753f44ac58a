"""What pocket-bagel says to itself, in the tags that CLEAR trains: thought, decision, answer."""

from __future__ import annotations

from collections.abc import Iterator

SYSTEM = "answer. restore the image first if damage hides what is asked."
DESCRIBE = "describe the picture."
RESTORE = "<image_restore>"

DAMAGE = {
    "": "clear",
    "lens_blur": "blurred",
    "motion_blur": "shaken",
    "gaussian_noise": "noisy",
    "jpeg_compression": "blocky",
    "dark_illumination": "dark",
    "scan_lines": "striped",
}
"""One word for each kind of damage that training shows."""


def damage_thought(corruption: str, question: str, restore: bool) -> str:
    """The first thought about an image, with the decision to restore it or not; "" is no corruption.

    The question is said again, so that the answer follows it as closely as it does without a thought.
    """
    thought = f"<think>{DAMAGE[corruption]}. {question}</think>"
    return thought + RESTORE if restore else thought


def restored_thought(question: str) -> str:
    """The thought after a restored image came in."""
    return f"<think>restored. {question}</think>"


def said(answer: str) -> str:
    """An answer in its tags."""
    return f"<answer>{answer}</answer>"


def all_phrases() -> Iterator[str]:
    """Every fixed sentence, for fitting the tokenizer."""
    yield from (SYSTEM, DESCRIBE, restored_thought(DESCRIBE))
    for name in DAMAGE:
        for restore in (True, False):
            yield damage_thought(name, DESCRIBE, restore) + said("seven")
