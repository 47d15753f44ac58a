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
MINUS = "\N{MINUS SIGN}"


def gain(card: ModelCard, config: Mapping[str, Any]) -> str:
    """How often drawing helps at the measured level nearest to a look's, with its interval.

    Empty where the checkpoint's folder holds no measurements of these weights, or none of this corruption and
    this route; and where the look draws in another way than what was measured, or not at all.
    """
    if config["restore"] == "never" or any(config[name] != value for name, value in DRAWN.items()):
        return ""
    try:
        found = json.loads((card.folder / MEASURED).read_text("utf-8"))
        if found["revision"] != card.revision:
            return ""
        where, words = _nearest(config["corruption"], float(config["intensity"]))
        here = found["restored"][where]
        alone = here[f"{config['route']} gain"]
        told = (
            f"On average: over {alone['n']:,} test scenes {words}, answering after drawing instead of from "
            f"vision tokens alone changed the share of right answers by {_points(alone)}: {_verdict(alone)}."
        )
        same = here.get(f"{config['route']} gain in context")
        return f"{told} Against the same context without drawing: {_points(same)}." if same else told
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _nearest(corruption: str, intensity: float) -> tuple[str, str]:
    """The measurements' name for the level nearest to an intensity, and the same in words."""
    if corruption == CLEAN:
        return "clean", "without any corruption"
    level = min(LEVELS, key=lambda name: abs(LEVELS[name] - intensity))
    label = CORRUPTIONS[corruption].within
    return f"{corruption} {level}", f"with {label} at {LEVELS[level]:.2f}"


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
