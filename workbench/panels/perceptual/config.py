"""What a person chooses about a comparison of pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from probes.perceptual.registry import MEASURES
from workbench.panels.perceptual.without import WITHOUT

PLAIN = tuple(name for name, measure in MEASURES.items() if not measure.trunk)
"""The measures that need no learned weights."""
NAMES = (*MEASURES, *WITHOUT)
RUN = "run:"
"""Before the name of another run of the same recipe."""
WEIGHTS = "AFTERIMAGE_PERCEPTUAL_WEIGHTS"
"""The environment variable that names a folder with weights."""


class PerceptualConfig(BaseModel):
    """Everything that decides the result, but for the pixels and the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[str, ...] = Field(
        default=(),
        description="files, scene:SEED, or saved runs of states or captures (folder or .zip), in a recipe "
        "also run:NAME; the first picture is the reference",
    )
    measures: tuple[str, ...] = Field(
        default=PLAIN,
        description="which, of " + ", ".join(NAMES) + "; all: every one whose weights are on this machine",
    )
    against: Literal["reference", "previous", "all"] = Field(
        default="reference",
        description="what each picture is compared with: the first one, the one before it, or all others",
    )
    size: Literal["smallest", "reference", "same"] = Field(
        default="smallest",
        description="where sizes differ, all pictures take that of the smallest or of the reference, "
        "bicubic; same refuses them",
    )
    backbones: str = Field(
        default="",
        description="folder with the weights of AlexNet, VGG16 or SqueezeNet as torchvision publishes them "
        f"[the one that {WEIGHTS} names, and torch's own cache]",
    )
    download: bool = Field(
        default=True, description="fetch weights that a named measure needs and this machine lacks"
    )

    @field_validator("measures")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for name in given:
            if name not in (*NAMES, "all"):
                raise ValueError(f"there is no measure {name!r}; choose of {', '.join(NAMES)}, or all")
        if not given:
            raise ValueError("no measure is named")
        return tuple(dict.fromkeys(given))
