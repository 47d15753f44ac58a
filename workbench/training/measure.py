"""Every number of the model card, measured on held-out scenes of a published checkpoint.

`python -m workbench train measure` opens the folder as a person would and writes `measured.json` and
`README.md` into it. Intervals are 95 % percentile bootstraps over scenes; differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from workbench.images.corruptions import LEVELS, MMD_BENCH, corrupt
from workbench.images.fidelity import psnr
from workbench.images.scene_language import CANDIDATES, Question, caption, objects_of, questions
from workbench.images.scenes import HELD_OUT_PAIRS, Scenes, generate
from workbench.models.bagel import patches
from workbench.models.bagel.adapter import BagelModel
from workbench.models.protocol import Sampling
from workbench.models.together import IN_CONTEXT, Posed, responses
from workbench.training.data import TextPacker
from workbench.training.dialogue import seen_of
from workbench.training.kit import Kit
from workbench.training.phrases import DESCRIBE
from workbench.training.understanding import read_packed, whole_answers

BATCH = 25
"""Images in one pass; more of them no longer fit the caches of a small machine."""
DRAWS = 1000
"""Bootstrap resamples."""
STEPS, SHIFT = 12, 3.0
"""Of every restoration: flow steps, and how far their times lean to the noisy end."""
ROUTES = ("re-encode", "bridge")
"""How a drawing comes back: as vision tokens of the picture, or as latent tokens."""


@dataclass(frozen=True)
class Rate:
    """A mean with its 95 % interval and the number of items (questions, scenes) behind it."""

    mean: float
    low: float
    high: float
    n: int


def rate(values: Sequence[float] | np.ndarray, groups: Sequence[int] | np.ndarray | None = None) -> Rate:
    """Mean with a bootstrap interval; items of one group (a scene) are resampled together."""
    x = np.asarray(values, float)
    owner = np.arange(len(x)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(owner, x)
    counts = np.bincount(owner)
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(sums), (DRAWS, len(sums)))
    means = sums[chosen].sum(1) / counts[chosen].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Rate(float(x.mean()), float(low), float(high), len(x))


@dataclass
class Measured:
    """All numbers of one checkpoint: shares 0 … 1, PSNR in dB.

    clean, chance and majority: by kind of question and "all"; direct and restored: by "corruption level"
    or "clean". In `restored`, "gain" is against the answer from vision tokens alone ("without"), "gain in
    context" against the answer after the same prompt and thought without drawing ("same context").
    """

    clean: dict[str, Rate] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    majority: dict[str, float] = field(default_factory=dict)
    captions: dict[str, Rate] = field(default_factory=dict)
    autoencoder: Rate | None = None
    direct: dict[str, Rate] = field(default_factory=dict)
    restored: dict[str, dict[str, Rate]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same as nested dictionaries of numbers."""
        return asdict(self)


def kit_of(model: BagelModel) -> Kit:
    """The parts of an open model as training code takes them."""
    packer = TextPacker(model.tokenizer, model.special)
    return Kit(model.network, model.autoencoder, model.tokenizer, model.special, packer)


def damaged(images: np.ndarray, name: str, intensity: float) -> np.ndarray:
    """Every image with the same corruption, each with a seed of its own."""
    return np.stack([corrupt(image, name, intensity, seed=i) for i, image in enumerate(images)])


@torch.inference_mode()
def direct_answers(kit: Kit, images: np.ndarray, asked: Sequence[Sequence[Question]]) -> list[list[bool]]:
    """Whether greedy decoding would give each right answer, from vision tokens alone."""
    right: list[list[bool]] = []
    for first in range(0, len(images), BATCH):
        some = asked[first : first + BATCH]
        rows = kit.packer.rows([[(q.text, q.answer) for q in row] for row in some], start=1)
        whole = whole_answers(kit, read_packed(kit, seen_of(kit, images[first : first + BATCH]), rows), rows)
        right += [[bool(f) for f in flags[: len(row)]] for row, flags in zip(some, whole, strict=True)]
    return right


