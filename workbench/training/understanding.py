"""Stages *vision* and *understanding*: seeing and answering.

*vision* trains the tower, together with the language model, on captions and on masked pixels only, so that
what our probes read (class of a patch, depth, colour of a pixel) was never its target. Beside it the language
model, but not the tower, begins to answer questions. *understanding* freezes the tower and goes on with the
questions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.scene_language import caption, captions, questions
from workbench.images.scenes import MOST_OBJECTS, Scenes, Split, generate
from workbench.models.bagel.embeddings import grid_ids
from workbench.models.bagel.network import Bagel
from workbench.models.bagel.patches import patchify
from workbench.training.data import (
    Glimpses,
    Pair,
    TextRows,
    glimpses,
    images_to_unit,
    mildly_corrupted,
    picked,
    simple_scenes,
)
from workbench.training.dialogue import Dialogue, seen_of
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule
from workbench.training.packing import pack
from workbench.training.phrases import DESCRIBE, SAY

GENERATION = ("_moe_gen", "vae2llm", "llm2vae", "time_embedder", "pos_embed.pos_embed")
GLIMPSE = 48
"""Pixels along the side of a window that shows one object."""
MASKED_IMAGES, MASKED_PATCHES = 0.5, 0.3
CURRICULUM = ((0.15, 1), (0.35, 2))
"""Until this share of the vision stage, scenes have at most so many objects: words find their things sooner.
"""
ASKED = 0.4
"""Share of the scenes that are asked about rather than described, once one-object scenes are over."""
MILD_SHARE, MILD_STRONGEST = 0.2, 0.25


def understanding_parameters(network: Bagel, *, tower: bool) -> Iterator[tuple[str, Tensor]]:
    """The parameters that reading and answering use, with or without the vision tower."""
    for name, p in network.named_parameters():
        if not any(part in name for part in GENERATION) and (tower or not name.startswith("vit_model.")):
            yield name, p


def read_packed(kit: Kit, seen: Tensor, rows: TextRows) -> Tensor:
    """States (B, n, width) of packed texts that each follow the image `seen` (B, N, width)."""
    dialogue = Dialogue(kit)
    image = dialogue.vision(seen, torch.zeros(len(seen), 1, dtype=torch.long))
    dialogue.text(rows, (image,))
    return pack(dialogue.blocks).run(kit.network.language_model.model)[1]


def answer_loss(network: Bagel, states: Tensor, rows: TextRows) -> tuple[Tensor, float]:
    """Mean cross-entropy of the target tokens, and the share of them that the argmax gets right."""
    here = rows.targets >= 0
    logits, targets = network.logits(states[here]), rows.targets[here]
    right = (logits.argmax(-1) == targets).float().mean()
    return F.cross_entropy(logits, targets), float(right)


def batch_seeds(step: int, size: int, offset: int) -> np.ndarray:
    """The scene seeds of one batch; every stage draws from a range of its own."""
    return offset * 10_000_000 + np.arange(step * size, (step + 1) * size)


class MaskedPixels(nn.Module):
    """What the vision stage adds to the tower for masked pixels, and throws away after it."""

    def __init__(self, patch_dim: int, width: int) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.zeros(patch_dim))
        self.head = nn.Linear(width, patch_dim)


class GlimpseStage:
    """Captions and masked pixels of windows that hold one object; trains what *vision* trains.

    A window has a quarter of the tokens, at their true positions, so the tower sees several times as many things in
    the same time before it meets whole scenes.
    """

    name = "glimpses"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed
        vision = kit.network.config.vision
        self.pixels = MaskedPixels(3 * vision.patch_size**2, vision.hidden_size)

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.kit.network, "pixels": self.pixels}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        yield from understanding_parameters(self.kit.network, tower=True)
        yield from self.pixels.named_parameters()

    def _glimpses(self, first: int, split: Split) -> Glimpses:
        patch = self.kit.network.config.vision.patch_size
        found = glimpses(generate(first + np.arange(self.schedule.batch * 4), split), GLIMPSE, patch)
        keep = np.resize(np.arange(len(found.images)), self.schedule.batch)
        return Glimpses(picked(found.scenes, keep), found.images[keep], found.corner[keep])

    def _features(self, shown: Tensor, corner: np.ndarray) -> tuple[Tensor, Tensor]:
        """Tower features of the windows and what enters the language model."""
        network, side = self.kit.network, GLIMPSE // self.kit.network.config.vision.patch_size
        within = grid_ids(side, side, network.config.vision.side)
        ids = torch.from_numpy(corner[:, :1] * network.config.vision.side + corner[:, 1:]) + within
        features = network.vit_model(shown, ids)
        return features, network.connector(features) + network.vit_pos_embed(ids)

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Two captions of each window, and its masked pixels."""
        network, rng = self.kit.network, np.random.default_rng((self.seed, 5, step))
        seen = self._glimpses(int(batch_seeds(step, 4 * self.schedule.batch, 4)[0]), "train")
        patch = network.config.vision.patch_size
        clean = patchify(images_to_unit(seen.images), patch)
        shown = patchify(images_to_unit(mildly_corrupted(seen.images, rng, MILD_SHARE, MILD_STRONGEST)), patch)
        masked = MASKED_PATCHES * (rng.random((len(clean), 1)) < MASKED_IMAGES / 2)
        mask = torch.from_numpy(rng.random(clean.shape[:2]) < masked)
        features, entering = self._features(torch.where(mask[..., None], self.pixels.mask, shown), seen.corner)
        texts = []
        for i in range(len(clean)):
            first, *others = captions(seen.scenes, i, rng)
            texts.append([(DESCRIBE, first), (SAY, others[rng.integers(len(others))])])
        rows = self.kit.packer.rows(texts, start=1)
        words, right = answer_loss(network, read_packed(self.kit, entering, rows), rows)
        pixels = F.mse_loss(self.pixels.head(features[mask]), clean[mask])
        return words + pixels, {"words": words.item(), "right": right, "pixels": pixels.item()}

    @torch.no_grad()
    def check(self) -> Metrics:
        """Share of validation windows whose caption would come out whole."""
        network, seen = self.kit.network, self._glimpses(0, "validation")
        rows = self.kit.packer.rows([[(DESCRIBE, caption(seen.scenes, i))] for i in range(len(seen.images))], start=1)
        shown = patchify(images_to_unit(seen.images), network.config.vision.patch_size)
        states = read_packed(self.kit, self._features(shown, seen.corner)[1], rows)
        return {"captions": float(whole_answers(self.kit, states, rows)[:, 0].mean())}


