"""Inputs that take what Gradio refuses: an empty box, a choice that a result has taken away.

Between a result that brings other choices and the browser's next call lies a moment in which the old value is
still sent; Gradio answers that, and a number beyond its bounds, with an error of its own in a corner.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


class Radio(gr.Radio):
    """A radio that is at nothing where its value is none of its choices."""

    is_template = True

    def preprocess(self, payload: str | int | float | None) -> str | int | float | None:
        """The value, if it can be chosen."""
        return super().preprocess(payload) if payload in [value for _, value in self.choices] else None


class Number(gr.Number):
    """A number that is as large as it may be where it is larger, and likewise below."""

    is_template = True

    def preprocess(self, payload: float | None) -> float | int | None:
        """The number within its bounds."""
        if payload is None:
            return None
        low = payload if self.minimum is None else max(payload, self.minimum)
        return super().preprocess(low if self.maximum is None else min(low, self.maximum))


class Typed(gr.Number):
    """A number as it was typed: where it does not fit, what it is for says so in a sentence."""

    is_template = True

    def preprocess(self, payload: float | None) -> float | int | None:
        """What was typed, a whole number as one."""
        return int(payload) if isinstance(payload, float) and payload.is_integer() else payload


class Slider(gr.Slider):
    """A slider whose box may be empty: it is as it began; or hold what does not fit: the nearest does."""

    is_template = True

    def preprocess(self, payload: float | None) -> float | int:
        """The number within its bounds, a whole one where it moves by whole steps."""
        wanted = payload if payload is not None else self.value
        number = min(max(float(self.minimum if wanted is None else wanted), self.minimum), self.maximum)
        return round(number) if self.step and float(self.step).is_integer() else number


class Dropdown(gr.Dropdown):
    """A dropdown of one value that is at nothing where that is none of its choices."""

    is_template = True

    def preprocess(self, payload: str | int | float | list[str | int | float] | None) -> Any:
        """The value, if it can be chosen."""
        return super().preprocess(payload) if payload in [value for _, value in self.choices] else None
