"""The panel "Interventions" on the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr

from workbench.errors import Cancelled, Refusal
from workbench.models.limits import MOST_STEPS
from workbench.models.protocol import RENORMS, ROUTES, THOUGHTS
from workbench.page import lenient, markup, subject
from workbench.page.bench import LOOK, Bench, OnBench
from workbench.page.panel import Named, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.interventions import painting
from workbench.panels.interventions.config import OWN, PAINTED, STATES, InterventionsConfig
from workbench.panels.interventions.effects import MEASURES
from workbench.panels.interventions.explained import READING
from workbench.panels.interventions.rows import empty, pictures, pinned_row, told
from workbench.panels.interventions.states import LABELS
from workbench.panels.interventions.study import NEEDS, STUDY, run
from workbench.panels.layers.skipped import skipped
from workbench.panels.question import tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

FEWER = 40
"""Images of a collection on the page at first; the command line takes more."""
WHOLE = ("steps", "n", "each", "square", "resamples", "max_new_tokens")


class InterventionsView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "Does the answer rest on what the model drew?"
    explanation = (
        "Something else is put in place of the drawing, and the model answers again from the same context: "
        "what changes rests on the drawing, what stays does not."
    )
    invitation = (
        "Press Look: the model draws and answers, then answers with each image in the drawing's place."
    )

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        info = (
            f"a collection is {FEWER} images unless Measurement says more; the time left "
            "is told after the first of them"
        )
        self.subject = subject.Subject(STUDY, "Ask about", info)
        asked = self.subject.place()
        self.verdict = gr.HTML("", elem_id="intervene-verdict")
        self.rows = gr.HTML(empty(), elem_id="intervene-rows")
        self.measure = lenient.Radio([], value=None, label="Show", visible=False, elem_id="intervene-measure")
        self.plot = gr.Plot(show_label=False, visible=False, elem_id="intervene-plot")
        self.editing = painting.Painting(STUDY)
        self.pinned_rows = gr.HTML("", elem_id="intervene-pinned")
        self.settings = {
            **asked,
            **_settings(),
            "painted": self.editing.chosen,
        }
        self.foot(READING)
        self.outputs = [
            self.verdict,
            self.rows,
            self.measure,
            self.plot,
            self.editing.fold,
            self.editing.editor,
            self.pinned_rows,
        ]
        self.drawn_with = [self.measure, bench.dark]
        self.printed_with = [self.measure]
        self.wire()
        self.measure.input(self._with_session(self.choose), [self.measure], None, **QUIET)
        painted = self.editing.use.click(
            self._with_session(self.paint),
            [self.editing.editor, *self._everything()],
            [self.editing.chosen, self.status],
            **QUIET,
        )
        painted.then(None, None, None, js=LOOK, api_visibility="private")
        self.editing.forget.click(lambda: "", None, [self.editing.chosen], **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> InterventionsConfig:
        """The config of a look at the bench; a painting counts where it was made of this very drawing."""
        given = subject.chosen(on, dict(settings))
        painted = given.pop("painted", "") or ""
        given |= {name: int(given[name] or 0) for name in WHOLE}
        config = InterventionsConfig(
            question=on.question,
            truth=on.specimen.truth if given["image"] and _own(on) else "",
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            **given,
        )
        identity, _, base = painted.partition(" ")
        here = config.image and base == _base(config, on)
        if not here:
            return config
        # It stands beside the drawing: the last columns of a wide table are out of sight.
        return config.model_copy(update={"painted": identity, "states": (PAINTED, *config.states)})

    def images(self, on: OnBench, config: InterventionsConfig) -> Mapping[str, str]:
        """The picture that goes in, or a collection's list; the painting is named in the config."""
        return subject.pictured(on, config.image, config.data)

    def measured(
        self,
        on: OnBench,
        config: InterventionsConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its progress on."""
        picture = on.specimen.picture if config.image else None
        painted = painting.read(config.painted) if config.painted else None
        return run(
            config.model_copy(update={"painted": ""}),
            model,
            picture=picture,
            painted=painted,
            progress=lambda done, text: say((done, text)),
            stop=stop,
        )

    def shown(self, result: Result | None) -> Updates:
        """The parts that a result brings with it; effects are drawn by ``overlaid``."""
        from workbench.panels.interventions.chart import held

        if result is None:
            return {
                self.verdict: "",
                self.rows: empty(),
                self.measure: gr.Radio(visible=False),
                self.plot: gr.Plot(visible=False),
                self.editing.fold: gr.Accordion(visible=False),
            }
        measures = [(MEASURES[name], name) for name in held(result)]
        one = not measures
        said = "".join(markup.notice(text, plain=True) for text in (skipped(result),) if text)
        return {
            self.verdict: told(result) + said,
            self.rows: pictures(result) if one else "",
            self.measure: gr.Radio(
                choices=measures, value=measures[0][1] if measures else None, visible=not one
            ),
            self.numbers: _numbers(result),
            **self.editing.showing(result.images.get(PAINTED, result.images[OWN]) if one else None),
        }

    def choose(self, session: Session, measure: str | None) -> None:
        """Remember the measure that a person chose."""
        session.chosen[str(self.measure.elem_id)] = measure

    def standing(self, session: Session, result: Result) -> Updates:
        """The chosen measure, where this result has it."""
        from workbench.panels.interventions.chart import held

        chosen = session.chosen.get(str(self.measure.elem_id))
        if chosen not in held(result):
            return {}
        choices = [(MEASURES[name], name) for name in held(result)]
        return {self.measure: gr.Radio(choices=choices, value=chosen, visible=True)}

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The chosen effects, pinned collections beside the present one; pinned images as rows below."""
        from workbench.panels.interventions import figure
        from workbench.panels.interventions.chart import held

        measure, dark = drawn_with
        rows = "".join(pinned_row(name, other) for name, other in pinned if not held(other))
        many = [(name, one) for name, one in (*named, *pinned) if measure in held(one)]
        if not many or (named and not held(named[0][1])):
            return {self.plot: gr.Plot(visible=False), self.pinned_rows: rows}
        theme: Literal["light", "dark"] = "dark" if dark else "light"
        drawn = figure.screen(many, measure, theme=theme)
        return {self.plot: gr.Plot(value=drawn, visible=True), self.pinned_rows: rows}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """The chosen effects first, others after them; of one image its row of pictures."""
        from workbench.panels.interventions import figure
        from workbench.panels.interventions.chart import held

        (measure,) = printed_with
        alike = [pair for pair in named if bool(held(pair[1])) == bool(held(named[0][1]))]
        if not held(named[0][1]) or measure is None:
            return figure.paper(alike)
        return figure.paper(alike, list(dict.fromkeys((measure, *figure.DRAWN)))[: len(figure.DRAWN)])

    def table(self, result: Result) -> DataFrame:
        """The effects, or of one image its answers."""
        return result.tables["effects" if "effects" in result.tables else "answers"]

    def name(self, result: Result) -> str:
        """The condition, what was asked about, and the model."""
        data = ""
        if "data" in result.tables:
            about = result.tables["data"].set_index("what")["value"]
            data = f", {about['collection']}"
        return f"{condition(result)}{data}, {result.manifest['model']['id']}"

    def commanded(self, config: InterventionsConfig, *printed_with: Any) -> InterventionsConfig:
        """Without the painting, which lies in no file of the visitor's."""
        return config.model_copy(update={"painted": ""})

    def paint(self, session: Session, edited: Any, *values: Any) -> Updates:
        """Keep what was painted over the drawing, with what it was painted over."""
        *_, last = values
        result = self.kept(session, last)
        if result is None or OWN not in result.images:
            return {self.status: markup.notice("There is no drawing to paint over yet: look first.")}
        try:
            on, config = self._laid(session, values[:-1])
            path = painting.keep(session, painting.flattened(edited, result.images[OWN]))
        except Refusal as refusal:
            return {self.status: markup.notice(str(refusal))}
        except Cancelled:
            return {self.status: gr.skip()}
        plain = config.model_copy(update={"painted": ""})
        return {self.editing.chosen: f"{path} {_base(plain, on)}", self.status: gr.skip()}


def _own(on: OnBench) -> bool:
    """Whether the question is the one that the picture brings its answer for."""
    return tidy(on.question) == on.specimen.question


def _base(config: InterventionsConfig, on: OnBench) -> str:
    """What decides a drawing: a painting over it holds for no other one."""
    import hashlib

    about = config.model_dump(mode="json", exclude={"painted", "states", "routes", "thought", "truth"})
    words = json.dumps([about, on.specimen.picture.sha256, str(on.model)], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _settings() -> dict[str, Any]:
    """What can be set besides the bench, by its name in the config."""
    defaults = InterventionsConfig()
    with gr.Accordion("Measurement", open=False, elem_id="intervene-settings"):
        with gr.Row():
            states = gr.CheckboxGroup(
                [(LABELS[state], state) for state in STATES if state != PAINTED],
                value=[state for state in STATES if state != PAINTED],
                label="In place of the drawing",
            )
        with gr.Row():
            routes = gr.CheckboxGroup(
                list(ROUTES),
                value=list(defaults.routes),
                label="It comes back by",
                info="re-encode: through the vision tower; bridge: as its latent",
                min_width=280,
            )
            thought = gr.Radio(
                list(THOUGHTS),
                value=defaults.thought,
                label="The thought after it",
                info="anew: thought again about what stands there; kept: the one that followed the drawing",
                min_width=280,
            )
            restore = gr.Radio(
                ["auto", "always"],
                value=defaults.restore,
                label="Draw",
                info="auto: only where the model decides to",
                min_width=200,
            )
        with gr.Row():
            steps = _slider(1, MOST_STEPS, 1, defaults.steps, "Denoising steps")
            shift = _slider(0.5, 8, 0.1, defaults.shift, "Timestep shift")
            text_scale = _slider(0, 8, 0.1, defaults.text_scale, "Guidance on the text", "1: none")
            image_scale = _slider(0, 8, 0.1, defaults.image_scale, "Guidance on the image", "1: none")
        with gr.Row():
            renorm = gr.Dropdown(
                list(RENORMS), value=defaults.renorm, label="Renormalise guidance", min_width=180
            )
            tokens = subject.number(defaults.max_new_tokens, "Longest text", "tokens at a time")
            n = subject.number(FEWER, "Collection: images", least=2)
            each = subject.number(defaults.each, "questions about each")
            square = subject.square()
            resamples = subject.number(defaults.resamples, "Resamples", "behind an interval", least=100)
    return {
        "states": states,
        "routes": routes,
        "thought": thought,
        "restore": restore,
        "steps": steps,
        "shift": shift,
        "text_scale": text_scale,
        "image_scale": image_scale,
        "renorm": renorm,
        "max_new_tokens": tokens,
        "n": n,
        "each": each,
        "square": square,
        "resamples": resamples,
    }


def _slider(low: float, high: float, step: float, value: float, label: str, info: str = "") -> gr.Slider:
    return lenient.Slider(
        low, high, value=value, step=step, label=label, info=info or None, buttons=[], min_width=180
    )


def _numbers(result: Result) -> Any:
    """The table with three digits; empty where there is no such number."""
    name = "effects" if "effects" in result.tables else "answers"
    table = result.tables[name].drop(columns=["name", "question", "kind"], errors="ignore")
    table = table.round({column: 3 for column in table.select_dtypes("floating").columns})
    return table.astype(object).where(table.notna(), "")
