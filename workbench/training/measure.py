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
from torch import Tensor

from workbench.images.corruptions import LEVELS, corrupt
from workbench.images.scene_language import CANDIDATES, Question, caption, objects_of, questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel import patches
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.flow import time_grid
from workbench.models.bagel.language import KeyValue
from workbench.training.data import TRAINED_CORRUPTIONS, TextPacker
from workbench.training.dialogue import Dialogue, open_dialogue, seen_of
from workbench.training.kit import Kit
from workbench.training.packing import pack
from workbench.training.phrases import DAMAGE, DESCRIBE, damage_thought, restored_thought
from workbench.training.understanding import read_packed, whole_answers

BATCH = 50
"""Images in one pass."""
DRAWS = 1000
"""Bootstrap resamples."""
STEPS, SHIFT = 12, 3.0
"""Of every restoration: flow steps, and how far their times lean to the noisy end."""


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
    or "clean".
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


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """PSNR in dB of each pair of uint8 images (N, H, W, 3); 99 where they are equal."""
    mse = np.square(a.astype(float) - b.astype(float)).mean((1, 2, 3))
    return np.where(mse > 0, 10 * np.log10(255**2 / np.maximum(mse, 1e-12)), 99.0)


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

    images: uint8 (B, S, S, 3), drawn; bridge and reencode: bool (B,), whether the answer after each route is
    right; triggered: bool (B,), whether the model itself would have restored.
    """

    images: np.ndarray
    bridge: np.ndarray
    reencode: np.ndarray
    triggered: np.ndarray


@torch.inference_mode()
def restore(kit: Kit, images: np.ndarray, asked: Sequence[Question], seed: int = 0) -> Restoration:
    """Think, draw, and answer over both routes, for a batch; equal to `respond` one by one (tested).

    The thought is the model's own first word in the frame of the training's thoughts; the decision is forced,
    and `triggered` says what the model would have decided.
    """
    network, decoder, batch = kit.network, kit.network.language_model.model, len(images)
    dialogue = Dialogue(kit)
    opening = open_dialogue(dialogue, images, [q.text for q in asked])
    thoughts, wants = _thoughts(kit, dialogue, opening.after, opening.blocks)
    rows = kit.packer.rows([[("", t)] for t in thoughts], start=opening.after[:, 0].tolist())
    thought = dialogue.text(rows, opening.blocks)
    place = torch.tensor(rows.ends)[:, None]
    packed = pack(dialogue.blocks)
    _, past = decoder(packed.tokens, packed.positions, gen=packed.gen, mask=packed.mask)
    visible = torch.zeros(batch, packed.tokens.shape[1], dtype=torch.bool)
    for index in (*opening.blocks, thought):
        valid = dialogue.blocks[index].valid
        visible[:, packed.places[index]] = True if valid is None else valid
    x = _draw(kit, past, visible, place, batch, seed)
    side = int(x.shape[1] ** 0.5)
    pixels = kit.autoencoder.decode(patches.unpatchify(x, side, side, network.config.latent_patch))
    drawn = np.stack([patches.to_image(p) for p in pixels])
    routes = []
    for route in ("bridge", "re-encode"):
        after = Dialogue(kit)
        inside: tuple[int, ...]
        if route == "bridge":
            inside = after.latent(x, torch.zeros(batch), place)
        else:
            inside = (after.vision(seen_of(kit, drawn), place),)
        said = kit.packer.rows(
            [[("", f"{restored_thought()}<answer>{q.answer}</answer>")] for q in asked],
            start=(place[:, 0] + 1).tolist(),
        )
        text = after.text(said, inside)
        more = pack(after.blocks)
        mask = torch.cat([visible[:, None, None].expand(-1, 1, more.tokens.shape[1], -1), more.mask], dim=-1)
        states, _ = decoder(more.tokens, more.positions, gen=more.gen, past=past, mask=mask)
        routes.append(whole_answers(kit, states[:, more.places[text]], said)[:, 0])
    return Restoration(drawn, routes[0], routes[1], wants)


def _thoughts(
    kit: Kit, dialogue: Dialogue, after: Tensor, sees: tuple[int, ...]
) -> tuple[list[str], np.ndarray]:
    """The likeliest of the known thoughts about each image, and whether it would restore it, bool (B,)."""
    blocks = list(dialogue.blocks)
    names = list(DAMAGE)
    scores = []
    batch = len(after)
    for restore_it in (True, False):
        for name in names:
            tail = "" if restore_it else "<answer>"
            rows = kit.packer.rows(
                [[("", damage_thought(name, restore_it) + tail)]] * batch, start=after[:, 0].tolist()
            )
            trial = Dialogue(kit, list(blocks))
            index = trial.text(rows, sees)
            states = pack(trial.blocks).run(kit.network.language_model.model)[index]
            # The end of the unfinished answer is not the model's to say.
            keep = rows.targets.clone()
            keep[keep == kit.special.eos] = -100
            scores.append(_log_probability(kit, states, keep))
    table = torch.stack(scores).view(2, len(names), batch)
    best = table.logsumexp(0).argmax(0)
    chosen = table.gather(1, best[None, None].expand(2, 1, -1))[:, 0]
    p = chosen.softmax(0)[0].cpu().numpy()
    return [damage_thought(names[int(k)], True) for k in best], p > 0.5


def _log_probability(kit: Kit, states: Tensor, targets: Tensor) -> Tensor:
    """Sum over the targets (B, n) of their log-probabilities, (B,)."""
    logs = kit.network.logits(states).log_softmax(-1)
    picked = logs.gather(-1, targets.clamp_min(0)[..., None])[..., 0]
    return (picked * (targets >= 0)).sum(1)


def _draw(kit: Kit, past: list[KeyValue], visible: Tensor, place: Tensor, batch: int, seed: int) -> Tensor:
    """Latent tokens (B, n, D) drawn behind a cached context; one noise for all, without guidance."""
    network = kit.network
    side = network.config.latent_side
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((1, side * side, network.config.latent_dim), generator=generator).expand(batch, -1, -1)
    grid = time_grid(STEPS + 1, SHIFT)
    for t, following in zip(grid, grid[1:], strict=False):
        step = Dialogue(kit)
        _, inside = step.latent(x, torch.full((batch,), t), place)
        packed = pack(step.blocks)
        mask = torch.cat(
            [visible[:, None, None].expand(-1, 1, packed.tokens.shape[1], -1), packed.mask], dim=-1
        )
        states, _ = network.language_model.model(
            packed.tokens, packed.positions, gen=packed.gen, past=past, mask=mask
        )
        x = x - network.llm2vae(states[:, packed.places[inside]]) * (t - following)
    return x


def measure(
    model: BagelModel, *, scenes: int = 600, restored: int = 400, say: Callable[[str], None] = print
) -> Measured:
    """Measure a checkpoint on the first `scenes` test scenes, restoration on the first `restored` of them."""
    kit, out = kit_of(model), Measured()
    test = generate(np.arange(scenes), "test")
    rng = np.random.default_rng(0)
    asked = [questions(test, i, rng) for i in range(scenes)]
    _clean(kit, test, asked, out)
    say(f"clean {out.clean['all'].mean:.3f}")
    _captions(model, test, out)
    say(f"captions {out.captions['object sets'].mean:.3f}")
    reconstructed = _reconstructed(kit, test.images)
    out.autoencoder = rate(psnr(reconstructed, test.images))
    one = [row[int(rng.integers(len(row)))] for row in asked[:restored]]
    for name in ("", *TRAINED_CORRUPTIONS):
        for level, intensity in LEVELS.items() if name else (("clean", 0.0),):
            images = damaged(test.images, name, intensity) if name else test.images
            flags = direct_answers(kit, images, asked)
            key = f"{name} {level}".strip()
            out.direct[key] = _grouped(flags)
            out.restored[key] = _restored(kit, test, images, one, restored)
            numbers = out.restored[key]
            say(
                f"{key:28} direct {out.direct[key].mean:.3f}  "
                + "  ".join(f"{k} {v.mean:.3f}" for k, v in numbers.items())
            )
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


def _captions(model: BagelModel, test: Scenes, out: Measured) -> None:
    """Fill in how well captions name the (colour, shape) pairs of a scene: exact sets, and F1."""
    exact, overlap = [], []
    for first in range(0, len(test), BATCH):
        prompt = model.prepare(list(test.images[first : first + BATCH]), DESCRIBE)
        for i, answer in enumerate(model.answer(prompt, max_new_tokens=48), start=first):
            said = {o[:2] for o in objects_of(answer.text)}
            true = {o[:2] for o in objects_of(caption(test, i))}
            exact.append(float(said == true))
            overlap.append(2 * len(said & true) / max(1, len(said) + len(true)))
    out.captions = {"object sets": rate(exact), "object F1": rate(overlap)}


@torch.inference_mode()
def _reconstructed(kit: Kit, images: np.ndarray) -> np.ndarray:
    """What the autoencoder alone gives back, uint8 (N, S, S, 3)."""
    made = []
    for first in range(0, len(images), BATCH):
        units = torch.cat([patches.to_unit(image) for image in images[first : first + BATCH]])
        made += [patches.to_image(p) for p in kit.autoencoder.decode(kit.autoencoder.encode(units))]
    return np.stack(made)


def _restored(
    kit: Kit, test: Scenes, images: np.ndarray, asked: Sequence[Question], count: int
) -> dict[str, Rate]:
    """Restoration of the first `count` images: PSNR in dB and answers, before, after and their difference."""
    truth = test.images[:count]
    runs = [restore(kit, images[k : k + BATCH], asked[k : k + BATCH]) for k in range(0, count, BATCH)]
    drawn = np.concatenate([r.images for r in runs])
    bridge, again = (
        np.concatenate([getattr(r, key) for r in runs]).astype(float) for key in ("bridge", "reencode")
    )
    without = np.array([row[0] for row in direct_answers(kit, images[:count], [[q] for q in asked])], float)
    before, after = psnr(images[:count], truth), psnr(drawn, truth)
    return {
        "psnr degraded": rate(before),
        "psnr restored": rate(after),
        "psnr gain": rate(after - before),
        "without": rate(without),
        "bridge": rate(bridge),
        "re-encode": rate(again),
        "bridge gain": rate(bridge - without),
        "re-encode gain": rate(again - without),
        "triggered": rate(np.concatenate([r.triggered for r in runs]).astype(float)),
    }
