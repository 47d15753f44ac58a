"""Scenes as batches: pixels, mild corruption, and packed text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.images.corruptions import corrupt
from workbench.images.scene_language import questions
from workbench.images.scenes import Objects, Scenes
from workbench.models.bagel.network import SpecialTokens

RESTORE_FROM = {
    "lens_blur": 0.6,
    "motion_blur": 0.75,
    "gaussian_noise": 0.35,
    "jpeg_compression": 0.85,
    "dark_illumination": 0.5,
    "scan_lines": 0.15,
}
"""From which intensity a thought ends in the decision to restore: about where direct answers begin to suffer.
Ours: the published decision is learned from which answers were wrong."""
TRAINED_CORRUPTIONS = tuple(RESTORE_FROM)
"""The kinds of damage that training shows; every other kind is new to the model."""
MEASURED_CORRUPTIONS = (
    *("lens_blur", "motion_blur", "hsv_saturation", "jpeg_compression", "scan_lines", "dark_illumination"),
    *("atmospheric_turbulence", "gaussian_noise", "color_diffusion", "sharpness_change"),
)
"""The kinds that the model card's table has."""

ASKED_AGAIN = {"side": 5, "front": 5, "digit": 3, "shape": 3, "count": 2}
"""Further draws of the kinds of questions that are learned last."""

Pair = tuple[str, str]
"""What is asked and what is answered."""


def tensor(array: np.ndarray) -> Tensor:
    """An array on the device that training runs on (torch's default device)."""
    return torch.as_tensor(array, device=torch.get_default_device())


def images_to_unit(images: np.ndarray) -> Tensor:
    """uint8 (N, H, W, 3) → float32 (N, 3, H, W) in −1 … 1."""
    return tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def mildly_corrupted(
    images: np.ndarray, rng: np.random.Generator, share: float, strongest: float
) -> np.ndarray:
    """A copy of uint8 (N, H, W, 3) in which a `share` (0 … 1) has one corruption of up to `strongest`."""
    out = images.copy()
    for i in np.flatnonzero(rng.random(len(images)) < share):
        name = TRAINED_CORRUPTIONS[rng.integers(len(TRAINED_CORRUPTIONS))]
        out[i] = corrupt(images[i], name, strongest * rng.random(), seed=int(rng.integers(2**31)))
    return out


def batch_seeds(step: int, size: int, offset: int) -> np.ndarray:
    """The scene seeds (size,) of batch `step`.

    Every stage has an `offset` of its own, and with it a range of ten million seeds.
    """
    return offset * 10_000_000 + np.arange(step * size, (step + 1) * size)


def picked(scenes: Scenes, index: np.ndarray) -> Scenes:
    """The scenes of a batch at the places `index` (n,), in that order; repeats are fine."""
    objects = Objects(**{f.name: getattr(scenes.objects, f.name)[index] for f in fields(Objects)})
    columns = {
        name: getattr(scenes, name)[index] for name in ("images", "depth", "instance", "classes", "seeds")
    }
    return Scenes(**columns, objects=objects, split=scenes.split)


def digits_first(scenes: Scenes, count: int) -> Scenes:
    """`count` of these scenes, those with a digit before the others: digits are seen last and are rare."""
    carries = (scenes.objects.present & (scenes.objects.digit >= 0)).any(1)
    return picked(scenes, np.argsort(~carries, kind="stable")[:count])


@dataclass(frozen=True)
class Glimpses:
    """Windows of scenes that show one whole object and no other.

    scenes: one scene a glimpse, with only that object present; images uint8 (G, w, w, 3).
    """

    scenes: Scenes
    images: np.ndarray


