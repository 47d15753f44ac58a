"""The foot of a panel: how to read it, the numbers, and what can be done with them: pin, download, copy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.page import markup, pins
from workbench.page.downloads import FORMATS, Downloads
from workbench.page.frame import Frame, Named, Updates
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.command import as_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

COPY = "(text) => { navigator.clipboard?.writeText(text); }"


class Foot(Frame):
    """The parts of the foot, and their handlers."""

    def foot(self, reading: str) -> None:
        """Build the foot; ``reading`` says in Markdown how to read the panel."""
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(reading, elem_classes="reading")
        with gr.Accordion("Numbers", open=False):
            self.numbers = gr.Dataframe(
                interactive=False,
                wrap=False,
                show_label=False,
                max_height=360,
                buttons=["copy"],
                elem_id=f"{self.study}-numbers",
            )
        with gr.Row(elem_classes="actions"):
            self.pin_name = gr.Textbox(
                placeholder="name of the pin",
                label="Name of the pin",
                show_label=False,
                container=False,
                max_lines=1,
                scale=3,
                min_width=150,
                elem_id=f"{self.study}-pin-name",
            )
            self.pin = gr.Button(
                "Pin", size="sm", scale=0, min_width=64, interactive=False, elem_id=f"{self.study}-pin"
            )
            gr.HTML('<p class="aft quiet">Download</p>')
            self.downloads = Downloads(self.study, document=self.documents)
            self.copy = gr.Button(
                "Copy as command", size="sm", scale=0, min_width=150, elem_id=f"{self.study}-copy"
            )
        self.command = gr.Code(
            "",
            language="shell",
            interactive=False,
            lines=1,
            wrap_lines=True,
            show_line_numbers=False,
            show_label=False,
            visible=False,
            elem_id=f"{self.study}-command",
        )

    def _wire_foot(self) -> None:
        """Connect the foot's buttons."""
        shown_pins = [self.bench.pins.all, self.bench.pins.shown]
        self.pin.click(
            self.pinned,
            [self.result, self.pin_name, *shown_pins],
            [*self.bench.pins.parts, self.status],
            **QUIET,
        )
        self.downloads.wire(
            lambda form: self._with_session(partial(self.download, form)),
            [self.result, *shown_pins, *self.printed_with],
            self.status,
        )
        copied = self.copy.click(
            self._with_session(self.as_command),
            [*self.bench.inputs, *self.settings.values(), *self.printed_with],
            [self.command],
            **QUIET,
        )
        copied.then(None, [self.command], None, js=COPY, api_visibility="private")

    def pinned(self, key: str | None, name: str, all_pins: list[Any], shown: list[str]) -> Updates:
        """Pin the result under its name."""
        try:
            updates = self.bench.pins.add(self.study, key, name, all_pins, shown)
        except Refusal as refusal:
            return {self.status: markup.notice(str(refusal))}
        return {**updates, self.status: markup.status("Pinned: it stays beside what you look at next.")}

    def download(
        self,
        form: str,
        session: Session,
        key: str | None,
        all_pins: list[Any],
        shown: list[str],
        *printed_with: Any,
    ) -> Updates:
        """The file that a download button hands over, shown pinned results included; or why there is none."""
        result = self.kept(session, key)
        if result is None or key is None:
            return {self.status: markup.notice("There is nothing to download any more: look again.")}
        named = [(self.name(result), result), *self._pinned(session, key, all_pins, shown)]
        named = [(name, self.completed(session, one, *printed_with)) for name, one in named]
        ids = [key, *pins.ids(self.study, all_pins, shown, but=key), *map(str, printed_with)]
        ids += [str(one.config) for _, one in named]  # which may have been completed since
        lacking: list[str] = []

        def drawn() -> Figure:
            from workbench.runs.export import missing_glyphs

            figure = self.paper(named, *printed_with)
            lacking.append(missing_glyphs(figure))
            return figure

        try:
            with session.writing():
                path = self.downloads.written(
                    form,
                    session.sub("exports"),
                    ids,
                    drawn,
                    lambda: self._all(named, *printed_with),
                    named[0][1],
                    lambda: self.document(named[0][1]),
                )
        except Cancelled:
            return {self.status: gr.skip()}
        except Refusal as refusal:
            return {self.status: markup.notice(str(refusal))}
        except Exception as error:
            return {self.status: markup.notice(self._fault(error, f"the {FORMATS[form]} of"))}
        said = {self.status: markup.notice(lacking[0], plain=True)} if any(lacking) else {}
        return {self.downloads.buttons[form]: str(path), **said}

    def as_command(self, session: Session, *values: Any) -> Any:
        """The command that does the same look."""
        count = len(self.bench.inputs) + len(self.settings)
        try:
            on, config = self._laid(session, values[:count])
            config = self.commanded(config, *values[count:])
        except Refusal as refusal:
            return gr.Code(f"# {refusal}", visible=True)
        except Cancelled:
            return gr.skip()
        model = on.model.name if self.asks_model else ""
        command = as_command(self.study, config, model=model, opening=on.model.opening if model else None)
        return gr.Code(command, visible=True)

    def _all(self, named: Sequence[Named], *printed_with: Any) -> DataFrame:
        """The numbers of all these results; of several, a column says whose they are."""
        import pandas as pd

        if len(named) == 1:
            return self.behind(named[0][1], *printed_with)
        tables = [self.behind(result, *printed_with).assign(look=name) for name, result in named]
        return pd.concat(tables, ignore_index=True)
