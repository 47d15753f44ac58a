"""A small model made of real modules, with every awkward habit that real ones have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.card import CARD
from workbench.errors import Refusal
from workbench.models.protocol import Capability, Grid, Prompt, Stage, Tap

VISION_WIDTH = 12
WORDS = (" red", "red", " star", ".", "\n", "a", " blue", "12", " square", "ing", "<7>", " the")
"""The fake's vocabulary."""


class Block(nn.Module):
    """Changes its input in place, as some do; in the LLM it mixes tokens and returns a tuple."""

    def __init__(self, width: int, llm: bool) -> None:
        super().__init__()
        self.norm, self.linear, self.llm = nn.LayerNorm(width), nn.Linear(width, width), llm

    def forward(self, hidden_states: Tensor) -> Any:
        mixed = hidden_states + hidden_states.mean(dim=-2, keepdim=True) if self.llm else hidden_states
        out = hidden_states + torch.tanh(self.linear(self.norm(mixed)))
        hidden_states += 1000.0
        return (out, "cache") if self.llm else out


class FakeModel:
    """Patch means, three vision blocks (images packed in one sequence), projector, four LLM layers.

    The LLM sequence of each image is `before` text tokens, then the visual ones, then two more.
    """

    channels = 3

    def __init__(self, *, side: int = 4, width: int = 8, before: int = 2, scattered: bool = False) -> None:
        torch.manual_seed(0)
        self.side, self.width, self.before, self.scattered = side, width, before, scattered
        self.net = nn.ModuleDict(
            {
                "embed": nn.Linear(self.channels, VISION_WIDTH),
                "vision": nn.ModuleList(Block(VISION_WIDTH, llm=False) for _ in range(3)),
                "project": nn.Linear(VISION_WIDTH, width),
                "llm": nn.ModuleList(Block(width, llm=True) for _ in range(4)),
            }
        ).eval()
        self.passes = 0
        shows = frozenset({Capability.HIDDEN_STATES})
        self.card = replace(CARD, vision_layers=3, llm_layers=4, width=width, capabilities=shows)

    def stages(self) -> list[Stage]:
        names = [("vision", f"vision {i}") for i in (1, 2, 3)] + [("projector", "projector")]
        names += [("llm", f"llm {i}") for i in range(5)]
        return [Stage(name, band, i) for i, (band, name) in enumerate(names)]  # type: ignore[arg-type]

    def resized(self, image: np.ndarray) -> np.ndarray:
        return image

    def prepare(self, images: Sequence[np.ndarray], text: str = "", *, together: bool = False) -> Prompt:
        height, width = images[0].shape[:2]
        edge = np.arange(self.side)
        y, x = (a.ravel() for a in np.meshgrid(edge, edge, indexing="ij"))
        boxes = np.stack([x, y, x + 1, y + 1], axis=1) * [width, height, width, height] / self.side
        grid = Grid(self.side, self.side, boxes.astype(np.float32))
        n = self.side**2
        visual = torch.arange(n) * (2 if self.scattered else 1) + self.before
        return Prompt(list(images), text, grid, {}, visual)  # type: ignore[arg-type]

    def taps(self, prompt: Prompt) -> list[Tap]:
        stages, llm = self.stages(), self.net["llm"]
        modules = [*self.net["vision"], self.net["project"], llm[0], *llm]
        return [
            Tap(
                stage,
                module,
                prompt.visual if stage.band == "llm" else None,
                "input" if stage.name == "llm 0" else "output",
                prompt.grid,
            )
            for stage, module in zip(stages, modules, strict=True)
        ]

    @torch.no_grad()
    def forward(self, prompt: Prompt) -> None:
        self.run(prompt, [])

    def cells(self, prompt: Prompt) -> Tensor:
        """What the model gets to see: the mean colour of each patch, (B * patches, channels)."""
        pixels = torch.tensor(np.stack(prompt.images)).float() / 255
        b, h, w = pixels.shape[:3]
        means = pixels.reshape(b, self.side, h // self.side, self.side, w // self.side, 3).mean(dim=(2, 4))
        return means.reshape(-1, 3)

    def run(self, prompt: Prompt, seen: list[Tensor]) -> None:
        """The pass; `seen` receives a copy of every stage's visual tokens, as the reference."""
        self.passes += 1
        b, n = len(prompt.images), self.side**2
        x = self.net["embed"](self.cells(prompt))
        for block in self.net["vision"]:
            x = block(x)
            seen.append(x.clone().reshape(b, n, -1))
        projected = self.net["project"](x).reshape(b, n, -1)
        seen.append(projected.clone())
        sequence = torch.zeros(b, self.before + 2 * n + 2, self.width) + 0.1
        sequence[:, prompt.visual] = projected
        seen.append(sequence[:, prompt.visual].clone())
        for block in self.net["llm"]:
            sequence = block(hidden_states=sequence)[0]
            seen.append(sequence[:, prompt.visual].clone())

    def readout(self, states: Tensor) -> Tensor:
        """A head over a vocabulary of WORDS: each looks along one direction."""
        torch.manual_seed(1)
        return nn.functional.layer_norm(states, states.shape[-1:]) @ torch.randn(self.width, len(WORDS)) * 2

    def spelled(self, tokens: Sequence[int]) -> list[str]:
        return [WORDS[number] for number in tokens]

    def beginnings(self, word: str) -> list[int]:
        found = [k for k, own in enumerate(WORDS) if own.strip() and word.startswith(own.strip())]
        if not found:
            raise Refusal(f"{self.card.id} has no token for {word!r}. Choose another word.")
        return found
