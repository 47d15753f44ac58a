"""Images scaled by their longest side and padded to a square: DeepSeek-VL and Janus."""

from __future__ import annotations

from typing import Any, ClassVar

from workbench.models.grids import Rectangle
from workbench.models.hf.family import Family, Size


class SquarePadding(Family):
    """Cells wholly in the padding keep their places, outside of the image."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_vl", "deepseek_vl_hybrid")

    def framed(self, size: Size) -> Rectangle:
        """The square, in pixels of the image: it reaches beyond the image on its shorter side."""
        height, width = size
        processor = self._image_processor
        side, least = processor.size["height"], processor.min_size
        scale = side / max(size)
        tall, wide = (max(round(length * scale), least) for length in size)
        top, left = ((side - length) // 2 for length in (tall, wide))
        y, x = height / tall, width / wide
        return (-left * x, -top * y, (side - left) * x, (side - top) * y)


class Janus(SquarePadding):
    """Opened for looking: its tokeniser and what it draws with are left alone."""

    model_types: ClassVar[tuple[str, ...]] = ("janus",)

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        # Guidance is for drawing; its generation of text takes none.
        network.generation_config.guidance_scale = None

    def generate(self, **settings: Any) -> Any:
        """Text, by the generation that all models share: Janus's own drops the logits processors."""
        from transformers import GenerationMixin

        return GenerationMixin.generate(self.network, **settings)
