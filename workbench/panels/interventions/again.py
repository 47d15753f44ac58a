"""One response, and its answers with something else in place of its drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench.datasets.collection import Asked
from workbench.datasets.matching import matches
from workbench.models.protocol import Branch, Decision, Event, Model, Reply, Thought
from workbench.panels.interventions.config import OWN, InterventionsConfig
from workbench.panels.interventions.states import Pictures, picture_of, wanted
from workbench.panels.states.events import Laid, spoken

Row = dict[str, object]


@dataclass(frozen=True)
class Item:
    """A question about a picture. name: finds it again; asked: its answer is empty where none is known."""

    name: str
    asked: Asked
    pictures: Pictures
    seed: int


@dataclass
class Answered:
    """What was said of one item: the response's rows, and a row for each state and route."""

    response: Row
    rows: list[Row] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """About to answer with a state by a route."""

    done: int
    total: int
    route: str


def again(
    config: InterventionsConfig, model: Model, item: Item, *, watched: bool, stop: Callable[[], bool]
) -> Iterator[Event | Laid | Asking | Answered]:
    """The response, then every state by every route; `Answered` comes last.

    Raises Cancelled once ``stop`` says so.
    """
    pictures, asked = item.pictures, item.asked
    yield Laid(pictures.original, pictures.degraded)
    settings = config.model_copy(update={"seed": item.seed}).sampling()
    thoughts: list[str] = []
    chance, branch = math.nan, None
    for event in model.branched(pictures.degraded, asked.text, settings, watched=watched, stop=stop):
        match event:
            case Thought(text, done=True):
                thoughts.append(spoken(text))
            case Decision(_, probability):
                chance = probability if math.isnan(chance) else chance
        if isinstance(event, Branch):
            branch = event
        else:
            yield event
    about: Row = {"name": item.name, "question": asked.text, "kind": asked.kind, "truth": asked.answer}
    response = about | {"drew": branch is not None, "probability of drawing": chance}
    response["thought"] = thoughts[0] if thoughts else ""
    response["thought after drawing"] = thoughts[-1] if branch is not None else ""
    found = Answered(response)
    if branch is None:
        yield found
        return
    states = wanted(config.states, pictures, config.corruption)
    found.images[OWN] = branch.image
    shown = {state: picture_of(state, pictures, item.seed) for state in states}
    found.images |= {state: image for state, image in shown.items() if image is not None}
    placed = [state for state in states if shown[state] is not None]
    without = branch.without() if "none" in states else None
    for number, route in enumerate(config.routes):
        yield Asking(number, len(config.routes), route)
        first: list[np.ndarray | None] = [] if route == config.route else [None]
        replies = branch.replies([*first, *(shown[state] for state in placed)], route, thought=config.thought)
        own = replies.pop(0) if first else branch.own
        by_state: dict[str, Reply] = {OWN: own, **dict(zip(placed, replies, strict=True))}
        if without is not None:
            by_state["none"] = without
        ordered = {state: by_state[state] for state in (OWN, *states)}
        found.rows += [about | {"route": route} | row for row in _rows(ordered, asked)]
    yield found


def _rows(replies: dict[str, Reply], asked: Asked) -> list[Row]:
    """A row for each state by one route, compared with the drawing itself by that route.

    Where nothing was said after the drawing itself there is no answer that could change: whether it flipped
    is NaN.
    """
    own, truth = replies[OWN].answer.text, asked.answer
    spoke = bool(_plain(own))
    candidates = [own, truth] if truth else [own]
    scores = {state: reply.score(candidates) for state, reply in replies.items()}
    rows: list[Row] = []
    for state, reply in replies.items():
        answer, change = reply.answer, scores[state] - scores[OWN]
        rows.append(
            {
                "state": state,
                "answer": answer.text,
                "probability": float(answer.probability) if answer.tokens else math.nan,
                "own answer": own,
                "logprob": float(scores[state][0]),
                "delta": float(change[0]),
                "truth logprob": float(scores[state][1]) if truth else math.nan,
                "truth delta": float(change[1]) if truth else math.nan,
                "flipped": float(not same(answer.text, own)) if spoke else math.nan,
                "right": float(matches(asked, answer.text)) if truth else math.nan,
            }
        )
    return rows


def same(one: str, other: str) -> bool:
    """Whether two answers are the same words: case, outer punctuation and white space do not count."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'“”")
