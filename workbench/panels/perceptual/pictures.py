"""The pictures that are compared: files, scenes, or all that a saved run shows; brought to one size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import Refusal
from workbench.panels.capture.study import STUDY as CAPTURE
from workbench.panels.perceptual.config import RUN
from workbench.panels.specimen import CLEAN, SCENE, find
from workbench.panels.states.shots import screen
from workbench.panels.states.study import STUDY as STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.runs.result import Result

MOST = 400
"""Pictures of one comparison."""
STRETCH = 0.05
"""How far proportions of width to height may differ between pictures that are brought to one size."""


@dataclass(frozen=True)
class Shown:
    """One picture of a comparison: uint8 (H, W, 3).

    kind: "original", "degraded", "step" or "restored" in a run, "file" otherwise. run: whose, where
    there are several. step, t: of the denoising, -1 and NaN where it is no step; the restored picture, which
    ends the last drawing, has none. drawing: from 1; 0 for what was not drawn. notes: what was done to it.
    """

    name: str
    pixels: np.ndarray
    kind: str = "file"
    run: str = ""
    drawing: int = 0
    step: int = -1
    t: float = math.nan
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Of shape and pixels, as `images.read` has it."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        return digest.hexdigest()


def gathered(
    images: Sequence[str], runs: Mapping[str, Path] | None = None
) -> tuple[list[Shown], list[Result]]:
    """All pictures that are named, in order, with unique names; and the runs that some are of.

    runs: folders of the runs that ``run:NAME`` may name.

    Raises:
        Refusal: one cannot be read, or there are fewer than two.
    """
    from workbench.runs import archive

    pictures: list[Shown] = []
    opened: list[Result] = []
    several = sum(_is_run(each) for each in images) > 1
    for source in images:
        if _is_run(source):
            path = _folder(source, runs or {})
            _, result = archive.opened(path)
            opened.append(result)
            name = source.removeprefix(RUN) if source.startswith(RUN) else path.name.removesuffix(".zip")
            pictures += of_run(result, name if several else "")
        else:
            specimen = find(source, whole=True)  # a score is of every pixel
            stem = specimen.name if source.startswith(SCENE) else Path(source).name
            pictures.append(Shown(stem, specimen.picture.pixels, notes=specimen.picture.notes))
    return enough(pictures), opened


def enough(pictures: Sequence[Shown]) -> list[Shown]:
    """The pictures with names that differ, each original once. Raises Refusal where there are not two."""
    kept: list[Shown] = []
    originals: set[str] = set()
    for each in pictures:
        if each.kind == "original":
            if each.sha256 in originals:
                continue
            originals.add(each.sha256)
        taken = {other.name for other in kept}
        name, count = each.name, 2
        while name in taken:
            name, count = f"{each.name} ({count})", count + 1
        kept.append(replace(each, name=name))
    if len(kept) < 2:
        raise Refusal("A comparison needs two pictures at least: name a reference and another one.")
    if len(kept) > MOST:
        raise Refusal(f"These are {len(kept)} pictures; at most {MOST} are compared at a time. Name fewer.")
    return kept


def of_run(result: Result, run: str = "") -> list[Shown]:
    """The pictures of a run of states or of a capture. Raises Refusal where it is another study's run."""
    if result.study == CAPTURE:
        return of_capture(result, run)
    if result.study != STATES:
        raise Refusal(
            f"A run of “{result.study[:40]}” has no pictures to compare: name one that the commands "
            f"states or capture wrote."
        )
    return of_states(result, run)


def of_capture(result: Result, run: str = "") -> list[Shown]:
    """Each image as it was given and, where it was damaged, as the model got it."""
    images = result.tables["images"]["image"].tolist()
    shown: list[Shown] = []
    for k, source in enumerate(images):
        name = f"{Path(str(source)).name} " if len(images) > 1 else ""
        before = f"{run}: {name}" if run else name
        shown.append(Shown(f"{before}original", result.images[f"original_{k}"], "original", run))
        if result.config["corruption"] != CLEAN:
            shown.append(Shown(f"{before}degraded", result.images[f"shown_{k}"], "degraded", run))
    return shown


def of_states(result: Result, run: str = "") -> list[Shown]:
    """Original, degraded, every denoising step, restored."""
    before = f"{run}: " if run else ""
    return [
        Shown(before + shot.label, shot.pixels, shot.kind, run, shot.drawing, shot.step, float(shot.t))
        for shot in screen(result)
    ]


def fitted(pictures: Sequence[Shown], rule: str) -> tuple[list[Shown], str]:
    """All pictures at one height and width, and how that came about, in words.

    rule: of `PerceptualConfig.size`.

    Raises:
        Refusal: sizes differ and are to be the same, or their proportions do.
    """
    shapes = [each.pixels.shape[:2] for each in pictures]
    if len(set(shapes)) == 1:
        height, width = shapes[0]
        return list(pictures), f"all {width} × {height}, as given"
    if rule == "same":
        (h0, w0), (h1, w1) = shapes[0], next(shape for shape in shapes if shape != shapes[0])
        raise Refusal(
            f"The pictures have different sizes ({w0} × {h0} and {w1} × {h1}). Make them equal, or "
            f"take the size "
            "smallest or reference."
        )
    height, width = shapes[0] if rule == "reference" else min(shapes, key=lambda shape: shape[0] * shape[1])
    for each in pictures:
        stretch = (each.pixels.shape[1] / each.pixels.shape[0]) / (width / height)
        if not 1 / (1 + STRETCH) <= stretch <= 1 + STRETCH:
            raise Refusal(
                f"“{each.name}” is {each.pixels.shape[1]} × {each.pixels.shape[0]} and cannot be laid over "
                f"{width} × {height} without stretching it. Crop the pictures to one proportion."
            )
    words = f"all {width} × {height}, the size of the {'reference' if rule == 'reference' else 'smallest'}"
    changed = [each.name for each, shape in zip(pictures, shapes, strict=True) if shape != (height, width)]
    return (
        [_at(each, height, width) for each in pictures],
        f"{words}; resampled (bicubic, antialiased): {_listed(changed)}",
    )


def pairs(count: int, against: str) -> list[tuple[int, int]]:
    """Which picture is compared with which, (picture, reference), by their places."""
    if against == "previous":
        return [(k, k - 1) for k in range(1, count)]
    if against == "all":
        return [(k, r) for r in range(count) for k in range(r + 1, count)]
    return [(k, 0) for k in range(1, count)]


def _at(each: Shown, height: int, width: int) -> Shown:
    if each.pixels.shape[:2] == (height, width):
        return each
    from PIL import Image

    sized = Image.fromarray(each.pixels).resize((width, height), Image.Resampling.BICUBIC)
    was = f"Resampled from {each.pixels.shape[1]} × {each.pixels.shape[0]}."
    return replace(each, pixels=np.asarray(sized), notes=(*each.notes, was))


def _is_run(source: str) -> bool:
    """Whether this names a saved run: in a recipe, or a folder, or a .zip."""
    if source.startswith(RUN):
        return True
    return not source.startswith(SCENE) and (source.endswith(".zip") or Path(source).expanduser().is_dir())


def _folder(source: str, runs: Mapping[str, Path]) -> Path:
    if not source.startswith(RUN):
        return Path(source).expanduser()
    name = source.removeprefix(RUN)
    if name not in runs:
        raise Refusal(
            f"{source} names a run of a recipe, and there is none of that name here. Give the folder "
            f"of a run."
        )
    return runs[name]


def _listed(names: Iterable[str], most: int = 4) -> str:
    """Names for reading; of many the first ones."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
