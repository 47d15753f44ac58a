"""The panel "States" on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from workbench.models.protocol import RENORMS, RESTORES, ROUTES, Answer, Decision, Thought, VisualState
from workbench.page import cards, expected, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Done, Named, Pace, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.states import figure
from workbench.panels.states.study import (
    NEEDS,
    SAME,
    STUDY,
    Direct,
    Laid,
    Record,
    StatesConfig,
    StudyEvent,
    psnr,
    spoken,
    stream,
    words,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from workbench.models.protocol import Model
    from workbench.runs.result import Result

READING = """
The model is given the *degraded* image and the question. It first writes a **thought**, then decides whether
to **draw** what the image would look like undamaged; p(draw) is the probability it gives to drawing. Drawing
walks from noise (t = 1) to an image (t = 0) by rectified flow, and each step here shows what the latent
decodes to at that moment. The finished drawing goes back into the context, and the answer is given after it.
A model may draw more than once; it never sees the steps in between, which are decoded for you.

**PSNR** compares with the original, in decibels; higher is better ↑. **p** beside an answer is the joint
probability of its words. The rows *without drawing, from vision tokens alone* are what the same model says to
the question and the image's vision tokens with nothing else before it. Where the model drew, *same context,
no drawing* has what the last answer has (system prompt, the image's latent, its vision tokens, a thought)
except a drawing: compare the last answer with that one. One picture shows one case. Whether drawing helps is
a question to many; where the damage is slight it can hurt.
"""
PAIRS = {
    "degraded, restored": ("degraded", "restored"),
    "original, restored": ("original", "restored"),
    "original, degraded": ("original", "degraded"),
}
FIRST_PAIR = "degraded, restored"
COMPARE_BOX = 384
ALONE = ("original", "degraded")
"""Images that the model also answers on from their vision tokens alone."""
DIFFERS = "differs from the answer without drawing"
ROW = "the image on its way through the model"
# Scrubbing happens in the browser: every step is on the page already.
SCRUB = """(step) => {
  document.querySelectorAll("#states-pictures figure[data-step]").forEach((figure) => {
    figure.hidden = Number(figure.dataset.step) !== step;
  });
}"""


@dataclass
class Seen:
    """What has happened so far in one look, for the screen."""

    laid: Laid | None = None
    direct: dict[str, Answer] = field(default_factory=dict)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    step: VisualState | None = None

    def add(self, event: StudyEvent) -> None:
        """Take in an event."""
        match event:
            case Laid():
                self.laid = event
            case Direct(on, answer):
                self.direct[on] = answer
            case Thought(text):
                if said := spoken(text):
                    self.told.append(("thought", f"“{said}”", ""))
            case Decision(restore, probability):
                self.told.append(_decision(restore, probability))
            case VisualState():
                self.step = event


class StatesView(Panel):
    """Components and handlers of the panel. Built inside its tab."""

    study = STUDY
    needs = NEEDS
    question = "What does the model draw on its way to the answer?"
    explanation = (
        "The thought, each denoising step, the restored image and the answer, as they happen, "
        "beside what the model answers without drawing."
    )
    invitation = "Press Look: the model thinks, draws what it believes is there, and answers."

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.outside = gr.HTML("", elem_id="states-outside")
        self.pictures = gr.HTML(_pictures(Seen()), elem_id="states-pictures")
        self.step = gr.Slider(
            0,
            12,
            value=12,
            step=1,
            label="Denoising step shown",
            visible=False,
            buttons=[],
            elem_id="states-step",
        )
        self.trace = gr.HTML("", elem_id="states-trace")
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
            self.pair = gr.Radio(list(PAIRS), value=FIRST_PAIR, label="Compare", elem_id="states-pair")
        self.pinned_rows = gr.HTML("", elem_id="states-pinned")
        self.settings = _settings()
        self.foot(READING)
        self.outputs = [
            self.outside,
            self.pictures,
            self.step,
            self.trace,
            self.expected,
            self.comparison,
            self.slider,
            self.pinned_rows,
        ]
        self.wire()
        self.step.change(None, [self.step], None, js=SCRUB, api_visibility="private")
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
        record = Record(config, model, on.specimen.picture)
        for event in stream(config, model, on.specimen.picture, stop):
            record.add(event)
            say(event)
        return record.result()

    def progressing(self) -> Callable[[StudyEvent], Updates]:
        """Each event on the screen as it happens."""
        seen, pace = Seen(), Pace()

        def show(event: StudyEvent) -> Updates:
            seen.add(event)
            done = event.step / event.steps if isinstance(event, VisualState) else None
            doing = words(event)
            return {
                self.status: markup.status(
                    doing[:1].upper() + doing[1:], done, pace.left(done) if done else None
                ),
                self.pictures: _pictures(seen),
                self.trace: _trace(seen),
                self.step: gr.Slider(visible=False),
                self.comparison: gr.Row(visible=False),
            }

        return show

    def shown(self, result: Result | None) -> Updates:
        """A finished look on the screen; without one the empty panel."""
        if result is None:
            return {
                self.pictures: _pictures(Seen()),
                self.trace: "",
                self.step: gr.Slider(visible=False),
                self.comparison: gr.Row(visible=False),
            }
        shots = figure.screen(result)
        last = sum(shot.name.startswith("step") for shot in shots) - 1
        return {
            self.pictures: _finished(shots),
            self.trace: _trace_of(result),
            self.step: gr.Slider(maximum=max(last, 1), value=last, visible=last > 0),
            self.comparison: gr.Row(visible="restored" in result.images),
            self.slider: _pair(result, FIRST_PAIR),
            self.numbers: _numbers(result),
        }

    def remarks(self, done: Done) -> Updates:
        """What drawing does on average; where the picture is none that the model was trained on, that."""
        card, specimen = done.model.card, done.on.specimen
        average = expected.gain(card, done.result.config) if specimen.is_scene else ""
        return {
            self.outside: markup.notice(cards.outside(specimen, card), plain=True),
            self.expected: markup.remark(average),
        }

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The pinned looks, a row each."""
        return {self.pinned_rows: "".join(_pinned_row(name, other) for name, other in pinned)}

    def paper(self, named: Sequence[Named], *printed_with: Any) -> Figure:
        """A filmstrip for each result."""
        return figure.paper([result for _, result in named])

    def table(self, result: Result) -> DataFrame:
        """The trace."""
        return result.tables["trace"]

    def name(self, result: Result) -> str:
        """What was done to the image, and the model."""
        return f"{condition(result)}, {result.manifest['model']['id']}"

    def compare(self, session: Session, chosen: str, key: str | None) -> Any:
        """Another pair under the comparison slider."""
        result = self.kept(session, key)
        return _pair(result, chosen) if result is not None else gr.skip()


def _settings() -> dict[str, Any]:
    """Every sampling parameter by its name in the config."""
    defaults = StatesConfig()

    def slider(low: float, high: float, step: float, value: float, label: str, info: str = "") -> gr.Slider:
        return gr.Slider(
            low, high, value=value, step=step, label=label, info=info or None, buttons=[], min_width=180
        )

    with gr.Accordion("Sampling", open=False, elem_id="states-settings"):
        with gr.Row():
            restore = gr.Radio(
                list(RESTORES),
                value=defaults.restore,
                label="Draw",
                info="auto: the model decides",
                min_width=240,
            )
            steps = slider(1, 50, 1, defaults.steps, "Denoising steps", "more are slower")
            shift = slider(
                0.5, 8, 0.1, defaults.shift, "Timestep shift", "above 1: more steps near the noise"
            )
        with gr.Row():
            text_scale = slider(0, 8, 0.1, defaults.text_scale, "Guidance on the text", "1: none")
            image_scale = slider(0, 8, 0.1, defaults.image_scale, "Guidance on the image", "1: none")
        with gr.Row():
            low = slider(0, 1, 0.05, defaults.interval[0], "Guide while t is above")
            high = slider(0, 1, 0.05, defaults.interval[1], "and at most")
        with gr.Row():
            renorm = gr.Dropdown(
                list(RENORMS),
                value=defaults.renorm,
                label="Renormalise guidance",
                info="over what its norm is held",
                min_width=180,
            )
            least = slider(0, 1, 0.05, defaults.renorm_min, "by no less than", "1: not at all")
        with gr.Row():
            route = gr.Dropdown(
                list(ROUTES),
                value=defaults.route,
                label="The drawing comes back",
                info="re-encode: through the vision tower; bridge: its latent",
                min_width=180,
            )
            tokens = gr.Number(
                defaults.max_new_tokens,
                label="Longest text",
                info="tokens at a time",
                precision=0,
                minimum=1,
                maximum=2048,
                min_width=180,
            )
    return {
        "restore": restore,
        "steps": steps,
        "shift": shift,
        "text_scale": text_scale,
        "image_scale": image_scale,
        "guide_above": low,
        "guide_up_to": high,
        "renorm": renorm,
        "renorm_min": least,
        "route": route,
        "max_new_tokens": tokens,
    }


def _pictures(seen: Seen) -> str:
    """The row while the look is going on: what is there, and dashed frames for what is to come."""
    original = seen.laid.original if seen.laid else None
    degraded = seen.laid.degraded if seen.laid else None
    note = figure.decibels(psnr(degraded, original)) if degraded is not None and original is not None else ""
    cells = [
        markup.figure("original", "", original, empty="the image on the bench"),
        markup.figure("degraded", note, degraded, empty="what the model gets"),
    ]
    if seen.step is not None and original is not None:
        now = seen.step
        about = f"t {now.t:.2f}, {figure.decibels(psnr(now.image, original))}"
        cells.append(markup.figure(f"step {now.step} of {now.steps}", about, now.image))
    else:
        cells.append(markup.figure("denoising", "", None, empty="each step as it happens"))
    cells.append(markup.figure("restored", "", None, empty="what it believes is there"))
    return markup.row(cells, ROW)


def _finished(shots: Sequence[figure.Shot]) -> str:
    """The row of a finished look: every step is there, the last one shown."""
    steps = [shot for shot in shots if shot.name.startswith("step")]
    cells = [markup.figure(shot.name, shot.note, shot.pixels) for shot in shots[:2]]
    for index, shot in enumerate(steps):
        hidden = "" if index == len(steps) - 1 else " hidden"
        cells.append(markup.figure(shot.name, shot.note, shot.pixels, mark=f'data-step="{index}"{hidden}'))
    restored = [shot for shot in shots if shot.name == "restored"]
    cells += [markup.figure(shot.name, shot.note, shot.pixels) for shot in restored]
    if not restored:
        cells.append(markup.figure("denoising", "", None, empty="the model answered without drawing"))
        cells.append(markup.figure("restored", "", None, empty="so nothing was restored"))
    return markup.row(cells, ROW)


def _probability(value: float, of: str = "p") -> str:
    """A probability with its name; what would round to nothing says that it is small."""
    return f"{of} < 0.01" if value < 0.005 else f"{of} = {value:.2f}"


def _decision(restore: bool, probability: float) -> tuple[str, str, str]:
    return ("decision", "draw" if restore else "answer", _probability(probability, "p(draw)"))


def _undrawn(on: str) -> str:
    """What an answer without drawing was given on, for the head of its row."""
    return f"without drawing, from vision tokens alone, {figure.ON[on]}" if on in ALONE else on


def _trace(seen: Seen) -> str:
    rows = [
        (_undrawn(on), answer.text, _probability(answer.probability)) for on, answer in seen.direct.items()
    ]
    rows += seen.told
    return markup.table(rows) if rows else ""


def _trace_of(result: Result) -> str:
    """The answers without drawing, thoughts and decisions, and the answer, which stands out."""
    by = {row["on"]: row for row in result.tables["answers"].to_dict("records")}
    last = by.pop("restored", None) or by.pop("no drawing", None)
    rows = [(_undrawn(on), row["answer"], _probability(row["probability"])) for on, row in by.items()]
    for row in result.tables["trace"].to_dict("records"):
        if row["event"] == "thought":
            rows.append(("thought", f"“{row['text']}”", ""))
        elif row["event"] == "decision":
            rows.append(_decision(row["text"] == "draw", row["probability"]))
    if last is None:
        return markup.table(rows)
    without = by.get(SAME, by["degraded"])
    differs = last["on"] == "restored" and last["answer"] != without["answer"]
    rows.append((f"answer, {figure.ON[last['on']]}", last["answer"], _probability(last["probability"])))
    return markup.table(rows, now=len(rows) - 1, remark=DIFFERS if differs else "")


def _numbers(result: Result) -> Any:
    """The trace with the digits one reads; empty where an event has no such number."""
    table = result.tables["trace"].round({"probability": 3, "t": 3, "velocity_norm": 2, "psnr": 2})
    shown = table.astype(object).where(table.notna(), "").replace({np.inf: "equal"})
    shown["drawing"] = shown["drawing"].replace({0: ""})
    shown["step"] = shown["step"].replace({-1: ""})
    return shown


def _pair(result: Result, chosen: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Two images of one size for the comparison slider; None where one was not drawn."""
    left, right = PAIRS[chosen]
    if left not in result.images or right not in result.images:
        return None
    first = markup.enlarged(result.images[left], COMPARE_BOX)
    second = markup.enlarged(result.images[right], COMPARE_BOX)
    if second.shape != first.shape:
        from PIL import Image

        size = (first.shape[1], first.shape[0])
        second = np.asarray(Image.fromarray(second).resize(size, Image.Resampling.NEAREST))
    return first, second


def _pinned_row(title: str, result: Result) -> str:
    """A pinned look in one row: its name, small pictures, its answers."""
    keys = [key for key in ("degraded", "restored") if key in result.images]
    answers = result.tables["answers"].to_dict("records")
    said = "; ".join(
        f"{figure.ON.get(row['on'], row['on'])}: {row['answer']} ({_probability(row['probability'])})"
        for row in answers
    )
    return markup.strip(
        title,
        [markup.image(result.images[key], f"{title}: {key}", 96) for key in keys],
        [result.config["question"], said],
    )
