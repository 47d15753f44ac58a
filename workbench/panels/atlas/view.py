"""The panel "Atlas" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from probes.projection import available
from workbench.page import markup, subject
from workbench.page.aside import Aside
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Progress, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.atlas import ways
from workbench.panels.atlas.card import card
from workbench.panels.atlas.config import AtlasConfig, Way
from workbench.panels.atlas.explained import READING
from workbench.panels.atlas.facets import collection, left_out
from workbench.panels.atlas.saved import from_capture
from workbench.panels.atlas.study import NEEDS, STUDY, run
from workbench.panels.atlas.view_layout import Layouts
from workbench.panels.atlas.view_settings import BENCH, BOTH, WHOLE, conditions, layout, measurement
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.specimen import CLEAN

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

SCRIPT = Path(__file__).with_name("card.js")


class AtlasView(Layouts):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "Which patches does the model hold to be alike?"
    explanation = (
        "A sample of visual tokens on a plane, at several stages; each point is a patch of an image."
    )
    invitation = "Press Look: one pass through the model, and its tokens are laid out."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.aside = Aside()
        with gr.Row():
            self.subject = subject.Subject(STUDY, "Tokens of")
            self.conditions = conditions()
        taken = self.subject.place()
        with gr.Row():
            self.method, self.planes = layout(available())
            # What there is to colour by is known once there is a result.
            self.colour = gr.Dropdown(
                [], value=None, label="Colour", visible=False, min_width=110, elem_id="atlas-colour"
            )
        with gr.Row(visible=False, elem_classes="laying") as self.laying_row:
            self.laying = gr.HTML("", elem_id="atlas-laying")
            self.halt = gr.Button("Stop", size="sm", scale=0, min_width=72, elem_id="atlas-halt")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="atlas-plot")
        self.card = gr.HTML(
            "", visible=False, js_on_load=SCRIPT.read_text("utf-8"), elem_id="atlas-card", elem_classes="card"
        )
        self.note = gr.HTML(_empty(), elem_id="atlas-note")
        self.ready = gr.State("")
        settings, self.neighbours, self.min_dist = measurement()
        self.stages = settings["stages"]
        self.settings = {**taken, "conditions": self.conditions, **settings}
        self.foot(READING)
        self.outputs = [self.plot, self.card, self.note, self.colour, self.stages, self.method, self.planes]
        way: list[Any] = [self.method, self.planes, self.neighbours, self.min_dist]
        self.drawn_with = [*way, self.colour, bench.dark, bench.narrow, self.ready]
        self.printed_with = [*way, self.colour]
        self.wire()
        shown_pins = [bench.pins.all, bench.pins.shown]
        gr.on(
            [self.result.change, bench.pins.chosen.change, *(part.change for part in way)],
            self._with_session(self.lay),
            [self.result, *shown_pins, *way],
            [self.ready, self.laying, self.laying_row],
            trigger_mode="multiple",
            **QUIET,
        )
        self.halt.click(self._with_session(self.halted), None, [self.laying_row], queue=False, **QUIET)
        self.colour.input(self._with_session(self.choose), [self.colour], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> AtlasConfig:
        """The config of a look: principal components of what lies on the bench, or of the probe set."""
        given = subject.chosen(on, dict(settings))
        shown = given.pop("conditions")
        damaged = on.corruption != CLEAN and shown in (BENCH, BOTH)
        given |= {name: int(given[name] or 0) for name in WHOLE}
        return AtlasConfig(
            method="pca",
            corruption=on.corruption if damaged else CLEAN,
            intensity=on.intensity,
            with_clean=damaged and shown == BOTH,
            seed=on.seed,
            **given,
        )

    def images(self, on: OnBench, config: AtlasConfig) -> Mapping[str, str]:
        """What goes in besides the settings: the picture, or the list of a person's own data."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: AtlasConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; the points are drawn by ``overlaid``."""
        from workbench.panels.atlas.colours import choices

        if result is None:
            return {
                self.plot: gr.Plot(visible=False),
                self.card: gr.HTML(visible=False),
                self.note: _empty(),
                self.colour: gr.Dropdown(visible=False),
            }
        able = choices([result])
        updates: Updates = {
            self.numbers: _numbers(result),
            self.colour: _colours(able, able[0]),
            self.stages: gr.Dropdown(choices=result.tables["stages"]["stage"].tolist()),
        }
        if result.config["method"] != "pca":  # of a saved run: shown as it was laid out
            updates |= {self.method: result.config["method"], self.planes: result.config["planes"]}
        return updates

    def standing(self, session: Session, result: Result) -> Updates:
        """The colour that was chosen, where this result has it."""
        from workbench.panels.atlas.colours import choices

        able, chosen = choices([result]), session.chosen.get(STUDY)
        return {self.colour: _colours(able, chosen)} if chosen in able else {}

    def from_saved(self, run: Result, progress: Progress, stop: Callable[[], bool]) -> list[Result]:
        """A result of this study as it is; of a capture one result for each of its views."""
        if run.study != CAPTURE:
            return super().from_saved(run, progress, stop)
        return from_capture(run, progress=progress, stop=stop)

    def prove(self, result: Result) -> None:
        """Also its points, its card, and that it can be laid out anew."""
        from workbench.panels.atlas import figure

        super().prove(result)
        first = Way(method="pca")
        for one in (result, ways.laid(result, first, ways.projected(result, first))):
            figure.screen([("", one)])
            figure.caveat(one)
        card([result])

    def choose(self, session: Session, colour: str) -> None:
        """Remember a chosen colour."""
        session.chosen[STUDY] = colour

    # Drawing.

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The planes of the present result and, under them, of pinned ones: each laid out by itself."""
        from workbench.panels.atlas import figure
        from workbench.panels.atlas.colours import instead

        column, dark, narrow = drawn_with[4:7]
        many = [*named, *pinned]
        if not many:
            return {self.plot: gr.Plot(visible=False), self.card: gr.HTML(visible=False)}
        _, said = instead([result for _, result in many], column or "")
        plot = figure.screen(many, column or "", theme="dark" if dark else "light", narrow=bool(narrow))
        return {
            self.plot: gr.Plot(value=plot, visible=True),
            self.card: gr.HTML(card([result for _, result in many]), visible=True),
            self.note: markup.remark(f"{said} {figure.caveat(many[0][1])}".strip())
            + "".join(markup.notice(text, plain=True) for _, one in many if (text := left_out(one))),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The same planes."""
        from workbench.panels.atlas import figure

        return figure.paper(list(named), printed_with[4] or "")

    def table(self, result: Result) -> DataFrame:
        """The points."""
        return result.tables["points"]

    def name(self, result: Result) -> str:
        """The condition, what was measured, and the model."""
        of = "" if result.config["image"] else f", {collection(result)}"
        both = "clean and " if result.config["with_clean"] else ""
        return f"{both}{condition(result)}{of}, {result.manifest['model']['id']}"


def _colours(able: list[str], chosen: str) -> Any:
    from workbench.panels.atlas.colours import WORDS

    return gr.Dropdown(choices=[(WORDS[name], name) for name in able], value=chosen, visible=True)


def _empty() -> str:
    return markup.placeholder("the tokens stand here, a plane for each stage")


def _numbers(result: Result) -> Any:
    """What each plane holds, with the shares of its first axes."""
    axes = result.tables["axes"]
    table = result.tables["planes"].drop(columns=["planes", "features"]).round({"kept": 3})
    for axis in (1, 2, 3):
        shares = axes[axes["axis"] == axis].set_index("plane")["share"]
        table[f"PC {axis}"] = table["plane"].map(shares).round(3)
    return table.rename(columns={"kept": "variance kept"})
