"""Visual states: what the model thinks, draws and answers, one event after the other."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import Refusal
from workbench.images import fidelity
from workbench.images.corruptions import CORRUPTIONS
from workbench.models.protocol import (
    Answer,
    Capability,
    Decision,
    Event,
    Final,
    Model,
    Sampling,
    Thought,
    Token,
    VisualState,
    never,
)
from workbench.panels.needs import missing
from workbench.panels.question import Question, required
from workbench.panels.specimen import CLEAN, degrade, known

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "states"
SAME = "same context, no drawing"
"""What `Direct` is on where it answers as the response does, but for the drawing; only beside a drawing."""
RESPONSE = "response"
"""What the tokens of the response's own texts are on."""
TOKEN = {"on": "str", "text": int, "place": int, "token": "str", "id": int, "logprob": float, "answer": bool}
"""Columns of the table of tokens, with their types."""
NEEDS = frozenset({Capability.ANSWERS, Capability.GENERATES, Capability.INTERLEAVES})
_ANSWERED = re.compile(r"<answer>(.*?)(</answer>|$)", re.DOTALL)
_TAG = re.compile(r"</?[a-z_]+>")


class StatesConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    question: Question = Field(default="what do you see?", description="what the model is asked")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="of the corruption, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption's and the drawing's noise")
    steps: int = Field(default=12, description="denoising steps")
    text_scale: float = Field(default=1.0, description="guidance on the text; 1 is none")
    image_scale: float = Field(default=1.0, description="guidance on the image; 1 is none")
    renorm: Literal["global", "channel", "text_channel"] = Field(
        default="global", description="how the guided velocity's norm is held to the unguided one's"
    )
    renorm_min: float = Field(default=0.0, description="least factor of that; 1 switches it off")
    interval: tuple[float, float] = Field(default=(0.4, 1.0), description="guide only while t lies within")
    shift: float = Field(default=3.0, description="timestep shift; above 1 takes more steps near the noise")
    route: Literal["re-encode", "bridge", "both"] = Field(
        default="re-encode", description="how a drawing re-enters: through the vision tower, its latent, both"
    )
    restore: Literal["auto", "always", "never"] = Field(
        default="auto", description="whether to draw before answering; auto leaves it to the model"
    )
    max_new_tokens: int = Field(default=256, description="longest text the model writes at a time, in tokens")

    def sampling(self) -> Sampling:
        """The part of the config that the model reads. Raises Refusal outside its limits."""
        return Sampling(
            steps=self.steps,
            text_scale=self.text_scale,
            image_scale=self.image_scale,
            renorm=self.renorm,
            renorm_min=self.renorm_min,
            interval=self.interval,
            shift=self.shift,
            seed=self.seed,
            route=self.route,
            restore=self.restore,
            max_new_tokens=self.max_new_tokens,
        )


@dataclass(frozen=True)
class Laid:
    """The image as given and as the model gets it: uint8 (H, W, 3), same size."""

    original: np.ndarray
    degraded: np.ndarray


@dataclass(frozen=True)
class Direct:
    """An answer without drawing anything.

    on: "original" or "degraded", from the vision tokens of that image alone; or SAME, from the context that
    the drawing was made in: system prompt, degraded image, question and thought.
    """

    on: str
    answer: Answer


StudyEvent = Event | Laid | Direct


