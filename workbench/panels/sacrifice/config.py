"""What a person chooses about a sacrifice study."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workbench.datasets import SCENES
from workbench.panels.layers.config import LayersConfig, Measure


class SacrificeConfig(BaseModel):
    """Everything that decides the result, but for the model: one checkpoint, its readers and its answers.

    The readers are those of a layers study of a collection; the answers are to questions that the collection
    brings, about the images that the readers are scored on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(
        default=SCENES,
        description="collection with labels and questions: scenes (bundled), or whatever layers takes",
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="cut each image to its middle square, of so many pixels; 0: as they are",
    )
    measures: tuple[Measure, ...] = Field(
        default=("linear reader", "segmentation"), min_length=1, description="readers, as of layers"
    )
    targets: tuple[str, ...] = Field(
        default=(),
        description="labels of a whole image to read; the collection's first ones if none is named",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the questions, the controls and the intervals"
    )
    n_train: int = Field(default=800, ge=20, le=2_000_000, description="images the readers are fitted on")
    n_validation: int = Field(default=200, ge=10, le=2_000_000, description="images that choose the penalty")
    n_test: int = Field(default=400, ge=10, le=2_000_000, description="images the readers are scored on")
    n_asked: int = Field(default=200, ge=2, le=2_000_000, description="of these, images asked about")
    each: int = Field(default=3, ge=1, le=20, description="questions about each of them, drawn at random")
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    def of_readers(self) -> LayersConfig:
        """The layers study that measures the readers."""
        shared = LayersConfig.model_fields.keys() & type(self).model_fields.keys()
        return LayersConfig(**{name: getattr(self, name) for name in shared})
