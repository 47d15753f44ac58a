"""The panel "States" on the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.models.protocol import Decision, Thought, VisualState
from workbench.page import expected, lenient, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Done, Named, Pace, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.specimen import outside
from workbench.panels.states import figure
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.events import Laid, words
from workbench.panels.states.record import Record
from workbench.panels.states.study import NEEDS, STUDY, stream
from workbench.panels.states.view_look import (
    COMPARE_BOX,
    PAIRS,
    Seen,
    finished,
    has_estimates,
    numbers,
    pair_of,
    pictures,
    pinned_row,
    tokens,
    told,
)
from workbench.panels.states.view_settings import sampling

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
The model is given the *degraded* image and the question. It first writes a **thought**, then decides whether
to **draw** what the image would look like undamaged; p(draw) is the probability it gives to drawing, also
where *Draw* is set so that it has no choice. Drawing walks from noise (t = 1) to an image (t = 0) by
rectified flow, and each step here shows what the latent decodes to at that moment. The finished drawing goes
back into the context, and the answer is given after it. A model may draw more than once; it never sees the
steps in between, which are decoded for you.

The **x₀ estimate** of a step is the image that its velocity points to, were it to go on
straight. **Tokens** are all that the response says, tags included; the fuller the colour, the likelier the
token was, and the answer's words are underlined.

**PSNR** compares with the original, in decibels; higher is better ↑. Original and picture are compared at the
size that the model takes, which stands under the pictures.

**p** beside an answer is the joint probability of its words. The rows *without drawing, from vision tokens
alone* are what the same model says to the question and the image's vision tokens with nothing else before
them. Where the model drew, *same context, no drawing* has what the last answer has (system prompt, the
image's latent, its vision tokens, a thought) except a drawing: compare the last answer with that one. One
picture shows one case. Whether drawing helps is a question to many; where the damage is slight it can hurt.
"""
CHOSEN = "states-pair"
"""What the session remembers the chosen pair by."""
AT_MOST_EVERY = 0.05
"""Seconds between two views of a thought that grows; all other events are shown."""
# Scrubbing happens in the browser: every step is on the page already.
SCRUB = """(step, pointed) => {
  const figures = [...document.querySelectorAll("#states-pictures figure[data-step]")];
  const here = figures.filter((figure) => Number(figure.dataset.step) === step);
  const wanted = (pointed && here.find((figure) => figure.dataset.kind === "estimate")) || here[0];
  figures.forEach((figure) => { figure.hidden = figure !== wanted; });
}"""


