"""Stage *understanding*: captions and answers.

The language model learns to read what the tower sees, and the tower to see what is asked: questions and
captions, all about one image in one packed pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.scene_language import caption, questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel.network import Bagel
from workbench.training.colour_blind import GREY_SHARE, MIXED_SHARE, colour_ids, greyed, mixed
from workbench.training.data import Pair, TextRows, asked_of, batch_seeds, digits_first, mildly_corrupted
from workbench.training.dialogue import Dialogue, seen_of
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule
from workbench.training.packing import pack
from workbench.training.phrases import DESCRIBE
from workbench.training.seeing import MILD_SHARE, MILD_STRONGEST

GENERATION = ("_moe_gen", "vae2llm", "llm2vae", "time_embedder", "pos_embed.pos_embed")
"""Parts of the names of parameters that only generation uses, or that are fixed."""


def understanding_parameters(network: Bagel) -> Iterator[tuple[str, Tensor]]:
    """The parameters that seeing, reading and answering use."""
    for name, p in network.named_parameters():
        if not any(part in name for part in GENERATION):
            yield name, p


def read_packed(kit: Kit, seen: Tensor, rows: TextRows) -> Tensor:
    """States (B, n, width) of packed texts that each follow the image `seen` (B, N, width)."""
    dialogue = Dialogue(kit)
    image = dialogue.vision(seen, torch.zeros(len(seen), 1, dtype=torch.long))
    dialogue.text(rows, (image,))
    return pack(dialogue.blocks).run(kit.network.language_model.model)[1]


def answer_loss(network: Bagel, states: Tensor, rows: TextRows) -> tuple[Tensor, float]:
    """Mean cross-entropy of the targets, and the share the argmax gets right; states (B, n, width)."""
    here = rows.targets >= 0
    logits, targets = network.logits(states[here]), rows.targets[here]
    right = (logits.argmax(-1) == targets).float().mean()
    return F.cross_entropy(logits, targets), float(right)


def whole_answers(kit: Kit, states: Tensor, rows: TextRows) -> np.ndarray:
    """Bool (B, segments): whether every token of an answer is the argmax (what greedy decoding would say)."""
    wrong = (kit.network.logits(states).argmax(-1) != rows.targets) & (rows.targets >= 0)
    most = int(rows.segments.max()) + 1
    return np.stack([~(wrong & (rows.segments == k)).any(1).cpu().numpy() for k in range(most)], axis=1)


@torch.no_grad()
def accuracy_by_kind(kit: Kit, images: np.ndarray, scenes: Scenes, seed: int, batch: int = 64) -> Metrics:
    """Share of right answers to each kind of question, and over "all", shown `images` uint8 (N, S, S, 3)."""
    rng = np.random.default_rng(seed)
    right: dict[str, list[bool]] = defaultdict(list)
    for first in range(0, len(scenes), batch):
        some = range(first, min(first + batch, len(scenes)))
        asked = [questions(scenes, i, rng) for i in some]
        rows = kit.packer.rows([[(q.text, q.answer) for q in row] for row in asked], start=1)
        whole = whole_answers(kit, read_packed(kit, seen_of(kit, images[some.start : some.stop]), rows), rows)
        for row, flags in zip(asked, whole, strict=True):
            for question, flag in zip(row, flags, strict=False):
                right[question.kind].append(bool(flag))
    everything = [flag for flags in right.values() for flag in flags]
    return {"all": float(np.mean(everything))} | {
        kind: float(np.mean(flags)) for kind, flags in right.items()
    }


class UnderstandingStage:
    """Questions and captions; everything but generation trains."""

    name = "understanding"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed

    def modules(self) -> dict[str, nn.Module]:
        """The whole network."""
        return {"network": self.kit.network}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """What seeing, reading and answering use."""
        return understanding_parameters(self.kit.network)

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Cross-entropy of answers and captions; the share of their tokens that the argmax gets right."""
        network, rng = self.kit.network, np.random.default_rng((self.seed, 2, step))
        batch = self.schedule.batch
        scenes = digits_first(generate(batch_seeds(step, 2 * batch, 2), "train"), batch)
        grey = rng.random(batch) < GREY_SHARE
        images = mildly_corrupted(greyed(scenes.images, grey), rng, MILD_SHARE, MILD_STRONGEST)
        asked: list[list[Pair]] = []
        for i in range(len(scenes)):
            others = [] if grey[i] else asked_of(scenes, i, rng)
            asked.append([*others, (DESCRIBE, caption(scenes, i))])
        random = grey | (rng.random(batch) < MIXED_SHARE)
        captions = np.where(random, [len(pairs) - 1 for pairs in asked], -1)
        ids = colour_ids(self.kit.packer.encode)
        rows = mixed(self.kit.packer.rows(asked, start=1), captions, ids, grey, rng)
        words, right = answer_loss(network, read_packed(self.kit, seen_of(self.kit, images), rows), rows)
        return words, {"right": right}

    def check(self) -> Metrics:
        """Accuracy by kind on clean validation scenes."""
        scenes = generate(np.arange(128), "validation")
        return accuracy_by_kind(self.kit, scenes.images, scenes, seed=0)
