"""The settings of a look at a tokeniser."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.specimen import CLEAN


class TokensConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="of the corruption, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption's noise")
