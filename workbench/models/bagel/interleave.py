"""One interleaved response: thought → (drawn image → thought →) answer, as CLEAR runs BAGEL.

Contexts (CLEAR, public inference code): the full one holds system prompt, image (latent block, then vision block)
and question; text guidance compares with the context before the last thought, image guidance with one that never
saw the image. A thought that ends in the restore tag starts a drawing; what was drawn comes back as latent tokens
(*bridge*), as vision tokens of the decoded picture (*re-encode*), or as both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Cancelled
from workbench.models.bagel import flow
from workbench.models.bagel.adapter import BagelModel, Pictures
from workbench.models.bagel.network import Context
from workbench.models.protocol import Answer, Decision, Event, Final, Sampling, Thought, Token, VisualState

THOUGHT_ENDS, RESTORE, ANSWER, ANSWER_ENDS = "</think>", "<image_restore>", "<answer>", "</answer>"
MOST_DRAWINGS = 3
"""CLEAR's limit on rounds in one response."""


@dataclass(frozen=True)
class Contexts:
    """The full context and the two that guidance compares with."""

    full: Context
    no_text: Context
    no_image: Context


def _check(stop: Callable[[], bool]) -> None:
    if stop():
        raise Cancelled


def opening(model: BagelModel, pictures: Pictures, question: str) -> Contexts:
    """Contexts before the first word of the response, for a batch of one."""
    network = model.network
    full = no_image = Context()
    if model.config.system_prompt:
        full, _ = network.add_text(full, model.ids(model.config.system_prompt))
        no_image = full
    zero = torch.zeros(1, device=network.device)
    latent = model.latents(pictures)
    embedded = network.embed_latent(latent, pictures.latent_rows, pictures.latent_cols, zero)
    full = network.add_latent(full, embedded, model.special)
    full = network.add_vision(full, model.embedded_vision(pictures), model.special)
    if question.strip():
        ids = model.ids(question)
        full, no_image = network.add_text(full, ids)[0], network.add_text(no_image, ids)[0]
    return Contexts(full, full, no_image)


class Speaker:
    """Greedy decoding of one text segment, token by token, with tokens put in its mouth where a person asks for it."""

    def __init__(self, model: BagelModel, context: Context) -> None:
        self.model = model
        self.context = context
        self.tokens: list[Token] = []
        self.ended = False
        self._feed(model.special.bos)

    def _feed(self, number: int) -> None:
        token = torch.tensor([[number]], device=self.model.network.device)
        self.context, states = self.model.network.add_text(self.context, token)
        self.scores: Tensor = self.model.network.logits(states[0, -1]).float().log_softmax(-1)

    @property
    def text(self) -> str:
        return self.model.words([token.id for token in self.tokens])

    def say(self, number: int | None = None) -> None:
        """Say the likeliest token, or the given one."""
        number = int(self.scores.argmax()) if number is None else number
        logprob = float(self.scores[number])
        if number == self.model.special.eos:
            self.ended = True
        else:
            self.tokens.append(Token(self.model.words([number]), logprob, number))
        self._feed(number)

    def probability(self, text: str) -> float:
        """Probability that `text` comes next."""
        ids = self.model.ids(text)[:, 1:-1]
        total = float(self.scores[int(ids[0, 0])])
        if ids.shape[1] > 1:
            _, states = self.model.network.add_text(self.context, ids[:, :-1])
            scores = self.model.network.logits(states[0]).float().log_softmax(-1)
            total += float(scores.gather(-1, ids[0, 1:, None]).sum())
        return math.exp(total)

    def say_text(self, text: str) -> None:
        """Say exactly `text`."""
        for number in self.model.ids(text)[0, 1:-1].tolist():
            self.say(number)


@torch.inference_mode()
def _speak(
    speaker: Speaker, settings: Sampling, stop: Callable[[], bool], may_restore: bool
) -> Decision | None:
    """Finish one segment; returns the decision to restore where it was open."""
    decision = None
    while not speaker.ended and len(speaker.tokens) < settings.max_new_tokens:
        _check(stop)
        speaker.say()
        if decision is None and may_restore and speaker.text.endswith(THOUGHT_ENDS):
            probability = speaker.probability(RESTORE)
            if settings.restore == "always":
                speaker.say_text(RESTORE)
                speaker.say(speaker.model.special.eos)
            elif settings.restore == "never":
                speaker.say_text(ANSWER)
            decision = Decision(settings.restore == "always", probability)
    if may_restore and settings.restore == "auto":
        decision = Decision(RESTORE in speaker.text, decision.probability if decision else 0.0)
    return decision


