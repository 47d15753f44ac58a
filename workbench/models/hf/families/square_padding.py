"""Images scaled by their longest side and padded to a square: DeepSeek-VL and Janus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
from workbench.models.grids import Rectangle
from workbench.models.hf.drawing import janus
from workbench.models.hf.drawing.loop import paint
from workbench.models.hf.drawing.pixels import returned
from workbench.models.hf.family import Family, Size
from workbench.models.protocol import Capability


class SquarePadding(Family):
    """Cells wholly in the padding keep their places, outside of the image."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_vl",)

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


class TwoTowers(SquarePadding):
    """A second tower sees the image at a higher resolution; what both make of it is added up."""

    model_types: ClassVar[tuple[str, ...]] = ("deepseek_vl_hybrid",)
    towers: ClassVar[int] = 2


class Janus(SquarePadding):
    """Looks through its tower; its tokeniser is for what it draws, which it never looks at."""

    model_types: ClassVar[tuple[str, ...]] = ("janus",)
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATES, Capability.TOKENISES})

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__(network, processor)
        # Guidance is for drawing; its generation of text takes none.
        network.generation_config.guidance_scale = None

    def generate(self, **settings: Any) -> Any:
        """Text, by the generation that all models share: Janus's own drops the logits processors."""
        from transformers import GenerationMixin

        return GenerationMixin.generate(self.network, **settings)

    def draw(self, words: str, settings: DrawSettings, stop: Callable[[], bool]) -> Iterator[DrawEvent]:
        """Token by token; see `workbench.models.hf.drawing.janus`."""
        written = self.written(words, 0)
        yield from paint(janus.JanusBrush(self.network, self.processor, written, settings), stop)

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The square that the processor makes of the image, as the tokeniser would write it."""
        pixels = janus.taken(self.network, self._image_processor, image)
        codes = janus.encoded(self.network, pixels)
        seen = returned(self.processor, pixels[0])
        x0, y0, x1, y1 = self.framed((image.shape[0], image.shape[1]))
        height, width = seen.shape[0] / (y1 - y0), seen.shape[1] / (x1 - x0)
        top, left = round(-y0 * height), round(-x0 * width)
        bottom, right = round((image.shape[0] - y0) * height), round((image.shape[1] - x0) * width)
        return Tokenised(
            codes.cpu().numpy(),
            self.config.vq_config.num_embeddings,
            seen,
            janus.decoded(self.network, self.processor, codes),
            (top, left, bottom, right),
        )
