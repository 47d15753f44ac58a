"""What a result says, read for the screen and for paper: scores of a pair, maps, curves over denoising."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.perceptual.registry import MEASURES
from workbench.images.fit import LONGEST, within
from workbench.panels.overlay import cividis
from workbench.panels.perceptual.study import image_name, map_name
from workbench.panels.perceptual.without import WITHOUT

if TYPE_CHECKING:
    from workbench.runs.result import Result

Named = tuple[str, "Result"]
DIFFERENCE = "difference"
"""The map that every pair has: the mean absolute difference of the three channels, in levels of 255."""
FIRST = ("lpips-alex", "lpips-vgg", "lpips-squeeze", "dists", "ssim", "psnr")
"""Which measures are shown first, of those that there are; and which map."""


@dataclass(frozen=True)
class Curve:
    """One measure over one drawing: y at the denoising steps x; before: that of the degraded picture."""

    name: str
    x: list[int]
    y: list[float]
    before: float = math.nan


def title(measure: str) -> str:
    """A measure's name for reading."""
    return (MEASURES.get(measure) or WITHOUT[measure]).title


def arrow(measure: str) -> str:
    """Its direction: ↑ where higher is better."""
    return (MEASURES.get(measure) or WITHOUT[measure]).arrow


def ends(measure: str) -> str:
    """The range of its values, in words."""
    about = MEASURES.get(measure) or WITHOUT[measure]
    high = "∞" if math.isinf(about.high) else f"{about.high:g}"
    return f"{about.low:g} … {high}".replace("-", "\N{MINUS SIGN}")


def number(measure: str, value: float) -> str:
    """A value for reading, with its unit; two equal pictures are said to be."""
    if math.isinf(value):
        return "equal"
    if measure == "psnr":
        return f"{value:.1f} dB"
    digits = f"{value:.1f}" if measure in WITHOUT else f"{value:.3f}"
    return digits.replace("-", "\N{MINUS SIGN}")


def measures_of(result: Result) -> list[str]:
    """The measures that a result holds, in the registry's order."""
    held = set(result.tables["scores"]["measure"])
    return [name for name in (*MEASURES, *WITHOUT) if name in held]


def foremost(result: Result, most: int = 3) -> list[str]:
    """A few of them that say most, in the registry's order."""
    held = measures_of(result)
    learned = [name for name in held if name in FIRST[:4]][:1]
    wanted = {"psnr", "ssim", *learned}
    chosen = [name for name in held if name in wanted]
    return (chosen + [name for name in held if name not in wanted])[:most]


def places(result: Result) -> list[str]:
    """The pictures' names by place."""
    return [str(name) for name in result.tables["pictures"]["picture"]]


def pairs_of(result: Result) -> list[tuple[int, int]]:
    """The pairs that were compared, (picture, reference) by place, in order."""
    table = result.tables["scores"]
    table = table[table["reference place"] >= 0]
    found = zip(table["place"], table["reference place"], strict=True)
    return list(dict.fromkeys((int(k), int(r)) for k, r in found))


def last_pair(result: Result) -> tuple[int, int]:
    """The pair that is shown first: the restored picture where there is one, else the last."""
    kinds = list(result.tables["pictures"]["kind"])
    found = pairs_of(result) or [(len(kinds) - 1, 0)]
    return next((pair for pair in reversed(found) if kinds[pair[0]] == "restored"), found[-1])


def scores_of(result: Result, pair: tuple[int, int]) -> list[dict[str, Any]]:
    """The rows of one pair, and those of its picture alone."""
    table = result.tables["scores"]
    own = (table["place"] == pair[0]) & table["reference place"].isin([pair[1], -1])
    found: list[dict[str, Any]] = table[own].to_dict("records")
    return found


def value(result: Result, measure: str, pair: tuple[int, int]) -> float:
    """One value; NaN where there is none."""
    rows = [row for row in scores_of(result, pair) if row["measure"] == measure]
    return float(rows[0]["value"]) if rows else math.nan


def maps_of(result: Result, pair: tuple[int, int]) -> list[str]:
    """The maps that there are of a pair, what says most first."""
    held = [name for name in MEASURES if map_name(name, *pair) in result.arrays]
    return [*(name for name in FIRST if name in held), DIFFERENCE]


