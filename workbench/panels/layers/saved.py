"""The layers of a saved capture: the study's own measures, without the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.models.protocol import never
from workbench.panels.layers.config import LayersConfig, Progress, quiet

if TYPE_CHECKING:
    from workbench.runs.result import Result


def measure_saved(
    saved: Result, *, progress: Progress = quiet, stop: Callable[[], bool] = never
) -> list[Result]:
    """The layers study of each view of a capture, as the model would have been measured then.

    Settings that the capture does not fix are the study's defaults; the manifest holds the capture's own
    under "capture".

    Raises:
        Refusal: the capture is larger than what can be measured.
        Cancelled: once `stop` says so.
        ValueError, KeyError: the tables and arrays do not belong together, as in a file that is not ours.
    """
    from workbench.panels.capture.contents import conditions, manifested, seen
    from workbench.panels.layers.picture import measure_captured
    from workbench.panels.layers.study import result_of

    found, images = [], seen(saved)
    for k, one in enumerate(images):

        def share(fraction: float, text: str, k: int = k) -> None:
            progress((k + fraction) / len(images), text)

        started = time.time()
        config = LayersConfig(image=one.source, **conditions(saved))
        measured = measure_captured(config, one.captured, one.picture, one.shown, share, stop)
        found.append(manifested(result_of(config, measured, saved.manifest["model"], started), saved, one))
    return found
