"""Two rows of tabs: what is asked about, and below it the panels that answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from workbench.page.bench import Bench
from workbench.page.frame import Updates
from workbench.page.panel import Panel
from workbench.page.wiring import QUIET

Group = tuple[str, Sequence[tuple[str, type[Panel]]]]
"""A name, and the panels of it with theirs."""
LOOKS = """async () => {{
  for (let tried = 0; tried < 100; tried++) {{
    const look = document.getElementById("{study}-look");
    if (look && !look.disabled) return look.click();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }}
}}"""
"""A look of a panel that is just coming to the front."""


class Tabs:
    """The tabs with their panels, ``panels`` by study. Built inside the Blocks context, after the bench."""

    def __init__(self, bench: Bench, groups: Sequence[Group]) -> None:
        self.turns = bench.turns
        self.panels: dict[str, Panel] = {}
        self.rows: dict[str, gr.Tabs] = {}
        self.last: dict[str, gr.Textbox] = {}
        """By group, its row of panels, and which of them was in front last."""
        self.group_of: dict[str, str] = {}
        with gr.Tabs(elem_id="panels") as self.top:
            tops = {name: self._group(bench, name, views) for name, views in groups}
        for name, top in tops.items():
            top.select(
                None, [self.last[name]], [self.turns.front], js="(last) => last", api_visibility="private"
            )
        buttons = [each[study] for study in self.panels for each in (bench.looks, bench.stops)]
        self.turns.wire(bench.inputs, [bench.pins.chosen, bench.dark, bench.narrow], buttons)
        for panel in self.panels.values():
            for study, button in panel.leads.items():
                led = button.click(partial(self.front, study), None, self.parts, **QUIET)
                led.then(None, None, None, js=LOOKS.format(study=study), api_visibility="private")

    def _group(self, bench: Bench, name: str, views: Sequence[tuple[str, type[Panel]]]) -> gr.Tab:
        tabs: dict[str, gr.Tab] = {}
        with gr.Tab(name, id=name) as top, gr.Tabs(elem_classes="panels-row") as self.rows[name]:
            for label, view in views:
                self.group_of[view.study] = name
                with gr.Tab(label, id=view.study) as tabs[view.study]:
                    self.panels[view.study] = view(bench)
        with self.turns.place:
            self.last[name] = gr.Textbox(
                next(iter(tabs)), label=f"panel in front of {name}", visible="hidden"
            )
        for study, tab in tabs.items():
            came = f"() => ['{study}', '{study}']"
            tab.select(None, None, [self.turns.front, self.last[name]], js=came, api_visibility="private")
        return top

    @property
    def parts(self) -> list[Any]:
        """What ``front`` returns updates of."""
        return [self.top, *self.rows.values(), self.turns.front, *self.last.values()]

    def front(self, study: str) -> Updates:
        """Updates that bring a panel to the front."""
        name = self.group_of[study]
        return {
            self.top: gr.Tabs(selected=name),
            self.rows[name]: gr.Tabs(selected=study),
            self.turns.front: study,
            self.last[name]: study,
        }
