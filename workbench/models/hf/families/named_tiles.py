"""SmolVLM and Idefics 3: tiles that the prompt itself calls by row and column, then the global image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from workbench.errors import Refusal
from workbench.models.hf.family import Inputs, Size
from workbench.models.hf.tiles import Cut, Tiled

NAME = re.compile(r"<row_(\d+)_col_(\d+)>")
"""What stands before a tile."""


class NamedTiles(Tiled):
    """The image is stretched over whole tiles, if it is cut at all; blocks of patches become one token."""

    model_types: ClassVar[tuple[str, ...]] = ("idefics3", "granite_docling")

    @property
    def merged(self) -> int:
        """Patches on a side of what the pixel shuffle makes one token."""
        owner = self.config if hasattr(self.config, "scale_factor") else self.config.vision_config
        return int(owner.scale_factor)

    def cuts(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Cut]:
        """How each image was cut, by the words before its tiles; the global image has another name."""
        places, (down, across) = self.visual_positions(inputs), self.cells(inputs)
        ids, after, shape = inputs["input_ids"][0].tolist(), 0, (1, 1)
        shapes: list[Size] = []
        for first in places[:: down * across].tolist():
            words = self.processor.tokenizer.decode(ids[after:first], skip_special_tokens=False)
            after = first + down * across
            if name := NAME.search(words):
                # Tiles are named row by row: what the last one is called is how many there are.
                shape = int(name[1]), int(name[2])
            else:
                shapes.append(shape)
                shape = (1, 1)
        if len(shapes) != len(sizes):
            raise Refusal(
                f"{self.config.model_type} names the tiles of {len(shapes)} images where {len(sizes)} were "
                "shown: where its visual tokens stand is not known."
            )
        return [
            Cut(*shape, (0, 0, width, height)) for shape, (height, width) in zip(shapes, sizes, strict=True)
        ]


class SmolVLM(NamedTiles):
    """As Idefics 3, with a processor that would ask its video processor before it writes a chat."""

    model_types = ("smolvlm",)

    def templated(self, turns: list[dict[str, Any]], *, begun: bool = True) -> str:
        """The turns of a chat, and how the answer begins, in the processor's own template."""
        from transformers.processing_utils import ProcessorMixin

        written = ProcessorMixin.apply_chat_template(self.processor, turns, add_generation_prompt=begun)
        return str(written)
