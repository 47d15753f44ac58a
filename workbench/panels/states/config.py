"""What a person chooses about a response."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.images.corruptions import CORRUPTIONS
from workbench.models.protocol import Sampling
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN


class StatesConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    question: Question = Field(default="what do you see?", description="what the model is asked")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="of the corruption, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption's and the drawing's noise")
    steps: int = Field(default=12, description="denoising steps")
    text_scale: float = Field(default=1.0, description="guidance on the text; 1 is none")
    image_scale: float = Field(default=1.0, description="guidance on the image; 1 is none")
    renorm: Literal["global", "channel", "text_channel"] = Field(
        default="global", description="how the guided velocity's norm is held to the unguided one's"
    )
    renorm_min: float = Field(default=0.0, description="least factor of that; 1 switches it off")
    interval: tuple[float, float] = Field(default=(0.4, 1.0), description="guide only while t lies within")
    shift: float = Field(default=3.0, description="timestep shift; above 1 takes more steps near the noise")
    route: Literal["re-encode", "bridge", "both"] = Field(
        default="re-encode", description="how a drawing re-enters: through the vision tower, its latent, both"
    )
    restore: Literal["auto", "always", "never"] = Field(
        default="auto", description="whether to draw before answering; auto leaves it to the model"
    )
    max_new_tokens: int = Field(default=256, description="longest text the model writes at a time, in tokens")

    def sampling(self) -> Sampling:
        """The part of the config that the model reads. Raises Refusal outside its limits."""
        return Sampling(
            steps=self.steps,
            text_scale=self.text_scale,
            image_scale=self.image_scale,
            renorm=self.renorm,
            renorm_min=self.renorm_min,
            interval=self.interval,
            shift=self.shift,
            seed=self.seed,
            route=self.route,
            restore=self.restore,
            max_new_tokens=self.max_new_tokens,
        )
