"""What is drawn of kept results: the present one with the pinned ones over or beside it."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from workbench.page.frame import Frame, Updates
from workbench.page.session import Session
from workbench.page.wiring import QUIET


class Drawing(Frame):
    """The handler that draws a result's curves or pictures, whenever there is a reason to."""

    def _wire_drawing(self) -> Any:
        """Draw anew when result, pins or a choice change; returns the event."""
        kept = [self.result, self.bench.pins.all, self.bench.pins.shown]
        shared = (self.bench.dark, self.bench.narrow)
        own = [part for part in self.drawn_with if part not in shared]
        return gr.on(
            [part.change for part in (self.result, self.bench.turns.drawn.due[self.study], *own)],
            self._with_session(self.overlay),
            [*kept, *self.drawn_with],
            list(self.outputs),
            trigger_mode="always_last",
            **QUIET,
        )

    def overlay(
        self, session: Session, key: str | None, all_pins: list[Any], shown: list[str], *drawn_with: Any
    ) -> Updates:
        """The pinned results over the present one, under the choices that stand on the page.

        A result that is drawn for the first time brings choices of its own, which may not have arrived there.
        """
        result = self.kept(session, key)
        if result is not None and session.drawn.get(self.study) != key:
            brought = {**self.shown(result), **self.standing(session, result)}
            drawn_with = tuple(
                set_to(brought[part], given) if part in brought else given
                for part, given in zip(self.drawn_with, drawn_with, strict=True)
            )
        session.drawn[self.study] = key
        named = [(self.name(result), result)] if result is not None else []
        pinned = self._pinned(session, key, all_pins, shown)
        named, pinned = (
            [(name, self.completed(session, result, *drawn_with)) for name, result in some]
            for some in (named, pinned)
        )
        return self.overlaid(named, pinned, *drawn_with)


def set_to(update: Any, given: Any) -> Any:
    """The value that an update gives a component; `given` where it leaves that as it is."""
    if isinstance(update, Component):
        return update.constructor_args.get("value", given)
    if isinstance(update, dict) and update.get("__type__") == "update":
        return update.get("value", given)
    return update
