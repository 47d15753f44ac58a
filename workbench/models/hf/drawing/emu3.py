"""How Emu3 draws: words of its one vocabulary, line by line, in a grid whose size the prompt gives.

Each line of codes ends in a word that says so. Where a code stands only words for codes may come, and a
line's end where that stands, as Emu3's public code constrains it. Guidance compares with the same grid asked
for without words; that code compares with a list of faults to avoid, which is left out here (ours).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal
from workbench.models.drawing import DrawSettings
from workbench.models.hf.drawing.loop import Brush
from workbench.models.hf.drawing.pixels import returned

GUIDANCE = 3.0
TOP_K = 2048
"""Both are what Emu3's public code draws with."""


class Emu3Brush(Brush):
    """One image that Emu3 is drawing."""

    def __init__(self, network: Any, processor: Any, words: str, settings: DrawSettings) -> None:
        self.network, self.processor = network, processor
        self.settings = settings = _complete(settings, network, processor)
        cell = cell_of(network)
        self.rows, self.cols = int(settings.height or 0) // cell, int(settings.width or 0) // cell
        self.codebook = network.model.vqmodel.quantize.embedding.weight
        mapping = network.model.vocabulary_mapping
        self._codes: dict[int, int] = mapping.bpe2img
        self._words = torch.tensor(mapping.image_tokens, device=network.device)
        self._end = torch.tensor([mapping.eol_token_id], device=network.device)
        self._said = 0
        prompt = self._ids(words)
        self.read = str(processor.tokenizer.decode(prompt[0]))
        self._readers = [_Reader(network, prompt)]
        if float(settings.guidance or 0) > 1:
            self._readers.append(_Reader(network, self._ids("")))

    def logits(self) -> tuple[Tensor, Tensor | None]:
        """Over the whole vocabulary, after the words and after none."""
        plain, *without = (reader.logits() for reader in self._readers)
        return plain, without[0] if without else None

    def allowed(self) -> Tensor:
        """Words for codes, and at the end of a line the word for that."""
        return self._end if self._said % (self.cols + 1) == self.cols else self._words

    def say(self, word: int) -> int | None:
        """The code of a word; None at the end of a line."""
        self._said += 1
        for reader in self._readers:
            reader.ids = torch.tensor([[word]], device=self.network.device)
        return self._codes.get(word)

    def decoded(self, codes: Tensor) -> np.ndarray:
        """Through the tokeniser's decoder."""
        return decoded(self.network, self.processor, codes)

    def _ids(self, words: str) -> Tensor:
        """The words and where the image begins: its size in tokens, and the mark after which codes follow."""
        processor = self.processor
        begun = f"{processor.image_start_token}{self.rows}*{self.cols}{processor.fake_token_around_image}"
        ids: Tensor = processor(text=[words + begun], return_tensors="pt")["input_ids"]
        return ids.to(self.network.device)


class _Reader:
    """What has been read of one sequence; ``ids`` (1, n) are next."""

    def __init__(self, network: Any, ids: Tensor) -> None:
        from transformers import DynamicCache

        self.network, self.ids = network, ids
        self.cache: Any = DynamicCache(config=network.config.get_text_config())

    def logits(self) -> Tensor:
        """For the word after what is next, (vocabulary,)."""
        read = self.network(input_ids=self.ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        scores: Tensor = read.logits[0, -1].float()
        return scores


def cell_of(network: Any) -> int:
    """Pixels of a side of what one token stands for."""
    return int(network.model.vqmodel.vision_spatial_factor)


def decoded(network: Any, processor: Any, codes: Tensor) -> np.ndarray:
    """The image, uint8 (H, W, 3), that the tokeniser's decoder makes of codes (rows, cols)."""
    return returned(processor, network.model.vqmodel.decode(codes[None])[0])


def _complete(settings: DrawSettings, network: Any, processor: Any) -> DrawSettings:
    cell = cell_of(network)
    rows, cols = processor.calculate_generate_size(processor.ratio, processor.image_area, cell)
    height, width = settings.height or rows * cell, settings.width or cols * cell
    for name, side in (("height", height), ("width", width)):
        if side % cell:
            raise Refusal(
                f"Emu3's tokens stand for {cell} × {cell} pixels each, so the {name} must be a multiple of "
                f"{cell}; it is {side}."
            )
    return replace(
        settings,
        guidance=GUIDANCE if settings.guidance is None else settings.guidance,
        top_k=TOP_K if settings.top_k is None else settings.top_k,
        height=height,
        width=width,
    )
