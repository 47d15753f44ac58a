"""The patches of a saved capture: the study's own measures, without the model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workbench.panels.patches.config import PatchesConfig
from workbench.panels.patches.study import result_of

if TYPE_CHECKING:
    from workbench.runs.result import Result


def from_capture(saved: Result) -> list[Result]:
    """The patches of each view of a capture, as the model would have been looked at then.

    What the capture did not keep is not there: one made without the lens has no words. The manifest holds the
    capture's own under "capture".

    Raises:
        ValueError, KeyError: the tables and arrays do not belong together, as in a file that is not ours.
    """
    from workbench.panels.capture.contents import conditions, manifested, seen

    found = []
    for one in seen(saved):
        started = time.time()
        config = PatchesConfig(
            image=one.source,
            **conditions(saved),
            words=tuple(saved.config.get("words", ())),
            top=saved.config.get("lens_top") or PatchesConfig().top,
            max_new_tokens=saved.config["max_new_tokens"],
            attention_rows=saved.config["attention_rows"],
        )
        found.append(manifested(result_of(config, one, saved, saved.manifest["model"], started), saved, one))
    return found
