"""What a person chooses about a capture."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN

MOST_ROWS = 32
"""Answer tokens whose attention is kept, at most."""
MOST_TOP = 20
"""Tokens that the lens keeps at a place, at most."""
MOST_WORDS = 8
"""Words whose probability the lens keeps, at most."""


class CaptureConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    Several images are in one prompt; one prompt each makes one capture each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[str, ...] = Field(min_length=1, description="files, or scene:SEED for drawn scenes")
    prompt: Question = Field(default="", description="what the model is asked about the image")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption's noise")
    stages: tuple[str, ...] = Field(
        default=(),
        description='whose states and attention are kept: names such as "llm 0" "llm 16", or a whole band, '
        "vision, projector or llm; by default all of them",
    )
    dtype_states: Literal["float16", "float32"] = Field(
        default="float16",
        description="numbers that hidden states are kept in; a stage beyond float16's range stays float32",
    )
    max_new_tokens: int = Field(default=64, ge=1, le=2048, description="longest answer, in tokens")
    attention_rows: int = Field(
        default=MOST_ROWS, ge=0, le=MOST_ROWS, description="answer tokens whose attention is kept; 0 for none"
    )
    lens_top: int = Field(
        default=5, ge=0, le=MOST_TOP, description="tokens of the logit lens kept at each place; 0 for none"
    )
    words: tuple[str, ...] = Field(
        default=(), max_length=MOST_WORDS, description="words whose probability the lens keeps at each place"
    )
