"""What drawing does to the answers on average: a sentence beside one look, from published measurements."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workbench.images.corruptions import CORRUPTIONS, LEVELS
from workbench.models.protocol import ModelCard
from workbench.panels.specimen import CLEAN

MEASURED = "measured.json"
DRAWN = {"steps": 12, "shift": 3.0, "text_scale": 1.0, "image_scale": 1.0}
"""How the drawings that were measured came about."""
AT = 0.03
"""How far an intensity may be off a measured one to be taken for it."""
MINUS = "\N{MINUS SIGN}"


def gain(card: ModelCard, config: Mapping[str, Any]) -> str:
    """How often drawing helps at a look's intensity, with its interval; between measured ones, at those.

    Empty where the checkpoint's folder holds no measurements of these weights, or none of this corruption and
    this route; and where the look draws in another way than what was measured, or not at all.
    """
    if config["restore"] == "never" or any(config[name] != value for name, value in DRAWN.items()):
        return ""
    try:
        found = json.loads((card.folder / MEASURED).read_text("utf-8"))
        if found["revision"] != card.revision:
            return ""
        measured, near = _near(config["corruption"], float(config["intensity"]))
        gains = [found["restored"][where] for where, _ in near]
        if not measured:
            return _between(config, near, gains)
        ((_, words),), (here,) = near, gains
        alone = here[f"{config['route']} gain"]
        told = (
            f"On average: over {alone['n']:,} test scenes {words}, answering after drawing instead of from "
            f"vision tokens alone changed the share of right answers by {_points(alone)}: {_verdict(alone)}."
        )
        same = here.get(f"{config['route']} gain in context")
        return f"{told} Against the same context without drawing: {_points(same)}." if same else told
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _between(config: Mapping[str, Any], near: list[tuple[str, str]], gains: list[Any]) -> str:
    """The gains at the measured levels on either side of an intensity that was not measured."""
    alone = [each[f"{config['route']} gain"] for each in gains]
    listed = " and ".join(f"{_points(each)} {words}" for each, (_, words) in zip(alone, near, strict=True))
    return (
        f"Not measured at {config['intensity']:.2f}. On average over {alone[0]['n']:,} test scenes, "
        "answering after drawing instead of from vision tokens alone changed the share of right answers by "
        f"{listed}."
    )


def _near(corruption: str, intensity: float) -> tuple[bool, list[tuple[str, str]]]:
    """Whether an intensity was measured; and that level, else those beside it.

    Of each the name among the measurements, and in words.
    """
    clean = ("clean", "without any corruption")
    if corruption == CLEAN or intensity == 0:
        return True, [clean]
    label = CORRUPTIONS[corruption].within
    known = [(0.0, clean)] + [
        (value, (f"{corruption} {name}", f"with {label} at {value:.2f}"))
        for name, value in sorted(LEVELS.items(), key=lambda level: level[1])
    ]
    at = [level for value, level in known if abs(value - intensity) <= AT]
    below = [level for value, level in known if value < intensity]
    above = [level for value, level in known if value > intensity]
    return bool(at), at or [*below[-1:], *above[:1]]


def _points(value: Mapping[str, float]) -> str:
    """A difference of shares in points of per cent, with its 95 % interval."""
    mean, low, high = (_signed(100 * value[name]) for name in ("mean", "low", "high"))
    return f"{mean} points (95 % interval {low} to {high})"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", MINUS)


def _verdict(value: Mapping[str, float]) -> str:
    if value["low"] > 0:
        return "drawing helps here"
    return "drawing hurts here" if value["high"] < 0 else "no difference can be told"
