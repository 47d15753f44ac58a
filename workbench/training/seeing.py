"""Stages *teacher* and *tower*: learning to see, from captions and masked pixels only.

A transformer with patches of 8 pixels needs far more pictures than two cores can show it before it tells a
star from a heart. A convolutional teacher does not: it learns the words of captions (a bag of words, as
Joulin et al. 2016, arXiv 1511.02251) from windows that hold one object. The tower then learns to give, at
every patch of whole scenes, the teacher's features there, and to fill in masked patches. No map (class of a
patch, instance, depth) was ever a target. Shape and colour words stand in captions, so pooled probes show how
well words known to the tower survive; probes of patches show what it was never told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.scene_language import NUMBERS, caption
from workbench.images.scenes import COLOURS, SHAPES, SIZES, TEXTURES, Scenes, Split, generate
from workbench.models.bagel.embeddings import grid_ids
from workbench.models.bagel.patches import patchify
from workbench.training.data import (
    Glimpses,
    batch_seeds,
    glimpses,
    images_to_unit,
    mildly_corrupted,
    picked,
    tensor,
)
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule

WORDS = (*COLOURS, *SHAPES, *TEXTURES, *SIZES, *NUMBERS)
"""What the teacher looks for in captions."""
GLIMPSE = 48
"""Pixels along the side of a window that shows one object."""
MASKED_IMAGES, MASKED_PATCHES = 0.5, 0.3
"""Share of the images with masked patches, and of the patches masked in them."""
MILD_SHARE, MILD_STRONGEST = 0.2, 0.25
"""Share of the images that are mildly corrupted, and the strongest intensity."""
TEACHER_WIDTH = 128
"""Channels of the teacher's features."""


