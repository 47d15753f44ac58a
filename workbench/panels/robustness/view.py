"""The panel "Robustness" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.images.corruptions import CORRUPTIONS, LEVELS
from workbench.models.protocol import Capability
from workbench.page import lenient, markup, subject
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import GOES_ON, Named, Panel, Updates
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.robustness.chart import label
from workbench.panels.robustness.config import DIRECT, PATHWAYS, RobustnessConfig
from workbench.panels.robustness.shows import BARS, GAIN, HEAT, SEVERITY, SWEEP, TRIGGER
from workbench.panels.robustness.study import NEEDS, STUDY, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
Every question is asked about the **clean** image and about each corruption at each severity; the clean pass
is made once. An answer is the **likeliest candidate**, teacher-forced, or what the model says freely,
matched to the right one by the kind of question (a letter, yes or no, a number, words; after VLMEvalKit's
conventions).

**Direct** answers come from the image alone. A model that draws on its way to an answer can also take the
other pathways: **re-encode** reads its drawing again as vision tokens, **bridge** as latents, **both** as
both. **In context** is the same response without the drawing, the control: against it, and not against
direct, a pathway differs by the drawing alone. With *auto* a response draws where the model decides to,
with *always* in any case; how often it would is measured either way, as the probability of that decision.

Intervals are 95 % over images (all questions of an image are drawn again together); drops are paired with
the clean answers to the same questions. The calibration error is the mean distance of confidence and
accuracy in bins of one width (Guo et al. 2017, 15 bins unless set otherwise). *Gain and answer* shows what
each drawing gained over the damaged image in PSNR, and whether the answer was right: a correlation over all
corruptions also holds that some of them are harder.

Corruptions and severities are MMD-Bench's; pixel sizes are relative to the image's long side over 512
unless native is chosen. A bench's picture, question and corruption are not used here; its model and seed
are. Work that was ended, even by a kill, goes on where it was when the same look is asked for again.
"""
NOTES = {
    BARS: "Share of right answers, clean and over all corruptions at each severity.",
    SEVERITY: "Share of right answers over severity; clean at 0.",
    HEAT: "Drop from clean in points, of the first pathway: lower is better.",
    TRIGGER: "Bars: share of responses that draw. Line: seconds of the model for each answer.",
    GAIN: "Each drawing of a damaged image, of the first pathway that draws; points are moved up and down a "
    "little to be seen.",
    SWEEP: "Pinned results that differ in their flow steps.",
}


