"""What a person chooses about a look at patches."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.capture.config import MOST_ROWS, MOST_TOP, MOST_WORDS
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN


class PatchesConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    The patch, the stage and what is mapped are no part of it: a result holds all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description="a file, or scene:SEED for a drawn scene")
    question: Question = Field(default="", description="what the model is asked about the image")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption's noise")
    words: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_WORDS,
        description="words whose probability the lens tells at each patch, beside the answer's first",
    )
    top: int = Field(default=5, ge=1, le=MOST_TOP, description="likeliest tokens of the lens at each patch")
    centre: bool = Field(default=False, description="subtract the image's mean token before taking cosines")
    max_new_tokens: int = Field(default=32, ge=1, le=2048, description="longest answer, in tokens")
    attention_rows: int = Field(
        default=8, ge=0, le=MOST_ROWS, description="answer tokens whose attention is kept; 0 for none"
    )
