"""The panel "Sacrifice" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.errors import Refusal
from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Updates
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.layers.config import MEASURES
from workbench.panels.layers.skipped import skipped
from workbench.panels.sacrifice.config import SacrificeConfig
from workbench.panels.sacrifice.study import NEEDS, STUDY, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
Each **point** is one checkpoint at one stage: to the right its share of right answers (the likeliest of each
question's candidates, teacher-forced), upwards what a linear reader finds at that stage. Bars are 95 %
intervals from resampling images. Where later checkpoints lie lower and further to the right, the model
answers better while less of the image can be read: what PRe (arXiv 2603.20808) calls *visual sacrifice*.
Which task, readers and layer the paper takes is not known to us; these are ours.

**A series**: look at one checkpoint and pin it, open the next one, look, pin. **Arrows** lead from each
checkpoint to the next: in the order of the pins, the present look last. Saved runs of the command
`sacrifice`, or of a recipe's series, open as pins, in the order in which they are dropped.

A correlation has no interval and no p below five checkpoints. Checkpoints of one training follow one another
and are not independent: a strong correlation says that both moved together, not that one paid for the other.

What goes in are the images of the collection, undamaged. Of the bench only the model and the seed matter
here.
"""
THREE = "three"
"""In place of a stage: what enters the language model, its middle and its last layer."""