class RobustnessView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS | {Capability.SCORES}
    on_stop = GOES_ON
    question = "What does damage cost, and does drawing give it back?"
    explanation = (
        "Questions about many images, asked clean and under each corruption at each severity, directly and "
        "with a drawing on the way."
    )
    invitation = "Press Look: the questions are asked, with the time left."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.subject = subject.Subject(STUDY, "Ask about", image=False)
        asked = self.subject.place()
        self.show = lenient.Radio([], value=None, label="Show", visible=False, elem_id="robustness-show")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="robustness-plot")
        self.note = gr.HTML(_empty(), elem_id="robustness-note")
        self.settings = {**asked, **_settings()}
        self.foot(READING)
        self.outputs = [self.show, self.plot, self.note]
        self.drawn_with = [self.show, bench.dark, bench.narrow]
        self.printed_with = [self.show]
        self.wire()
        self.show.input(self._with_session(self.choose), [self.show], None, **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> RobustnessConfig:
        """The config of a look with the bench's model and seed."""
        given = subject.chosen(on, dict(settings))
        del given["image"]
        for whole in ("n_images", "each", "batch", "steps", "resamples", "square"):
            given[whole] = int(given[whole] or 0)
        given["severities"] = [LEVELS[level] for level in given["severities"]]
        return RobustnessConfig(seed=on.seed, **given)

    def images(self, on: OnBench, config: RobustnessConfig) -> Mapping[str, str]:
        """The collection's list."""
        return subject.pictured(on, "", config.data)

    def measured(
        self,
        on: OnBench,
        config: RobustnessConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        return run(config, model, progress=lambda done, text: say((done, text)), stop=stop)

    def shown(self, result: Result | None) -> Updates:
        """What can be shown of a result; the figure is drawn by ``overlaid``."""
        if result is None:
            return {
                self.show: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.note: _empty(),
            }
        names = _names([("", result)])
        return {
            self.show: gr.Radio(choices=names, value=names[0], visible=True),
            self.numbers: _numbers(result),
        }

    def prove(self, result: Result) -> None:
        """Also its figures."""
        from workbench.panels.robustness.screen import screen

        super().prove(result)
        for name in _names([("", result)]):
            screen([("", result)], name)

    def choose(self, session: Session, show: str | None) -> None:
        """Remember the figure that a person chose."""
        session.chosen[str(self.show.elem_id)] = show

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen figure, where this result has it."""
        names, chosen = _names([("", result)]), session.chosen.get(str(self.show.elem_id))
        return {self.show: gr.Radio(choices=names, value=chosen, visible=True)} if chosen in names else {}

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The chosen figure, pinned results beside the present one."""
        from workbench.panels.robustness.screen import screen

        show, dark, narrow = drawn_with
        many = [*named, *pinned]
        held = _names(many) if many else []
        if not held:
            return {self.plot: gr.Plot(visible=False)}
        name = show if show in held else held[0]
        drawn = screen(many, name, theme="dark" if dark else "light", narrow=bool(narrow))
        updates: Updates = {
            self.plot: gr.Plot(value=drawn, visible=True),
            self.note: markup.remark(f"{NOTES[name]} {_rests_on(many[0][1])}"),
        }
        if len(many) > 1 and show in (*held, None):
            updates[self.show] = gr.Radio(choices=held, value=name, visible=True)
        return updates

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen figure."""
        from workbench.panels.robustness import figure

        (show,) = printed_with
        held = _names(named)
        return figure.paper(list(named), show if show in held else held[0])

    def table(self, result: Result) -> DataFrame:
        """The accuracies with all that belongs to them."""
        return result.tables["accuracy"]

    def name(self, result: Result) -> str:
        """The collection, the pathways and the model."""
        ways = " + ".join(result.config["pathways"])
        title = result.tables["data"].set_index("what")["value"]["collection"]
        return f"{title}, {ways}, {result.manifest['model']['id']}"


def _names(many: Sequence[Named]) -> list[str]:
    from workbench.panels.robustness.figure import held

    return list(held(many))


def _rests_on(result: Result) -> str:
    about = result.tables["data"].drop_duplicates("what").set_index("what")["value"]
    skipped = "" if about["skipped"] == "0" else f" {about['skipped']} images were skipped."
    return f"{about['questions']} questions about {about['images']} images; intervals are 95 %.{skipped}"


def _settings() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = RobustnessConfig()
    first = [name for name in ("gaussian_noise", "dark_illumination", "lens_blur") if name in CORRUPTIONS]
    pathways = gr.CheckboxGroup(
        list(PATHWAYS),
        value=[DIRECT],
        label="Pathways",
        info="all but direct need a model that draws on its way to an answer",
        elem_id="robustness-pathways",
    )
    with gr.Row():
        corruptions = gr.Dropdown(
            [(label(name), name) for name in CORRUPTIONS],
            value=first,
            multiselect=True,
            label="Corruptions",
            min_width=320,
            elem_id="robustness-corruptions",
        )
        severities = gr.CheckboxGroup(list(LEVELS), value=list(LEVELS), label="Severities", min_width=200)
    with gr.Accordion("Measurement", open=False, elem_id="robustness-settings"):
        with gr.Row():
            images = subject.number(40, "Images", "each in every condition")
            each = subject.number(defaults.each, "Questions about each")
            batch = subject.number(defaults.batch, "Images in one pass")
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval")
        with gr.Row():
            answers = gr.Radio(
                ["scored", "generated"],
                value=defaults.answers,
                label="Answers",
                info="the likeliest candidate, or said freely and matched",
                min_width=200,
            )
            words = gr.Radio(
                ["contained", "exact"],
                value=defaults.words,
                label="Open answers",
                info="generated: how words are matched",
                min_width=200,
            )
            pixels = gr.Radio(
                ["relative", "native"],
                value=defaults.pixels,
                label="Pixel sizes",
                info="of corruptions",
                min_width=200,
            )
        with gr.Row():
            restore = gr.Radio(
                ["auto", "always"],
                value=defaults.restore,
                label="Draw",
                info="where the model decides, or always",
                min_width=200,
            )
            steps = subject.number(defaults.steps, "Flow steps", "of a drawing")
            square = subject.square()
    return {
        "pathways": pathways,
        "corruptions": corruptions,
        "severities": severities,
        "n_images": images,
        "each": each,
        "batch": batch,
        "resamples": resamples,
        "answers": answers,
        "words": words,
        "pixels": pixels,
        "restore": restore,
        "steps": steps,
        "square": square,
    }


def _empty() -> str:
    return markup.placeholder("the share of right answers stands here, clean and under each damage")


def _numbers(result: Result) -> Any:
    """The table with three digits; empty where there is no such number."""
    table = result.tables["accuracy"]
    table = table.round({name: 3 for name in table.select_dtypes("floating").columns})
    return table.astype(object).where(table.notna(), "")
