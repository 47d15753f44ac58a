"""Look and Stop, each twice: on the bench, and in the panel's own head for when the bench is folded away."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.page.bench import Bench


class Controls:
    """A panel's Look and Stop; built where the panel's own two are to stand.

    ``looks`` and ``stops`` are the buttons that do the same, ``all`` is all of them.
    """

    def __init__(self, study: str, bench: Bench, asks_model: bool = True) -> None:
        # Without a model there is nothing to look with.
        some = bool(bench.host.first.name) or not asks_model
        own_look = gr.Button(
            "Look",
            interactive=some,
            size="sm",
            scale=0,
            min_width=72,
            elem_id=f"{study}-look",
            elem_classes=["bench-look", "own-button"],
        )
        own_stop = gr.Button(
            "Stop",
            size="sm",
            scale=0,
            min_width=72,
            interactive=False,
            elem_id=f"{study}-stop",
            elem_classes="own-button",
        )
        first = not bench.looks  # the panel in front; changing tabs changes which two are seen
        with bench.go:
            bench.looks[study] = gr.Button(
                "Look",
                variant="primary",
                interactive=some,
                min_width=80,
                visible=first,
                elem_id=f"bench-look-{study}",
                elem_classes="bench-look",
            )
            bench.stops[study] = gr.Button(
                "Stop",
                interactive=False,
                min_width=64,
                visible=first,
                elem_id=f"bench-stop-{study}",
            )
        self.looks = [bench.looks[study], own_look]
        self.stops = [bench.stops[study], own_stop]
        self.all = [*self.looks, *self.stops]

    def busy(self) -> dict[Any, Any]:
        """Updates for while a look is waited for or running."""
        return self.able(False) | {stop: gr.Button(interactive=True) for stop in self.stops}

    def resting(self, able: bool) -> dict[Any, Any]:
        """Updates for while none is; ``able`` tells whether the model can serve the panel."""
        return self.able(able) | {stop: gr.Button(interactive=False) for stop in self.stops}

    def able(self, able: bool) -> dict[Any, Any]:
        """Updates that let Look be pressed, or not."""
        return {look: gr.Button(interactive=able) for look in self.looks}