class SacrificeView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    series = True
    question = "Does the model answer better while less of the image can be read?"
    explanation = (
        "A checkpoint is a point: its share of right answers against what linear readers find in its layers. "
        "Pinned checkpoints make the series."
    )
    invitation = "Press Look: questions about a collection, then readers at every stage. It takes minutes."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.subject = subject.Subject(STUDY, "Ask about", image=False)
        asked = self.subject.place()
        with gr.Row():
            self.reader = lenient.Radio(
                [], value=None, label="Upwards", visible=False, elem_id="sacrifice-reader"
            )
            self.stage = lenient.Dropdown(
                [], value=None, label="At", visible=False, filterable=False, elem_id="sacrifice-stage"
            )
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="sacrifice-plot")
        self.note = gr.HTML(_empty(), elem_id="sacrifice-note")
        self.settings = {**asked, **_settings()}
        self.foot(READING)
        self.outputs = [self.reader, self.stage, self.plot, self.note]
        self.drawn_with = [self.reader, self.stage, bench.dark]
        self.printed_with = [self.reader, self.stage]
        self.wire()
        # Only what a person does is a choice; a value that a result brought with it is none.
        for choice in (self.reader, self.stage):
            self.choosing(choice)

    def choosing(self, choice: Any) -> None:
        """Remember what a person chooses."""

        def choose(session: Session, value: str | None) -> None:
            session.chosen[str(choice.elem_id)] = value

        choice.input(self._with_session(choose), [choice], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> SacrificeConfig:
        """The config of a look at the open model."""
        given = subject.chosen(on, dict(settings))
        del given["image"]
        for whole in ("square", "n_train", "n_validation", "n_test", "n_asked", "each", "resamples"):
            given[whole] = int(given[whole] or 0)
        return SacrificeConfig(seed=on.seed, **given)

    def images(self, on: OnBench, config: SacrificeConfig) -> Mapping[str, str]:
        """The collection's list."""
        return subject.pictured(on, "", config.data)

    def measured(
        self,
        on: OnBench,
        config: SacrificeConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        return run(config, model, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """What can be chosen of a result; the points are drawn by ``overlaid``."""
        from workbench.panels.sacrifice.series import measures_in, stages_in

        if result is None:
            nothing = {part: type(part)(visible=False) for part in (self.reader, self.stage, self.plot)}
            return {**nothing, self.note: _empty()}
        readers, stages = measures_in([("", result)]), stages_in([("", result)])
        at = [("llm 0, middle, last", THREE), *((stage, stage) for stage in stages)]
        return {
            self.reader: gr.Radio(choices=readers, value=readers[0], visible=True),
            self.stage: gr.Dropdown(choices=at, value=THREE, visible=True),
            self.numbers: _rounded(self.table(result)),
        }

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen reader and stage, where this result has them."""
        from workbench.panels.sacrifice.series import measures_in, stages_in

        able = {self.reader: measures_in([("", result)]), self.stage: [THREE, *stages_in([("", result)])]}
        chosen = {part: session.chosen.get(str(part.elem_id)) for part in able}
        return {part: gr.update(value=chosen[part]) for part in able if chosen[part] in able[part]}

    def prove(self, result: Result) -> None:
        """Also its points."""
        from workbench.panels.sacrifice.screen import screen

        super().prove(result)
        screen([("", result)])
        _about([("", result)], "", [])

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The series: pinned checkpoints in their order, then the present one."""
        from workbench.panels.sacrifice.screen import screen

        reader, stage, dark = drawn_with
        able, left = _parted([*pinned, *named], reader, stage)
        if not able:
            return {self.plot: gr.Plot(visible=False)}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        try:
            plot = screen(able, reader or "", _stages(stage), theme=theme)
            about = _about(able, reader or "", _stages(stage))
        except Refusal as refusal:  # The checkpoints have no stages in common.
            return {self.plot: gr.Plot(visible=False), self.note: markup.notice(str(refusal), plain=True)}
        notices = [markup.notice(f"Not drawn, because it lacks that: {name}.", plain=True) for name in left]
        notices += [markup.notice(text, plain=True) for _, one in named if (text := skipped(one))]
        return {self.plot: gr.Plot(value=plot, visible=True), self.note: about + "".join(notices)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The scatter as the screen shows it, with the coefficients beside it."""
        from workbench.panels.sacrifice import figure

        reader, stage = printed_with
        able, _ = _parted([*named[1:], *named[:1]], reader, stage)
        return figure.paper(able, reader or "", _stages(stage))

    def table(self, result: Result) -> DataFrame:
        """Answers and readers at each language stage."""
        return self.behind(result, None, None)

    def behind(self, result: Result, *printed_with: Any) -> DataFrame:
        """The same for the chosen reader."""
        from workbench.panels.sacrifice.series import points

        return points([("", result)], printed_with[0] or "").drop(columns=["checkpoint", "place"])

    def name(self, result: Result) -> str:
        """The checkpoint."""
        return str(result.manifest["model"]["id"])


def _stages(stage: str | None) -> tuple[str, ...]:
    return () if stage in (None, THREE) else (str(stage),)


def _parted(many: Sequence[Named], reader: str | None, stage: str | None) -> tuple[list[Named], list[str]]:
    """The results that hold the reader at the stage, and the names of those that do not."""
    from workbench.panels.sacrifice.series import measures_in, stages_in

    def able(one: Named) -> bool:
        has = reader is None or reader in measures_in([one])
        return has and (stage in (None, THREE) or stage in stages_in([one]))

    return [one for one in many if able(one)], [one[0] for one in many if not able(one)]


def _about(many: Sequence[Named], reader: str, stages: Sequence[str]) -> str:
    """The coefficients of the stages that are drawn, and what one point or few do not tell."""
    from workbench.panels.sacrifice.figure import about, said
    from workbench.panels.sacrifice.series import correlations, points, shown_stages

    drawn = points(many, reader)
    rows = []
    for stage, (r, rho) in correlations(drawn, shown_stages(drawn, stages)).items():
        _, *words = about(stage, r, rho)
        if words:
            rows.append((stage, words[0], "; ".join(words[1:])))
    few = " ".join(said(len(many))) + "."
    more = " Pin this checkpoint, open the next one and look again." if len(many) == 1 else ""
    return markup.table(rows) * bool(rows) + markup.remark(few + more)


def _settings() -> dict[str, Any]:
    """What can be set, by its name in the config."""
    defaults = SacrificeConfig()
    with gr.Accordion("Measurement", open=False, elem_id="sacrifice-settings"):
        with gr.Row():
            measures = gr.CheckboxGroup(list(MEASURES), value=list(defaults.measures), label="Read")
        with gr.Row():
            targets = gr.Dropdown(
                [],
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label="Read from the whole image",
                info="labels of the collection; its own choice if none is named",
                min_width=200,
            )
            square = subject.square()
        with gr.Row():
            train = subject.number(defaults.n_train, "Images to fit on")
            validation = subject.number(defaults.n_validation, "to choose the penalty")
            test = subject.number(defaults.n_test, "to score on")
        with gr.Row():
            asked = subject.number(defaults.n_asked, "Images asked about", "of those to score on")
            each = subject.number(defaults.each, "Questions about each", "drawn with the seed")
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval")
    return {
        "measures": measures,
        "targets": targets,
        "square": square,
        "n_train": train,
        "n_validation": validation,
        "n_test": test,
        "n_asked": asked,
        "each": each,
        "resamples": resamples,
    }


def _empty() -> str:
    return markup.placeholder("the checkpoints stand here: right answers to the right, readers upwards")


def _rounded(table: DataFrame) -> Any:
    """Three digits; empty where there is no number."""
    table = table.drop(columns=["index"]).round(dict.fromkeys(table.select_dtypes("floating").columns, 3))
    return table.astype(object).where(table.notna(), "")
