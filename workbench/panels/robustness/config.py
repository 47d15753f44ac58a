"""What a person chooses about a robustness study."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workbench.datasets import SCENES
from workbench.datasets.matching import Words
from workbench.images.corruptions import CORRUPTIONS, LEVELS, MMD_BENCH, Pixels
from workbench.models.protocol import RENORMS, Sampling

Pathway = Literal["direct", "in context", "re-encode", "bridge", "both"]
PATHWAYS: tuple[Pathway, ...] = get_args(Pathway)
DIRECT: Pathway = "direct"
OWN = Sampling()


class RobustnessConfig(BaseModel):
    """Everything that decides the result, but for the model.

    Every question is asked about the clean image and about each corruption at each severity, by each pathway:
    "direct" from the image alone, as `Model.answer`; the others as a model that draws on its way to an answer
    responds: without drawing ("in context", the control for the rest), or with the drawing read again as
    vision tokens ("re-encode"), as latents ("bridge"), or as "both".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(
        default=SCENES,
        description="collection with questions: scenes (bundled), a VLMEvalKit .tsv, or what layers takes",
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="cut each image to its middle square, of so many pixels; 0: as they are",
    )
    corruptions: tuple[str, ...] = Field(
        default=MMD_BENCH,
        description="which; the clean image is always asked about too. The flag alone: none, as for images "
        "that come damaged",
    )
    severities: tuple[float, ...] = Field(
        default=tuple(LEVELS.values()), description="intensities, 0 to 1; MMD-Bench's low, mid and high"
    )
    pixels: Pixels = Field(
        default="relative",
        description="pixel sizes of corruptions: relative to the long side over 512, or native as published",
    )
    pathways: tuple[Pathway, ...] = Field(
        default=("direct",),
        min_length=1,
        description="ways to an answer; all but direct need a drawing model",
    )
    answers: Literal["scored", "generated"] = Field(
        default="scored",
        description="scored: the likeliest candidate, teacher-forced; generated: said freely and matched",
    )
    words: Words = Field(
        default="contained", description="generated: an open answer counts where it is contained, or exact"
    )
    n_images: int = Field(default=200, ge=2, le=2_000_000, description="images")
    each: int = Field(default=3, ge=1, le=50, description="questions about each of them, drawn at random")
    batch: int = Field(default=16, ge=1, le=1024, description="images in one pass")
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of corruptions, questions, drawings and intervals"
    )
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )
    bins: int = Field(default=15, ge=2, le=100, description="of the calibration error, of one width")

    restore: Literal["auto", "always"] = Field(
        default="auto", description="drawing pathways: draw where the model decides, or always"
    )
    steps: int = Field(default=OWN.steps, ge=1, le=200, description="flow steps of a drawing")
    text_scale: float = Field(default=OWN.text_scale, ge=0, le=20, description="guidance on the text")
    image_scale: float = Field(default=OWN.image_scale, ge=0, le=20, description="guidance on the image")
    renorm: Literal["global", "channel", "text_channel"] = Field(
        default="global", description="how guidance is held back, one of " + ", ".join(RENORMS)
    )
    renorm_min: float = Field(default=OWN.renorm_min, ge=0, le=1, description="1: not held back")
    interval: tuple[float, float] = Field(default=OWN.interval, description="times at which guidance acts")
    shift: float = Field(default=OWN.shift, ge=0.1, le=20, description="moves the steps towards noise")
    max_new_tokens: int = Field(
        default=OWN.max_new_tokens, ge=1, le=8192, description="longest text of an answer or a response"
    )

    @field_validator("corruptions")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in CORRUPTIONS:
                raise ValueError(f"there is no corruption {name!r}; choose of {', '.join(CORRUPTIONS)}")
        return tuple(dict.fromkeys(value))

    @field_validator("severities")
    @classmethod
    def _severe(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for severity in value:
            if not 0 <= severity <= 1:
                raise ValueError(f"a severity lies between 0 and 1, and {severity:g} does not")
        return tuple(dict.fromkeys(sorted(value)))

    @field_validator("pathways")
    @classmethod
    def _once(cls, value: tuple[Pathway, ...]) -> tuple[Pathway, ...]:
        return tuple(pathway for pathway in PATHWAYS if pathway in value)

    def sampling(self) -> Sampling:
        """How responses are drawn; the way and the seed are each response's own."""
        names = ("steps", "text_scale", "image_scale", "renorm", "renorm_min", "interval", "shift")
        values = {name: getattr(self, name) for name in (*names, "max_new_tokens", "restore")}
        return Sampling(**values)


def level_of(severity: float) -> str:
    """MMD-Bench's name of a severity, or the number."""
    named = [name for name, value in LEVELS.items() if value == severity]
    return named[0] if named else f"{severity:g}"
