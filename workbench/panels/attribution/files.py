"""The maps of one image as files: a picture for each, and their numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.panels.attribution.chart import boxes_of, maps, stages_of, targets_of
from workbench.panels.attribution.names import ALL_LAYERS
from workbench.panels.overlay import weighed
from workbench.runs.export import whole
from workbench.runs.store import told

if TYPE_CHECKING:
    from workbench.runs.result import Result


def save_maps(result: Result, folder: Path) -> None:
    """Every map of every target as a PNG, named by target (0 is the whole answer), method and layer.

    Raises:
        Refusal: the disk is full or may not be written.
    """
    from PIL import Image

    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for target in range(len(targets_of(result))):
            for stage in stages_of(result) or [ALL_LAYERS]:
                for one in maps(result, target, stage):
                    if stage != ALL_LAYERS and not one.stage:
                        continue
                    layer = "" if stage == ALL_LAYERS else f"-{stage.replace(' ', '')}"
                    pixels = weighed(result.images["shown"], boxes_of(result), one.values)
                    data = io.BytesIO()
                    Image.fromarray(pixels).save(data, "png")
                    with whole(folder / f"{target}-{one.method}{layer}.png") as fresh:
                        fresh.write_bytes(data.getvalue())
