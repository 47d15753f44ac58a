"""Documented sets of sampling parameters, by name and with their source.

The published code names a number of points in time, T, and takes T - 1 steps between them; `Sampling.steps`
counts the steps.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import Refusal
from workbench.models.protocol import Sampling


@dataclass(frozen=True)
class Preset:
    """One set: ``name`` on the command line, ``label`` on the page; ``source`` is where it is documented."""

    name: str
    label: str
    source: str
    sampling: Sampling

    def parameters(self) -> dict[str, Any]:
        """Every field of `Sampling` but the seed, which is nobody's recommendation."""
        return {name: value for name, value in asdict(self.sampling).items() if name != "seed"}


PRESETS = (
    Preset("pocket-bagel", "pocket-bagel", "as it is measured", Sampling()),
    Preset(
        "clear-demo",
        "CLEAR, demo",
        "inferencer.py and demo.py of its public code, 30 points in time",
        Sampling(
            steps=29,
            text_scale=4.0,
            image_scale=2.0,
            renorm="global",
            renorm_min=0.0,
            interval=(0.4, 1.0),
            shift=3.0,
            route="re-encode",
            max_new_tokens=4096,
        ),
    ),
    Preset(
        "clear-evaluation",
        "CLEAR, evaluation",
        "VLMEvalKit/config/test.json and bagel_inference.py of its public code, 50 points in time",
        Sampling(
            steps=49,
            text_scale=3.0,
            image_scale=1.5,
            renorm="text_channel",
            renorm_min=0.0,
            interval=(0.4, 1.0),
            shift=3.0,
            route="bridge",
            max_new_tokens=8192,
        ),
    ),
)
"""CLEAR decides greedily in all of them, as every model here does."""


def preset(name: str) -> Preset:
    """The preset of that name. Raises Refusal where there is none."""
    for each in PRESETS:
        if each.name == name:
            return each
    raise Refusal(f"There is no preset {name!r}. Take one of {', '.join(each.name for each in PRESETS)}.")
