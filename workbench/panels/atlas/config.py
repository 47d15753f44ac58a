"""What a person chooses about an atlas."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.panels.images import OfImages

Method = Literal["pca", "umap", "tsne", "pacmap"]
Planes = Literal["each", "joint"]


class Way(BaseModel):
    """How captured tokens are laid on a plane; changing it asks no model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(default="umap", description="how tokens are laid on a plane")
    planes: Planes = Field(
        default="each", description="a plane for each stage, or one that all stages share (of one width)"
    )
    neighbours: int = Field(
        default=15, ge=2, le=500, description="that UMAP and PaCMAP look at; the perplexity of t-SNE"
    )
    min_dist: float = Field(default=0.1, ge=0.0, le=0.99, description="of UMAP: how close points may lie")


class AtlasConfig(OfImages, Way):
    """Everything that decides the result, but for the model and the pixels.

    With an `image` the tokens are those of that one picture; without, of the first images of a collection's
    test split.
    """

    images: int = Field(
        default=16,
        ge=1,
        le=512,
        description="of a collection: how many images, the first ones of its test split",
    )
    with_clean: bool = Field(default=False, description="also the same tokens of the undamaged images")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the corruption, the sample and the layout")
    stages: tuple[str, ...] = Field(
        default=(), description='such as "llm 0" "llm 4"; by default llm 0, the middle one and the last'
    )
    tokens: int = Field(
        default=3000, ge=12, le=20_000, description="tokens that are kept, over all stages and conditions"
    )
    unit: bool = Field(default=False, description="scale each token to length 1: directions alone count")
