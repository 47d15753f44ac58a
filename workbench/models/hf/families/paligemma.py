"""PaliGemma: no chat, and a prompt that is read both ways."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from workbench.models.hf.family import Family, Inputs


class PaliGemma(Family):
    """Images first, then the text; what the model says is the suffix, which is read in one direction."""

    model_types: ClassVar[tuple[str, ...]] = ("paligemma",)

    def written(self, text: str, images: int) -> str:
        """The images' marks and the text on one line, as the processor ends the prompt itself."""
        return f"{self.processor.image_token * images}{text}"

    def extended(self, inputs: Inputs, ids: Tensor) -> dict[str, Any]:
        """The words as suffix: type 0 would let the prompt see them."""
        more = super().extended(inputs, ids)
        more["token_type_ids"][:, -ids.shape[1] :] = 1
        return more
