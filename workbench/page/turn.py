"""Whose turn it is: the panel in front follows the bench and the pins, another once it comes to the front.

A browser spends milliseconds on every part that an event may change, which with all panels are hundreds. So
what happens on the bench is noted by its time, in the browser, and handed to the panel in front alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

NOTED = """(front, ...due) => {{
  const now = performance.now(), at = {studies}.indexOf(front);
  return [now, ...due.map((before, index) => (index === at ? now : before))];
}}"""
TURNED = "(bench, drawn) => ['{study}', bench, drawn]"


class Times:
    """When something last happened, and for each panel the time that it has followed."""

    def __init__(self) -> None:
        self.last = _time()
        self.due: dict[str, gr.Number] = {}

    def note(self, front: gr.Textbox, after: Any) -> None:
        """Have it be the turn of the panel in front after an event; ``after`` connects a handler to it."""
        js = NOTED.format(studies=json.dumps(list(self.due)))
        parts = list(self.due.values())
        after(None, [front, *parts], [self.last, *parts], js=js, api_visibility="private")


class Turns:
    """The panel in front, and what each panel has to follow. Built among parts that are always there."""

    def __init__(self) -> None:
        with gr.Row(visible="hidden") as self.place:
            self.front = gr.Textbox("", label="panel in front", visible="hidden")
            self.bench, self.drawn = Times(), Times()

    def join(self, study: str) -> None:
        """One more panel; the first is in front. Its ``due`` parts change when it has something to follow."""
        if not self.bench.due:
            self.front.value = study
        with self.place:
            self.bench.due[study], self.drawn.due[study] = _time(), _time()

    def come(self, tab: gr.Tab, study: str) -> None:
        """Follow the tab of a panel: when it comes to the front, it follows what it missed."""
        tab.select(
            None,
            [self.bench.last, self.drawn.last],
            [self.front, self.bench.due[study], self.drawn.due[study]],
            js=TURNED.format(study=study),
            api_visibility="private",
        )

    def wire(self, bench: Sequence[Any], drawn: Sequence[Any]) -> None:
        """Note the changes of these parts: of those on the bench, and of those that panels draw with."""
        self.bench.note(self.front, _changes(bench))
        self.drawn.note(self.front, _changes(drawn))


def _changes(parts: Sequence[Any]) -> Any:
    def after(*args: Any, **how: Any) -> Any:
        return gr.on([part.change for part in parts], *args, **how)

    return after


def _time() -> gr.Number:
    return gr.Number(0, label="time", visible="hidden")
