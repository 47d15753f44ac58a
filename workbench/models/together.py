"""Many questions about many images: at once where a model reads them side by side, else one after another.

A study asks here and need not know which it is. What comes back is in the order of what was asked.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from workbench.errors import Refusal, go_on
from workbench.models.protocol import Answer, Decision, Final, Model, Sampling, VisualState, never

if TYPE_CHECKING:
    import numpy as np

IN_CONTEXT = "in context"
"""The way of a response to which no drawing is allowed; the others are named as in `protocol.ROUTES`."""
SHORT = 16
"""Tokens of an answer, if nobody says how many."""


@dataclass(frozen=True)
class Posed:
    """A question about the image of a number, and the answers to score, if any."""

    image: int
    text: str
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Response:
    """What one response came to.

    decision: the first one of it. drawn: the image, uint8 (H, W, 3), that the answer was given after, if one
    was drawn. answer: as it was said; where candidates were scored, the likeliest. scores: log-probabilities
    in nats, float64 (C,), of the candidates in place of the answer; None where it was said freely.
    """

    decision: Decision
    drawn: np.ndarray | None
    answer: Answer
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class Responses:
    """The responses by way, in the order of the questions, and the seconds that each way took alone.

    What ways share (reading, thought, drawing) counts for each of them.
    """

    by_way: Mapping[str, list[Response]]
    seconds: Mapping[str, float]


@runtime_checkable
class SideBySide(Protocol):
    """A model that reads different questions about different images, all of one size, in one pass."""

    def score_each(
        self, images: Sequence[np.ndarray], posed: Sequence[Posed], *, stop: Callable[[], bool] = never
    ) -> list[np.ndarray]:
        """`Model.score` of each question's candidates, float64 (C,)."""
        ...

    def answer_each(
        self,
        images: Sequence[np.ndarray],
        posed: Sequence[Posed],
        *,
        max_new_tokens: int = SHORT,
        stop: Callable[[], bool] = never,
    ) -> list[Answer]:
        """`Model.answer` to each question."""
        ...

    def respond_each(
        self,
        images: Sequence[np.ndarray],
        posed: Sequence[Posed],
        settings: Sampling,
        seeds: Sequence[int],
        ways: Sequence[str],
        *,
        stop: Callable[[], bool] = never,
    ) -> Responses:
        """`Model.respond` to each question by each way; see `responses`."""
        ...


def scores(
    model: Model,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    *,
    batch: int,
    stop: Callable[[], bool] = never,
) -> list[np.ndarray]:
    """Log-probabilities in nats, float64 (C,), of the candidates of each question, teacher-forced.

    images: uint8 (H, W, 3), of any sizes. batch: images in one pass. Raises Cancelled once `stop` says so.
    """
    out: dict[int, np.ndarray] = {}
    if isinstance(model, SideBySide):
        for shown, numbers, asked in _passes(images, posed, batch):
            go_on(stop)
            out |= zip(numbers, model.score_each(shown, asked, stop=stop), strict=True)
    else:
        for numbers, shown, first in _alike(images, posed, batch):
            go_on(stop)
            found = model.score(model.prepare(shown, first.text), first.candidates)
            out |= zip(numbers, found, strict=True)
    return [out[number] for number in range(len(posed))]


def answers(
    model: Model,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    *,
    batch: int,
    max_new_tokens: int = SHORT,
    stop: Callable[[], bool] = never,
) -> list[Answer]:
    """A greedy answer to each question, said freely; the rest as in `scores`."""
    out: dict[int, Answer] = {}
    if isinstance(model, SideBySide):
        for shown, numbers, asked in _passes(images, posed, batch):
            go_on(stop)
            found = model.answer_each(shown, asked, max_new_tokens=max_new_tokens, stop=stop)
            out |= zip(numbers, found, strict=True)
    else:
        for numbers, shown, first in _alike(images, posed, batch):
            go_on(stop)
            prompt = model.prepare(shown, first.text)
            out |= zip(numbers, model.answer(prompt, max_new_tokens=max_new_tokens, stop=stop), strict=True)
    return [out[number] for number in range(len(posed))]


