"""The panel "Layers" on the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.datasets import SCENES, kind_of, open_collection
from workbench.datasets.scenes import TARGETS
from workbench.errors import Refusal
from workbench.page import lenient, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Named, Panel, Progress, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.layers.beneath import beneath
from workbench.panels.layers.config import MEASURES, QUICK, LayersConfig
from workbench.panels.layers.measures import GROUPS
from workbench.panels.layers.saved import measure_saved
from workbench.panels.layers.skipped import skipped
from workbench.panels.layers.study import NEEDS, STUDY, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
One axis runs from the first **vision** block over the **projector** to the last **language** layer. *llm 0*
is what enters the language model; the dashed line across is its value, and what stands at the end of a curve
is the drop from there to the last layer. Shaded: 95 % interval. Grey: the same measure with labels or places
permuted.

For **the image on the bench** the curves tell how the patches relate to one another; one picture has no
interval. Where a picture's objects are known (drawn scenes), cohesion and coupling compare within and
across them. The panel *Patches* shows one patch's similarity to all others.

For **the bundled scenes**, or **your own data**, readers are fitted at every stage to images in the bench's
condition and scored on images they have not seen: what a linear reader cannot read is not there linearly.
Folders name classes (FOLDER/CLASS/IMAGE); masks stand beside images in COCO-Stuff's or ADE20K's layout. An
image that cannot be read is skipped, counted and named. Work that was ended, even by a kill, goes on where it
was when the same look is asked for again.

What goes in is the image **without a question**. Of the embedded model and other BAGEL folders the vision
tokens stand alone: no system prompt and no latent of the image before them, as both do when the model draws.
These are the states behind the answers *without drawing, from vision tokens alone* in the panel States. Other
models get the image in the words of their own chat template.

Each stage is measured on **its own patches**; what a point of a curve says counts them. A tower may cut finer
ones than the language model reads.

What the embedded model was told: its vision tower learned from the words of captions of windows that hold one
object, and from masked pixels; no map (class of a patch, instance, depth) was ever its target. Shape and
colour words stand in captions, so the curves over the whole image show how well words known to the tower
survive; the patch curves show what it was never told.
"""
IMAGE, PROBES, DATA = "image", "probes", "data"
SUBJECTS = [("the image on the bench", IMAGE), ("the bundled scenes", PROBES), ("your own data", DATA)]


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
        self.subject = gr.Radio(SUBJECTS, value=IMAGE, label="Measure", elem_id="layers-subject")
        self.data = gr.Textbox(
            "",
            label="Data",
            info="a folder of images, with classes or masks or without; a .parquet; a VLMEvalKit .tsv; the "
            "id of a data set of the Hugging Face hub",
            placeholder="/data/pets, OWNER/NAME …",
            visible=False,
            elem_id="layers-data",
        )
        self.group = lenient.Radio([], value=None, label="Show", visible=False, elem_id="layers-group")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="layers-plot")
        self.note = gr.HTML(_empty(), elem_id="layers-note")
        self.beneath = gr.HTML("", elem_id="layers-beneath")
        self.settings = {"measure": self.subject, "data": self.data, **_settings()}
        self.foot(READING)
        self.outputs = [self.group, self.plot, self.note, self.beneath]
        self.drawn_with = [self.group, bench.dark]
        self.printed_with = [self.group]
        self.wire()
        self.subject.change(
            lambda subject: gr.Textbox(visible=subject == DATA), [self.subject], [self.data], **QUIET
        )
        # Only what a person does is a choice; a value that a result brought with it is none.
        self.group.input(self._with_session(self.choose), [self.group], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> LayersConfig:
        """The config of a look at the bench, or at the probe set in the bench's condition."""
        given = dict(settings)
        subject = given.pop("measure")
        image = on.specimen.source if subject == IMAGE else ""
        given["data"] = _own(given["data"]) if subject == DATA else SCENES
        for whole in ("square", "permutations", "n_train", "n_validation", "n_test", "resamples"):
            given[whole] = int(given[whole] or 0)
        return LayersConfig(
            image=image, corruption=on.corruption, intensity=on.intensity, seed=on.seed, **given
        )

    def images(self, on: OnBench, config: LayersConfig) -> Mapping[str, str]:
        """The picture that goes in, and whether its objects are known; of a collection, its list."""
        if not config.image:
            # The hub's copy is asked for only where progress can be told.
            local = config.data != SCENES and kind_of(config.data) != "hub"
            return {"data": open_collection(config.data).fingerprint} if local else {}
        return on.pictured

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
        from workbench.panels.layers.axis import groups_in

        if result is None:
            return {
                self.group: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.note: _empty(),
                self.beneath: "",
            }
        groups = groups_in([("", result)])
        return {
            self.group: gr.Radio(choices=groups, value=groups[0], visible=True),
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
        from workbench.panels.layers.axis import groups_in

        groups = groups_in([("", result)])
        chosen = session.chosen.get(str(self.group.elem_id))
        if chosen not in groups:
            return {}
        return {self.group: gr.Radio(choices=groups, value=chosen, visible=True)}

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The curves of the chosen group, pinned results over the present one."""
        group, dark = drawn_with
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in

        many = [pair for pair in (*named, *pinned) if group in groups_in([pair])]
        if not many:
            return {self.plot: gr.Plot(visible=False), self.beneath: ""}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        plot = figure.screen(many if len(many) > 1 else many[0][1], group, theme=theme)
        return {
            self.plot: gr.Plot(value=plot, visible=True),
            self.note: markup.remark(GROUPS[group].note)
            + "".join(markup.notice(text, plain=True) for _, one in named if (text := skipped(one))),
            self.beneath: beneath(named[0][1], group) if named else "",
        }

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen group's curves; for one picture more groups after it."""
        from workbench.panels.layers import figure
        from workbench.panels.layers.axis import groups_in

        (group,) = printed_with
        result = named[0][1]
        held = groups_in([named[0]])
        chosen = group if group in held else held[0]
        if len(named) > 1:
            return figure.paper([pair for pair in named if chosen in groups_in([pair])], [chosen])
        if not result.config["image"]:
            return figure.paper(result, [chosen])
        groups = [chosen, *(name for name in held if name != chosen)][: figure.MOST_PANELS]
        return figure.paper(result, groups)

    def table(self, result: Result) -> DataFrame:
        """The curves."""
        return result.tables["curves"]

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


def _own(data: str) -> str:
    """The collection that a visitor names. Raises Refusal where none is named, or it may not be opened."""
    named = data.strip()
    if not named:
        raise Refusal(
            "Name your data: a folder, a .parquet, a VLMEvalKit .tsv, or a data set's id of the hub."
        )
    if "SPACE_ID" in os.environ and named != SCENES and kind_of(named) != "hub":
        raise Refusal("On this Space only data sets of the hub are opened: give an id, OWNER/NAME.")
    return named


def _settings() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = LayersConfig()
    with gr.Accordion("Measurement", open=False, elem_id="layers-settings"):
        with gr.Row():
            centre = gr.Checkbox(
                defaults.centre,
                label="Centre the states",
                info="subtract an image's mean token before cosines",
                min_width=200,
            )
            purity = gr.Slider(
                0.05,
                1,
                value=defaults.purity,
                step=0.05,
                label="Label purity",
                info="share of a patch that its label must cover",
                buttons=[],
                min_width=200,
            )
            permutations = _number(defaults.permutations, "Permutations", "behind the grey band")
        with gr.Row():
            measures = gr.CheckboxGroup(list(MEASURES), value=list(QUICK), label="Over a collection, measure")
        with gr.Row():
            targets = gr.Dropdown(
                list(TARGETS),
                value=[],
                multiselect=True,
                allow_custom_value=True,
                label="Read from the whole image",
                info="labels of the collection; its own choice if none is named",
                min_width=200,
            )
            square = gr.Number(
                0,
                label="Cut to squares",
                info="of so many pixels; 0: images as they are",
                precision=0,
                minimum=0,
                min_width=150,
            )
            restored = gr.Checkbox(
                False,
                label="Restored",
                info="show the model its own drawing of the image, where it restores images",
                min_width=200,
            )
        with gr.Row():
            train = _number(defaults.n_train, "Collection: images to fit on")
            validation = _number(defaults.n_validation, "to choose the penalty")
            test = _number(defaults.n_test, "to score on")
            resamples = _number(defaults.resamples, "Resamples", "behind an interval")
    return {
        "centre": centre,
        "purity": purity,
        "permutations": permutations,
        "measures": measures,
        "targets": targets,
        "square": square,
        "restored": restored,
        "n_train": train,
        "n_validation": validation,
        "n_test": test,
        "resamples": resamples,
    }


def _number(value: int, label: str, info: str | None = None) -> gr.Number:
    return gr.Number(value, label=label, info=info, precision=0, minimum=1, min_width=150)


def _empty() -> str:
    return markup.placeholder("the curves stand here, one axis from the first vision block to the last layer")


def _numbers(result: Result) -> Any:
    """The curves' table with three digits; empty where a measure has no such number."""
    table = result.tables["curves"].drop(columns=["band", "index"])
    digits = {name: 3 for name in table.select_dtypes("floating").columns}
    table = table.round(digits)
    return table.astype(object).where(table.notna(), "")