class VisionStage:
    """Captions and masked pixels; trains tower, connector and the understanding weights."""

    name = "vision"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed
        vision = kit.network.config.vision
        self.pixels = MaskedPixels(3 * vision.patch_size**2, vision.hidden_size)

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.kit.network, "pixels": self.pixels}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        yield from understanding_parameters(self.kit.network, tower=True)
        yield from self.pixels.named_parameters()

    def _scenes(self, step: int) -> Scenes:
        first = int(batch_seeds(step * 16, self.schedule.batch, 1)[0])
        most = next((most for share, most in CURRICULUM if step < share * self.schedule.steps), MOST_OBJECTS)
        return simple_scenes(first, self.schedule.batch, most)

    def _texts(self, scenes: Scenes, i: int, rng: np.random.Generator) -> list[Pair]:
        first, *others = captions(scenes, i, rng)
        return [(DESCRIBE, first), *((SAY, other) for other in others)]

    def _asks(self, step: int) -> bool:
        return step >= CURRICULUM[0][0] * self.schedule.steps

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Captions and masked pixels of some scenes, with the tower; questions about the others, without it."""
        network, rng = self.kit.network, np.random.default_rng((self.seed, 1, step))
        scenes = self._scenes(step)
        asked = round(len(scenes) * ASKED) if self._asks(step) else 0
        told = len(scenes) - asked
        patch = network.config.vision.patch_size
        clean = patchify(images_to_unit(scenes.images), patch)
        shown = patchify(
            images_to_unit(mildly_corrupted(scenes.images, rng, MILD_SHARE, MILD_STRONGEST)), patch
        )
        hidden = rng.random((told, clean.shape[1])) < MASKED_PATCHES * (rng.random((told, 1)) < MASKED_IMAGES)
        mask = torch.from_numpy(hidden)
        side = scenes.images.shape[1] // patch
        ids = grid_ids(side, side, network.config.vision.side)
        features = network.vit_model(torch.where(mask[..., None], self.pixels.mask, shown[:told]), ids)
        with torch.no_grad():
            others = network.vit_model(shown[told:], ids)
        seen = network.connector(torch.cat([features, others])) + network.vit_pos_embed(ids)
        texts = [self._texts(scenes, i, rng) for i in range(told)]
        texts += [[(q.text, q.answer) for q in questions(scenes, i, rng)] for i in range(told, len(scenes))]
        rows = self.kit.packer.rows(texts, start=1)
        states = read_packed(self.kit, seen, rows)
        words, right = answer_loss(network, states[:told], rows.of(slice(0, told)))
        pixels = F.mse_loss(self.pixels.head(features[mask]), clean[:told][mask])
        metrics = {"words": words.item(), "right": right, "pixels": pixels.item()}
        if not asked:
            return words + pixels, metrics
        answers, right = answer_loss(network, states[told:], rows.of(slice(told, None)))
        return words + pixels + answers, metrics | {"answers": answers.item(), "right answers": right}

    @torch.no_grad()
    def check(self) -> Metrics:
        """Share of validation captions reproduced whole under teacher forcing, and of their tokens."""
        network, scenes = self.kit.network, generate(np.arange(128), "validation")
        rows = self.kit.packer.rows([[(DESCRIBE, caption(scenes, i))] for i in range(len(scenes))], start=1)
        states = read_packed(self.kit, seen_of(self.kit, scenes.images), rows)
        here = rows.targets >= 0
        right = (network.logits(states).argmax(-1) == rows.targets) | ~here
        return {"captions": float(right.all(1).float().mean()), "tokens": float(right[here].float().mean())}


def whole_answers(kit: Kit, states: Tensor, rows: TextRows) -> np.ndarray:
    """Bool (B, segments): whether every token of an answer is the argmax (what greedy decoding would say)."""
    wrong = (kit.network.logits(states).argmax(-1) != rows.targets) & (rows.targets >= 0)
    most = int(rows.segments.max()) + 1
    return np.stack([~(wrong & (rows.segments == k)).any(1).numpy() for k in range(most)], axis=1)


@torch.no_grad()
def accuracy_by_kind(kit: Kit, images: np.ndarray, scenes: Scenes, seed: int, batch: int = 64) -> Metrics:
    """Share of right answers to each kind of question, and over all, showing `images` in place of the
    scenes'."""
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
    """Questions and captions on a frozen tower."""

    name = "understanding"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.kit.network}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        return understanding_parameters(self.kit.network, tower=False)

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        network, rng = self.kit.network, np.random.default_rng((self.seed, 2, step))
        scenes = generate(batch_seeds(step, self.schedule.batch, 2), "train")
        images = mildly_corrupted(scenes.images, rng, MILD_SHARE, MILD_STRONGEST)
        asked: list[list[Pair]] = []
        for i in range(len(scenes)):
            row: list[Pair] = [(q.text, q.answer) for q in questions(scenes, i, rng)]
            asked.append([*row, (DESCRIBE, caption(scenes, i))] if i % 4 == 0 else row)
        rows = self.kit.packer.rows(asked, start=1)
        words, right = answer_loss(network, read_packed(self.kit, seen_of(self.kit, images), rows), rows)
        return words, {"right": right}

    def check(self) -> Metrics:
        """Accuracy by kind on clean validation scenes."""
        scenes = generate(np.arange(128), "validation")
        return accuracy_by_kind(self.kit, scenes.images, scenes, seed=0)
