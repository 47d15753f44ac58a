"""Pinned results: kept under a name, laid over the next ones wherever their study is shown."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gradio as gr

from workbench.errors import Refusal
from workbench.page.wiring import QUIET

LONGEST = 60

Pin = tuple[str, str, str]
"""Study, result id, name."""


class Pins:
    """The list of pins over the panels: chips that fold a pin away and bring it back."""

    def __init__(self) -> None:
        self.all = gr.State([])
        self.shown = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="Pins",
            visible=False,
            elem_id="pins",
            info="Laid over what their panel shows. Take one off here; it stays in the list.",
        )
        # A dropdown of several says that it changed whenever anything on the page is drawn anew, without end
        # where that draws something; a state says so once, and only where its value is another.
        self.chosen = gr.State([])
        self.shown.input(lambda shown: shown, [self.shown], [self.chosen], **QUIET)

    def add(
        self, study: str, result: str | None, name: str, pins: list[Pin], shown: list[str]
    ) -> dict[Any, Any]:
        """Pin a result; pinned again it takes the new name. Raises Refusal where there is none."""
        if not result:
            raise Refusal("There is nothing to pin yet: look first.")
        wanted = " ".join(name.split())[:LONGEST] or "unnamed"
        others = [pin for pin in pins if tuple(pin[:2]) != (study, result)]
        taken, unique, count = {pin[2] for pin in others if pin[0] == study}, wanted, 2
        while unique in taken:
            unique, count = f"{wanted} ({count})", count + 1
        pins = [*others, (study, result, unique)]
        value = identity(study, result)
        chosen = [*(item for item in shown if item != value), value]
        return {
            self.all: pins,
            self.shown: gr.update(choices=choices(pins), value=chosen, visible=True),
            self.chosen: chosen,
        }

    @property
    def parts(self) -> list[Any]:
        """What `add` returns updates of."""
        return [self.all, self.shown, self.chosen]


def identity(study: str, result: str) -> str:
    """One word for a pinned result."""
    return f"{study}/{result}"


def choices(pins: list[Pin]) -> list[tuple[str, str]]:
    """The pins as the dropdown wants them: pins of two panels with one name with their panel's."""
    often = Counter(name for _, _, name in pins)
    return [
        (f"{name} ({study})" if often[name] > 1 else name, identity(study, result))
        for study, result, name in pins
    ]


def of(study: str, pins: list[Pin], shown: list[str], but: str | None = None) -> list[tuple[str, str]]:
    """Result id and name of the study's pins that are shown, leaving out the result ``but``."""
    return [
        (result, name)
        for kind, result, name in pins
        if kind == study and identity(kind, result) in shown and result != but
    ]


def ids(study: str, pins: list[Pin], shown: list[str], but: str | None = None) -> list[str]:
    """The result ids and names of ``of`` as one list of words: what a drawing of them depends on."""
    return [word for pin in of(study, pins, shown, but) for word in pin]
