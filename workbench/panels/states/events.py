"""What happens in one look, and how it is said: the model's events, and what stands around them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from workbench.models.protocol import Answer, Decision, Event, Final, Thought, VisualState

SAME = "same context, no drawing"
"""What `Direct` is on where it answers as the response does, but for the drawing; only beside a drawing."""
_ANSWERED = re.compile(r"<answer>(.*?)(</answer>|$)", re.DOTALL)
_TAG = re.compile(r"</?[a-z_]+>")


@dataclass(frozen=True)
class Laid:
    """The image as given and as the model gets it: uint8 (H, W, 3), same size."""

    original: np.ndarray
    degraded: np.ndarray


@dataclass(frozen=True)
class Direct:
    """An answer without drawing anything.

    on: "original" or "degraded", from the vision tokens of that image alone; or SAME, from the context that
    the drawing was made in: system prompt, degraded image, question and thought.
    """

    on: str
    answer: Answer


StudyEvent = Event | Laid | Direct


def spoken(text: str) -> str:
    """A thought in plain words: without the tags that structure it, and without the answer."""
    return " ".join(_TAG.sub(" ", _ANSWERED.split(text)[0]).split())


def answered(text: str) -> str:
    """The words of the answer that a thought leads to, as far as they are said; empty before the first."""
    found = _ANSWERED.search(text)
    return " ".join(_TAG.sub(" ", found.group(1)).split()) if found else ""


def words(event: StudyEvent, drawings: int) -> str:
    """What is happening after this event, for a person who waits; ``drawings`` were begun by then."""
    match event:
        case Laid():
            return "answering without drawing"
        case Direct(on):
            return {"original": "answering without drawing", "degraded": "thinking"}.get(on, "answering")
        case Thought(text, done=False):
            return "answering" if answered(text) else "thinking"
        case Thought(text) if not answered(text):
            return "deciding"
        case Decision(restore=True):
            return "denoising"
        case Thought() | Decision():
            return "answering in the same context, without drawing" if drawings else "answering"
        case VisualState(step, steps) if step == steps:
            return "reading the drawing"
        case VisualState(step, steps):
            which = f", drawing {drawings}" if drawings > 1 else ""
            return f"denoising, step {step + 1} of {steps}{which}"
        case Final():
            return "done"
