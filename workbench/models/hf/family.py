"""The convention most transformers models follow; a family overrides what it does its own way.

What has to be known of a model is how its prompt is written, which rectangle of the image each visual token
stands for, in the language model and in the tower, and how its head is applied. Everything else
(`adapter.py`) is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jinja2 import TemplateError
from torch import Tensor, nn

from workbench.errors import Refusal
from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
from workbench.models.grids import Rectangle, centre_crop, grid_over
from workbench.models.hf.parts import Parts, parts_of
from workbench.models.protocol import Capability, Grid, Prompt, Stage, Tap, View

Inputs = Mapping[str, Any]
"""What the processor made of a prompt: input_ids (B, n), pixel_values and what else the model takes."""
Size = tuple[int, int]
"""Height and width of an image in pixels."""


class Family:
    """One open model's ways.

    Subclasses name the `model_types` of the configurations they are for: "llava", or, where the tower makes
    the difference, "llava with pixtral".
    """

    model_types: ClassVar[tuple[str, ...]] = ()
    scales_logits: ClassVar[bool] = True
    """Whether the model's logits have the scale and the cap that the language model's configuration names.

    Many models apply the head alone, whatever the language model would do by itself.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """What this family can do beyond what all can."""

    towers: ClassVar[int] = 1
    """How many towers read an image, each in pixels of its own."""

    batch_axis: ClassVar[int] = 0
    """Along which axis of the pixels the sequences of a batch follow one another."""

    def __init__(self, network: Any, processor: Any) -> None:
        self.network, self.processor = network, processor
        self.config = network.config
        self.parts: Parts = parts_of(network)

    # Words

    @property
    def image_token_id(self) -> int:
        """The token that stands for a visual token in input_ids."""
        for owner in (self.config, self.processor):
            for name in ("image_token_id", "image_token_index"):
                found = getattr(owner, name, None)
                if isinstance(found, int):
                    return found
        raise Refusal(f"{self.config.model_type} does not say which token stands for an image.")

    def written(self, text: str, images: int) -> str:
        """The prompt with its images, as the processor takes it, up to where the answer begins."""
        if getattr(self.processor, "chat_template", None):
            content = [{"type": "image"}] * images + ([{"type": "text", "text": text}] if text else [])
            return self.templated([{"role": "user", "content": content}])
        mark = getattr(self.processor, "boi_token", None) or self.processor.image_token
        return f"{mark * images}\n{text}" if text else str(mark * images)

    def templated(self, turns: list[dict[str, Any]], *, begun: bool = True) -> str:
        """The turns of a chat in the processor's own template, with how an answer begins if it is to."""
        return str(self.processor.apply_chat_template(turns, add_generation_prompt=begun))

    # Places

    def views(self, inputs: Inputs, sizes: Sequence[Size]) -> list[View]:
        """Every grid of visual tokens in the first sequence, with the positions of its tokens.

        sizes: of the images in it, in order. Raises Refusal where the tokens make no grid that is known.
        """
        places = self.visual_positions(inputs)
        shapes = self.grids(inputs, sizes)
        if sum(grid.rows * grid.cols for grid in shapes) != len(places):
            raise self.misplaced(len(places), shapes)
        out, first = [], 0
        for grid in shapes:
            count = grid.rows * grid.cols
            out.append(View(grid, places[first : first + count]))
            first += count
        return out

    def misplaced(self, tokens: int, grids: Sequence[Grid]) -> Refusal:
        """What to raise where there are not as many visual tokens as the grids need."""
        return Refusal(
            f"{self.config.model_type} has {tokens} visual tokens here, which is not what its grids "
            f"({', '.join(f'{g.rows}×{g.cols}' for g in grids)}) need: where they stand is not known."
        )

    def visual_positions(self, inputs: Inputs) -> Tensor:
        """Where the visual tokens stand in the first sequence, int64."""
        return (inputs["input_ids"][0] == self.image_token_id).nonzero()[:, 0]

    def grids(self, inputs: Inputs, sizes: Sequence[Size]) -> list[Grid]:
        """The grids of visual tokens, in the order of their tokens, each row by row.

        By convention either the processor tells patches (image_grid_thw), or all images are scaled to one
        size and make equal square-celled grids.
        """
        thw = inputs.get("image_grid_thw")
        if thw is not None:
            merge = self.merged
            return [
                grid_over(int(h) // merge, int(w) // merge, (0, 0, width, height), image=k)
                for k, ((_, h, w), (height, width)) in enumerate(
                    zip(thw[: len(sizes)].tolist(), sizes, strict=True)
                )
            ]
        crops, images = self.pixels(inputs).shape[:-3].numel(), len(inputs["input_ids"]) * len(sizes)
        if crops != images:
            raise Refusal(
                f"{self.config.model_type} makes {crops} pictures of {images}: where those lie on an image "
                "is not known."
            )
        each = len(self.visual_positions(inputs)) // len(sizes)
        rows, cols = self.patches(inputs)
        side = math.sqrt(rows * cols / each) if each else 0
        if not each or rows % side or cols % side:
            raise Refusal(
                f"{self.config.model_type} makes {each} visual tokens of {rows}×{cols} patches: they are on "
                "no grid that is known."
            )
        step = int(side)
        return [
            grid_over(rows // step, cols // step, self.covered(inputs, size), image=k)
            for k, size in enumerate(sizes)
        ]

    @property
    def merged(self) -> int:
        """Patches on a side of what becomes one visual token."""
        for owner in (getattr(self.config, "vision_config", None), self.config, self._image_processor):
            for name in ("spatial_merge_size", "merge_size"):
                if isinstance(found := getattr(owner, name, None), int):
                    return found
        return 1

    @property
    def _image_processor(self) -> Any:
        return getattr(self.processor, "image_processor", None)

    def pixels(self, inputs: Inputs) -> Tensor:
        """What the tower sees: pictures (..., channels, height, width), or whatever else the model takes."""
        seen: Tensor = inputs["pixel_values"]
        return seen

    def patches(self, inputs: Inputs) -> Size:
        """Rows and columns of patches that the tower cuts each image into."""
        height, width = self.pixels(inputs).shape[-2:]
        down, across = self.patch_size
        return int(height) // down, int(width) // across

    @property
    def patch_size(self) -> Size:
        """Height and width of one of the tower's patches, in pixels that it sees."""
        patch = self.config.vision_config.patch_size
        down, across = patch if isinstance(patch, (tuple, list)) else (patch, patch)
        return int(down), int(across)

    def covered(self, inputs: Inputs, size: Size) -> Rectangle:
        """Of the rectangle that the tower sees of an image of this size, what whole patches cover."""
        height, width = self.pixels(inputs).shape[-2:]
        (rows, cols), (down, across) = self.patches(inputs), self.patch_size
        x0, y0, x1, y1 = self.framed(size)
        return x0, y0, x0 + (x1 - x0) * cols * across / width, y0 + (y1 - y0) * rows * down / height

    def framed(self, size: Size) -> Rectangle:
        """The rectangle of an image of this size that the tower sees."""
        processor = self._image_processor
        shortest = (getattr(processor, "size", None) or {}).get("shortest_edge")
        if getattr(processor, "do_center_crop", None) and getattr(processor, "do_resize", None) and shortest:
            crop = processor.crop_size
            return centre_crop(*size, shortest, crop["height"], crop["width"])
        return (0, 0, size[1], size[0])

    def tower_view(self, inputs: Inputs, sizes: Sequence[Size]) -> View | None:
        """Where the tower's tokens of the first image stand on it; None where that is not known.

        Positions count the tokens of one sequence's images one after the other, class tokens included.
        """
        thw = inputs.get("image_grid_thw")
        if thw is not None:
            _, h, w = thw[0].tolist()
            grid = grid_over(h, w, (0, 0, sizes[0][1], sizes[0][0]))
            return View(grid, self.merged_order(h, w))
        if self.parts.tower is None or len(sizes) > 1:
            return None
        rows, cols = self.patches(inputs)
        first = int(self.has_class_token)
        grid = grid_over(rows, cols, self.covered(inputs, sizes[0]))
        return View(grid, torch.arange(first, first + rows * cols))

    @property
    def has_class_token(self) -> bool:
        """Whether the tower's first token is no patch."""
        tower = self.parts.tower
        assert tower is not None
        return any(
            name.rpartition(".")[2] in ("class_embedding", "cls_token")
            for name, _ in tower.named_parameters()
        )

    def merged_order(self, rows: int, cols: int) -> Tensor:
        """Where each patch, row by row, stands in a tower that keeps those to be merged side by side."""
        m = self.merged
        order = torch.arange(rows * cols).view(rows // m, cols // m, m, m).permute(0, 2, 1, 3)
        return order.reshape(-1)

    @property
    def used_blocks(self) -> int:
        """How many blocks of the tower lie on the way to the language model."""
        count, layer = len(self.parts.blocks), getattr(self.config, "vision_feature_layer", None)
        chosen = [layer] if isinstance(layer, int) else list(layer or [])
        return max((c if c >= 0 else count + 1 + c for c in chosen), default=count)

    # Numbers

    def readout(self, states: Tensor) -> Tensor:
        """Logits that the final norm and the head make of states (..., width) of the last layer."""
        # Where a model is shared out among devices, the two may lie on different ones.
        normed = self.parts.norm(beside(states, self.parts.norm))
        logits: Tensor = self.parts.head(beside(normed, self.parts.head))
        if not self.scales_logits:
            return logits
        text = self.config.get_text_config()
        if scale := getattr(text, "logit_scale", None):
            logits = logits * scale
        if scale := getattr(text, "logits_scaling", None):
            logits = logits / scale
        if cap := getattr(text, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    # What is said

    def generate(self, **settings: Any) -> Any:
        """The network's own generation of text: token ids (B, n)."""
        return self.network.generate(**settings)

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        found = self.network.generation_config.eos_token_id
        if found is None:
            found = self.processor.tokenizer.eos_token_id
        return frozenset([found] if isinstance(found, int) else found or [])

    def words(self, ids: Sequence[int]) -> str:
        """The text of token ids, white space and all."""
        return str(self.processor.tokenizer.decode(list(ids), skip_special_tokens=True))

    def candidate(self, text: str) -> Tensor:
        """Token ids (1, n) of an answer as the model would say it, its end included."""
        ids = self.pieces(text.strip())
        return torch.tensor([ids if self.end is None else [*ids, self.end]])

    @cached_property
    def end(self) -> int | None:
        """Of the tokens that end an answer the one that this model says: what its chat template writes.

        Without a template, or where it writes none of them, the tokenizer's own end.
        """
        answer = "yes"
        turns = [
            {"role": role, "content": [{"type": "text", "text": answer}]} for role in ("user", "assistant")
        ]
        written = ""
        if getattr(self.processor, "chat_template", None):
            # A template may refuse a turn that it was not written for, in ways of its own.
            with suppress(TemplateError, TypeError, ValueError):
                written = self.templated(turns, begun=False).rpartition(answer)[2]
        candidates = [*self.pieces(written), self.processor.tokenizer.eos_token_id, *sorted(self.ends)]
        return next((token for token in candidates if token in self.ends), None)

    def pieces(self, text: str) -> list[int]:
        """The token ids of a text, without any frame."""
        return list(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])

    def extended(self, inputs: Inputs, ids: Tensor) -> dict[str, Any]:
        """The inputs of a prompt with words (B, n) after it."""
        more = dict(inputs) | {"input_ids": torch.cat([inputs["input_ids"], ids], dim=1)}
        for name in ("attention_mask", "token_type_ids", "mm_token_type_ids", "moe_mm_token_type_ids"):
            if name in more:
                value = torch.full_like(ids, int(name == "attention_mask"))
                more[name] = torch.cat([inputs[name], value], dim=1)
        return more

    def projected(self, stage: Stage, prompt: Prompt) -> Tap:
        """Where the projector's output is read: its tokens in the order of the language model's."""
        assert self.parts.projector is not None
        alone = not prompt.others
        return Tap(stage, self.parts.projector, None, grid=prompt.grid if alone else None)

    # What is drawn

    def draw(self, words: str, settings: DrawSettings, stop: Callable[[], bool]) -> Iterator[DrawEvent]:
        """An image from words, where this family's capabilities say GENERATES."""
        raise Refusal(f"A {self.config.model_type} model draws nothing: open one that generates images.")

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The image as tokens and back, where this family's capabilities say TOKENISES."""
        raise Refusal(f"A {self.config.model_type} model has no tokeniser for images: open one that has.")


def beside(states: Tensor, module: nn.Module) -> Tensor:
    """The states on the device of a module's weights; as they are where those are fetched when needed."""
    weight = next(module.parameters(), None)
    return states if weight is None or weight.device.type == "meta" else states.to(weight.device)
