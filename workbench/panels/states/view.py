"""The panel "States" on the page."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from workbench.models.presets import PRESETS, preset
from workbench.models.protocol import (
    MOST_NEW_TOKENS,
    RENORMS,
    RESTORES,
    ROUTES,
    Decision,
    Thought,
    VisualState,
)
from workbench.page import expected, markup
from workbench.page.bench import Bench, OnBench
from workbench.page.panel import Done, Named, Pace, Panel, Updates, condition
from workbench.page.session import Session
from workbench.page.wiring import QUIET
from workbench.panels.specimen import outside
from workbench.panels.states import figure
from workbench.panels.states.study import (
    NEEDS,
    RESPONSE,
    SAME,
    STUDY,
    Laid,
    Record,
    StatesConfig,
    StudyEvent,
    answered,
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
PAIRS = {
    "degraded, restored": ("degraded", "restored"),
    "original, restored": ("original", "restored"),
    "original, degraded": ("original", "degraded"),
}
CHOSEN = "states-pair"
"""What the session remembers the chosen pair by."""
COMPARE_BOX = 384
DIFFERS = "differs from the same context without drawing"
ROW = "the image on its way through the model"
TO_COME = ("each step as it happens", "what it believes is there")
UNDRAWN = ("the model answers without drawing", "so nothing is restored")
AT_MOST_EVERY = 0.05
"""Seconds between two views of a thought that grows; all other events are shown."""
Row = Mapping[str, Any]
"""A row of a result's table."""
# Scrubbing happens in the browser: every step is on the page already.
SCRUB = """(step, pointed) => {
  const figures = [...document.querySelectorAll("#states-pictures figure[data-step]")];
  const here = figures.filter((figure) => Number(figure.dataset.step) === step);
  const wanted = (pointed && here.find((figure) => figure.dataset.kind === "estimate")) || here[0];
  figures.forEach((figure) => { figure.hidden = figure !== wanted; });
}"""


