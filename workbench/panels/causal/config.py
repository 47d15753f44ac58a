"""What a person chooses about causal tracing."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from workbench.panels.images import OfImages
from workbench.panels.question import Question

Part = Literal["knockout", "patching", "map"]
PARTS: tuple[Part, ...] = get_args(Part)
Path = Literal["image-answer", "image-question", "question-answer", "drawn-answer"]
PATHS: tuple[Path, ...] = get_args(Path)
DRAWN: Path = "drawn-answer"
Direction = Literal["restore", "damage"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
Tokens = Literal["all", "object", "others"]
TOKENS: tuple[Tokens, ...] = get_args(Tokens)
ALL: Tokens = "all"

PATH_NAMES: dict[str, str] = {
    "image-answer": "image → answer",
    "image-question": "image → question",
    "question-answer": "question → answer",
    "drawn-answer": "drawing → answer",
}
DIRECTION_NAMES: dict[str, str] = {
    "restore": "clean tokens into the degraded run",
    "damage": "degraded tokens into the clean run",
}
TOKEN_NAMES: dict[str, str] = {
    "all": "all visual tokens",
    "object": "the thing that the question names",
    "others": "as many others",
}


class CausalConfig(OfImages):
    """Everything that decides the result, but for the model and the pixels.

    Two runs of one question are held against each other, one on the clean image and one on the degraded; or,
    where the `drawing` is traced, one in which the model's own drawing came back and one in which the
    degraded image stands in its place. What both are told by is the log-probability of what the first one
    answers.
    """

    question: Question = Field(
        default="",
        description="what the model is asked; of a collection, without it, the questions that come with it",
    )
    parts: tuple[Part, ...] = Field(
        default=PARTS,
        min_length=1,
        description="knockout: block attention; patching: exchange visual tokens, stage by stage; map: one "
        "patch at a time, of one picture",
    )
    paths: tuple[Path, ...] = Field(
        default=PATHS, min_length=1, description="knockout: which attention is blocked, from → to"
    )
    window: int = Field(
        default=0,
        ge=0,
        le=200,
        description="knockout: layers blocked at once; 0: the odd number next to a fifth of them, 3 at least",
    )
    knockout_in: Literal["clean", "degraded"] = Field(
        default="clean", description="knockout: in the run on which image"
    )
    directions: tuple[Direction, ...] = Field(
        default=DIRECTIONS,
        min_length=1,
        description="patching: restore puts clean tokens into the degraded run, damage the other way round",
    )
    tokens: tuple[Tokens, ...] = Field(
        default=TOKENS,
        min_length=1,
        description="patching: which visual tokens; object: of the one thing that the question names, where "
        "masks tell; others: as many, drawn from the rest",
    )
    every: int = Field(default=1, ge=1, le=50, description="patching: each so many-th stage")
    map_stages: tuple[str, ...] = Field(
        default=("llm 0",), min_length=1, max_length=6, description='map: at which stages, such as "llm 3"'
    )
    reach: int = Field(
        default=0, ge=0, le=8, description="map: patches around each that are exchanged with it, each way"
    )
    drawing: bool = Field(
        default=False, description="trace the image that the model draws on its way to the answer"
    )
    route: Literal["re-encode", "bridge", "both"] = Field(
        default="re-encode",
        description="drawing: how it comes back, through the vision tower or as its latent",
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        description="of the corruption, the questions, the drawing, the other tokens and the intervals",
    )
    max_new_tokens: int = Field(
        default=16, ge=1, le=256, description="longest answer that is traced, in tokens"
    )
    n: int = Field(default=200, ge=2, le=2_000_000, description="of a collection: images asked about")
    each: int = Field(
        default=1, ge=1, le=20, description="of a collection: questions about each image, drawn at random"
    )
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    @field_validator("parts", "paths", "directions", "tokens", "map_stages")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))