def _like(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The image at the reference's height and width: a model may draw at another size than it takes."""
    if image.shape == reference.shape:
        return image
    from PIL import Image

    size = (reference.shape[1], reference.shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def spoken(text: str) -> str:
    """A thought in plain words: without the tags that structure it, and without the answer."""
    return " ".join(_TAG.sub(" ", _ANSWERED.split(text)[0]).split())


def answered(text: str) -> str:
    """The words of the answer that a thought leads to, as far as they are said; empty before the first."""
    found = _ANSWERED.search(text)
    return " ".join(_TAG.sub(" ", found.group(1)).split()) if found else ""


def stream(
    config: StatesConfig, model: Model, picture: Picture, stop: Callable[[], bool] = never
) -> Iterator[StudyEvent]:
    """The events of one look, as they happen.

    Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    required(config.question)
    question, settings = config.question, config.sampling()
    original = picture.pixels
    degraded = degrade(original, config.corruption, config.intensity, config.seed)
    yield Laid(original, degraded)
    for name, image in (("original", original), ("degraded", degraded)):
        prompt = model.prepare([image], question)
        yield Direct(name, model.answer(prompt, max_new_tokens=settings.max_new_tokens, stop=stop)[0])
    for event in model.respond(degraded, question, settings, stop=stop):
        if isinstance(event, Final) and event.restored is not None:
            # The answer at once lacks the prompt, the latent image and the thought, not the drawing alone.
            undrawn = replace(settings, restore="never")
            *_, last = model.respond(degraded, question, undrawn, stop=stop)
            assert isinstance(last, Final)
            yield Direct(SAME, last.answer)
        yield event


class Record:
    """Collects the events of one look into a result.

    ``trace`` and ``answers`` are the rows of the tables so far, ``images`` those of the result, ``drawings``
    how many were begun, ``compared_at`` the height and width at which PSNR is measured.
    """

    def __init__(self, config: StatesConfig, model: Model, picture: Picture) -> None:
        self.config, self.model, self.picture = config, model, picture
        self.started = time.time()
        self.drawings = 0
        self.images: dict[str, np.ndarray] = {}
        self.reference = model.resized(picture.pixels)
        self.compared_at = self.reference.shape[:2]
        self.trace: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.latents: list[np.ndarray] = []
        self.tokens: list[dict[str, Any]] = []

    def add(self, event: StudyEvent) -> None:
        """Keep what an event says."""
        match event:
            case Laid(original, degraded):
                self.images["original"], self.images["degraded"] = original, degraded
                self._row("degraded", psnr=self._psnr(degraded))
            case Direct(on, answer):
                self._answer(on, answer)
                self._tokens(on, 1, answer.tokens, answer=True)
            case Thought(text, tokens, done=True):
                texts = sum(row["place"] == 1 for row in self.tokens if row["on"] == RESPONSE)
                self._tokens(RESPONSE, texts + 1, tokens)
                if said := spoken(text):
                    self._row("thought", text=said)
            case Decision(restore, probability):
                self._row("decision", text="draw" if restore else "answer", probability=probability)
            case VisualState():
                self.drawings += event.step == 0
                self.images[image_name(self.drawings, event.step)] = event.image
                self.latents.append(np.asarray(event.latent, dtype=np.float32))
                estimated = math.nan
                if event.estimate is not None:
                    self.images[estimate_name(self.drawings, event.step)] = event.estimate
                    estimated = self._psnr(event.estimate)
                self._row(
                    "step",
                    drawing=self.drawings,
                    step=event.step,
                    t=event.t,
                    velocity_norm=event.velocity_norm if event.step else math.nan,
                    psnr=self._psnr(event.image),
                    psnr_estimate=estimated,
                )
            case Final(answer, restored):
                if restored is not None:
                    self.images["restored"] = restored
                    self._row("restored", psnr=self._psnr(restored))
                mark_answer(self.tokens, answer.tokens)
                self._answer("restored" if restored is not None else "no drawing", answer)

    def _psnr(self, image: np.ndarray) -> float:
        """PSNR in dB, inf where equal, of image and original as the model takes them.

        The screen, the tables and the figure all read it from the trace.
        """
        return float(fidelity.psnr(_like(self.model.resized(image), self.reference), self.reference))

    def _row(self, event: str, *, text: str = "", drawing: int = 0, step: int = -1, **values: float) -> None:
        """A row of the trace; a number that the event does not have is NaN, a step it does not have -1."""
        numbers = dict.fromkeys(("probability", "t", "velocity_norm", "psnr", "psnr_estimate"), math.nan)
        self.trace.append(
            {"event": event, "text": text, "drawing": drawing, "step": step, **numbers, **values}
        )

    def _tokens(self, on: str, text: int, tokens: Sequence[Token], *, answer: bool = False) -> None:
        """A row for each token of a text; ``answer``: whether it is one of the answer's words."""
        self.tokens += [
            {"on": on, "text": text, "place": place, "token": t.text, "id": t.id, "logprob": t.logprob}
            | {"answer": answer}
            for place, t in enumerate(tokens, start=1)
        ]

    def _answer(self, on: str, answer: Answer) -> None:
        probability, logprob = float(answer.probability), float(answer.logprob)
        self.answers.append({"on": on, "answer": answer.text, "probability": probability, "logprob": logprob})
        self._row(f"answer, {on}", text=answer.text, probability=probability)

    def result(self) -> Result:
        """What was collected, which is all of the response.

        Tables: "trace", a row for each event in order; "tokens" (on, text, place, token, id, logprob in nats,
        answer): every token of the response's texts, which count from 1, and of the answers without drawing;
        "answers". Images: `image_name` and `estimate_name` of every step, "restored", what was given. Arrays:
        ``latents`` float32 (all steps of all drawings, …), and ``compared_at``, int64 (2,), the height and
        width at which PSNR was measured.
        """
        import pandas as pd

        from workbench.runs.manifest import manifest
        from workbench.runs.result import Result

        config = self.config.model_dump(mode="json")
        images = {"original": self.picture.sha256}
        arrays = {"compared_at": np.array(self.compared_at)}
        return Result(
            study=STUDY,
            config=config,
            manifest=manifest(self.model.card, config, self.config.seed, images, self.started),
            tables={
                "trace": pd.DataFrame(self.trace),
                "tokens": pd.DataFrame(self.tokens, columns=list(TOKEN)).astype(TOKEN),
                "answers": pd.DataFrame(self.answers),
            },
            arrays=arrays | ({"latents": np.stack(self.latents)} if self.latents else {}),
            images=dict(self.images),
        )


def image_name(drawing: int, step: int) -> str:
    """The name under which a result keeps one step of one drawing (the first drawing is 1)."""
    return f"drawing_{drawing}_step_{step:03d}"


def estimate_name(drawing: int, step: int) -> str:
    """The name of the image that this step's velocity pointed to; step 0 has none."""
    return f"drawing_{drawing}_estimate_{step:03d}"


def mark_answer(rows: list[dict[str, Any]], tokens: Sequence[Token]) -> None:
    """Mark the answer's words among the tokens of the response: the last stretch of the same."""
    own = [row for row in rows if row["on"] == RESPONSE]
    ids, wanted = [row["id"] for row in own], [token.id for token in tokens]
    for start in range(len(ids) - len(wanted), -1, -1):
        if wanted and ids[start : start + len(wanted)] == wanted:
            for row in own[start : start + len(wanted)]:
                row["answer"] = True
            return


def words(event: StudyEvent, drawings: int) -> str:
    """What is happening after this event, for a person who waits; ``drawings`` were begun by then."""
    match event:
        case Laid():
            return "answering without drawing"
        case Direct(on):
            return {"original": "answering without drawing", "degraded": "thinking"}.get(on, "answering")
        case Thought(text, done=False):
            return "answering" if answered(text) else "thinking"
        case Thought(text) if not answered(text):
            return "deciding"
        case Decision(restore=True):
            return "denoising"
        case Thought() | Decision():
            return "answering in the same context, without drawing" if drawings else "answering"
        case VisualState(step, steps) if step == steps:
            return "reading the drawing"
        case VisualState(step, steps):
            which = f", drawing {drawings}" if drawings > 1 else ""
            return f"denoising, step {step + 1} of {steps}{which}"
        case Final():
            return "done"


def prepared(config: StatesConfig, picture: Picture | None = None) -> Picture:
    """The picture of a look; all that can be refused before a model is open is. Raises Refusal."""
    required(config.question)
    config.sampling()
    known(config.corruption)
    if picture is None:
        from workbench.panels.specimen import find

        picture = find(config.image).picture
    return picture


def run(
    config: StatesConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """One look from beginning to end. Without ``picture`` the config's image is read.

    Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    picture = prepared(config, picture)
    record = Record(config, model, picture)
    done = 0.0
    for event in stream(config, model, picture, stop):
        record.add(event)
        if isinstance(event, VisualState):
            done = max(done, 0.95 * event.step / event.steps)
        progress(1.0 if isinstance(event, Final) else done, words(event, record.drawings))
    return record.result()
