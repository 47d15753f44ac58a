"""The settings of a drawing."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.models.drawing import DrawSettings
from workbench.panels.question import Question


class DrawConfig(BaseModel):
    """Everything that decides the result, but for the model. None is the model's own value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Question = Field(default="", description="what to draw, in words")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the tokens that are drawn, or of the noise")
    guidance: float | None = Field(default=None, description="on the words; 1 is none [the model's own]")
    height: int | None = Field(default=None, description="of the image in pixels [the model's own]")
    width: int | None = Field(default=None, description="of the image in pixels [the model's own]")
    temperature: float = Field(default=1.0, description="token by token; 0 takes the likeliest token")
    top_k: int | None = Field(
        default=None, description="token by token: how many tokens to choose from; 0 is all [the model's own]"
    )
    every: int | None = Field(
        default=None, description="token by token: tokens between two states [a twelfth of them all]"
    )
    steps: int = Field(default=24, description="by flow: denoising steps")
    shift: float = Field(
        default=3.0, description="by flow: timestep shift; above 1 more steps near the noise"
    )
    interval: tuple[float, float] = Field(
        default=(0.4, 1.0), description="by flow: guide only while t lies within"
    )
    renorm: Literal["global", "channel", "text_channel"] = Field(
        default="global", description="by flow: how the guided velocity's norm is held to the unguided one's"
    )
    renorm_min: float = Field(default=0.0, description="by flow: least factor of that; 1 switches it off")

    def settings(self) -> DrawSettings:
        """The part of the config that the model reads. Raises Refusal outside its limits."""
        return DrawSettings(**self.model_dump(exclude={"prompt"}))