class StatesView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    documents = True
    question = "What does the model draw on its way to the answer?"
    explanation = (
        "The thought, each denoising step, the restored image and the answer, as they happen, "
        "beside what the model answers without drawing."
    )
    invitation = "Press Look: the model thinks, draws what it believes is there, and answers."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.outside = gr.HTML("", elem_id="states-outside")
        self.pictures = gr.HTML(pictures(Seen()), elem_id="states-pictures")
        self.step = lenient.Slider(
            0,
            12,
            value=12,
            step=1,
            label="Denoising step shown",
            visible=False,
            buttons=[],
            elem_id="states-step",
        )
        self.pointed = gr.Checkbox(
            False,
            label="Show the image that each step points to (x\N{SUBSCRIPT ZERO} estimate)",
            container=False,
            visible=False,
            elem_id="states-pointed",
        )
        self.trace = gr.HTML("", elem_id="states-trace")
        self.tokens = gr.HTML("", elem_id="states-tokens")
        self.expected = gr.HTML("", elem_id="states-expected")
        with gr.Row(visible=False, elem_id="states-compare") as self.comparison:
            self.slider = gr.ImageSlider(
                format="png",
                show_label=False,
                height=COMPARE_BOX,
                buttons=["fullscreen"],
                interactive=False,
                elem_classes="compare-slider",
            )
            self.pair = gr.Radio(list(PAIRS), value=next(iter(PAIRS)), label="Compare", elem_id="states-pair")
        self.pinned_rows = gr.HTML("", elem_id="states-pinned")
        self.settings = sampling()
        with gr.Accordion("Figure", open=False), gr.Row():
            at = gr.Textbox(
                "",
                label="Steps on paper",
                info="by number, as in 1 4 9; the noise is 0; empty: four spread evenly",
                max_lines=1,
                min_width=240,
                elem_id="states-at",
            )
            estimates = gr.Checkbox(
                False,
                label="A row of x\N{SUBSCRIPT ZERO} estimates",
                min_width=200,
                elem_id="states-estimates",
            )
        self.foot(READING)
        self.printed_with = [at, estimates]
        self.outputs = [
            self.outside,
            self.pictures,
            self.step,
            self.pointed,
            self.trace,
            self.tokens,
            self.expected,
            self.comparison,
            self.slider,
            self.pinned_rows,
        ]
        self.wire()
        for changed in (self.step.change, self.pointed.change):
            changed(None, [self.step, self.pointed], None, js=SCRUB, api_visibility="private")
        self.pair.change(self._with_session(self.compare), [self.pair, self.result], [self.slider], **QUIET)

    def config(self, on: OnBench, settings: Mapping[str, Any]) -> StatesConfig:
        """The config of a look at the bench with these settings."""
        given = dict(settings)
        interval = (given.pop("guide_above"), given.pop("guide_up_to"))
        for whole in ("steps", "max_new_tokens"):
            given[whole] = int(given[whole] or 0)
        return StatesConfig(
            image=on.specimen.source,
            question=on.question,
            corruption=on.corruption,
            intensity=on.intensity,
            seed=on.seed,
            interval=interval,
            **given,
        )

    def images(self, on: OnBench, config: StatesConfig) -> Mapping[str, str]:
        """The one picture that goes in."""
        return {"original": on.specimen.picture.sha256}

    def measured(
        self,
        on: OnBench,
        config: StatesConfig,
        model: Model,
        say: Callable[[Any], None],
        stop: Callable[[], bool],
    ) -> Result:
        """Run the study, passing its events on."""
        picture = on.specimen.picture
        record, seen, due = Record(config, model, picture), Seen(), 0.0
        for event in stream(config, model, picture, stop):
            record.add(event)
            seen = seen.after(event, record)
            growing = isinstance(event, Thought) and not event.done
            if not growing or time.monotonic() >= due:
                say(seen)
                due = time.monotonic() + AT_MOST_EVERY
        return record.result()

    def progressing(self) -> Callable[[Seen], Updates]:
        """Each event on the screen as it happens."""
        pace = Pace()

        def show(seen: Seen) -> Updates:
            nonlocal pace
            event, done = seen.event, None
            if isinstance(event, VisualState):
                done = event.step / event.steps
                pace = Pace() if event.step == 0 else pace
            doing = words(event, seen.drawings) if event is not None else ""
            updates: Updates = {
                self.status: markup.status(
                    doing[:1].upper() + doing[1:], done, pace.left(done) if done else None
                ),
                self.trace: told(seen.trace, seen.answers, seen.restore, seen.said),
            }
            if isinstance(event, Laid):
                updates |= self._bare()
            if isinstance(event, Laid | VisualState) or isinstance(event, Decision) and seen.undrawn:
                updates[self.pictures] = pictures(seen)
            return updates

        return show

    def shown(self, result: Result | None) -> Updates:
        """A finished look on the screen; without one the empty panel."""
        if result is None:
            return {
                self.pictures: pictures(Seen()),
                self.trace: "",
                **self._bare(),
            }
        trace, answers = (result.tables[name].to_dict("records") for name in ("trace", "answers"))
        last = sum(row["event"] == "step" for row in trace) - 1
        return {
            self.pictures: finished(result),
            self.trace: told(trace, answers, result.config["restore"]),
            self.tokens: tokens(result),
            self.step: gr.Slider(maximum=max(last, 1), value=last, visible=last > 0),
            self.pointed: gr.Checkbox(False, visible=has_estimates(result)),
            self.comparison: gr.Row(visible="restored" in result.images),
            self.numbers: numbers(result),
        }

    def _bare(self) -> Updates:
        """What only a finished look has, away."""
        return {
            self.step: gr.Slider(visible=False),
            self.pointed: gr.Checkbox(visible=False),
            self.comparison: gr.Row(visible=False),
            self.tokens: "",
        }

    def standing(self, session: Session, result: Result) -> Updates:
        """The pair that was last chosen."""
        return {self.slider: pair_of(result, session.chosen.get(CHOSEN, next(iter(PAIRS))))}

    def remarks(self, done: Done | None) -> Updates:
        """What drawing does on average; where the picture is none that the model was trained on, that."""
        if done is None:
            return {self.outside: "", self.expected: ""}
        card, specimen = done.card, done.on.specimen
        average = expected.gain(card, done.result.config) if specimen.is_scene else ""
        return {
            self.outside: markup.notice(outside(specimen.source, card), plain=True),
            self.expected: markup.remark(average),
        }

    def prove(self, result: Result) -> None:
        """Also as a pinned look, with every pair that can be compared."""
        super().prove(result)
        self.overlaid([], [("", result)])
        self.document(result)
        for pair in PAIRS:
            pair_of(result, pair)

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The pinned looks, a row each."""
        return {self.pinned_rows: "".join(pinned_row(name, other) for name, other in pinned)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """A filmstrip for each result, of the chosen steps."""
        at, estimates = printed_with or ("", False)
        chosen = figure.Chosen(at=figure.numbered(at), estimates=bool(estimates))
        return figure.paper([result for _, result in named], chosen)

    def document(self, result: Result) -> str:
        """The whole response."""
        from workbench.panels.states.document import document

        return document(result)

    def table(self, result: Result) -> DataFrame:
        """The trace."""
        return result.tables["trace"]

    def name(self, result: Result) -> str:
        """What was done to the image, and the model."""
        return f"{condition(result)}, {result.manifest['model']['id']}"

    def compare(self, session: Session, chosen: str, key: str | None) -> Any:
        """Another pair under the comparison slider; it stays chosen for the looks that follow."""
        session.chosen[CHOSEN] = chosen
        result = self.kept(session, key)
        return pair_of(result, chosen) if result is not None else gr.skip()
