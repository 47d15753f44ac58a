"""A panel: one question that a person asks. This is what a view imports to add its own.

Where to find a line: what a view must define, `frame.py`; the look itself, `look.py`, and its buttons,
`controls.py`; what is drawn of kept results, `drawing.py`; pins, downloads and the copied command, `foot.py`;
the endpoint for programmes, `endpoint.py`.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.pace import Pace
from workbench.page import markup
from workbench.page.bench import Bench
from workbench.page.controls import Controls
from workbench.page.drawing import Drawing
from workbench.page.endpoint import Endpoint
from workbench.page.foot import Foot
from workbench.page.frame import Done, Named, Progress, Updates, condition
from workbench.page.look import GOES_ON, Look

__all__ = ["GOES_ON", "Done", "Named", "Pace", "Panel", "Progress", "Updates", "condition"]


class Panel(Look, Drawing, Foot, Endpoint):
    """One panel. A subclass's __init__ calls this one, adds its own parts, then ``foot`` and ``wire``."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.result = bench.results[self.study] = gr.State(None)
        bench.turns.join(self.study)
        self.settings = {}
        self.outputs = self.drawn_with = self.printed_with = ()
        self.leads = {}
        gr.HTML(markup.heading(self.question, self.explanation))
        with gr.Row(elem_classes="state-row"):
            self.status = gr.HTML(markup.status(self.invitation), elem_id=f"{self.study}-status")
            self.controls = Controls(self.study, bench, self.asks_model)

    def wire(self) -> Any:
        """Connect all parts; returns the event that draws the curves or pictures of a new result."""
        self._wire_look()
        drawn = self._wire_drawing()
        self._wire_foot()
        self._serve()
        return drawn
