"""A transformers model behind the workbench's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import Refusal
from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
from workbench.models.hf.family import Family
from workbench.models.hf.marks import marks_of, without_marks
from workbench.models.hf.places import origins
from workbench.models.hf.processor import once_begun
from workbench.models.hf.speech import speak
from workbench.models.length import short_enough
from workbench.models.origins import whole
from workbench.models.protocol import (
    Answer,
    Band,
    Branch,
    Event,
    Final,
    Grid,
    ModelCard,
    Prompt,
    Sampling,
    Stage,
    Tap,
    Thought,
    never,
    repeated,
)
from workbench.models.spelling import beginnings, spelling

ATTENDING = ("full_attention", "sliding_attention", "chunked_attention", "indexed_attention")
"""Kinds of layers that attend by softmax, in the words of transformers' configurations."""


class HFModel:
    """An open image-text-to-text model; implements `workbench.models.protocol.Model`."""

    def __init__(self, family: Family, card: ModelCard) -> None:
        self.family, self.card = family, card
        self.network, self.processor = family.network, family.processor
        self.marks = marks_of(family.config, family.processor)

    # Looking

    def stages(self) -> list[Stage]:
        """The tower's input and blocks, its projector, the language model's input and layers."""
        parts = self.family.parts
        names: list[tuple[Band, str]] = []
        if parts.blocks:
            names += [("vision", f"vision {i}") for i in range(self.family.used_blocks + 1)]
        if parts.projector is not None:
            names += [("projector", "projector")]
        names += [("llm", f"llm {i}") for i in range(len(parts.layers) + 1)]
        return [Stage(name, band, index) for index, (band, name) in enumerate(names)]

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The image itself: what the processor makes of it is part of the model."""
        return image

    def prepare(self, images: Sequence[np.ndarray], text: str = "", *, together: bool = False) -> Prompt:
        """A batch of images of one size with one text; or, `together`, all in one prompt, of any sizes."""
        if not images:
            raise Refusal("There is no image: give at least one.")
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        if not together and len(set(sizes)) > 1:
            found = ", ".join(f"{width}×{height}" for height, width in sorted(set(sizes)))
            raise Refusal(f"The images of one batch must have one size; these are {found}. Resize them.")
        short_enough(text)
        pictures = [Image.fromarray(image) for image in images]
        rows = [pictures] if together else [[picture] for picture in pictures]
        plain = without_marks(text.strip(), self.marks, self.card.id)
        written = self.family.written(plain, len(rows[0]))
        inputs = self._processed(rows, [written] * len(rows))
        views = self.family.views(inputs, sizes if together else sizes[:1])
        first, *others = views
        device = self.network.device
        return Prompt(
            list(images), text, first.grid, inputs, first.positions.to(device), tuple(others), together
        )

    def continued(self, prompt: Prompt, tokens: Sequence[int]) -> tuple[Prompt, Tensor]:
        """The prompt with an answer's first tokens after it, and where the queries stand that say them."""
        read, device = prompt.inputs["input_ids"].shape[1], self.network.device
        rows = torch.arange(read - 1, read + len(tokens), device=device)
        if not tokens:
            return prompt, rows
        ids = torch.tensor([list(tokens)], device=device).expand(prompt.batch, -1)
        return replace(prompt, inputs=self.family.extended(prompt.inputs, ids)), rows

    def said(self, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
        """Log-probabilities, float32 (B, tokens), with which the answer says each of these tokens."""
        if not len(tokens):
            return torch.zeros(prompt.batch, 0, device=self.network.device)
        longer, _ = self.continued(prompt, tokens)
        count = len(tokens)
        kept = self.network(**longer.inputs, use_cache=False, logits_to_keep=count + 1).logits
        logs = kept[:, -count - 1 : -1].float().log_softmax(-1)
        ids = torch.tensor(list(tokens), device=logs.device).expand(len(logs), -1)
        told: Tensor = logs.gather(-1, ids[..., None])[..., 0]
        return told

    def pointed(self, prompt: Prompt) -> Tensor:
        """Refused: nothing is drawn on the way to an answer."""
        raise Refusal(f"{self.card.id} draws nothing on its way to an answer: open a model that draws.")

    # Pixels

    def pixels(self, prompt: Prompt) -> Tensor:
        """What the tower reads: (B, pictures or patches, …), as the processor made it."""
        axis = self.family.batch_axis
        return self._read_pixels(prompt)[1].unflatten(axis, (prompt.batch, -1)).movedim(axis, 0)

    def seeing(self, prompt: Prompt, pixels: Tensor) -> Prompt:
        """The prompt with other pixels, its sequences as often as these have rows."""
        name, own = self._read_pixels(prompt)
        times, rest = divmod(len(pixels), prompt.batch)
        if rest or not times:
            raise Refusal(f"{len(pixels)} rows of pixels are no multiple of the prompt's {prompt.batch}.")
        inputs = {
            key: value.repeat(times, *[1] * (value.ndim - 1))
            if isinstance(value, Tensor) and value.ndim and len(value) % prompt.batch == 0
            else value
            for key, value in prompt.inputs.items()
        }
        axis = self.family.batch_axis
        inputs[name] = pixels.to(own).movedim(0, axis).flatten(axis, axis + 1)
        return repeated(replace(prompt, inputs=inputs), times)

    def cells(
        self, prompt: Prompt, values: Tensor, grids: Sequence[Grid] | None = None
    ) -> list[tuple[Grid, NDArray[np.float64]]]:
        """Sums of numbers shaped like `pixels` over cells of the images; see the protocol."""
        if grids is None:
            grids = whole([prompt.grid, *(view.grid for view in prompt.others)])
        shown = prompt.images if prompt.together else prompt.images[:1]
        sizes = [(image.shape[0], image.shape[1]) for image in shown]
        text = self.family.written("", len(sizes))

        def processed(images: Sequence[np.ndarray]) -> NDArray[np.float64]:
            inputs = self._processed([[Image.fromarray(image) for image in images]], [text])
            return self.family.pixels(inputs).double().cpu().numpy()

        own, given = origins(processed, sizes), values.detach().double().cpu().numpy()
        return [(grid, own.summed(given, grid)) for grid in grids]

    def _read_pixels(self, prompt: Prompt) -> tuple[str, Tensor]:
        """The tower's input among the processor's, and its name."""
        if self.family.towers > 1:
            raise Refusal(
                f"{self.card.id} reads an image by two towers, each in pixels of its own, so no one set of "
                "pixels is what it sees. Ask for its visual tokens."
            )
        found = self.family.pixels(prompt.inputs)
        return next(name for name, value in prompt.inputs.items() if value is found), found

    def _processed(self, images: list[list[Image.Image]], texts: list[str]) -> dict[str, Any]:
        special = once_begun(self.processor, texts[0])
        made = self.processor(images=images, text=texts, return_tensors="pt", **special)
        return {
            name: value.to(self.network.device, self.network.dtype if value.is_floating_point() else None)
            if isinstance(value, Tensor)
            else value
            for name, value in made.items()
            if name != "labels"
        }

    def taps(self, prompt: Prompt) -> list[Tap]:
        """Where each stage is read while `forward` runs.

        "llm k" is what layer k reads, and the last one what the final norm reads, so that what a model adds
        between layers, or after the last, is seen.
        """
        parts, stages = self.family.parts, iter(self.stages())
        shown = prompt.images if prompt.together else prompt.images[:1]
        view = self.family.tower_view(prompt.inputs, [image.shape[:2] for image in shown])
        places, grid = (view.positions, view.grid) if view else (None, None)
        taps: list[Tap] = []
        if parts.blocks:
            used = parts.blocks[: self.family.used_blocks]
            taps += [Tap(next(stages), parts.blocks[0], places, "input", grid)]
            taps += [Tap(next(stages), block, places, grid=grid) for block in used]
        if parts.projector is not None:
            taps += [self.family.projected(next(stages), prompt)]
        readers = [*parts.layers, parts.norm]
        taps += [Tap(next(stages), reader, prompt.visual, "input", prompt.grid) for reader in readers]
        return taps

    def attending(self, prompt: Prompt) -> list[tuple[Stage, nn.Module]]:
        """The blocks of the tower and those layers of the language model that attend by softmax."""
        parts, stages = self.family.parts, {stage.name: stage for stage in self.stages()}
        config = self.family.config
        found: list[tuple[Stage, nn.Module]] = []
        for band, layers, own in (
            ("vision", parts.blocks[: self.family.used_blocks], getattr(config, "vision_config", None)),
            ("llm", parts.layers, config.get_text_config()),
        ):
            kinds = getattr(own, "layer_types", None) or [ATTENDING[0]] * len(layers)
            for i, (layer, kind) in enumerate(zip(layers, kinds, strict=False)):
                if kind in ATTENDING:
                    found.append((stages[f"{band} {i + 1}"], layer))
        return found

    @torch.inference_mode()
    def forward(self, prompt: Prompt) -> Tensor:
        """One pass; returns the logits (B, vocabulary) after the last token."""
        logits: Tensor = self.network(**prompt.inputs, use_cache=False, logits_to_keep=1).logits
        return logits[:, -1]

    @torch.inference_mode()
    def readout(self, states: Tensor) -> Tensor:
        """Logits that the final norm and the head make of states (..., width) of the last stage."""
        return self.family.readout(states.to(self.network.device, self.network.dtype))

    # Saying

    def spelled(self, tokens: Sequence[int]) -> list[str]:
        """Each token by itself, with the space before it."""
        tokenizer = self.processor.tokenizer
        known = len(tokenizer)
        return [
            spelling(number, tokenizer.convert_ids_to_tokens(number), tokenizer.decode([number]))
            if number < known
            else spelling(number, None, "")
            for number in tokens
        ]

    def pieces(self, text: str) -> list[int]:
        """The tokens of a text in an answer's place, without the answer's end."""
        return self.family.pieces(without_marks(text.strip(), self.marks, self.card.id))

    def beginnings(self, word: str) -> list[int]:
        """The tokens that a word begins with. Raises Refusal where there are none."""
        plain = without_marks(word.strip(), self.marks, self.card.id)
        found = beginnings(plain, self.family.pieces, self.spelled)
        if not found:
            raise Refusal(f"{self.card.id} has no token for {word!r}. Choose another word.")
        return found

    def answer(
        self, prompt: Prompt, *, max_new_tokens: int = 16, stop: Callable[[], bool] = never
    ) -> list[Answer]:
        """One greedy answer for each image. Raises Cancelled once `stop` says so."""
        last: list[Answer] = []
        for said in speak(self.family, prompt.inputs, max_new_tokens, stop):
            last = said
        return last

    @torch.inference_mode()
    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        """Log-probability in nats, float64 (B, C), of each candidate's tokens and the end of the answer."""
        if not candidates:
            raise Refusal("There are no candidates to score: give at least one answer.")
        if not all(candidate.strip() for candidate in candidates):
            raise Refusal("One of the candidates is empty: leave it out.")
        batch = prompt.batch
        out = np.zeros((batch, len(candidates)))
        for column, candidate in enumerate(candidates):
            said = without_marks(candidate, self.marks, self.card.id)
            ids = self.family.candidate(said).to(self.network.device).expand(batch, -1)
            n = ids.shape[1]
            inputs = self.family.extended(prompt.inputs, ids)
            kept = self.network(**inputs, use_cache=False, logits_to_keep=n + 1).logits
            # Some models keep all of them whatever they are told.
            logits = kept[:, -n - 1 : -1].float()
            losses = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
            out[:, column] = -losses.view(batch, n).double().sum(-1).cpu().numpy()
        return out

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """The answer, as this model draws nothing on the way to it."""
        if not question.strip():
            raise Refusal("There is no question. Write one: the model has nothing to answer.")
        prompt = self.prepare([image], question)
        answer = Answer("", (), 0.0)
        for (answer,) in speak(self.family, prompt.inputs, settings.max_new_tokens, stop):
            # Half a character is decoded as a mark of its own, which the next token takes back.
            yield Thought(answer.text.rstrip("\N{REPLACEMENT CHARACTER}"), done=False)
        yield Thought(answer.text, answer.tokens)
        yield Final(answer)

    def branched(
        self,
        image: np.ndarray,
        question: str,
        settings: Sampling,
        *,
        watched: bool = True,
        stop: Callable[[], bool] = never,
    ) -> Iterator[Event | Branch]:
        """Refused: nothing is drawn on the way to an answer."""
        raise Refusal(
            f"{self.card.id} draws nothing on its way to an answer, so nothing can stand in its place: open "
            "a model that draws."
        )

    # Drawing

    def draw(
        self, words: str, settings: DrawSettings, *, stop: Callable[[], bool] = never
    ) -> Iterator[DrawEvent]:
        """An image from words alone, in the family's own way."""
        if not words.strip():
            raise Refusal("There are no words to draw from. Write what the image shall show.")
        short_enough(words)
        plain = without_marks(words.strip(), self.marks, self.card.id)
        yield from self.family.draw(plain, settings, stop)

    @torch.inference_mode()
    def tokenised(self, image: np.ndarray) -> Tokenised:
        """The image as the family's tokeniser writes it, and what it reads back."""
        return self.family.tokenised(image)
