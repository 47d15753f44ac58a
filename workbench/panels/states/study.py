"""Visual states: what the model thinks, draws and answers, one event after the other."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
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
    VisualState,
    never,
)
from workbench.panels.needs import missing
from workbench.panels.specimen import CLEAN, degrade, known, short_enough

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "states"
SAME = "same context, no drawing"
"""What `Direct` is on where it answers as the response does, but for the drawing; only beside a drawing."""
NEEDS = frozenset({Capability.ANSWERS, Capability.GENERATES, Capability.INTERLEAVES})
_ANSWERED = re.compile(r"<answer>.*", re.DOTALL)
_TAG = re.compile(r"</?[a-z_]+>")


class StatesConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    question: str = Field(default="what do you see?", description="what the model is asked")
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
    max_new_tokens: int = Field(default=48, description="longest text the model writes at a time, in tokens")

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


def checked(question: str) -> str:
    """The question without its outer white space. Raises Refusal where it is empty or too long to be one."""
    text = short_enough(question)
    if not text:
        raise Refusal("There is no question. Write one: the model has nothing to answer.")
    return text


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """PSNR in dB after ``image`` is brought to the reference's size; inf where equal."""
    return float(fidelity.psnr(like(image, reference), reference))


def like(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The image at the reference's height and width."""
    if image.shape == reference.shape:
        return image
    from PIL import Image

    size = (reference.shape[1], reference.shape[0])
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def spoken(text: str) -> str:
    """A thought in plain words: without the tags that structure it, and without the answer."""
    return " ".join(_TAG.sub(" ", _ANSWERED.sub("", text)).split())


def stream(
    config: StatesConfig, model: Model, picture: Picture, stop: Callable[[], bool] = never
) -> Iterator[StudyEvent]:
    """The events of one look, as they happen.

    Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    question, settings = checked(config.question), config.sampling()
    original = picture.pixels
    degraded = degrade(original, config.corruption, config.intensity, config.seed)
    yield Laid(original, degraded)
    for name, image in (("original", original), ("degraded", degraded)):
        prompt = model.prepare([image], question)
        yield Direct(name, model.answer(prompt, max_new_tokens=settings.max_new_tokens)[0])
    for event in model.respond(degraded, question, settings, stop=stop):
        if isinstance(event, Final) and event.restored is not None:
            # The answer at once lacks the prompt, the latent image and the thought, not the drawing alone.
            undrawn = replace(settings, restore="never")
            *_, last = model.respond(degraded, question, undrawn, stop=stop)
            assert isinstance(last, Final)
            yield Direct(SAME, last.answer)
        yield event


class Record:
    """Collects the events of one look into a result."""

    def __init__(self, config: StatesConfig, model: Model, picture: Picture) -> None:
        self.config, self.model, self.picture = config, model, picture
        self.started = time.time()
        self.drawings = 0
        self.images: dict[str, np.ndarray] = {}
        self.reference = picture.pixels
        self.trace: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.latents: list[np.ndarray] = []

    def add(self, event: StudyEvent) -> None:
        """Keep what an event says."""
        match event:
            case Laid(original, degraded):
                self.images["original"], self.images["degraded"] = original, degraded
                self.reference = self.model.resized(original)
                self._row("degraded", psnr=self._psnr(degraded))
            case Direct(on, answer):
                self._answer(on, answer)
            case Thought(text):
                if words := spoken(text):
                    self._row("thought", text=words)
            case Decision(restore, probability):
                self._row("decision", text="draw" if restore else "answer", probability=probability)
            case VisualState():
                self.drawings += event.step == 0
                self.images[image_name(self.drawings, event.step)] = event.image
                self.latents.append(np.asarray(event.latent, dtype=np.float32))
                self._row(
                    "step",
                    drawing=self.drawings,
                    step=event.step,
                    t=event.t,
                    velocity_norm=event.velocity_norm if event.step else math.nan,
                    psnr=self._psnr(event.image),
                )
            case Final(answer, restored):
                if restored is not None:
                    self.images["restored"] = restored
                    self._row("restored", psnr=self._psnr(restored))
                self._answer("restored" if restored is not None else "no drawing", answer)

    def _psnr(self, image: np.ndarray) -> float:
        """Against the original as the model takes it, at that size: what is drawn has no other."""
        return psnr(self.model.resized(image), self.reference)

    def _row(self, event: str, *, text: str = "", drawing: int = 0, step: int = -1, **values: float) -> None:
        """A row of the trace; a number that the event does not have is NaN, a step it does not have -1."""
        numbers = dict.fromkeys(("probability", "t", "velocity_norm", "psnr"), math.nan)
        self.trace.append(
            {"event": event, "text": text, "drawing": drawing, "step": step, **numbers, **values}
        )

    def _answer(self, on: str, answer: Answer) -> None:
        probability, logprob = float(answer.probability), float(answer.logprob)
        self.answers.append({"on": on, "answer": answer.text, "probability": probability, "logprob": logprob})
        self._row(f"answer, {on}", text=answer.text, probability=probability)

    def result(self) -> Result:
        """What was collected: tables, images, latents (all steps of all drawings, …), and a manifest."""
        import pandas as pd

        from workbench.runs.manifest import manifest
        from workbench.runs.result import Result

        config = self.config.model_dump(mode="json")
        images = {"original": self.picture.sha256}
        return Result(
            study=STUDY,
            config=config,
            manifest=manifest(self.model.card, config, self.config.seed, images, self.started),
            tables={"trace": pd.DataFrame(self.trace), "answers": pd.DataFrame(self.answers)},
            arrays={"latents": np.stack(self.latents)} if self.latents else {},
            images=dict(self.images),
        )


def image_name(drawing: int, step: int) -> str:
    """The name under which a result keeps one step of one drawing (the first drawing is 1)."""
    return f"drawing_{drawing}_step_{step:03d}"


def words(event: StudyEvent) -> str:
    """What is happening after this event, for a person who waits."""
    match event:
        case Laid():
            return "answering without drawing"
        case Direct(on):
            return {"original": "answering without drawing", "degraded": "thinking"}.get(on, "answering")
        case Thought():
            return "deciding"
        case Decision(restore):
            return "denoising" if restore else "answering"
        case VisualState(step, steps):
            return (
                "reading the drawing, answering"
                if step == steps
                else f"denoising, step {step + 1} of {steps}"
            )
        case Final():
            return "done"


def prepared(config: StatesConfig, picture: Picture | None = None) -> Picture:
    """The picture of a look; all that can be refused before a model is open is. Raises Refusal."""
    checked(config.question)
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
            done = 0.95 * event.step / max(event.steps, 1)
        progress(1.0 if isinstance(event, Final) else done, words(event))
    return record.result()
