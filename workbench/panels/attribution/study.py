"""Attribution: which part of the image does the answer rest on, by many methods, each measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, never
from workbench.panels.attribution.config import MOST_WORDS, TAKING, AttributionConfig, ordered
from workbench.panels.layers.config import Progress, quiet
from workbench.panels.needs import missing
from workbench.panels.question import required
from workbench.panels.specimen import degrade, find, known

if TYPE_CHECKING:
    import numpy as np

    from workbench.images.read import Picture
    from workbench.panels.attribution.case import Case
    from workbench.panels.attribution.laid import Laid
    from workbench.panels.attribution.measuring import Truth
    from workbench.runs.result import Result

STUDY = "attribution"
NEEDS = frozenset({Capability.ANSWERS, Capability.SCORES})
Show = Callable[["Result"], None]


def unseen(result: Result) -> None:
    """Nobody looks at what is finished so far."""


def prepared(config: AttributionConfig, picture: Picture | None = None) -> Picture | None:
    """The picture, None for a collection; what needs no model is refused here. Raises Refusal."""
    known(config.corruption)
    if picture is None and not config.image:
        if given := [name for name in ("question", "answer", "versus", "masks") if getattr(config, name)]:
            raise Refusal(f"--{given[0]} belongs to one image: name it with --image.")
        if config.regions == "masks":
            raise Refusal("The regions masks belong to one image: name it with --image, or take slic.")
        if config.source == "drawing":
            raise Refusal("Drawings are explained one at a time: name an image with --image.")
        if config.explains == "drawing":
            raise Refusal("What a drawing rests on is asked of one image: name it with --image.")
        return None
    required(config.question)
    if config.explains == "drawing":
        if config.answer or config.versus or config.source == "drawing":
            raise Refusal("Where the drawing is explained there is no answer to choose: leave it out.")
        if not ordered(config):
            raise Refusal(f"A drawing is explained by {', '.join(TAKING)}. Choose some of them.")
    elif config.patch:
        raise Refusal("A patch is one of a drawing: explain the drawing, or leave it out.")
    if config.masks:
        find(config.masks)
    return find(config.image).picture if picture is None else picture


def run(
    config: AttributionConfig,
    model: Model,
    *,
    picture: Picture | None = None,
    progress: Progress = quiet,
    show: Show = unseen,
    stop: Callable[[], bool] = never,
) -> Result:
    """Make every method's maps of one answer and measure them; or ask over a collection where they point.

    `laid.result` says what the result of an image holds, `collection.measured` that of a collection.

    Args:
        config: the settings.
        model: an open model that answers.
        picture: the picture, if it is at hand; otherwise `config.image` is read.
        progress: told a fraction 0..1 and what is being done.
        show: gets the result of one image each time a method's maps are done: whole, but for what is to come.
        stop: asked between passes.

    Raises:
        Refusal: on bad input, or where no method applies to the model.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    started = time.time()
    picture = prepared(config, picture)
    if picture is not None:
        return _one(config, model, picture, progress, show, stop, started)
    from workbench.panels.attribution.collection import measured
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    tables, hashes = measured(config, model, progress, stop)
    values = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, hashes, started),
        tables=tables,
    )


def _one(
    config: AttributionConfig,
    model: Model,
    picture: Picture,
    progress: Progress,
    show: Show,
    stop: Callable[[], bool],
    started: float,
) -> Result:
    from workbench.panels.attribution.case import Case
    from workbench.panels.attribution.drawn import drawn
    from workbench.panels.attribution.laid import Laid
    from workbench.panels.attribution.target import spoken

    progress(0.0, "answering")
    image = degrade(picture.pixels, config.corruption, config.intensity, config.seed)
    question = config.question
    if config.explains == "drawing":
        from workbench.panels.attribution.redrawn import Redrawn

        progress(0.0, "drawing")
        redrawn = Redrawn(model, image, config, regions=_masks(config, picture, image), stop=stop)
        return _made(redrawn, Laid(redrawn, picture, None, started), progress, show)
    inside, own = None, None
    if config.source == "drawing":
        progress(0.0, "drawing")
        inside, image, own = drawn(config, model, image, question, stop)
    said = spoken(
        model,
        inside.prompt if inside else model.prepare([image], question),
        own,
        answer=config.answer,
        versus=config.versus,
        words=MOST_WORDS if config.words else 0,
        longest=config.max_new_tokens,
    )
    masks = _masks(config, picture, image)
    case = Case(model, image, said, config, question=question, regions=masks, inside=inside, stop=stop)
    truth = truth_of(config, picture)
    if truth is not None and truth.mask.shape != image.shape[:2]:
        truth = None  # a drawing of another size: what stands where in it is not known
    return _made(case, Laid(case, picture, truth, started), progress, show)


def _made(case: Case, laid: Laid, progress: Progress, show: Show) -> Result:
    from workbench.panels.attribution.making import make

    make(case, laid, progress, show)
    progress(1.0, "done")
    return laid.result()


def truth_of(config: AttributionConfig, picture: Picture) -> Truth | None:
    """What the question names, where the picture is a drawn scene and names one thing of it."""
    from workbench.panels.attribution.asked import named
    from workbench.panels.specimen import truth

    labels = truth(config.image, picture.pixels)
    if labels is None:
        return None
    from workbench.images.scenes import CLASSES

    return named(config.question, labels.samples[0], CLASSES)


def _masks(config: AttributionConfig, picture: Picture, image: np.ndarray) -> np.ndarray | None:
    """Integers (H, W) that tell things apart: of a file by its colours, or a drawn scene's own."""
    from workbench.panels.specimen import truth

    if not config.masks:
        labels = truth(config.image, picture.pixels)
        return None if labels is None else labels.samples[0].regions
    import numpy as np

    given: Any = find(config.masks).picture.pixels
    if given.shape[:2] != image.shape[:2]:
        raise Refusal(
            f"The masks are {given.shape[1]}×{given.shape[0]} pixels and the image {image.shape[1]}×"
            f"{image.shape[0]}: give a picture of the image's size."
        )
    wide = given.astype(np.int64)
    colours: np.ndarray = wide[..., 0] * 65536 + wide[..., 1] * 256 + wide[..., 2]
    return colours
