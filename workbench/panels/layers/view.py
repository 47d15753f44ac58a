"""The panel "Layers" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.datasets import SCENES
from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Progress, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.layers.beneath import beneath
from workbench.panels.layers.between import KEPT
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.explained import READING
from workbench.panels.layers.measures import BETWEEN, GROUPS
from workbench.panels.layers.saved import measure_saved
from workbench.panels.layers.skipped import said
from workbench.panels.layers.study import NEEDS, STUDY, run
from workbench.panels.layers.view_settings import FEWER, WHOLE, measurement
from workbench.panels.patches.study import STUDY as PATCHES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

INFO = (
    f"a collection is {sum(FEWER.values())} images unless Measurement says more; the time left is told as it "
    "goes"
)

PIN = (
    "pin this result and look at the same images again: in another condition, or with another model; what is "
    "pinned stands here against the present one, stage by stage"
)


class LayersView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does each layer still show of the image?"
    explanation = (
        "Hidden states at the visual tokens, from the vision blocks over the projector to the language "
        "layers, measured in one pass."
    )
    invitation = "Press Look: one pass through the model, and every stage is measured."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.subject = subject.Subject(STUDY, "Measure", INFO)
        measured = self.subject.place()
        self.group = lenient.Radio([], value=None, label="Show", visible=False, elem_id="layers-group")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="layers-plot")
        self.patches = gr.Button(
            "Click a patch: what is like it, at any stage",
            size="sm",
            visible=False,
            elem_id="layers-patches",
            elem_classes="leads",
        )
        self.leads = {PATCHES: self.patches}
        self.note = gr.HTML(_empty(), elem_id="layers-note")
        self.beneath = gr.HTML("", elem_id="layers-beneath")
        self.settings = {**measured, **measurement()}
        self.foot(READING)
        self.outputs = [self.group, self.plot, self.patches, self.note, self.beneath]
        self.drawn_with = [self.group, bench.dark]
        self.printed_with = [self.group]
        self.wire()
        # Only what a person does is a choice; a value that a result brought with it is none.
        self.group.input(self._with_session(self.choose), [self.group], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> LayersConfig:
        """The config of a look at the bench, or at the probe set in the bench's condition."""
        given = subject.chosen(on, dict(settings))
        given |= {name: int(given[name] or 0) for name in WHOLE}
        return LayersConfig(corruption=on.corruption, intensity=on.intensity, seed=on.seed, **given)

    def images(self, on: OnBench, config: LayersConfig) -> Mapping[str, str]:
        """The picture that goes in, and whether its objects are known; of a collection, its list."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: LayersConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        return run(config, model, picture=picture, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; the curves are drawn by ``overlaid``."""
        if result is None:
            return {
                self.group: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.patches: gr.Button(visible=False),
                self.note: _empty(),
                self.beneath: "",
            }
        groups = _offered(result)
        return {
            self.group: gr.Radio(choices=groups, value=groups[0], visible=True),
            self.patches: gr.Button(visible=bool(result.config["image"])),
            self.numbers: _numbers(result),
        }

    def from_saved(self, run: Result, progress: Progress, stop: Callable[[], bool]) -> list[Result]:
        """A result of this study as it is; a capture measured, one result for each of its images."""
        if run.study != CAPTURE:
            return super().from_saved(run, progress, stop)
        return measure_saved(run, progress=progress, stop=stop)

    def prove(self, result: Result) -> None:
        """Also its curves."""
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in

        super().prove(result)
        for group in groups_in(result):
            figure.screen(result, group)

    def choose(self, session: Session, group: str | None) -> None:
        """Remember the group that a person chose."""
        session.chosen[str(self.group.elem_id)] = group

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen group, where this result has it."""
        groups = _offered(result)
        chosen = session.chosen.get(str(self.group.elem_id))
        if chosen not in groups:
            return {}
        return {self.group: gr.Radio(choices=groups, value=chosen, visible=True)}

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The curves of the chosen group, pinned results over the present one."""
        group, dark = drawn_with
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import taking_part
        from workbench.panels.layers.edges import edges

        many = taking_part([*named, *pinned], group)
        if not many:
            alone = group == BETWEEN and bool(named)
            note = {self.note: markup.placeholder(PIN)} if alone else {}
            return {self.plot: gr.Plot(visible=False), self.beneath: "", **note}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        plot = figure.screen(many if len(many) > 1 else many[0][1], group, theme=theme)
        return {
            self.plot: gr.Plot(value=plot, visible=True),
            self.note: markup.remark(_note(group, many))
            + markup.notice(edges(many, group), plain=True)
            + "".join(markup.notice(text, plain=True) for _, one in named for text in said(one)),
            self.beneath: beneath(many if group == BETWEEN else named, group),
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen group's curves; for one picture more groups after it."""
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in, taking_part

        (group,) = printed_with
        result = named[0][1]
        held = groups_in([named[0]])
        chosen = group if group in (*held, BETWEEN) else held[0]
        if len(named) > 1 or chosen == BETWEEN:
            return figure.paper(taking_part(named, chosen) or named, [chosen])
        if not result.config["image"]:
            return figure.paper(result, [chosen])
        groups = [chosen, *(name for name in held if name != chosen)][: figure.MOST_PANELS]
        return figure.paper(result, groups)

    def table(self, result: Result) -> DataFrame:
        """The curves."""
        return result.tables["curves"]

    def _all(self, named: Sequence[Named], *printed_with: Any) -> DataFrame:
        """Between results, what is drawn of them together."""
        if printed_with[0] != BETWEEN:
            return super()._all(named, *printed_with)
        from workbench.panels.layers.paper import Curves

        return Curves(named, BETWEEN).numbers()

    def name(self, result: Result) -> str:
        """The condition, what was measured, and the model."""
        data = result.config.get("data", SCENES)
        of = (
            result.tables["data"].set_index("what")["value"]["collection"]
            if "data" in result.tables
            else data
        )
        subject = "" if result.config["image"] else f", {of}"
        return f"{condition(result)}{subject}, {result.manifest['model']['id']}"


def _empty() -> str:
    return markup.placeholder("the curves stand here, one axis from the first vision block to the last layer")


def _offered(result: Result) -> list[str]:
    """The groups that this result has, and those that it has beside another one."""
    from workbench.panels.layers.axis import groups_in

    held = {*groups_in([("", result)]), *([BETWEEN] if KEPT in result.tables else [])}
    return [name for name in GROUPS if name in held]


def _note(group: str, many: Sequence[Named]) -> str:
    """How to read a group, and what its curves are held against."""
    first = f"The first: {many[0][0]}. " if group == BETWEEN else ""
    return first + GROUPS[group].note


def _numbers(result: Result) -> Any:
    """The curves' table with three digits; empty where a measure has no such number."""
    table = result.tables["curves"].drop(columns=["band", "index"])
    digits = {name: 3 for name in table.select_dtypes("floating").columns}
    table = table.round(digits)
    return table.astype(object).where(table.notna(), "")
