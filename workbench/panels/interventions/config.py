"""What a person chooses about interventions on the drawing."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from workbench.datasets import SCENES
from workbench.panels.states.config import StatesConfig

State = Literal["none", "degraded", "clean", "other", "blank", "noise", "painted"]
STATES: tuple[State, ...] = get_args(State)
"""What may stand in place of the drawing; `states.py` makes the pictures."""
OWN = "own"
"""The drawing itself, which everything is compared with."""
PAINTED = "painted"
Route = Literal["re-encode", "bridge", "both"]


class InterventionsConfig(StatesConfig):
    """Everything that decides the result, but for the model and the pixels.

    The response is that of a states study, with a drawing in any case unless `restore` says otherwise. With
    an `image` one response is answered again; without, one for each question of a collection.
    """

    image: str = Field(default="", description='a file, or "scene:SEED"; without it, a collection')
    restore: Literal["auto", "always"] = Field(
        default="always",
        description="whether to draw before answering; auto: only where the model decides to",
    )
    truth: str = Field(
        default="", max_length=400, description="image: the right answer; a drawn scene knows its own"
    )
    painted: str = Field(
        default="", description="image: a file that stands in for the drawing, as edited by hand"
    )
    states: tuple[State, ...] = Field(
        default=STATES, min_length=1, description="what stands in place of the drawing"
    )
    routes: tuple[Route, ...] = Field(
        default=("re-encode", "bridge", "both"), min_length=1, description="how it comes back to the model"
    )
    thought: Literal["anew", "kept"] = Field(
        default="anew",
        description="whether the model thinks anew after what it gets, or the thought that followed its own "
        "drawing is kept",
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
    n: int = Field(default=200, ge=2, le=2_000_000, description="collection: images asked about")
    each: int = Field(
        default=1, ge=1, le=20, description="collection: questions about each image, drawn at random"
    )
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    @field_validator("states", "routes")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))
