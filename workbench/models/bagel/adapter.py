"""BAGEL behind the workbench's protocol: prepare, look, answer, score, respond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import Refusal, go_on
from workbench.models.bagel import asking, drawing, interleave, responding
from workbench.models.bagel.intervene import BagelBranch
from workbench.models.bagel.network import Context
from workbench.models.bagel.patches import origins_of_patches
from workbench.models.bagel.reader import BagelReader, Pictures
from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
from workbench.models.grids import grid_over
from workbench.models.origins import whole
from workbench.models.protocol import (
    Answer,
    Band,
    Branch,
    Event,
    Grid,
    Prompt,
    Sampling,
    Stage,
    Tap,
    Token,
    never,
)
from workbench.models.together import SHORT, Posed, Responses

SCORED_AT_ONCE = 64
"""Sequences in one pass of `score`: each carries a copy of its image's keys and values."""


class BagelModel(BagelReader):
    """An open BAGEL checkpoint; implements `workbench.models.protocol.Model`."""

    def stages(self) -> list[Stage]:
        """Patch embedding and vision blocks, connector, the language model's input and its layers."""
        names: list[tuple[Band, str]] = [
            ("vision", f"vision {i}") for i in range(self.card.vision_layers + 1)
        ]
        names += [("projector", "projector")]
        names += [("llm", f"llm {i}") for i in range(self.card.llm_layers + 1)]
        return [Stage(name, band, index) for index, (band, name) in enumerate(names)]

    def prepare(self, images: Sequence[np.ndarray], text: str = "", *, together: bool = False) -> Prompt:
        """A batch of images of one size, and one text after them (none if it is empty)."""
        if together and len(images) > 1:
            raise Refusal(f"{self.card.id} reads one image at a time: show them one by one.")
        pictures = self.pictures(images)
        height, width = images[0].shape[:2]
        visual = torch.arange(1, 1 + pictures.rows * pictures.cols, device=self.network.device)
        ids = self.segment(self.typed(text)) if text.strip() else None
        inputs = {"pictures": pictures, "patches": self.vision_patches(pictures), "ids": ids}
        return Prompt(
            list(images), text, grid_over(pictures.rows, pictures.cols, (0, 0, width, height)), inputs, visual
        )

    def continued(self, prompt: Prompt, tokens: Sequence[int]) -> tuple[Prompt, Tensor]:
        """The prompt with an answer's first tokens after it, and where the queries stand that say them."""
        said = torch.tensor([[self.special.bos, *tokens]], device=self.network.device)
        asked = prompt.inputs["ids"]
        ids = said if asked is None else torch.cat([asked, said], dim=1)
        framed = len(prompt.visual) + 2
        rows = torch.arange(framed + ids.shape[1] - said.shape[1], framed + ids.shape[1], device=ids.device)
        return replace(prompt, inputs=prompt.inputs | {"ids": ids}), rows

    def taps(self, prompt: Prompt) -> list[Tap]:
        """Where each stage is read while `forward` runs."""
        tower, layers = self.network.vit_model.vision_model, self.network.language_model.model.layers
        stages = iter(self.stages())
        grid, visual = prompt.grid, prompt.visual
        taps = [
            Tap(next(stages), module, None, grid=grid)
            for module in (tower.embeddings, *tower.encoder.layers, self.network.connector)
        ]
        taps += [Tap(next(stages), layers[0], visual, "input", grid)]
        taps += [Tap(next(stages), layer, visual, grid=grid) for layer in layers]
        return taps

    def attending(self, prompt: Prompt) -> list[tuple[Stage, nn.Module]]:
        """The blocks of the tower and the layers of the language model."""
        stages = {stage.name: stage for stage in self.stages()}
        blocks = self.network.vit_model.vision_model.encoder.layers
        found = [(stages[f"vision {i + 1}"], block) for i, block in enumerate(blocks)]
        layers = self.network.language_model.model.layers
        return found + [(stages[f"llm {i + 1}"], layer) for i, layer in enumerate(layers)]

    @torch.inference_mode()
    def forward(self, prompt: Prompt) -> Tensor:
        """One pass over image and text together; returns the logits (B, vocabulary) after the last token."""
        return self.network.logits(self._states(prompt)[:, -1])

    def said(self, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
        """Log-probabilities, float32 (B, tokens), with which the answer says each of these tokens."""
        longer, rows = self.continued(prompt, tokens)
        logs = self.network.logits(self._states(longer)[:, rows[:-1]]).float().log_softmax(-1)
        ids = torch.tensor(list(tokens), dtype=torch.long, device=logs.device).expand(len(logs), -1)
        return logs.gather(-1, ids[..., None])[..., 0]

    def pixels(self, prompt: Prompt) -> Tensor:
        """Patch vectors (B, rows · cols, p · p · 3), each ordered (row, column, channel)."""
        patches: Tensor = prompt.inputs["patches"]
        return patches

    def seeing(self, prompt: Prompt, pixels: Tensor) -> Prompt:
        """The prompt with other patches, its images as often as these have rows."""
        own = self.pixels(prompt)
        times, rest = divmod(len(pixels), len(own))
        if rest or not times:
            raise Refusal(f"{len(pixels)} rows of pixels are no multiple of the prompt's {len(own)}.")
        inputs = prompt.inputs | {"patches": pixels.to(own)}
        return replace(prompt, images=prompt.images * times, inputs=inputs)

    def cells(
        self, prompt: Prompt, values: Tensor, grids: Sequence[Grid] | None = None
    ) -> list[tuple[Grid, NDArray[np.float64]]]:
        """Sums of numbers shaped like `pixels` over cells of the images; see the protocol."""
        grids = whole([prompt.grid, *(view.grid for view in prompt.others)]) if grids is None else grids
        pictures, patch = prompt.inputs["pictures"], self.config.vision.patch_size
        own = origins_of_patches(pictures.rows, pictures.cols, patch, prompt.images[0].shape[:2])
        given = values.detach().double().cpu().numpy()
        return [(grid, own.summed(given, grid)) for grid in grids]

    def _states(self, prompt: Prompt) -> Tensor:
        """Normed states (B, tokens, width) of a prompt, read in one pass."""
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
        states: Tensor = network.language_model.model(x, positions, mask=mask)[0]
        return states

    @torch.inference_mode()
    def readout(self, states: Tensor) -> Tensor:
        """Logits that the final norm and the head make of states (..., width) of the last stage."""
        norm = self.network.language_model.model.norm
        return self.network.logits(norm(states.to(norm.weight.device, norm.weight.dtype)))

    def _read(self, prompt: Prompt) -> Context:
        pictures: Pictures = prompt.inputs["pictures"]
        seen = self.network.embed_vision(prompt.inputs["patches"], pictures.rows, pictures.cols)
        context = self.network.add_vision(Context(), seen, self.special)
        ids = prompt.inputs["ids"]
        return context if ids is None else self.network.add_text(context, ids.expand(len(seen), -1))[0]

    @torch.inference_mode()
    def answer(
        self, prompt: Prompt, *, max_new_tokens: int = 16, stop: Callable[[], bool] = never
    ) -> list[Answer]:
        """Greedy answers, one for each image, through vision tokens alone; asks `stop` between passes."""
        go_on(stop)
        context = self._read(prompt)
        count = len(prompt.images)
        token = torch.full((count, 1), self.special.bos, device=self.network.device)
        said: list[list[Token]] = [[] for _ in range(count)]
        unfinished = set(range(count))
        for _ in range(max_new_tokens):
            go_on(stop)
            context, states = self.network.add_text(context, token)
            best = self.network.logits(states[:, -1]).float().log_softmax(-1).max(-1)
            token = best.indices[:, None]
            logprobs, numbers = best.values.tolist(), best.indices.tolist()
            unfinished -= {i for i in unfinished if numbers[i] == self.special.eos}
            for i in unfinished:
                said[i].append(Token(self.words([numbers[i]]), logprobs[i], numbers[i]))
            if not unfinished:
                break
        return [
            Answer(self.words([t.id for t in tokens]).strip(), tuple(tokens), sum(t.logprob for t in tokens))
            for tokens in said
        ]

    @torch.inference_mode()
    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        """Log-probability in nats, float64 (B, C), of each candidate's tokens and the end of the answer."""
        if not candidates:
            raise Refusal("There are no candidates to score: give at least one answer.")
        if not all(candidate.strip() for candidate in candidates):
            raise Refusal("One of the candidates is empty: leave it out.")
        batch = len(prompt.images)
        encoded = [self.segment(self.typed(candidate))[0] for candidate in candidates]
        by_length: dict[int, list[int]] = {}
        for index, ids in enumerate(encoded):
            by_length.setdefault(len(ids), []).append(index)
        context = self._read(prompt)
        out = np.zeros((batch, len(candidates)))
        most = max(1, SCORED_AT_ONCE // batch)
        for same in by_length.values():
            for some in (same[i : i + most] for i in range(0, len(same), most)):
                ids = torch.stack([encoded[i] for i in some]).repeat(batch, 1)
                _, states = self.network.add_text(context.repeated(len(some)), ids)
                logits = self.network.logits(states[:, :-1]).float()
                targets = ids[:, 1:].flatten().to(logits.device)
                losses = F.cross_entropy(logits.flatten(0, 1), targets, reduction="none")
                out[:, some] = -losses.view(batch, len(some), -1).double().sum(-1).cpu().numpy()
        return out

    def respond(
        self, image: np.ndarray, question: str, settings: Sampling, *, stop: Callable[[], bool] = never
    ) -> Iterator[Event]:
        """Thought, decision, drawing and answer; see `workbench.models.bagel.interleave`."""
        return interleave.respond(self, image, question, settings, stop)

    def branched(
        self,
        image: np.ndarray,
        question: str,
        settings: Sampling,
        *,
        watched: bool = True,
        stop: Callable[[], bool] = never,
    ) -> Iterator[Event | Branch]:
        """The same, and then the branch to answer again from; see `workbench.models.bagel.intervene`."""
        kept: list[interleave.Drawn] = []
        yield from interleave.respond(self, image, question, settings, stop, kept, watched=watched)
        for drawn in kept:
            yield BagelBranch(self, drawn, settings, stop)

    def score_each(
        self, images: Sequence[np.ndarray], posed: Sequence[Posed], *, stop: Callable[[], bool] = never
    ) -> list[np.ndarray]:
        """Scores of many questions' candidates in one pass; see `workbench.models.bagel.asking`."""
        return asking.score_each(self, images, posed, stop)

    def answer_each(
        self,
        images: Sequence[np.ndarray],
        posed: Sequence[Posed],
        *,
        max_new_tokens: int = SHORT,
        stop: Callable[[], bool] = never,
    ) -> list[Answer]:
        """Greedy answers to many questions; see `workbench.models.bagel.asking`."""
        return asking.answer_each(self, images, posed, max_new_tokens, stop)

    def respond_each(
        self,
        images: Sequence[np.ndarray],
        posed: Sequence[Posed],
        settings: Sampling,
        seeds: Sequence[int],
        ways: Sequence[str],
        *,
        stop: Callable[[], bool] = never,
    ) -> Responses:
        """Responses to many questions; see `workbench.models.bagel.responding`."""
        return responding.respond_each(self, images, posed, settings, seeds, ways, stop)

    def draw(
        self, words: str, settings: DrawSettings, *, stop: Callable[[], bool] = never
    ) -> Iterator[DrawEvent]:
        """An image from words alone; see `workbench.models.bagel.drawing`."""
        return drawing.draw(self, words, settings, stop)

    def tokenised(self, image: np.ndarray) -> Tokenised:
        """Refused: the autoencoder's latents are no tokens."""
        raise Refusal(f"{self.card.id} has no tokeniser: its autoencoder keeps numbers, not tokens.")
