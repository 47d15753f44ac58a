"""What a person chooses about a sacrifice study."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workbench.panels.layers.config import LayersConfig, Target


class SacrificeConfig(BaseModel):
    """Everything that decides the result, but for the model: one checkpoint, its readers and its answers.

    The readers are those of a layers study of the bundled probe set; the answers are to questions about test
    scenes of the same set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the questions, the controls and the intervals"
    )
    targets: tuple[Target, ...] = Field(
        default=("shape", "colour"), min_length=1, description="global labels to read"
    )
    n_train: int = Field(
        default=800, ge=20, le=100_000, description="probe set: images the readers are fitted on"
    )
    n_validation: int = Field(
        default=200, ge=10, le=100_000, description="probe set: images that choose the penalty"
    )
    n_test: int = Field(
        default=400, ge=10, le=100_000, description="probe set: images the readers are scored on"
    )
    scenes: int = Field(
        default=200, ge=2, le=100_000, description="test scenes that questions are asked about"
    )
    each: int = Field(default=3, ge=1, le=9, description="questions about each of them, of different kinds")
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    def of_readers(self) -> LayersConfig:
        """The layers study that measures the readers."""
        return LayersConfig(
            **{name: getattr(self, name) for name in LayersConfig.model_fields if hasattr(self, name)}
        )