def responses(
    model: Model,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    settings: Sampling,
    seeds: Sequence[int],
    ways: Sequence[str],
    *,
    batch: int,
    stop: Callable[[], bool] = never,
) -> Responses:
    """A response to each question by each of the ways: IN_CONTEXT, or one of `protocol.ROUTES`.

    The ways share the thought, and those with a drawing its first: noise depends on the question's seed
    alone. Where a question has candidates and the model reads side by side, they are scored in place of the
    answer; a model that is asked one by one says it freely. `settings.route`, and its seed, are not used.

    Raises:
        Refusal: a question is empty or too long, or there is no such way.
        Cancelled: once `stop` says so.
    """
    for way in ways:
        _settings(settings, way, 0)
    if not isinstance(model, SideBySide):
        return _one_by_one(model, images, posed, settings, seeds, ways, stop)
    found: dict[str, dict[int, Response]] = {way: {} for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for shown, numbers, asked in _passes(images, posed, batch):
        go_on(stop)
        some = model.respond_each(shown, asked, settings, [seeds[k] for k in numbers], ways, stop=stop)
        for way in ways:
            found[way] |= zip(numbers, some.by_way[way], strict=True)
            seconds[way] += some.seconds[way]
    return Responses({way: [found[way][k] for k in range(len(posed))] for way in ways}, seconds)


def _one_by_one(
    model: Model,
    images: Sequence[np.ndarray],
    posed: Sequence[Posed],
    settings: Sampling,
    seeds: Sequence[int],
    ways: Sequence[str],
    stop: Callable[[], bool],
) -> Responses:
    by_way: dict[str, list[Response]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for way in ways:
        started = time.perf_counter()
        for asked, seed in zip(posed, seeds, strict=True):
            decision, final, drew = Decision(False, float("nan")), None, False
            own = _settings(settings, way, seed)
            first = True
            for event in model.respond(images[asked.image], asked.text, own, stop=stop):
                if isinstance(event, Decision) and first:
                    decision, first = event, False
                drew = drew or isinstance(event, VisualState)
                final = event if isinstance(event, Final) else final
            if final is None:
                raise Refusal(f"{model.card.id} gave no answer to “{asked.text}”.")
            by_way[way].append(Response(decision, final.restored if drew else None, final.answer))
        seconds[way] = time.perf_counter() - started
    return Responses(by_way, seconds)


def _settings(settings: Sampling, way: str, seed: int) -> Sampling:
    """How one response goes by a way. Raises Refusal where there is no such way."""
    if way == IN_CONTEXT:
        return replace(settings, restore="never", seed=seed)
    return replace(settings, route=way, seed=seed)


def _passes(
    images: Sequence[np.ndarray], posed: Sequence[Posed], batch: int
) -> list[tuple[list[np.ndarray], list[int], list[Posed]]]:
    """Up to `batch` images of one size at once, with the numbers of the questions about them, and those."""
    about: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(posed):
        about[one.image].append(number)
    sizes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for image in about:
        sizes[images[image].shape].append(image)
    out = []
    for same in sizes.values():
        for first in range(0, len(same), batch):
            some = same[first : first + batch]
            numbers = [number for image in some for number in about[image]]
            place = {image: k for k, image in enumerate(some)}
            asked = [replace(posed[number], image=place[posed[number].image]) for number in numbers]
            out.append(([images[image] for image in some], numbers, asked))
    return out


def _alike(
    images: Sequence[np.ndarray], posed: Sequence[Posed], batch: int
) -> list[tuple[list[int], list[np.ndarray], Posed]]:
    """Up to `batch` questions of one text and candidates about images of one size: numbers, images, first."""
    same: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, asked in enumerate(posed):
        same[asked.text, asked.candidates, images[asked.image].shape].append(number)
    return [
        (some, [images[posed[number].image] for number in some], posed[some[0]])
        for numbers in same.values()
        for some in (numbers[first : first + batch] for first in range(0, len(numbers), batch))
    ]
