"""The atlas of a saved capture: the study's own sample and planes, without the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import never
from workbench.panels.atlas.config import AtlasConfig
from workbench.panels.atlas.reading import Reading
from workbench.panels.atlas.study import result_of

if TYPE_CHECKING:
    from workbench.runs.result import Result


def from_capture(
    saved: Result,
    *,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> list[Result]:
    """The tokens of each view of a capture on planes, principal components first, as the page lays them out.

    Of the stages that the capture kept, those whose tokens stand on a known grid can be laid out; which of
    them are is the study's own choice.

    Raises:
        Refusal: too few tokens for a plane, or none whose place is known.
        Cancelled: once `stop` says so.
        ValueError, KeyError: the tables and arrays do not belong together, as in a file that is not ours.
    """
    from workbench.panels.capture.contents import conditions, manifested, seen

    found = []
    for one in seen(saved):
        started = time.time()
        config = AtlasConfig(image=one.source, method="pca", **conditions(saved))
        placed = zip(one.captured.stages, one.captured.grids, strict=True)
        known = [stage for stage, grid in placed if grid is not None]
        if not known:
            raise Refusal("It is not known where the tokens of these stages stand on the image.")
        reading = Reading(config, known, one.picture)
        (some,) = reading.subject.pictures()
        reading.take(some, [one.shown], one.captured, config.corruption, 0)
        found.append(
            manifested(result_of(reading, saved.manifest["model"], started, progress, stop), saved, one)
        )
    return found
