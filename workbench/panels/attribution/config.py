"""What a person chooses about attributions."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workbench.datasets import SCENES
from workbench.images.corruptions import CORRUPTIONS
from workbench.models.limits import MOST_STEPS
from workbench.panels.question import Question
from workbench.panels.specimen import CLEAN

Method = Literal[
    "attention",
    "relevancy",
    "saliency",
    "input-x-gradient",
    "grad-cam",
    "integrated-gradients",
    "token-gradients",
    "gradient-shap",
    "deeplift",
    "occlusion",
    "ablation",
    "kernel-shap",
    "lime",
    "random",
]
"""From those that need one pass to those that need hundreds; `methods` has a file for each kind."""
METHODS: tuple[Method, ...] = get_args(Method)
USUAL: tuple[Method, ...] = (
    *("attention", "relevancy", "saliency", "input-x-gradient", "grad-cam"),
    *("integrated-gradients", "occlusion", "kernel-shap", "random"),
)
"""Those that are computed where nobody chooses: one of each kind, and what knows nothing."""
Regions = Literal["patches", "slic", "masks"]
REGIONS: tuple[Regions, ...] = get_args(Regions)
Baseline = Literal["mean", "grey", "black", "blur"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
Source = Literal["image", "drawing"]
SOURCES: tuple[Source, ...] = get_args(Source)
Explained = Literal["answer", "drawing"]
EXPLAINED: tuple[Explained, ...] = get_args(Explained)
TAKING: tuple[Method, ...] = ("occlusion", "ablation", "kernel-shap", "lime", "random")
"""Those that only take parts of the image away: of a drawing nothing else can be asked."""
MOST_WORDS = 8
"""Words of an answer that have maps of their own."""


class AttributionConfig(BaseModel):
    """Everything that decides the result, but for the model and the pixels.

    With an `image` the study makes the maps of one answer; without, it asks over a collection whether each
    method points at the thing that a question names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(default="", description='a file, or "scene:SEED"; without it, a collection')
    corruption: str = Field(default=CLEAN, description="none, or one of " + ", ".join(CORRUPTIONS))
    intensity: float = Field(default=0.45, ge=0.0, le=1.0, description="how strong the corruption is, 0 to 1")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of everything drawn at random")
    batch: int = Field(
        default=16, ge=1, le=1024, description="images in one pass; fewer where memory runs out"
    )
    question: Question = Field(default="", description="image: what the model is asked")
    answer: str = Field(
        default="", max_length=400, description="the answer that is explained [the model's own]"
    )
    versus: str = Field(
        default="",
        max_length=400,
        description="another answer: explained is why the first one rather than this",
    )
    explains: Explained = Field(
        default="answer",
        description="image: the answer; or what the model draws as it answers, by how far it moves where "
        "parts of the image are taken away",
    )
    patch: tuple[int, ...] = Field(
        default=(),
        description="explains drawing: row and column, from 0, of a drawn patch that has a map of its own "
        "[the one that moves most with nothing of the image left]",
    )
    source: Source = Field(
        default="image",
        description="image: of a model that draws as it answers, whether the answer at once is explained by "
        "the image, or the answer after drawing by the drawing as it came back (re-encoded)",
    )
    drawing_steps: int = Field(default=12, ge=1, le=MOST_STEPS, description="denoising steps of a drawing")
    methods: tuple[Method, ...] = Field(default=USUAL, min_length=1, description="whose maps are made")
    words: bool = Field(
        default=True, description=f"image: also a map for each of the answer's first {MOST_WORDS} words"
    )
    baseline: Baseline = Field(
        default="mean",
        description="what stands where something is taken away: the image's mean colour, grey, black, or the "
        "image blurred",
    )
    steps: int = Field(default=32, ge=2, le=1000, description="points on the path of integrated gradients")
    draws: int = Field(default=16, ge=1, le=1000, description="points that gradient-shap draws")
    regions: Regions = Field(
        default="slic",
        description="what ablation, kernel-shap and lime take away: patches, SLIC superpixels, or masks",
    )
    segments: int = Field(default=64, ge=2, le=1000, description="superpixels, about so many")
    masks: str = Field(
        default="",
        description="image: a picture whose colours tell things apart, for the regions masks; a drawn scene "
        "brings its own",
    )
    samples: int = Field(
        default=128, ge=8, le=20_000, description="images that kernel-shap and lime try each"
    )
    window: int = Field(default=2, ge=1, le=16, description="side of occlusion's window, in patches")
    curve_steps: int = Field(
        default=12, ge=0, le=500, description="image: steps of deletion and insertion; 0 for none"
    )
    removals: int = Field(
        default=64, ge=0, le=10_000, description="image: perturbed images behind infidelity; 0 for none"
    )
    sensitivity: int = Field(
        default=2, ge=0, le=100, description="image: nearly equal images behind sensitivity; 0 for none"
    )
    radius: int = Field(default=4, ge=1, le=64, description="how far those may be off, in levels of 255")
    max_new_tokens: int = Field(default=32, ge=1, le=2048, description="longest answer, in tokens")
    data: str = Field(
        default=SCENES,
        description="collection with masks and questions that name a class: scenes (bundled)",
    )
    kinds: tuple[str, ...] = Field(
        default=("colour",), description="collection: kinds of questions that are asked"
    )
    square: int = Field(
        default=0,
        ge=0,
        le=2048,
        description="collection: cut each image to its middle square, of so many pixels; 0: as they are",
    )
    n: int = Field(default=100, ge=2, le=100_000, description="collection: questions, one for each image")
    resamples: int = Field(
        default=1000, ge=100, le=100_000, description="bootstrap resamples behind an interval"
    )

    @field_validator("methods", "kinds")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    @field_validator("patch")
    @classmethod
    def _placed(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value and (len(value) != 2 or min(value) < 0):
            raise ValueError("a patch is a row and a column, each 0 or more")
        return value


def ordered(config: AttributionConfig) -> list[Method]:
    """The chosen methods that can be asked, the quickest first."""
    able = METHODS if config.explains == "answer" else TAKING
    return [name for name in able if name in config.methods]
