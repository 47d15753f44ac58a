"""The layers of a saved capture: the study's own measures, without the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import never
from workbench.panels.layers.config import LayersConfig, Progress, quiet

if TYPE_CHECKING:
    from workbench.capture.hidden import Captured
    from workbench.runs.result import Result

MOST_TOKENS = 6400
"""Of a grid: what a picture of 1,024 pixels has in cells of 13. Measures hold tokens × tokens numbers."""
WIDEST = 16_384
"""Numbers in a token."""


def measure_saved(
    saved: Result, *, progress: Progress = quiet, stop: Callable[[], bool] = never
) -> list[Result]:
    """The layers study of each image of a capture, as the model would have been measured then.

    Settings that the capture does not fix are the study's defaults; the manifest holds the capture's own
    under "capture".

    Raises:
        Refusal: the capture is larger than what can be measured.
        Cancelled: once `stop` says so.
        ValueError, KeyError: the tables and arrays do not belong together, as in a file that is not ours.
    """
    from workbench.panels.capture.contents import seen
    from workbench.panels.layers.picture import measure_captured
    from workbench.panels.layers.study import result_of

    found, images = [], seen(saved)
    for k, one in enumerate(images):

        def share(fraction: float, text: str, k: int = k) -> None:
            progress((k + fraction) / len(images), text)

        _within_bounds(one.captured)
        started = time.time()
        config = LayersConfig(
            image=one.source,
            question=saved.config["prompt"],
            corruption=saved.config["corruption"],
            intensity=saved.config["intensity"],
            seed=saved.config["seed"],
        )
        measured = measure_captured(config, one.captured, one.picture, one.shown, share, stop)
        result = result_of(config, measured, saved.manifest["model"], started)
        result.manifest["capture"] = saved.manifest
        found.append(result)
    return found


def _within_bounds(captured: Captured) -> None:
    """Raise Refusal where a file would have more computed than any model that is read here makes."""
    tokens = captured.grid.rows * captured.grid.cols
    width = max((states.shape[2] for states in captured.states), default=0)
    if tokens > MOST_TOKENS or width > WIDEST:
        raise Refusal(
            f"This capture has {tokens:,} visual tokens of up to {width:,} numbers; up to {MOST_TOKENS:,} of "
            f"{WIDEST:,} are measured. Capture a smaller image."
        )
