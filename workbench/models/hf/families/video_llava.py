"""Video-LLaVA: images go in under a name of their own, beside videos."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from workbench.models.hf.family import Family, Inputs


class VideoLlava(Family):
    """As LLaVA."""

    model_types: ClassVar[tuple[str, ...]] = ("video_llava",)

    def pixels(self, inputs: Inputs) -> Tensor:
        """What the tower sees."""
        seen: Tensor = inputs["pixel_values_images" if "pixel_values_images" in inputs else "pixel_values"]
        return seen
