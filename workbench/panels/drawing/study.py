"""Drawing from words: every state of an image that comes about, token by token or by flow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal
from workbench.models.drawing import Canvas, DrawEvent, TokenState
from workbench.models.protocol import Capability, Model, ModelCard, VisualState, never
from workbench.panels.drawing.config import DrawConfig
from workbench.panels.needs import missing

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "draw"
NEEDS = frozenset({Capability.GENERATES})
LONGEST_PROMPT = 2000
"""Characters."""
GRIDS = ("tokens", "entropy", "unguided", "logprob")
"""What a result holds of every token, (rows, cols) each; see `workbench.models.drawing.TokenState`."""


def worded(prompt: str) -> None:
    """Raises Refusal where there are no words, or too many."""
    if not prompt:
        raise Refusal("There are no words to draw from. Write what the image shall show.")
    if len(prompt) > LONGEST_PROMPT:
        raise Refusal(
            f"The words have {len(prompt):,} characters; at most {LONGEST_PROMPT:,} are read. Shorten them."
        )


def caution(card: ModelCard) -> str:
    """What to know of what this model draws from words; empty where there is nothing to say."""
    if card.family != "bagel" or "scene" not in card.knows:
        return ""
    return (
        f"{card.id} learned to restore an image that it is shown, never to draw from words alone: how its "
        "drawing comes about can be watched, but what it shows says nothing about the words."
    )


class Record:
    """Collects the events of one drawing into a result; ``states`` are the rows of its table so far."""

    def __init__(self, config: DrawConfig, card: ModelCard) -> None:
        self.config, self.card = config, card
        self.started = time.time()
        self.canvas: Canvas | None = None
        self.last: TokenState | None = None
        self.states: list[dict[str, Any]] = []
        self.images: dict[str, np.ndarray] = {}
        self.latents: list[np.ndarray] = []

    def add(self, event: DrawEvent) -> None:
        """Keep what an event says."""
        match event:
            case Canvas():
                self.canvas = event
            case TokenState():
                self.last = event
                self._row(event.image, drawn=event.drawn, entropy=float(np.nanmean(event.entropy)))
            case VisualState():
                self.latents.append(event.latent)
                norm = event.velocity_norm if event.step else math.nan
                self._row(event.image, step=event.step, t=event.t, velocity_norm=norm)

    def _row(self, image: np.ndarray, *, drawn: int = -1, step: int = -1, **numbers: float) -> None:
        """A state's row; a count that it does not have is -1, a number NaN."""
        self.images[image_name(len(self.states))] = image
        none = dict.fromkeys(("entropy", "t", "velocity_norm"), math.nan)
        self.states.append({"state": len(self.states), "drawn": drawn, "step": step, **none, **numbers})

    def result(self) -> Result:
        """What was collected.

        The table "states" has a row for each picture; of tokens there are the table "tokens", in the order in
        which they were drawn, and the arrays `GRIDS`; by flow the array "latents" (states, tokens, width).
        The manifest's "drawing" is the canvas, with every setting as it was used, and a caution.
        """
        import pandas as pd

        from workbench.runs.manifest import manifest
        from workbench.runs.result import Result

        assert self.canvas is not None
        config = self.config.model_dump(mode="json")
        made = manifest(self.card, config, self.config.seed, {}, self.started)
        made["drawing"] = asdict(self.canvas) | {"caution": caution(self.card)}
        made["drawing"]["settings"]["interval"] = list(self.canvas.settings.interval)
        tables = {"states": pd.DataFrame(self.states)}
        if self.last is None:
            return Result(STUDY, config, made, tables, {"latents": np.stack(self.latents)}, self.images)
        arrays = {name: getattr(self.last, name) for name in GRIDS}
        rows, cols = np.indices(self.last.tokens.shape)
        tables["tokens"] = pd.DataFrame(
            {"order": np.arange(rows.size), "row": rows.ravel(), "column": cols.ravel()}
            | {name: grid.ravel() for name, grid in arrays.items()}
        ).rename(columns={"tokens": "token"})
        return Result(STUDY, config, made, tables, arrays, self.images)


def image_name(state: int) -> str:
    """The name under which a result keeps the picture of a state, counted from 0."""
    return f"state_{state:03d}"


def share(event: DrawEvent) -> tuple[float, str]:
    """How much of the image is drawn by then, 0 … 1, and the same in words."""
    match event:
        case Canvas(by="tokens"):
            return 0.0, f"drawing {event.rows * event.cols:,} tokens"
        case Canvas():
            return 0.0, "drawing"
        case TokenState():
            return event.drawn / event.tokens.size, f"{event.drawn:,} of {event.tokens.size:,} tokens"
        case VisualState():
            return event.step / event.steps, f"step {event.step} of {event.steps}"


def prepared(config: DrawConfig) -> None:
    """Refuse what can be refused before a model is open; there is no picture to read."""
    worded(config.prompt)
    config.settings()


def run(
    config: DrawConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    hear: Callable[[DrawEvent, Record], None] = lambda event, record: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """One drawing from beginning to end; ``hear`` gets each event once the record holds it.

    No ``picture`` is looked at. Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    worded(config.prompt)
    record = Record(config, model.card)
    for event in model.draw(config.prompt, config.settings(), stop=stop):
        record.add(event)
        progress(*share(event))
        hear(event, record)
    return record.result()
