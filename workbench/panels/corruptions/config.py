"""The settings of a sheet of corruptions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CorruptConfig(BaseModel):
    """Everything that decides the result, but for the pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of every random draw")
    pixels: Literal["relative", "native"] = Field(
        default="relative",
        description="kernel sizes, radii and periods: scaled by the image's long side over 512, or in its "
        "own pixels, as the authors' code takes them",
    )
