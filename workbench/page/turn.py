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
CAME = """(front, ...times) => {{
  const studies = {studies}, at = studies.indexOf(front), [bench, drawn] = times.splice(0, 2);
  return times.map((before, index) =>
    index % studies.length !== at ? before : index < studies.length ? bench : drawn);
}}"""
FACING = """(front) => {studies}.flatMap((study) => {{
  const update = {{ __type__: "update", visible: study === front }};
  return [update, update];
}})"""


class Times:
    """When something last happened, and for each panel the time that it has followed."""

    def __init__(self) -> None:
        self.last = _time()
        self.due: dict[str, gr.Number] = {}


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

    def wire(self, bench: Sequence[Any], drawn: Sequence[Any], buttons: Sequence[Any]) -> None:
        """Connect all, once every panel has joined.

        bench, drawn: what panels follow: the parts of the bench, and those that panels draw with. buttons: of
        which those of the panel in front are seen, two for each panel in their order.
        """
        gr.on([part.change for part in bench], **self._noting(self.bench))
        gr.on([part.change for part in drawn], **self._noting(self.drawn))
        due = [*self.bench.due.values(), *self.drawn.due.values()]
        last = [self.bench.last, self.drawn.last]
        came, facing = self._js(CAME), self._js(FACING)
        self.front.change(None, [self.front, *last, *due], due, js=came, api_visibility="private")
        self.front.change(None, [self.front], list(buttons), js=facing, api_visibility="private")

    def note(self, after: Any) -> None:
        """Have the panel in front follow the bench after an event; ``after`` is its ``then``."""
        after(**self._noting(self.bench))

    def _noting(self, times: Times) -> dict[str, Any]:
        parts = list(times.due.values())
        return {
            "fn": None,
            "inputs": [self.front, *parts],
            "outputs": [times.last, *parts],
            "js": self._js(NOTED),
            "api_visibility": "private",
        }

    def _js(self, template: str) -> str:
        return template.format(studies=json.dumps(list(self.bench.due)))


def _time() -> gr.Number:
    return gr.Number(0, label="time", visible="hidden")