def map_title(kind: str) -> str:
    """What a map shows; in every one a higher value is further from the reference."""
    if kind == DIFFERENCE:
        return "absolute difference, levels of 255"
    return "1 \N{MINUS SIGN} SSIM" if kind == "ssim" else title(kind)


def seen(result: Result, place: int) -> np.ndarray:
    """A picture as it is shown, uint8 (h, w, 3): a large one smaller than it was compared."""
    return within(result.images[image_name(place)], LONGEST)


def spread(result: Result, kind: str, pair: tuple[int, int]) -> np.ndarray:
    """A map of a pair, float32 (h, w): how far the picture is from the reference at each place."""
    if kind == DIFFERENCE:
        picture, reference = (result.images[image_name(place)].astype(np.float32) for place in pair)
        return np.asarray(np.abs(picture - reference).mean(2), np.float32)
    found = result.arrays[map_name(kind, *pair)].astype(np.float32)
    return np.asarray(1 - found if kind == "ssim" else found, np.float32)


def span(kind: str, maps: Iterable[np.ndarray]) -> tuple[float, float]:
    """The values at both ends of the colours: 0 to 1 for SSIM, else to the highest there is."""
    if kind == "ssim":
        return 0.0, 1.0
    highest = max((float(each.max()) for each in maps), default=0.0)
    if highest <= 0:
        return 0.0, 1.0
    digit = 10.0 ** math.floor(math.log10(highest))
    return 0.0, math.ceil(highest / digit * 10 - 1e-9) / 10 * digit  # two digits, rounded up


def ends_of(kind: str, between: tuple[float, float]) -> tuple[str, str]:
    """Both ends in words; beyond 1 of SSIM, where the pictures contradict each other, is the end's colour."""
    high = f"{between[1]:.2g}" if between[1] < 10 else f"{between[1]:.0f}"
    return f"{between[0]:g}", "1 and above" if kind == "ssim" else high


def coloured(values: np.ndarray, between: tuple[float, float]) -> np.ndarray:
    """A map in cividis, uint8 (h, w, 3)."""
    low, high = between
    share = np.clip((values - low) / (high - low), 0, 1)
    return cividis()[(share * 255 + 0.5).astype(np.uint8)].astype(np.uint8)


def curves(result: Result, measure: str) -> list[Curve]:
    """A measure over the denoising steps of each drawing of each run, against the first picture."""
    pictures, scores = result.tables["pictures"], result.tables["scores"]
    rows = scores[(scores["measure"] == measure) & scores["reference place"].isin([0, -1])]
    by_place = {int(k): float(v) for k, v in zip(rows["place"], rows["value"], strict=True)}
    found = []
    runs = list(dict.fromkeys(pictures["run"]))
    for run in runs:
        own = pictures[pictures["run"] == run]
        degraded = [by_place.get(int(k), math.nan) for k in own[own["kind"] == "degraded"]["place"]]
        steps = own[own["kind"] == "step"]
        drawings = sorted({int(drawing) for drawing in steps["drawing"]})
        for drawing in drawings:
            part = steps[steps["drawing"] == drawing]
            known = [
                (int(step), by_place[int(k)])
                for step, k in zip(part["step"], part["place"], strict=True)
                if int(k) in by_place and math.isfinite(by_place[int(k)])
            ]
            if len(known) > 1:
                words = [str(run)] if len(runs) > 1 else []
                words += [f"drawing {drawing}"] if len(drawings) > 1 else []
                x, y = zip(*known, strict=True)
                found.append(Curve(", ".join(words), list(x), list(y), degraded[0] if degraded else math.nan))
    return found


def shown_places(result: Result, most: int = 3) -> list[int]:
    """Pictures of a figure: the reference, then degraded and restored, or the first of those given."""
    kinds = list(result.tables["pictures"]["kind"])
    wanted = [k for k, kind in enumerate(kinds) if kind in ("degraded", "restored") and k]
    others = [k for k in range(1, len(kinds)) if kinds[k] == "file"]
    return [0, *sorted([*wanted, *others])[: most - 1]]


def left_out(result: Result, measures: Sequence[str] = ()) -> list[str]:
    """What is not measured and why, a sentence each."""
    found = []
    for row in result.tables["left out"].to_dict("records"):
        if measures and row["measure"] not in measures:
            continue
        of = f" of {row['picture']}" if row["picture"] else ""
        reason = str(row["reason"]).rstrip(".")
        found.append(f"No {title(row['measure'])}{of}: {reason}.")
    return found
