"""Every kind of damage at the benchmark's three intensities, with what it takes away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import go_on
from workbench.images.corruptions import CORRUPTIONS, LEVELS, MMD_BENCH, REFERENCE_SIDE, corrupt
from workbench.images.fidelity import psnr
from workbench.models.protocol import never
from workbench.panels.corruptions.config import CorruptConfig

if TYPE_CHECKING:
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "corrupt"


def prepared(config: CorruptConfig, picture: Picture | None = None) -> Picture:
    """The picture to damage. Raises Refusal where it cannot be read."""
    if picture is None:
        from workbench.panels.specimen import find

        # The authors' pixel sizes are for the picture as it is.
        picture = find(config.image, whole=config.pixels == "native").picture
    return picture


def run(
    config: CorruptConfig,
    model: object = None,
    *,
    picture: Picture | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """All of `MMD_BENCH` at all of `LEVELS`, 48 images; a model that is given is not asked.

    The result holds the images "original" and, for each, `image_name`, and the table "sheet": category,
    corruption, label, level, intensity, psnr (dB against the original, inf where equal; higher is nearer to
    it), changed (share of pixels with another value, 0 … 1) and random (whether the seed matters).

    Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    picture = prepared(config, picture)
    original = picture.pixels
    images, rows = {"original": original}, list[dict[str, Any]]()
    for name in MMD_BENCH:
        corruption = CORRUPTIONS[name]
        for level, intensity in LEVELS.items():
            go_on(stop)
            progress(len(rows) / (len(MMD_BENCH) * len(LEVELS)), f"{corruption.within}, {level}")
            damaged = corrupt(original, name, intensity, seed=config.seed, pixels=config.pixels)
            images[image_name(name, level)] = damaged
            rows.append(
                {
                    "category": corruption.category,
                    "corruption": name,
                    "label": corruption.label,
                    "level": level,
                    "intensity": intensity,
                    "psnr": float(psnr(damaged, original)),
                    "changed": float((damaged != original).any(-1).mean()),
                    "random": corruption.random,
                }
            )
    progress(1.0, "done")
    values: dict[str, Any] = config.model_dump(mode="json")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest({"id": "no model"}, values, config.seed, {"original": picture}, started),
        tables={"sheet": pd.DataFrame(rows)},
        images=images,
    )


def image_name(corruption: str, level: str) -> str:
    """The name under which a result keeps one damaged image."""
    return f"{corruption}.{level}"


def made(result: Result) -> str:
    """With which pixel sizes and which seed a sheet was made, in a sentence."""
    height, width = result.images["original"].shape[:2]
    size, seed = f"{width} × {height} pixels", f"seed {result.config['seed']}"
    if result.config["pixels"] == "native":
        fitted = [note for note in result.manifest.get("notes", {}).get("original", []) if "Fitted" in note]
        words = "pixel sizes native, as in the authors' code"
        # A picture on the page's bench was made smaller, and these are no longer the sizes of the whole one.
        words += f", of a smaller picture ({fitted[0].rstrip('.')})" if fitted else ""
        return f"{size}; {words}; {seed}."
    scale = max(height, width) / REFERENCE_SIDE
    return (
        f"{size}; pixel sizes relative, {scale:.2f} times those for a long side of {REFERENCE_SIDE}; {seed}."
    )


def shown_psnr(value: float) -> str:
    """A PSNR in words."""
    return "unchanged" if np.isinf(value) else f"{value:.1f} dB"
