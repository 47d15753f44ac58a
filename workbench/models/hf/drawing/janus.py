"""How Janus draws: as many tokens as its tokeniser's square has, each chosen by a head of its own.

What is said of a token in return is not the word's embedding but the code's, through an aligner. Guidance
compares with the same prompt in which every word is padding (Janus' public code; transformers' generate).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import Refusal
from workbench.models.drawing import DrawSettings
from workbench.models.hf.drawing.loop import Brush
from workbench.models.hf.drawing.pixels import returned
from workbench.models.hf.processor import once_begun

GUIDANCE = 5.0
"""The default of Janus' public code."""


class JanusBrush(Brush):
    """One image that Janus is drawing."""

    def __init__(self, network: Any, processor: Any, written: str, settings: DrawSettings) -> None:
        from transformers import DynamicCache

        self.network, self.processor = network, processor
        self.rows, self.cols = grid_of(network)
        cell = cell_of(network)
        self.settings = _complete(settings, self.rows * cell, self.cols * cell)
        self.codebook = network.model.vqmodel.quantize.embedding.weight
        begun = once_begun(processor, written)
        inputs = processor(text=[written], generation_mode="image", return_tensors="pt", **begun)
        ids = inputs["input_ids"].to(network.device)
        self.read = str(processor.tokenizer.decode(ids[0]))
        if float(self.settings.guidance or 0) > 1:
            ids = torch.cat([ids, self._wordless(ids)])
        self._cache: Any = DynamicCache(config=network.config.get_text_config())
        self._next: Tensor = network.get_input_embeddings()(ids)

    def logits(self) -> tuple[Tensor, Tensor | None]:
        """Of the head for codes, with all words and with none."""
        model = self.network.model
        states = model.language_model(
            inputs_embeds=self._next, past_key_values=self._cache, use_cache=True
        ).last_hidden_state[:, -1]
        scores = model.generation_head(states).float()
        return scores[0], scores[1] if len(scores) > 1 else None

    def allowed(self) -> None:
        """Every code, always."""
        return None

    def say(self, word: int) -> int:
        """The word is the code."""
        said = torch.full((len(self._next), 1), word, device=self.network.device)
        self._next = self.network.prepare_embeddings_for_image_generation(said)
        return word

    def decoded(self, codes: Tensor) -> np.ndarray:
        """Through the tokeniser's decoder."""
        return decoded(self.network, self.processor, codes)

    def _wordless(self, ids: Tensor) -> Tensor:
        """The prompt with padding in place of all but the marks where it and the image begin."""
        tokenizer, config = self.processor.tokenizer, self.network.generation_config
        boi = tokenizer.convert_tokens_to_ids(self.processor.image_start_token)
        bos = tokenizer.bos_token_id if config.bos_token_id is None else config.bos_token_id
        pad = tokenizer.pad_token_id if config.pad_token_id is None else config.pad_token_id
        if pad is None or boi is None:
            raise Refusal(
                "This checkpoint does not say which token is padding, or where an image begins, which "
                "guidance needs. Set guidance to 1, which is none."
            )
        return ids.masked_fill((ids != boi) & (ids != bos), pad)


def grid_of(network: Any) -> tuple[int, int]:
    """Rows and columns of the tokens of every image that is drawn."""
    rows, cols = network.model.vqmodel.quantize.quant_state_dims
    return int(rows), int(cols)


def cell_of(network: Any) -> int:
    """Pixels of a side of what one token stands for."""
    return int(2 ** (len(network.config.vq_config.channel_multiplier) - 1))


def taken(network: Any, image_processor: Any, image: np.ndarray) -> Tensor:
    """The image as the tokeniser takes it: (1, 3, H, W) on its device.

    Raises Refusal where the processor makes images of another size than the tokeniser is for.
    """
    weight = network.model.vqmodel.quant_conv.weight
    pixels: Tensor = image_processor(images=[image], return_tensors="pt")["pixel_values"]
    rows, cols = grid_of(network)
    cell = cell_of(network)
    if pixels.shape[-2:] != (rows * cell, cols * cell):
        raise Refusal(
            f"The processor makes images of {pixels.shape[-1]} × {pixels.shape[-2]} pixels, and the "
            f"tokeniser is for {cols * cell} × {rows * cell}: take the processor of this checkpoint."
        )
    return pixels.to(weight.device, weight.dtype)


def encoded(network: Any, pixels: Tensor) -> Tensor:
    """Codes, int64 (rows, cols), of pixels (1, 3, H, W) between -1 and 1.

    The code of the smallest angle to what the encoder makes of a place, as Janus' public code has it
    (codebook_l2_norm) and as its decoder reads them; transformers' own `encode` leaves the normalisation out.
    """
    tokeniser = network.model.vqmodel
    seen = tokeniser.quant_conv(tokeniser.encoder(pixels))[0]
    vectors = F.normalize(seen.permute(1, 2, 0).float(), dim=-1)
    codes: Tensor = (vectors @ F.normalize(tokeniser.quantize.embedding.weight.float(), dim=-1).T).argmax(-1)
    return codes


def decoded(network: Any, processor: Any, codes: Tensor) -> np.ndarray:
    """The image, uint8 (H, W, 3), that the tokeniser's decoder makes of codes (rows, cols)."""
    return returned(processor, network.model.vqmodel.decode(codes.reshape(1, -1))[0])


def _complete(settings: DrawSettings, height: int, width: int) -> DrawSettings:
    for name, asked, own in (("height", settings.height, height), ("width", settings.width, width)):
        if asked not in (None, own):
            raise Refusal(
                f"Janus draws images of {width} × {height} pixels only; the {name} asked for is {asked}. "
                "Leave height and width out."
            )
    return replace(
        settings,
        guidance=GUIDANCE if settings.guidance is None else settings.guidance,
        top_k=settings.top_k or 0,
        height=height,
        width=width,
    )
