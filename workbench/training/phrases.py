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
}
"""One word for each kind of damage that training shows."""


def damage_thought(corruption: str, restore: bool) -> str:
    """The first thought about an image, with the decision to restore it or not; "" is no corruption."""
    word = DAMAGE[corruption]
    return f"<think>{word}</think>{RESTORE}" if restore else f"<think>{word}</think>"


def restored_thought() -> str:
    """The thought after a restored image came in."""
    return "<think>restored</think>"


def all_phrases() -> Iterator[str]:
    """Every fixed sentence, for fitting the tokenizer."""
    yield from (SYSTEM, DESCRIBE, restored_thought())
    for name in DAMAGE:
        for restore in (True, False):
            yield damage_thought(name, restore) + "<answer>seven</answer>"
