"""How near pictures are to a reference, or to one another: every measure of every pair, with maps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal, go_on
from workbench.models.protocol import Model, never
from workbench.panels.perceptual import measuring
from workbench.panels.perceptual.config import PerceptualConfig
from workbench.panels.perceptual.pictures import Shown, fitted, gathered, pairs
from workbench.panels.perceptual.without import WITHOUT, version

if TYPE_CHECKING:
    from workbench.runs.result import Result

STUDY = "perceptual"
MAP = 384
"""Pixels of the longer side that maps are kept at, at most; larger ones are averaged down."""
MOST_PAIRS = 2000
Set = tuple[list[Shown], list["Result"]]
"""Pictures, and the runs that some are of."""


def prepared(
    config: PerceptualConfig, picture: Set | None = None, *, runs: Mapping[str, Path] | None = None
) -> Set:
    """The pictures of a comparison; what can be refused before it begins is.

    runs: folders of the runs that the config may name. Raises Refusal.
    """
    pictures, opened = picture if picture is not None else gathered(config.images, runs)
    fitted(pictures, config.size)
    if (count := len(pairs(len(pictures), config.against))) > MOST_PAIRS:
        raise Refusal(
            f"All pairs of {len(pictures)} pictures are {count:,}; at most {MOST_PAIRS:,} are measured. "
            "Compare each with the reference, or name fewer."
        )
    return pictures, opened


def weights(config: PerceptualConfig) -> dict[str, str]:
    """What stands for the learned weights that decide the result beside config and pictures, by measure."""
    return measuring.stamps(config)


def run(
    config: PerceptualConfig,
    model: Model | None = None,
    *,
    picture: Set | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """Measure every pair.

    The result holds the tables "scores" (a row for each pair and measure, with all that it takes to repeat
    it), "pictures" (a row for each) and "left out" (measure, picture, reason); the pictures at the size
    compared, `image_name`; and the maps as float16, `map_name`.

    No ``model`` is asked. Raises Refusal on bad input and Cancelled once ``stop`` says so.
    """
    import pandas as pd

    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    given, opened = prepared(config, picture)
    progress(0.0, "preparing the measures")
    ways = measuring.prepared(config, lambda share, words: progress(0.2 * share, words), stop)
    shown, size = fitted(given, config.size)
    record = _Record(shown, size, ways)
    todo = pairs(len(shown), config.against)
    total = max(1, len(todo) * len(ways.ready) + len(shown) * len(ways.alone))
    done = 0

    def next_one(words: str) -> None:
        nonlocal done
        go_on(stop)
        progress(done / total, words)
        done += 1

    for k, r in todo:
        for way in ways.ready:
            next_one(f"{way.about.title} of {shown[k].name}")
            record.pair(k, r, way)
    for name, metric in ways.alone.items():
        for k, each in enumerate(shown):
            next_one(f"{WITHOUT[name].title} of {each.name}")
            record.single(k, name, measuring.alone(metric, each.pixels))
    for name, reason in ways.left_out.items():
        record.leave_out(name, "", reason)
    if not record.scores:
        raise Refusal(f"There is nothing to show: {record.left_out[0]['reason']}.")
    progress(1.0, "done")
    settings = config.model_dump(mode="json")
    compared = {f"{k:03d} {each.name}": each for k, each in enumerate(given)}
    about = manifest(_whose(opened), settings, 0, compared, started)
    return Result(
        study=STUDY,
        config=settings,
        manifest=about | {"size": size, "runs": [one.manifest for one in opened]},
        tables={
            "scores": pd.DataFrame(record.scores),
            "pictures": pd.DataFrame(record.pictures),
            "left out": pd.DataFrame(record.left_out, columns=["measure", "picture", "reason"]),
        },
        arrays=record.maps,
        images={image_name(k): each.pixels for k, each in enumerate(shown)},
    )


@dataclass
class _Record:
    """Collects the rows of the tables, and the maps."""

    shown: Sequence[Shown]
    size: str
    ways: measuring.Measuring

    def __post_init__(self) -> None:
        self.scores: list[dict[str, Any]] = []
        self.left_out: list[dict[str, str]] = []
        self.maps: dict[str, np.ndarray] = {}
        self.pictures = [
            {
                "place": place,
                "picture": each.name,
                "kind": each.kind,
                "run": each.run,
                "drawing": each.drawing,
                "step": each.step,
                "t": each.t,
                "width": each.pixels.shape[1],
                "height": each.pixels.shape[0],
                "notes": " ".join(each.notes),
            }
            for place, each in enumerate(self.shown)
        ]

    def pair(self, k: int, r: int, way: measuring.Ready) -> None:
        """One measure of one pair."""
        picture, reference, about = self.shown[k], self.shown[r], way.about
        if reason := measuring.undefined(about, reference.pixels):
            self.leave_out(about.name, picture.name, reason)
            return
        value, spread = way.taker.taken(picture.pixels, reference.pixels)
        if math.isnan(value):
            self.leave_out(about.name, picture.name, "it has no value for these pictures")
            return
        if spread is not None:
            self.maps[map_name(about.name, k, r)] = reduced(spread)
        self.scores.append(
            {
                "picture": picture.name,
                "reference": reference.name,
                "measure": about.name,
                "value": value,
                "unit": about.unit,
                "better": about.better,
                "low": about.low,
                "high": about.high,
                "channels": about.channels,
                "size": self.size,
                "resize": about.resize,
                "backbone": way.backbone,
                "weights": way.digest,
                "fitted weights": way.fitted,
                "source": about.source,
                "place": k,
                "reference place": r,
            }
        )

    def single(self, k: int, name: str, value: float) -> None:
        """One measure of a picture alone."""
        about = WITHOUT[name]
        if math.isnan(value):
            self.leave_out(name, self.shown[k].name, "it has no value for this picture")
            return
        self.scores.append(
            {
                "picture": self.shown[k].name,
                "reference": "",
                "measure": name,
                "value": value,
                "unit": "",
                "better": about.better,
                "low": about.low,
                "high": about.high,
                "channels": "as pyiqa reads them",
                "size": self.size,
                "resize": "pyiqa's own",
                "backbone": f"{version()} ({measuring.licence(name)})",
                "weights": "",
                "fitted weights": "",
                "source": about.source,
                "place": k,
                "reference place": -1,
            }
        )

    def leave_out(self, measure: str, picture: str, reason: str) -> None:
        """Say why there is no number; of all pictures together where the reason is the same for every one."""
        row = {"measure": measure, "picture": picture, "reason": reason}
        same = [each for each in self.left_out if (each["measure"], each["reason"]) == (measure, reason)]
        if same:
            same[0]["picture"] = ""
        else:
            self.left_out.append(row)


def image_name(place: int) -> str:
    """The name under which a result keeps a picture, counted from 0."""
    return f"picture_{place:03d}"


def map_name(measure: str, place: int, reference: int) -> str:
    """The name under which a result keeps a measure's map of a pair."""
    return f"{measure}_{place:03d}_{reference:03d}"


def reduced(spread: np.ndarray) -> np.ndarray:
    """A map float16, its longer side at most MAP pixels: the mean of each block of k × k, the rest at the far
    edges left out.
    """
    k = -(-max(spread.shape) // MAP)
    height, width = (max(1, side // k) for side in spread.shape)
    blocks = spread[: height * k, : width * k].reshape(height, min(k, spread.shape[0]), width, -1)
    return np.asarray(blocks.mean((1, 3)), np.float16)


def _whose(opened: Sequence[Result]) -> dict[str, Any]:
    """The model that drew the pictures, where it was one; by name where there were several."""
    makers = {str(one.manifest["model"]["id"]): dict(one.manifest["model"]) for one in opened}
    if len(makers) == 1:
        return next(iter(makers.values()))
    return {"id": " and ".join(makers) if makers else "no model"}
