"""Visual states: what the model thinks, draws and answers, one event after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Final, Model, VisualState, never
from workbench.panels.needs import missing
from workbench.panels.question import required
from workbench.panels.specimen import degrade, known
from workbench.panels.states.config import StatesConfig
from workbench.panels.states.events import SAME, Direct, Laid, StudyEvent, words
from workbench.panels.states.record import STUDY, Record

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

__all__ = ["NEEDS", "STUDY", "prepared", "run", "stream"]

NEEDS = frozenset({Capability.ANSWERS, Capability.GENERATES, Capability.INTERLEAVES})


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
