"""The damage that a saved capture shows: each image as the model got it against the one that was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.models.protocol import never
from workbench.panels.perceptual.config import PerceptualConfig
from workbench.panels.perceptual.pictures import of_capture
from workbench.panels.perceptual.study import run

if TYPE_CHECKING:
    from workbench.runs.result import Result

CAPTURED = "the images of a saved capture"
"""What stands for them in a config."""


def from_capture(
    saved: Result,
    *,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> list[Result]:
    """A comparison for each image that was damaged, by the measures that need no learned weights.

    Raises:
        Cancelled: once `stop` says so.
        ValueError, KeyError: the tables and images do not belong together, as in a file that is not ours.
    """
    shown = of_capture(saved)
    damaged = [k for k, each in enumerate(shown) if each.kind == "degraded"]
    config = PerceptualConfig(images=(CAPTURED,))
    found = []
    for number, k in enumerate(damaged):

        def share(fraction: float, text: str, number: int = number) -> None:
            progress((number + fraction) / len(damaged), text)

        made = run(config, picture=(shown[k - 1 : k + 1], [saved]), progress=share, stop=stop)
        found.append(replace(made, manifest=made.manifest | {"capture": saved.manifest}))
    return found