@dataclass(frozen=True)
class Restoration:
    """What one batch drew and answered.

    images: uint8 (B, S, S, 3), drawn; right: bool (B,) for each way to an answer, whether it is right ("same
    context": after the thought without drawing; "bridge", "re-encode": after the drawing came back);
    triggered: bool (B,), whether the model itself would have restored.
    """

    images: np.ndarray
    right: dict[str, np.ndarray]
    triggered: np.ndarray


def restore(
    model: BagelModel, images: np.ndarray, asked: Sequence[Question], seeds: Sequence[int]
) -> Restoration:
    """Think, draw, and answer over both routes and without drawing, a question about each image.

    The decision is forced, and `triggered` says what the model would have decided: whether a restoration is
    likelier than not. seeds: of each scene's noise.
    """
    posed = [Posed(i, q.text) for i, q in enumerate(asked)]
    settings = Sampling(steps=STEPS, shift=SHIFT, restore="always")
    found = responses(model, list(images), posed, settings, seeds, (IN_CONTEXT, *ROUTES), batch=BATCH).by_way
    names = {IN_CONTEXT: "same context"} | {route: route for route in ROUTES}
    return Restoration(
        np.stack([response.drawn for response in found[ROUTES[0]] if response.drawn is not None]),
        {
            names[way]: np.array([r.answer.text == q.answer for r, q in zip(some, asked, strict=True)])
            for way, some in found.items()
        },
        np.array([response.decision.probability > 0.5 for response in found[ROUTES[0]]]),
    )


def measure(
    model: BagelModel,
    *,
    scenes: int = 600,
    restored: int = 400,
    captioned: int = 3000,
    say: Callable[[str], None] = print,
) -> Measured:
    """Measure a checkpoint on test scenes.

    Clean answers on the first `scenes` of them, captions on the first `captioned`; every corruption, and
    restoration from it, on the first `restored`.
    """
    kit, out = kit_of(model), Measured()
    test = generate(np.arange(scenes), "test")
    rng = np.random.default_rng(0)
    asked = [questions(test, i, rng) for i in range(scenes)]
    _clean(kit, test, asked, out)
    say(f"clean {out.clean['all'].mean:.3f}")
    _captions(model, captioned, out)
    say(f"captions {out.captions['object sets'].mean:.3f}")
    reconstructed = _reconstructed(kit, test.images)
    out.autoencoder = rate(psnr(reconstructed, test.images))
    few, images = asked[:restored], test.images[:restored]
    chosen = [int(rng.integers(len(row))) for row in few]
    for name in ("", *MMD_BENCH):
        for level, intensity in LEVELS.items() if name else (("clean", 0.0),):
            shown = damaged(images, name, intensity) if name else images
            flags = direct_answers(kit, shown, few)
            key = f"{name} {level}".strip()
            out.direct[key] = _grouped(flags)
            line = f"{key:28} direct {out.direct[key].mean:.3f}"
            one = [row[k] for row, k in zip(few, chosen, strict=True)]
            without = np.array([row[k] for row, k in zip(flags, chosen, strict=True)], float)
            out.restored[key] = _restored(model, images, shown, one, without)
            say(line + "".join(f"  {k} {v.mean:.3f}" for k, v in out.restored[key].items()))
    return out


def _grouped(flags: Sequence[Sequence[bool]]) -> Rate:
    """Share of right answers; one row of flags a scene."""
    values = [float(f) for row in flags for f in row]
    return rate(values, [i for i, row in enumerate(flags) for _ in row])


