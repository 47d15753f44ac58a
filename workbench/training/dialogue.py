"""The packed form of an interleaved response, as `workbench.models.bagel.interleave` runs it token by token.

system | image as latent | image as vision | question | thought → … is the context. A drawing, a bridge, a
re-encoded picture and the answers after them all hang on it side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from workbench.models.bagel.patches import patchify
from workbench.training.data import TextRows, images_to_unit
from workbench.training.kit import Kit
from workbench.training.packing import Block


def latents_of(kit: Kit, images: np.ndarray) -> Tensor:
    """Latent tokens (B, n, D) of uint8 scenes (B, S, S, 3)."""
    with torch.no_grad():
        return patchify(kit.autoencoder.encode(images_to_unit(images)), kit.network.config.latent_patch)


def seen_of(kit: Kit, images: np.ndarray) -> Tensor:
    """What enters the language model as vision, (B, N, width), of uint8 scenes (B, S, S, 3)."""
    patch = kit.network.config.vision.patch_size
    side = images.shape[1] // patch
    return kit.network.embed_vision(patchify(images_to_unit(images), patch), side, side)


@dataclass
class Dialogue:
    """Blocks of one packed batch, added one after another; what adds a block returns its index.

    `sees`: indices of the earlier blocks that the new one may attend to.
    """

    kit: Kit
    blocks: list[Block] = field(default_factory=list)

    def _add(self, block: Block) -> int:
        self.blocks.append(block)
        return len(self.blocks) - 1

    def text(self, rows: TextRows, sees: Sequence[int] = ()) -> int:
        """Text read causally; its padding is invisible to later blocks."""
        tokens = self.kit.network.embed_text(rows.ids)
        return self._add(
            Block(tokens, rows.positions, tuple(sees), causal=True, valid=rows.valid, segments=rows.segments)
        )

    def _frame(self, batch: int) -> Tensor:
        ids = torch.tensor([[self.kit.special.image_start, self.kit.special.image_end]])
        return self.kit.network.embed_text(ids).expand(batch, -1, -1)

    def vision(self, seen: Tensor, position: Tensor, sees: Sequence[int] = ()) -> int:
        """A framed vision image (B, N, width); every token stands at `position` (B, 1)."""
        start, end = self._frame(len(seen)).split(1, dim=1)
        tokens = torch.cat([start, seen, end], dim=1)
        return self._add(Block(tokens, position.expand(-1, tokens.shape[1]), tuple(sees)))

    def latent(
        self, tokens: Tensor, t: Tensor, position: Tensor, sees: Sequence[int] = ()
    ) -> tuple[int, int]:
        """A framed latent image (B, n, D) at flow times t (B,) and `position` (B, 1).

        Returns the indices of its frame and of its latent tokens, which see one another.
        """
        side = int(tokens.shape[1] ** 0.5)
        embedded = self.kit.network.embed_latent(tokens, side, side, t)
        frame, inside = len(self.blocks), len(self.blocks) + 1
        self._add(Block(self._frame(len(tokens)), position.expand(-1, 2), (*sees, inside)))
        self._add(Block(embedded, position.expand(-1, embedded.shape[1]), (*sees, frame), generation=True))
        return frame, inside


@dataclass(frozen=True)
class Opening:
    """The shared context of a batch.

    images: indices of the blocks of system prompt and image, and `asking` (B, 1), the position after them;
    blocks: the same with the question, and `after` (B, 1), the position after that.
    """

    images: tuple[int, ...]
    asking: Tensor
    blocks: tuple[int, ...]
    after: Tensor


def open_dialogue(dialogue: Dialogue, images: np.ndarray, questions: Sequence[str] | None) -> Opening:
    """System prompt, image (latent, then vision) and question: uint8 (B, S, S, 3) and one text for each.

    Without questions the opening ends with the image.
    """
    kit, batch = dialogue.kit, len(images)
    system = kit.packer.rows([[("", kit.network.config.system_prompt)]] * batch, start=0)
    first = dialogue.text(system)
    place = torch.tensor(system.ends)[:, None]
    frame, inside = dialogue.latent(latents_of(kit, images), torch.zeros(batch), place, (first,))
    vision = dialogue.vision(seen_of(kit, images), place + 1, (first, frame, inside))
    before, asking = (first, frame, inside, vision), place + 2
    if questions is None:
        return Opening(before, asking, before, asking)
    asked = kit.packer.rows([[("", q)] for q in questions], start=asking[:, 0].tolist())
    return Opening(before, asking, (*before, dialogue.text(asked, before)), torch.tensor(asked.ends)[:, None])