def glimpses(scenes: Scenes, window: int, patch: int) -> Glimpses:
    """A window around each object of these scenes that shows it whole and alone; other objects have none.

    window and patch: pixels; windows start at multiples of `patch`, as near the object's centre as can be.
    """
    side = scenes.images.shape[1]
    objects = scenes.objects
    owners, places, corners = [], [], []
    for i, k in np.argwhere(objects.present):
        centre = np.array([objects.y[i, k], objects.x[i, k]]) * side
        corner = np.clip(np.round((centre - window / 2) / patch), 0, (side - window) // patch).astype(int)
        top, left = corner * patch
        inside = scenes.instance[i, top : top + window, left : left + window]
        whole = (inside == k + 1).sum() == (scenes.instance[i] == k + 1).sum()
        if whole and ((inside == 0) | (inside == k + 1)).all():
            owners.append(i)
            places.append(k)
            corners.append(corner)
    some = picked(scenes, np.array(owners))
    alone = np.zeros_like(some.objects.present)
    alone[np.arange(len(places)), places] = True
    some = replace(some, objects=replace(some.objects, present=alone))
    images = np.stack(
        [
            image[r * patch :, c * patch :][:window, :window]
            for image, (r, c) in zip(some.images, corners, strict=True)
        ]
    )
    return Glimpses(some, images)


def asked_of(scenes: Scenes, i: int, rng: np.random.Generator) -> list[Pair]:
    """One question of each kind about scene i, and more of those that are learned last."""
    asked = {q.text: q.answer for q in questions(scenes, i, rng)}
    left = dict(ASKED_AGAIN)
    for q in questions(scenes, i, rng, per_kind=max(left.values())):
        if left.get(q.kind, 0):
            left[q.kind] -= 1
            asked[q.text] = q.answer
    return list(asked.items())


@dataclass(frozen=True)
class TextRows:
    """Texts of a batch, one row an image, several segments side by side.

    ids, targets (−100 where nothing is predicted), positions and segments (−1 = padding), all (B, n).
    """

    ids: Tensor
    targets: Tensor
    positions: Tensor
    segments: Tensor

    @property
    def valid(self) -> Tensor:
        """Bool (B, n): not padding."""
        return self.segments >= 0

    @property
    def ends(self) -> list[int]:
        """The position after the last token of each row (B)."""
        return (self.positions * self.valid).amax(1).add(1).tolist()

    @property
    def has_targets(self) -> bool:
        """Whether anything is to be predicted."""
        return bool((self.targets >= 0).any())

    def silenced(self, rows: np.ndarray) -> TextRows:
        """The same texts with no targets in the rows where the bool array (B,) is true."""
        return replace(self, targets=self.targets.masked_fill(tensor(rows)[:, None], -100))

    def given(self, counts: Tensor) -> TextRows:
        """The same texts with no targets in the first `counts` (B, segments) tokens of each segment."""
        most = counts.gather(1, self.segments.clamp_min(0))
        return replace(
            self, targets=self.targets.masked_fill(self.positions - self.positions[:, :1] < most, -100)
        )


class TextPacker:
    """Turns (question, answer) pairs into rows as BAGEL reads them: each text framed by bos and eos.

    tokenizer: a `tokenizers.Tokenizer`, typed Any because the package ships no types.
    """

    def __init__(self, tokenizer: Any, special: SpecialTokens) -> None:
        self.special = special

        @lru_cache(maxsize=200_000)
        def encode(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text).ids) if text else ()

        self.encode = encode

    def framed(self, text: str) -> list[int]:
        """Ids of bos, the text and eos."""
        return [self.special.bos, *self.encode(text), self.special.eos]

    def rows(self, pairs: Sequence[Sequence[Pair]], start: int | Sequence[int]) -> TextRows:
        """One row an image; each pair is a segment; answers are the targets.

        Positions of every segment begin at `start` (one number, or one for each row). An empty question is
        left out.
        """
        starts = [start] * len(pairs) if isinstance(start, int) else start
        built = []
        for row, first in zip(pairs, starts, strict=True):
            ids: list[int] = []
            targets: list[int] = []
            positions: list[int] = []
            segments: list[int] = []
            for number, (question, answer) in enumerate(row):
                asked, answered = self.framed(question) if question else [], self.framed(answer)
                ids += asked + answered
                targets += [-100] * len(asked) + answered[1:] + [-100]
                positions += range(first, first + len(asked) + len(answered))
                segments += [number] * (len(asked) + len(answered))
            built.append((ids, targets, positions, segments))
        n = max(len(ids) for ids, *_ in built)
        fills = (self.special.eos, -100, 0, -1)
        columns = [
            torch.tensor([values[k] + [fill] * (n - len(values[k])) for values in built])
            for k, fill in enumerate(fills)
        ]
        return TextRows(*columns)