def _clean(kit: Kit, test: Scenes, asked: Sequence[Sequence[Question]], out: Measured) -> None:
    """Fill in the answers on clean scenes: right, by chance, and by training's commonest answer."""
    flags = direct_answers(kit, test.images, asked)
    out.clean["all"] = _grouped(flags)
    train = generate(np.arange(600), "train")
    rng = np.random.default_rng(1)
    common: dict[str, dict[str, int]] = {kind: {} for kind in CANDIDATES}
    for i in range(len(train)):
        for q in questions(train, i, rng):
            common[q.kind][q.answer] = common[q.kind].get(q.answer, 0) + 1
    most = {kind: max(counts, key=lambda answer: counts[answer]) for kind, counts in common.items()}
    for kind in CANDIDATES:
        here = [
            (float(f), i, q.answer == most[kind])
            for i, (row, fs) in enumerate(zip(asked, flags, strict=True))
            for q, f in zip(row, fs, strict=True)
            if q.kind == kind
        ]
        values, owners, commonest = zip(*here, strict=True)
        out.clean[kind] = rate(values, owners)
        out.chance[kind] = 1 / len(CANDIDATES[kind])
        out.majority[kind] = float(np.mean(commonest))
    every = [q for row in asked for q in row]
    out.chance["all"] = float(np.mean([1 / len(q.candidates) for q in every]))
    out.majority["all"] = float(np.mean([q.answer == most[q.kind] for q in every]))


def _captions(model: BagelModel, count: int, out: Measured) -> None:
    """Fill in how well captions name the (colour, shape) pairs of a scene: exact sets, and F1.

    The sets also by whether training ever showed all of the scene's pairs.
    """
    exact, overlap, new = [], [], []
    for first in range(0, count, BATCH):
        test = generate(np.arange(first, min(first + BATCH, count)), "test")
        prompt = model.prepare(list(test.images), DESCRIBE)
        for i, answer in enumerate(model.answer(prompt, max_new_tokens=48)):
            said = {o[:2] for o in objects_of(answer.text)}
            true = {o[:2] for o in objects_of(caption(test, i))}
            exact.append(float(said == true))
            new.append(not true.isdisjoint(HELD_OUT_PAIRS))
            overlap.append(2 * len(said & true) / max(1, len(said) + len(true)))
    out.captions = {"object sets": rate(exact), "object F1": rate(overlap)}
    for name, which in (("known pairs", False), ("new pairs", True)):
        if some := [right for right, unseen in zip(exact, new, strict=True) if unseen == which]:
            out.captions[f"object sets, {name}"] = rate(some)


@torch.inference_mode()
def _reconstructed(kit: Kit, images: np.ndarray) -> np.ndarray:
    """What the autoencoder alone gives back, uint8 (N, S, S, 3)."""
    made = []
    for first in range(0, len(images), BATCH):
        units = torch.cat([patches.to_unit(image) for image in images[first : first + BATCH]])
        made += [patches.to_image(p) for p in kit.autoencoder.decode(kit.autoencoder.encode(units))]
    return np.stack(made)


def _restored(
    model: BagelModel,
    truth: np.ndarray,
    images: np.ndarray,
    asked: Sequence[Question],
    without: np.ndarray,
) -> dict[str, Rate]:
    """Restoration of `images` towards `truth`, uint8 (N, S, S, 3): PSNR in dB, answers, and differences.

    without: 0 or 1 (N,), whether the answer from vision tokens alone is right. Numbers of PSNR are left out
    where nothing was damaged and each would be infinite.
    """
    runs = [
        restore(model, images[k : k + BATCH], asked[k : k + BATCH], range(k, min(k + BATCH, len(images))))
        for k in range(0, len(images), BATCH)
    ]
    drawn = np.concatenate([r.images for r in runs])
    right = {"without": without} | {
        way: np.concatenate([r.right[way] for r in runs]).astype(float) for way in runs[0].right
    }
    after = psnr(drawn, truth)
    found = {"psnr restored": rate(after)}
    differs = (images != truth).any((1, 2, 3))
    if differs.any():
        before = psnr(images[differs], truth[differs])
        found |= {"psnr degraded": rate(before), "psnr gain": rate(after[differs] - before)}
    found |= {way: rate(values) for way, values in right.items()}
    for route in ROUTES:
        found[f"{route} gain"] = rate(right[route] - right["without"])
        found[f"{route} gain in context"] = rate(right[route] - right["same context"])
    found["triggered"] = rate(np.concatenate([r.triggered for r in runs]).astype(float))
    return found