class Teacher(nn.Module):
    """Images (B, 3, H, W) in −1 … 1 → features (B, TEACHER_WIDTH, H/8, W/8); `words` reads their mean."""

    def __init__(self) -> None:
        super().__init__()
        shapes = (
            (3, 32, 5, 2),
            (32, 64, 3, 2),
            (64, 128, 3, 2),
            (128, 128, 3, 1),
            (128, TEACHER_WIDTH, 3, 1),
        )
        parts: list[nn.Module] = []
        for inside, outside, size, stride in shapes:
            parts += [
                nn.Conv2d(inside, outside, size, stride, size // 2),
                nn.BatchNorm2d(outside),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*parts)
        self.words = nn.Linear(TEACHER_WIDTH, len(WORDS))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, words) of each word standing in the caption."""
        return self.words(self.features(images).mean((2, 3)))


def word_targets(scenes: Scenes) -> Tensor:
    """1 where a word stands in the caption of a scene, (B, words)."""
    said = [set(caption(scenes, i).replace(",", "").split()) for i in range(len(scenes))]
    return torch.tensor([[float(word in words) for word in WORDS] for words in said])


class TeacherStage:
    """Bag of words of each glimpse's caption."""

    name = "teacher"

    def __init__(self, teacher: Teacher, schedule: Schedule, seed: int) -> None:
        self.teacher, self.schedule, self.seed = teacher, schedule, seed

    def modules(self) -> dict[str, nn.Module]:
        """The teacher."""
        return {"teacher": self.teacher}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """All of it."""
        return self.teacher.named_parameters()

    def _glimpses(self, first: int, split: Split) -> Glimpses:
        """One batch of windows of the scenes from seed `first` on, repeated where they are too few."""
        found = glimpses(generate(first + np.arange(self.schedule.batch * 3), split), GLIMPSE, 8)
        keep = np.resize(np.arange(len(found.images)), self.schedule.batch)
        return Glimpses(picked(found.scenes, keep), found.images[keep])

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Cross-entropy of each word."""
        self.teacher.train()
        rng = np.random.default_rng((self.seed, 5, step))
        seen = self._glimpses(int(batch_seeds(step, 3 * self.schedule.batch, 4)[0]), "train")
        images = images_to_unit(mildly_corrupted(seen.images, rng, MILD_SHARE, MILD_STRONGEST))
        logits = self.teacher(images)
        loss = (
            F.binary_cross_entropy_with_logits(logits, word_targets(seen.scenes), reduction="none")
            .sum(1)
            .mean()
        )
        return loss, {}

    @torch.no_grad()
    def check(self) -> Metrics:
        """Share of validation windows whose colour, shape, texture and digit score highest."""
        self.teacher.eval()
        seen = self._glimpses(0, "validation")
        logits, truth = self.teacher(images_to_unit(seen.images)), word_targets(seen.scenes)
        found: Metrics = {}
        for kind, words in (
            ("colour", COLOURS),
            ("shape", SHAPES),
            ("texture", TEXTURES),
            ("digit", NUMBERS),
        ):
            place = [WORDS.index(word) for word in words]
            has = truth[:, place].sum(1) > 0
            right = logits[has][:, place].argmax(1) == truth[has][:, place].argmax(1)
            found[kind] = float(right.float().mean())
        return found


class TowerHeads(nn.Module):
    """What the tower stage adds to the tower, and throws away after it."""

    def __init__(self, patch_dim: int, width: int) -> None:
        super().__init__()
        self.mask = nn.Parameter(torch.zeros(patch_dim))
        self.pixels = nn.Linear(width, patch_dim)
        self.teacher = nn.Linear(width, TEACHER_WIDTH)


class TowerStage:
    """The teacher's features at every patch of whole scenes, and masked pixels."""

    name = "tower"

    def __init__(self, kit: Kit, teacher: Teacher, schedule: Schedule, seed: int) -> None:
        self.tower, self.config = kit.network.vit_model, kit.network.config.vision
        self.teacher, self.schedule, self.seed = teacher.eval(), schedule, seed
        self.heads = TowerHeads(3 * self.config.patch_size**2, self.config.hidden_size)
        with torch.no_grad():
            sample = teacher.features(images_to_unit(generate(np.arange(200), "train").images))
            self.mean, self.spread = sample.mean((0, 2, 3)), sample.std((0, 2, 3)).clamp_min(1e-3)

    def modules(self) -> dict[str, nn.Module]:
        """The tower and what is added to it."""
        return {"tower": self.tower, "heads": self.heads}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """All of both."""
        yield from self.tower.named_parameters()
        yield from self.heads.named_parameters()

    @torch.no_grad()
    def _taught(self, images: Tensor) -> Tensor:
        """The teacher's features, standardised, (B, patches, TEACHER_WIDTH)."""
        features = self.teacher.features(images).permute(0, 2, 3, 1).flatten(1, 2)
        return (features - self.mean) / self.spread

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Mean squared errors of both, at unmasked and at masked patches."""
        rng = np.random.default_rng((self.seed, 6, step))
        scenes = generate(batch_seeds(step, self.schedule.batch, 1), "train").images
        patch = self.config.patch_size
        clean = images_to_unit(scenes)
        cut = patchify(clean, patch)
        shown = patchify(images_to_unit(mildly_corrupted(scenes, rng, MILD_SHARE, MILD_STRONGEST)), patch)
        masked = MASKED_PATCHES * (rng.random((len(cut), 1)) < MASKED_IMAGES)
        mask = tensor(rng.random(cut.shape[:2]) < masked)
        side = scenes.shape[1] // patch
        ids = grid_ids(side, side, self.config.side)
        features = self.tower(torch.where(mask[..., None], self.heads.mask, shown), ids)
        taught = F.mse_loss(self.heads.teacher(features), self._taught(clean))
        pixels = F.mse_loss(self.heads.pixels(features[mask]), cut[mask])
        return taught + pixels, {"taught": taught.item(), "pixels": pixels.item()}

    @torch.no_grad()
    def check(self) -> Metrics:
        """Share of the teacher's variance that the tower explains on validation scenes."""
        images = images_to_unit(generate(np.arange(64), "validation").images)
        side = images.shape[2] // self.config.patch_size
        features = self.tower(
            patchify(images, self.config.patch_size), grid_ids(side, side, self.config.side)
        )
        return {"explained": 1 - float(F.mse_loss(self.heads.teacher(features), self._taught(images)))}
