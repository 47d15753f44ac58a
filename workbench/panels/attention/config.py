"""What a person chooses about a look at attention."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.datasets import SCENES
from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN

MOST_TOKENS = 32
"""Answer tokens whose attention is kept, at most."""


class AttentionConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    Which token, layer, head and way is looked at is no part of it: the result of one image holds all of them.
    Without an `image` the shares of attention are measured over a collection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description='a file, or "scene:SEED"; without it, a collection')
    question: Question = Field(default="", description="image: what the model is asked about it")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the corruption's noise, drawing and resampling"
    )
    tokens: int = Field(
        default=8, ge=1, le=MOST_TOKENS, description="answer tokens whose attention is kept, the first ones"
    )
    max_new_tokens: int = Field(
        default=32,
        ge=1,
        le=2048,
        description="longest answer, in tokens; where it draws, each text may have 256 at least",
    )
    restore: Literal["never", "auto", "always"] = Field(
        default="never",
        description="image: whether the model may, or shall, draw before it answers; then the drawing is one "
        "more image that can be attended to",
    )
    route: Literal["re-encode", "bridge", "both"] = Field(
        default="re-encode", description="image: how the drawing comes back"
    )
    steps: int = Field(default=12, ge=1, le=200, description="image: of the drawing")
    drawing_t: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="image: when the drawing's own attention is kept, 1 (noise) to 0 (finished)",
    )
    flow: bool = Field(
        default=False, description="image: attention flow too, one maximum flow for each patch and token"
    )
    data: str = Field(
        default=SCENES,
        description="collection with questions: scenes (bundled), or a VLMEvalKit .tsv",
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="collection: cut each image to its middle square, of so many pixels; 0: as they are",
    )
    n: int = Field(default=100, ge=2, le=2_000_000, description="collection: images asked about")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )
