"""BAGEL behind the workbench's protocol: prepare, look, answer, score, respond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import Refusal, go_on
from workbench.models.bagel import asking, drawing, interleave, responding, sequence
from workbench.models.bagel.intervene import BagelBranch
from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader
from workbench.models.bagel.sequence import Segment
from workbench.models.drawing import DrawEvent, DrawSettings, Tokenised
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
        segments: list[Segment] = [sequence.sight(self, self.pictures(images))]
        if text.strip():
            segments.append(sequence.Text(self.segment(self.typed(text))))
        return sequence.prompt_of(segments, images, text)

    def continued(self, prompt: Prompt, tokens: Sequence[int]) -> tuple[Prompt, Tensor]:
        """The prompt with an answer's first tokens after it, and where the queries stand that say them."""
        return sequence.continued(prompt, tokens, self.special.bos)

    def taps(self, prompt: Prompt) -> list[Tap]:
        """Where each stage is read while `forward` runs."""
        tower, layers = self.network.vit_model.vision_model, self.network.language_model.model.layers
        stages = iter(self.stages())
        grid, visual = prompt.grid, prompt.visual
        # The tower sees the images of one sequence side by side.
        places = torch.arange(grid.rows * grid.cols) if prompt.together else None
        taps = [
            Tap(next(stages), module, places, grid=grid)
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

    def pointed(self, prompt: Prompt) -> Tensor:
        """The latent (B, N, D) that the drawing at the end of a prompt points to."""
        last = prompt.inputs["segments"][-1]
        if not isinstance(last, sequence.Latent):
            raise Refusal("Nothing is drawn at the end of this prompt: take one of a branch's drawing.")
        states = self._states(prompt)[:, prompt.inputs["where"].places[-1]]
        return last.tokens.to(states.device) - last.t * self.network.llm2vae(states).float()

    def pixels(self, prompt: Prompt) -> Tensor:
        """Patch vectors (B, images · rows · cols, p · p · 3), each ordered (row, column, channel)."""
        return sequence.patches_of(prompt)

    def seeing(self, prompt: Prompt, pixels: Tensor) -> Prompt:
        """The prompt with other patches, its sequences as often as these have rows."""
        return sequence.seeing(prompt, pixels)

    def cells(
        self, prompt: Prompt, values: Tensor, grids: Sequence[Grid] | None = None
    ) -> list[tuple[Grid, NDArray[np.float64]]]:
        """Sums of numbers shaped like `pixels` over cells of the images; see the protocol."""
        grids = whole([prompt.grid, *(view.grid for view in prompt.others)]) if grids is None else grids
        own = sequence.origins(prompt, self.config.vision.patch_size)
        given = values.detach().double().cpu().numpy()
        return [(grid, own.summed(given, grid)) for grid in grids]

    def _states(self, prompt: Prompt) -> Tensor:
        """Normed states (B, tokens, width) of a prompt, read in one pass."""
        return sequence.states(self.network, self.special, prompt.inputs["segments"], prompt.inputs["where"])

    @torch.inference_mode()
    def readout(self, states: Tensor) -> Tensor:
        """Logits that the final norm and the head make of states (..., width) of the last stage."""
        norm = self.network.language_model.model.norm
        return self.network.logits(norm(states.to(norm.weight.device, norm.weight.dtype)))

    def _read(self, prompt: Prompt) -> Context:
        if prompt.inputs["begun"]:
            raise Refusal("This prompt stands inside a response: its answer is the response's own.")
        return sequence.context_of(self.network, self.special, prompt.inputs["segments"])

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