@dataclass(frozen=True)
class Seen:
    """One look so far, for the screen: what has just happened, what is there, and the record's rows."""

    event: StudyEvent | None = None
    laid: Laid | None = None
    step: VisualState | None = None
    said: Thought | None = None
    drawings: int = 0
    compared_at: Sequence[int] = ()
    restore: str = "auto"
    trace: Sequence[Row] = ()
    answers: Sequence[Row] = ()

    @property
    def undrawn(self) -> bool:
        """Whether nothing will be drawn."""
        decided = isinstance(self.event, Decision) and not self.event.restore
        return not self.drawings and (decided or self.restore == "never")

    def after(self, event: StudyEvent, record: Record) -> Seen:
        """The same look after an event that the record holds already."""
        said = event if isinstance(event, Thought) else self.said
        return Seen(
            event=event,
            laid=event if isinstance(event, Laid) else self.laid,
            step=event if isinstance(event, VisualState) else self.step,
            # What was said before a drawing is in the trace; it was no answer.
            said=None if isinstance(event, Decision) and event.restore else said,
            drawings=record.drawings,
            compared_at=record.compared_at,
            restore=record.config.restore,
            trace=tuple(record.trace),
            answers=tuple(record.answers),
        )


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
        self.settings = _settings()
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
                self.trace: _trace(seen.trace, seen.answers, seen.restore, seen.said),
            }
            if isinstance(event, Laid):
                updates |= self._bare()
            if isinstance(event, Laid | VisualState) or isinstance(event, Decision) and seen.undrawn:
                updates[self.pictures] = _pictures(seen)
            return updates

        return show

    def shown(self, result: Result | None) -> Updates:
        """A finished look on the screen; without one the empty panel."""
        if result is None:
            return {
                self.pictures: _pictures(Seen()),
                self.trace: "",
                **self._bare(),
            }
        trace, answers = (result.tables[name].to_dict("records") for name in ("trace", "answers"))
        last = sum(row["event"] == "step" for row in trace) - 1
        return {
            self.pictures: _finished(result),
            self.trace: _trace(trace, answers, result.config["restore"]),
            self.tokens: _tokens(result),
            self.step: gr.Slider(maximum=max(last, 1), value=last, visible=last > 0),
            self.pointed: gr.Checkbox(False, visible=_has_estimates(result)),
            self.comparison: gr.Row(visible="restored" in result.images),
            self.numbers: _numbers(result),
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
        return {self.slider: _pair(result, session.chosen.get(CHOSEN, next(iter(PAIRS))))}

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
            _pair(result, pair)

    def overlaid(self, named: Sequence[Named], pinned: Sequence[Named], *drawn_with: Any) -> Updates:
        """The pinned looks, a row each."""
        return {self.pinned_rows: "".join(_pinned_row(name, other) for name, other in pinned)}

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
        return _pair(result, chosen) if result is not None else gr.skip()


def _settings() -> dict[str, Any]:
    """Every sampling parameter by its name in the config."""
    defaults = StatesConfig()

    def slider(low: float, high: float, step: float, value: float, label: str, info: str = "") -> gr.Slider:
        return gr.Slider(
            low, high, value=value, step=step, label=label, info=info or None, buttons=[], min_width=180
        )

    with gr.Accordion("Sampling", open=False, elem_id="states-settings"):
        sets = [(f"{each.label}: {each.source}", each.name) for each in PRESETS]
        chosen = gr.Dropdown(
            sets, value=None, label="Documented set", info="fills in what is below", elem_id="states-preset"
        )
        with gr.Row():
            restore = gr.Radio(
                list(RESTORES),
                value=defaults.restore,
                label="Draw",
                info="auto: the model decides; always: once",
                min_width=240,
            )
            steps = slider(1, 50, 1, defaults.steps, "Denoising steps", "more are slower")
            shift = slider(
                0.5, 8, 0.1, defaults.shift, "Timestep shift", "above 1: more steps near the noise"
            )
        with gr.Row():
            text_scale = slider(0, 8, 0.1, defaults.text_scale, "Guidance on the text", "1: none")
            image_scale = slider(
                0,
                8,
                0.1,
                defaults.image_scale,
                "Guidance on the image",
                "1: none; acts only with that on the text",
            )
        with gr.Row():
            low = slider(0, 1, 0.05, defaults.interval[0], "Guide while t is above")
            high = slider(0, 1, 0.05, defaults.interval[1], "and at most")
        with gr.Row():
            renorm = gr.Dropdown(
                list(RENORMS),
                value=defaults.renorm,
                label="Renormalise guidance",
                info="global: over all tokens; channel: token by token",
                min_width=180,
            )
            least = slider(0, 1, 0.05, defaults.renorm_min, "Least factor of that", "1: not at all")
        with gr.Row():
            route = gr.Dropdown(
                list(ROUTES),
                value=defaults.route,
                label="The drawing comes back",
                info="re-encode: through the vision tower; bridge: as its latent",
                min_width=180,
            )
            tokens = gr.Number(
                defaults.max_new_tokens,
                label="Longest text",
                info="tokens at a time",
                precision=0,
                minimum=1,
                maximum=MOST_NEW_TOKENS,
                min_width=180,
            )
    settings: dict[str, Any] = {
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
    parts = list(settings.values())
    chosen.input(partial(_documented, list(settings)), [chosen], parts, **QUIET)
    # A set with one value changed is that set no more.
    gr.on([part.input for part in parts], None, None, [chosen], js="() => null", api_visibility="private")
    return settings


def _documented(names: Sequence[str], chosen: str | None) -> list[Any]:
    """What a documented set says for the settings of these names."""
    if not chosen:
        return [gr.skip()] * len(names)
    values = preset(chosen).parameters()
    values["guide_above"], values["guide_up_to"] = values.pop("interval")
    return [values[name] for name in names]


def _pictures(seen: Seen) -> str:
    """The row while the look is going on: what is there, and dashed frames for what is to come."""
    if seen.laid is None:
        cells = [
            markup.figure("original", "", None, empty="the image on the bench"),
            markup.figure("degraded", "", None, empty="what the model gets"),
        ]
    else:
        psnr = _psnr(seen.trace, "degraded")
        given = (
            figure.Shot("original", "original", seen.laid.original),
            figure.Shot("degraded", "degraded", seen.laid.degraded, psnr),
        )
        cells = [_figure(shot) for shot in given]
    if (now := seen.step) is not None:
        psnr, several = _psnr(seen.trace, "step"), seen.drawings > 1
        name = f"step {now.step} of {now.steps}"
        cells.append(_figure(figure.Shot("step", name, now.image, psnr, now.t, seen.drawings, several)))
        cells.append(markup.figure("restored", "", None, empty=TO_COME[1]))
    else:
        cells += _undrawn(UNDRAWN if seen.undrawn else TO_COME)
    size = markup.remark(figure.size_note(seen.compared_at)) if seen.compared_at else ""
    return markup.row(cells, ROW) + size


def _figure(shot: figure.Shot, mark: str = "") -> str:
    return markup.figure(shot.label, shot.note, shot.pixels, mark=mark)


def _undrawn(why: tuple[str, str]) -> list[str]:
    """The frames of what is drawn, empty."""
    names = ("denoising", "restored")
    return [markup.figure(name, "", None, empty=words) for name, words in zip(names, why, strict=True)]


def _psnr(trace: Sequence[Row], event: str) -> float:
    """The number in the last row of its kind; NaN where there is none."""
    return next((float(row["psnr"]) for row in reversed(trace) if row["event"] == event), math.nan)


def _finished(result: Result) -> str:
    """The row of a finished look: every step is there, the last one shown."""
    shots = figure.screen(result)
    steps = [shot for shot in shots if shot.kind == "step"]
    cells = [_figure(shot) for shot in shots[:2]]
    for index, shot in enumerate(steps):
        hidden = "" if index == len(steps) - 1 else " hidden"
        cells.append(_figure(shot, f'data-step="{index}"{hidden}'))
        if (pointed := shot.pointed) is not None:
            cells.append(_figure(pointed, f'data-step="{index}" data-kind="estimate" hidden'))
    restored = [shot for shot in shots if shot.kind == "restored"]
    cells += [_figure(shot) for shot in restored] or _undrawn(UNDRAWN)
    return markup.row(cells, ROW) + markup.remark(figure.size_note(result.arrays["compared_at"]))


def _has_estimates(result: Result) -> bool:
    return any(shot.estimate is not None for shot in figure.screen(result))


def _tokens(result: Result) -> str:
    """Every token of the response with its probability as a shade; empty where a result has none."""
    table = result.tables.get("tokens")
    own = [] if table is None else table[table["on"] == RESPONSE].to_dict("records")
    if not own:
        return ""
    texts: dict[int, list[tuple[str, float, bool]]] = {}
    for row in own:
        texts.setdefault(row["text"], []).append((row["token"], row["logprob"], row["answer"]))
    return markup.tokens([(f"text {number}", tokens) for number, tokens in texts.items()])


def _trace(trace: Sequence[Row], answers: Sequence[Row], restore: str, saying: Thought | None = None) -> str:
    """Thoughts and decisions; then the answers without drawing, and last, marked, the response's own.

    ``saying`` is what the model says just now, as far as it is said: a thought, or the answer's first words.
    """
    rows = []
    for row in trace:
        if row["event"] == "thought":
            rows.append(("thought", f"“{row['text']}”", ""))
        elif row["event"] == "decision":
            chance = figure.probability(row["probability"], "p(draw)")
            rows.append(("decision", figure.decided(row["text"] == "draw", restore), chance))
    if saying is not None and not saying.done and (thought := spoken(saying.text)):
        rows.append(("thought", f"“{thought}”", ""))
    own = [row for row in answers if row["on"] in figure.ANSWERS]
    without = {row["on"]: row for row in answers if row["on"] not in figure.ANSWERS}
    for on, row in without.items():
        alone = "without drawing, from vision tokens alone, " if on in figure.ALONE else ""
        rows.append((alone + figure.given(on, restore), *figure.said(row)))
    differs = False
    if own:
        (last,) = own
        rows.append((f"answer, {figure.given(last['on'], restore)}", *figure.said(last)))
        differs = SAME in without and last["answer"] != without[SAME]["answer"]
    elif saying is not None and (begun := answered(saying.text)):
        drew = any(row["event"] == "step" for row in trace)
        rows.append((f"answer, {figure.given('restored' if drew else 'no drawing', restore)}", begun, ""))
    else:
        return markup.table(rows) if rows else ""
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
    said = "; ".join(figure.in_one(row, result.config["restore"]) for row in answers)
    return markup.strip(
        title,
        [markup.image(result.images[key], f"{title}: {key}", 96) for key in keys],
        [result.config["question"], said],
    )
