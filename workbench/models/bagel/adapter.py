"""BAGEL behind the workbench's protocol: prepare, look, answer, score, respond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import Cancelled, Refusal
from workbench.models.bagel import patches
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import BagelConfig
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.protocol import (
    Answer,
    Event,
    Grid,
    ModelCard,
    Prompt,
    Sampling,
    Stage,
    Tap,
    Token,
    never,
)

MOST_QUESTION_CHARACTERS = 4000


@dataclass(frozen=True)
class Pictures:
    """A batch of images as the model takes them: resized pixels, the vision grid and the latent grid."""

    pixels: list[np.ndarray]
    rows: int
    cols: int
    latent_rows: int
    latent_cols: int


class BagelModel:
    """An open BAGEL checkpoint; implements `workbench.models.protocol.Model`."""

    def __init__(
        self, network: Bagel, autoencoder: Autoencoder, tokenizer: Any, special: SpecialTokens, card: ModelCard
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.special = special
        self.card = card

    @property
    def config(self) -> BagelConfig:
        return self.network.config

    # What the model sees

    def resized(self, image: np.ndarray) -> np.ndarray:
        """The image as the model takes it: uint8, sides within its bounds and multiples of its stride."""
        return patches.resize(image, self.config.vae_resize)

    def pictures(self, images: Sequence[np.ndarray]) -> Pictures:
        """Images of one size, resized, with their grids; raises Refusal where the sizes differ."""
        sizes = {image.shape for image in images}
        if len(sizes) != 1:
            raise Refusal(f"The images of one batch must have one size; these have {len(sizes)}.")
        pixels = [self.resized(image) for image in images]
        height, width = patches.resize(pixels[0], self.config.vit_resize).shape[:2]
        patch, cell = self.config.vision.patch_size, self.config.pixels_per_latent
        return Pictures(
            pixels, height // patch, width // patch, pixels[0].shape[0] // cell, pixels[0].shape[1] // cell
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
        """Images, uint8 (H, W, 3), of latent tokens (B, N, D)."""
        latent = patches.unpatchify(tokens, pictures.latent_rows, pictures.latent_cols, self.config.latent_patch)
        weight = next(self.autoencoder.parameters())
        return [patches.to_image(p) for p in self.autoencoder.decode(latent.to(weight.device, weight.dtype))]

    # Words

    def ids(self, text: str) -> Tensor:
        """Token ids (1, n) of a text framed by bos and eos; raises Refusal where it is too long."""
        if len(text) > MOST_QUESTION_CHARACTERS:
            raise Refusal(
                f"The question has {len(text):,} characters; at most {MOST_QUESTION_CHARACTERS:,} are read. Shorten it."
            )
        ids = [self.special.bos, *self.tokenizer.encode(text, add_special_tokens=False).ids, self.special.eos]
        return torch.tensor([ids], device=self.network.device)

    def words(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    # The protocol

    def stages(self) -> list[Stage]:
        """Patch embedding and vision blocks, connector, and the language model from its input to its last layer."""
        names = [f"vision {i}" for i in range(self.card.vision_layers + 1)]
        names += ["projector", *(f"llm {i}" for i in range(self.card.llm_layers + 1))]
        bands = {"vision": "vision", "projector": "projector", "llm": "llm"}
        return [Stage(name, bands[name.split()[0]], i) for i, name in enumerate(names)]  # type: ignore[arg-type]

    def prepare(self, images: Sequence[np.ndarray], text: str = "") -> Prompt:
        """A batch of images of one size, and one text after them (none if it is empty)."""
        pictures = self.pictures(images)
        height, width = images[0].shape[:2]
        top, left = np.mgrid[: pictures.rows, : pictures.cols].reshape(2, -1)
        box = np.stack([left, top, left + 1, top + 1], axis=1).astype(np.float32)
        box *= np.array([width / pictures.cols, height / pictures.rows] * 2, np.float32)
        visual = torch.arange(1, 1 + pictures.rows * pictures.cols, device=self.network.device)
        ids = self.ids(text) if text.strip() else None
        inputs = {"pictures": pictures, "patches": self.vision_patches(pictures), "ids": ids}
        return Prompt(list(images), text, Grid(pictures.rows, pictures.cols, box), inputs, visual)  # type: ignore[arg-type]

    def taps(self, prompt: Prompt) -> list[Tap]:
        """Where each stage is read while `forward` runs."""
        tower, layers = self.network.vit_model.vision_model, self.network.language_model.model.layers
        stages = iter(self.stages())
        taps = [Tap(next(stages), tower.embeddings, None)]
        taps += [Tap(next(stages), block, None) for block in tower.encoder.layers]
        taps += [Tap(next(stages), self.network.connector, None)]
        taps += [Tap(next(stages), layers[0], prompt.visual, "input")]
        taps += [Tap(next(stages), layer, prompt.visual) for layer in layers]
        return taps

    @torch.inference_mode()
    def forward(self, prompt: Prompt) -> Tensor:
        """One pass over image and text together; returns the logits (B, vocabulary) after the last token."""
        network, pictures = self.network, prompt.inputs["pictures"]
        seen = network.embed_vision(prompt.inputs["patches"], pictures.rows, pictures.cols)
        frame = torch.tensor([[self.special.image_start, self.special.image_end]], device=network.device)
        start, end = network.embed_text(frame).expand(len(seen), -1, -1).split(1, dim=1)
        x = torch.cat([start, seen, end], dim=1)
        block = x.shape[1]
        positions, mask = torch.zeros(1, block, dtype=torch.long, device=network.device), None
        if prompt.inputs["ids"] is not None:
            text = network.embed_text(prompt.inputs["ids"]).expand(len(seen), -1, -1)
            x = torch.cat([x, text], dim=1)
            after = torch.arange(1, 1 + text.shape[1], device=network.device)[None]
            positions = torch.cat([positions, after], dim=1)
            mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=network.device).tril()
            mask[:block, :block] = True
        states, _ = network.language_model.model(x, positions, mask=mask)
        return network.logits(states[:, -1])

    def _read(self, prompt: Prompt) -> Context:
        pictures: Pictures = prompt.inputs["pictures"]
        seen = self.network.embed_vision(prompt.inputs["patches"], pictures.rows, pictures.cols)
        context = self.network.add_vision(Context(), seen, self.special)
        ids = prompt.inputs["ids"]
        return context if ids is None else self.network.add_text(context, ids.expand(len(seen), -1))[0]

    @torch.inference_mode()
    def answer(self, prompt: Prompt, *, max_new_tokens: int = 16) -> list[Answer]:
        """Greedy answers, one for each image, through vision tokens alone."""
        context = self._read(prompt)
        count = len(prompt.images)
        token = torch.full((count, 1), self.special.bos, device=self.network.device)
        said: list[list[Token]] = [[] for _ in range(count)]
        open_ = set(range(count))
        for _ in range(max_new_tokens):
            context, states = self.network.add_text(context, token)
            scores = self.network.logits(states[:, -1]).float().log_softmax(-1)
            token = scores.argmax(-1, keepdim=True)
            for i in list(open_):
                number = int(token[i])
                if number == self.special.eos:
                    open_.discard(i)
                else:
                    said[i].append(Token(self.words([number]), float(scores[i, number]), number))
            if not open_:
                break
        return [
            Answer(self.words([t.id for t in tokens]), tuple(tokens), sum(t.logprob for t in tokens)) for tokens in said
        ]

    @torch.inference_mode()
    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        """Log-probability in nats, float64 (B, C), of each candidate's tokens and the end of the answer."""
        if not candidates:
            raise Refusal("There are no candidates to score: give at least one answer.")
        context = self._read(prompt)
        batch = len(prompt.images)
        out = np.zeros((batch, len(candidates)))
        by_length: dict[int, list[int]] = {}
        encoded = [self.ids(candidate)[0] for candidate in candidates]
        for index, ids in enumerate(encoded):
            by_length.setdefault(len(ids), []).append(index)
        for members in by_length.values():
            ids = torch.stack([encoded[i] for i in members]).repeat(batch, 1)
            wide = Context(
                [(k.repeat_interleave(len(members), 0), v.repeat_interleave(len(members), 0)) for k, v in context.past],
                context.length,
                context.position,
            )
            _, states = self.network.add_text(wide, ids)
            logits = self.network.logits(states[:, :-1]).float()
            losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
            out[:, members] = -losses.view(batch, len(members), -1).sum(-1).double().cpu().numpy()
        return out

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Thought, decision, drawing and answer; see `workbench.models.bagel.interleave`."""
        from workbench.models.bagel.interleave import respond

        yield from respond(self, image, question, settings, stop)


def check(stop: Callable[[], bool]) -> None:
    """Raise Cancelled once `stop` says so."""
    if stop():
        raise Cancelled


