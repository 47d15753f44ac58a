"""What a person chooses about the images of a study: which ones, and in what condition."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workbench.datasets import SCENES
from workbench.images.corruptions import CORRUPTIONS
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN


class OfImages(BaseModel):
    """One picture, or a collection, as a model is shown it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(
        default="", description='one picture: a file, or "scene:SEED"; without it a collection is taken'
    )
    data: str = Field(
        default=SCENES,
        description="the collection: scenes (bundled), a folder of images with or without masks, a .parquet, "
        "a VLMEvalKit .tsv, or OWNER/NAME of a data set of the hub; see docs/data.md",
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="of a collection: cut each image to its middle square, of so many pixels; 0: as they are",
    )
    question: Question = Field(default="", description="text that follows the image in the model's input")
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31)
    purity: float = Field(
        default=0.6, gt=0.0, le=1.0, description="share of a patch that its label must cover"
    )
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