def _answer(tokens: list[Token], model: BagelModel) -> Answer:
    """The words between the answer tags with their log-probabilities; everything said where there are no tags."""
    said = ""
    inside: list[Token] = []
    opened = False
    for token in tokens:
        said = (said + token.text).replace(" ", "")
        if opened and said.endswith(ANSWER_ENDS):
            break
        if opened:
            inside.append(token)
        elif said.endswith(ANSWER):
            opened = True
    words = inside if opened else tokens
    return Answer(model.words([t.id for t in words]), tuple(words), sum(t.logprob for t in words))


@torch.inference_mode()
def _draw(
    model: BagelModel, contexts: Contexts, pictures: Pictures, settings: Sampling, stop: Callable[[], bool], number: int
) -> Iterator[tuple[VisualState, Tensor]]:
    """The walk from noise to image, each state with its latent tokens; `number` counts drawings in a response."""
    size = (1, pictures.latent_rows * pictures.latent_cols, model.config.latent_dim)
    generator = torch.Generator().manual_seed(settings.seed + number)
    noise = torch.randn(size, generator=generator).to(model.network.device)

    def velocity(context: Context) -> flow.Velocity:
        rows, cols = pictures.latent_rows, pictures.latent_cols
        return lambda x, t: model.network.velocity(context, x, rows, cols, t, model.special)

    def state(step: int, t: float, x: Tensor, norm: float) -> VisualState:
        latent = x[0].cpu().numpy().astype(np.float32)
        return VisualState(step, settings.steps, t, model.decoded(x, pictures)[0], latent, norm)

    yield state(0, 1.0, noise, 0.0), noise
    guidance = flow.Guidance(
        settings.text_scale, settings.image_scale, settings.interval, settings.renorm, settings.renorm_min
    )
    steps = flow.sample(
        noise,
        settings.steps + 1,
        settings.shift,
        guidance,
        velocity(contexts.full),
        velocity(contexts.no_text),
        velocity(contexts.no_image),
    )
    for step in steps:
        _check(stop)
        yield state(step.index, step.t, step.x, float(step.velocity.norm())), step.x


@torch.inference_mode()
def _take_in(model: BagelModel, context: Context, latent: Tensor, image: np.ndarray, pictures: Pictures, route: str) -> Context:
    """The context after reading what was drawn, by the chosen route."""
    network = model.network
    if route in ("bridge", "both"):
        zero = torch.zeros(1, device=network.device)
        embedded = network.embed_latent(latent, pictures.latent_rows, pictures.latent_cols, zero)
        context = network.add_latent(context, embedded, model.special)
    if route in ("re-encode", "both"):
        context = network.add_vision(context, model.embedded_vision(model.pictures([image])), model.special)
    return context


def respond(
    model: BagelModel, image: np.ndarray, question: str, settings: Sampling, stop: Callable[[], bool]
) -> Iterator[Event]:
    """Yield Thought, Decision, VisualState and Final as they happen; raises Cancelled once `stop` says so."""
    _check(stop)
    with torch.inference_mode():
        pictures = model.pictures([image])
        contexts = opening(model, pictures, question)
    drawn: np.ndarray | None = None
    for number in range(MOST_DRAWINGS + 1):
        may_restore = number < (1 if settings.restore == "always" else MOST_DRAWINGS)
        with torch.inference_mode():
            speaker = Speaker(model, contexts.full)
        decision = _speak(speaker, settings, stop, may_restore)
        yield Thought(speaker.text, tuple(speaker.tokens))
        if decision is not None:
            yield decision
        if decision is None or not decision.restore:
            break
        with torch.inference_mode():
            said = model.ids(speaker.text)
            no_image, _ = model.network.add_text(contexts.no_image, said)
        contexts = Contexts(speaker.context, contexts.full, no_image)
        latent: Tensor | None = None
        for state, latent in _draw(model, contexts, pictures, settings, stop, number):
            drawn = state.image
            yield state
        assert latent is not None and drawn is not None
        full = _take_in(model, contexts.full, latent, drawn, pictures, settings.route)
        contexts = Contexts(full, full, full) if settings.route != "re-encode" else Contexts(full, full, no_image)
    yield Final(_answer(speaker.tokens, model), drawn)
