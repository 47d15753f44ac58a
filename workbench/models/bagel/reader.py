"""What a BAGEL checkpoint reads: images as patches and latents, text as token ids, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal
from workbench.models.bagel import patches
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import BagelConfig
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.length import short_enough
from workbench.models.protocol import ModelCard
from workbench.models.spelling import beginnings, spelling


@dataclass(frozen=True)
class Pictures:
    """A batch of images as the model takes them: resized pixels, the vision grid and the latent grid."""

    pixels: list[np.ndarray]
    rows: int
    cols: int
    latent_rows: int
    latent_cols: int


class BagelReader:
    """An open checkpoint, as far as its inputs and outputs go."""

    def __init__(
        self,
        network: Bagel,
        autoencoder: Autoencoder,
        tokenizer: Any,
        special: SpecialTokens,
        card: ModelCard,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.special = special
        self.card = card

    @property
    def config(self) -> BagelConfig:
        """The shape of the network and how its inputs are made."""
        return self.network.config

    # What the model sees

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The image as the model takes it: uint8, sides within its bounds and multiples of its stride."""
        return patches.resize(image, self.config.vae_resize)

    def pictures(self, images: Sequence[np.ndarray]) -> Pictures:
        """Images of one size, resized, with their grids; raises Refusal where they are no such batch."""
        if not images:
            raise Refusal("There is no image: give at least one.")
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise Refusal(
                    f"An image must be uint8 with shape (height, width, 3); one is {image.dtype} "
                    f"{image.shape}. Read it with workbench.images.read."
                )
        sizes = {image.shape[:2] for image in images}
        if len(sizes) > 1:
            found = ", ".join(f"{width}×{height}" for height, width in sorted(sizes))
            raise Refusal(f"The images of one batch must have one size; these are {found}. Resize them.")
        pixels = [self.resized(image) for image in images]
        height, width = pixels[0].shape[:2]
        vision_width, vision_height = patches.target_size(width, height, self.config.vit_resize)
        patch, cell = self.config.vision.patch_size, self.config.pixels_per_latent
        return Pictures(
            pixels,
            rows=vision_height // patch,
            cols=vision_width // patch,
            latent_rows=height // cell,
            latent_cols=width // cell,
        )

    def vision_patches(self, pictures: Pictures) -> Tensor:
        """Patch vectors (B, rows·cols, p·p·3) on the model's device."""
        units = [patches.to_unit(patches.resize(image, self.config.vit_resize)) for image in pictures.pixels]
        return patches.patchify(torch.cat(units), self.config.vision.patch_size).to(self.network.device)

    def embedded_vision(self, pictures: Pictures) -> Tensor:
        """What enters the language model for these images, (B, rows·cols, width)."""
        return self.network.embed_vision(self.vision_patches(pictures), pictures.rows, pictures.cols)

    def latents(self, pictures: Pictures) -> Tensor:
        """Latent tokens (B, latent_rows·latent_cols, D) of the images, float32."""
        units = torch.cat([patches.to_unit(image) for image in pictures.pixels])
        weight = next(self.autoencoder.parameters())
        latent = self.autoencoder.encode(units.to(weight.device, weight.dtype))
        return patches.patchify(latent.float(), self.config.latent_patch)

    def decoded(self, tokens: Tensor, pictures: Pictures) -> list[np.ndarray]:
        """Images, uint8 (H, W, 3), of latent tokens (B, N, D) on the latent grid of `pictures`."""
        rows, cols = pictures.latent_rows, pictures.latent_cols
        latent = patches.unpatchify(tokens, rows, cols, self.config.latent_patch)
        weight = next(self.autoencoder.parameters())
        pixels = self.autoencoder.decode(latent.to(weight.device, weight.dtype))
        return [patches.to_image(p) for p in pixels]

    # Words

    def typed(self, text: str) -> list[int]:
        """The token ids of what a person gave, without frame; raises Refusal where it is too long."""
        short_enough(text)
        return self.pieces(text)

    def pieces(self, text: str) -> list[int]:
        """The token ids of a text of any length, without frame; raises Refusal where it is not text."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refusal("The text holds half a character (a lone surrogate). Type it again.") from None
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def segment(self, ids: Sequence[int]) -> Tensor:
        """Token ids framed by bos and eos, as every text stands in a context: (1, n + 2)."""
        return torch.tensor([[self.special.bos, *ids, self.special.eos]], device=self.network.device)

    def words(self, ids: Sequence[int]) -> str:
        """The text of token ids, white space and all."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def spelled(self, tokens: Sequence[int]) -> list[str]:
        """Each token by itself, with the space before it."""
        return [
            spelling(
                number,
                self.tokenizer.id_to_token(number),
                self.tokenizer.decode([number], skip_special_tokens=False),
            )
            for number in tokens
        ]

    def beginnings(self, word: str) -> list[int]:
        """The tokens that a word begins with; raises Refusal where there are none."""
        found = beginnings(word, self.typed, self.spelled)
        if not found:
            raise Refusal(f"{self.card.id} has no token for {word!r}. Choose another word.")
        return found
