"""One response, and its answers with something else in place of its drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench.models.protocol import Branch, Decision, Event, Model, Reply, Thought
from workbench.panels.interventions.config import OWN, InterventionsConfig
from workbench.panels.interventions.states import Pictures, picture_of, wanted
from workbench.panels.states.events import Laid, spoken

Row = dict[str, object]
_LETTER = re.compile(r"\(?([A-Z])(?:[).:]|$)")


@dataclass(frozen=True)
class Item:
    """A question about a picture. name: finds it again; truth: its answer, empty where none is known."""

    name: str
    question: str
    pictures: Pictures
    seed: int
    truth: str = ""
    kind: str = ""


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
    pictures = item.pictures
    yield Laid(pictures.original, pictures.degraded)
    settings = config.model_copy(update={"seed": item.seed}).sampling()
    thoughts: list[str] = []
    chance, branch = math.nan, None
    for event in model.branched(pictures.degraded, item.question, settings, watched=watched, stop=stop):
        match event:
            case Thought(text, done=True):
                thoughts.append(spoken(text))
            case Decision(_, probability):
                chance = probability if math.isnan(chance) else chance
        if isinstance(event, Branch):
            branch = event
        else:
            yield event
    about: Row = {"name": item.name, "question": item.question, "kind": item.kind, "truth": item.truth}
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
        found.rows += [about | {"route": route} | row for row in _rows(ordered, item.truth)]
    yield found


def _rows(replies: dict[str, Reply], truth: str) -> list[Row]:
    """A row for each state by one route, compared with the drawing itself by that route."""
    own = replies[OWN].answer.text
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
                "flipped": not same(answer.text, own),
                "right": float(right(answer.text, truth)) if truth else math.nan,
            }
        )
    return rows


def same(one: str, other: str) -> bool:
    """Whether two answers are the same words: case, outer punctuation and white space do not count."""
    return _plain(one) == _plain(other)


def right(answer: str, truth: str) -> bool:
    """Whether an answer is the truth: the same words, or, of a choice, the letter that it begins with."""
    if same(answer, truth):
        return True
    letter = _LETTER.match(answer.strip())
    return letter is not None and letter.group(1) == truth.strip().upper()


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,;:!?\"'“”")
