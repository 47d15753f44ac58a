"""Stage *interleaving*: think, decide, restore, and answer again.

Autoencoder apart, everything trains. The generation experts start as copies of the understanding experts, as
BAGEL's do, but for heads that know where to look (`start_aligned`). A step has two packed passes. One over
damaged scenes holds the thought, several noise draws of the clean latent (rectified flow), and answers after
the clean picture came back over either route. The other keeps the reading of what needs no restoration, in
turn within a dialogue and by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.corruptions import corrupt
from workbench.images.scene_language import Question, questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel.language import Layer
from workbench.models.bagel.network import Bagel
from workbench.models.bagel.patches import unpatchify
from workbench.training.data import (
    RESTORE_FROM,
    TextRows,
    batch_seeds,
    tensor,
)
from workbench.training.dialogue import Dialogue, latents_of, open_dialogue, seen_of
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule
from workbench.training.packing import pack
from workbench.training.phrases import damage_thought, restored_thought, said
from workbench.training.understanding import UnderstandingStage, accuracy_by_kind, answer_loss

CLEAN_SHARE = 0.15
"""Share of the scenes that stay undamaged."""
SHOWN = {
    "lens_blur": 0.2,
    "motion_blur": 0.075,
    "gaussian_noise": 0.2,
    "jpeg_compression": 0.075,
    "dark_illumination": 0.3,
    "scan_lines": 0.15,
}
"""How often each corruption is shown to be restored: what hides most, most."""
DRAWS = 8
"""Noise draws of the clean latent in one pass; the first sees the image and the question but no thought."""
QUESTIONS = 6
"""Questions a scene that are answered in one pass."""
RETURNED_NOISE = 0.35
"""Most noise on a returned latent, in its own standard deviations: what comes back at inference is a sample,
not the truth."""
READ_EVERY = 2
"""Passes over damaged scenes to one pass of reading within a dialogue; the other steps read directly."""


@dataclass(frozen=True)
class Damaged:
    """A batch of scenes, damaged, with what was done to each.

    images: uint8 (B, S, S, 3), damaged; names: corruptions, "" where there is none; intensities: float32
    (B,), 0 … 1; asked: QUESTIONS questions a scene, some of them twice where it allows fewer.
    """

    scenes: Scenes
    images: np.ndarray
    names: list[str]
    intensities: np.ndarray
    asked: list[list[Question]]

    @property
    def restore(self) -> np.ndarray:
        """Bool (B,): whether the thought should decide to restore."""
        return np.array(
            [
                name != "" and intensity >= RESTORE_FROM[name]
                for name, intensity in zip(self.names, self.intensities, strict=True)
            ]
        )


def damage(
    scenes: Scenes,
    rng: np.random.Generator,
    *,
    mild: bool = False,
    shown: Mapping[str, float] = SHOWN,
) -> Damaged:
    """One random corruption of any intensity and a few questions for each scene; a share stays clean.

    mild: only intensities at which nothing is to be restored. shown: how often each corruption.
    """
    images, names = scenes.images.copy(), []
    intensities = rng.random(len(scenes)).astype(np.float32)
    asked = []
    for i in range(len(scenes)):
        clean = rng.random() < CLEAN_SHARE
        names.append("" if clean else str(rng.choice(list(shown), p=list(shown.values()))))
        if names[i]:
            if mild:
                intensities[i] *= RESTORE_FROM[names[i]]
            images[i] = corrupt(images[i], names[i], float(intensities[i]), seed=int(rng.integers(2**31)))
        options = questions(scenes, i, rng)
        asked.append([options[k] for k in np.resize(rng.permutation(len(options)), QUESTIONS)])
    return Damaged(scenes, images, names, intensities, asked)


ALIGNED_LAYERS = 3
"""Layers whose first key head starts as one that looks at the same place of the image."""
ALIGNED_WAVES = 3
"""Sine–cosine pairs of each axis that say where a latent token is: the shortest waves of its table."""
ALIGNED_SHARPNESS = 2.5
"""Factor on the norms of queries and of keys in the dimensions that compare places."""


@torch.no_grad()
def start_experts(network: Bagel) -> None:
    """Start the generation experts from the understanding experts, with heads that look at their own place.

    Restoring needs what the damaged latent holds at the same place. The fixed position table says where a
    latent token is; these heads compare it, in the slowest dimensions of the rotary embedding, and what is
    written to the stream leaves it alone at first. Learnable like everything else.
    """
    own = network.state_dict()
    for name, value in own.items():
        if "_moe_gen" in name:
            value.copy_(own[name.replace("_moe_gen", "")])
    nn.init.zeros_(network.llm2vae.weight)
    nn.init.zeros_(network.llm2vae.bias)
    quarter = network.config.language.hidden_size // 4
    sines = [axis * 2 * quarter + k for axis in (0, 1) for k in range(ALIGNED_WAVES)]
    cosines = [k + quarter for k in sines]
    places = sines + cosines
    for written in (network.vae2llm, network.time_embedder.mlp[2]):
        linear = cast(nn.Linear, written)
        linear.weight[places] = 0.0
        linear.bias[places] = 0.0
    for module in list(network.language_model.model.layers)[:ALIGNED_LAYERS]:
        layer = cast(Layer, module)
        attention, mlp = layer.self_attn, layer.mlp_moe_gen
        half, width = attention.head_dim // 2, attention.head_dim
        slow = [half - len(sines) + k for k in range(len(sines))]
        compared = slow + [k + half for k in slow]
        for kind, heads in (("q", attention.heads // attention.kv_heads), ("k", 1)):
            projection = cast(nn.Linear, getattr(attention, f"{kind}_proj_moe_gen"))
            projection.weight[: heads * width] = 0.0
            projection.bias[: heads * width] = 0.0
            for head in range(heads):
                for row, column in zip(compared, places, strict=True):
                    projection.weight[head * width + row, column] = 1.0
            norm = getattr(attention, f"{kind}_norm_moe_gen").weight
            norm.fill_(1.0)
            norm[compared] = ALIGNED_SHARPNESS
        cast(nn.Linear, attention.v_proj_moe_gen).weight[:, places] = 0.0
        attention.o_proj_moe_gen.weight[places] = 0.0
        mlp.down_proj.weight[places] = 0.0


def flow_times(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Flow times in (0, 1): the sigmoid of a normal, as BAGEL trains; unshifted, for our latents are few."""
    return torch.sigmoid(tensor(rng.standard_normal(shape)).float())


Draw = tuple[int, Tensor]
"""A block of noised latent tokens in a dialogue, and the velocity (B, n, D) that it should have."""


def noised(
    dialogue: Dialogue,
    clean: Tensor,
    rng: np.random.Generator,
    seen: Sequence[tuple[tuple[int, ...], Tensor]],
) -> tuple[list[Draw], Tensor]:
    """The clean latent (B, n, D), noised once for each of `seen` (what that draw sees, and its place).

    Also the latent as it comes back from a drawing that is not perfect, (B, n, D).
    """
    batch, draws = len(clean), len(seen)
    times = flow_times((draws, batch), rng)
    noise = tensor(rng.standard_normal((draws + 1, *clean.shape)).astype(np.float32))
    made = []
    for (blocks, place), t, some in zip(seen, times, noise, strict=False):
        share = t[:, None, None]
        x = (1 - share) * clean + share * some
        made.append((dialogue.latent(x, t, place, blocks)[1], some - clean))
    off = tensor(rng.random((batch, 1, 1), np.float32)) * RETURNED_NOISE
    return made, clean + off * noise[draws]


def flow_loss(kit: Kit, states: Mapping[int, Tensor] | Sequence[Tensor], draws: Sequence[Draw]) -> Tensor:
    """Mean squared error of the velocities read from the states of each draw."""
    return torch.stack([F.mse_loss(kit.network.llm2vae(states[i]), v) for i, v in draws]).mean()


def answers(
    kit: Kit, dialogue: Dialogue, asked: Sequence[Sequence[Question]], sees: tuple[int, ...], place: Tensor
) -> tuple[int, TextRows]:
    """The answers to all questions once the picture came back: their block, and what is to be said.

    Only the first question was asked: the thoughts of the others are told, not to be guessed.
    """
    rows = kit.packer.rows(
        [[("", restored_thought(q.text) + said(q.answer)) for q in row] for row in asked],
        start=place[:, 0].tolist(),
    )
    told = [
        [len(kit.packer.encode(restored_thought(q.text))) * (k > 0) for k, q in enumerate(row)]
        for row in asked
    ]
    return dialogue.text(rows, sees), rows.given(torch.tensor(told))


class InterleavingStage:
    """See the module's docstring."""

    name = "interleaving"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int, *, restore_every: int = 1) -> None:
        """`restore_every`: steps between two passes over damaged scenes; all the others only read."""
        self.kit, self.schedule, self.seed, self.restore_every = kit, schedule, seed, restore_every
        self.reading = UnderstandingStage(kit, schedule, seed)

    def modules(self) -> dict[str, nn.Module]:
        """The whole network."""
        return {"network": self.kit.network}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """Everything but the two fixed position tables."""
        for name, p in self.kit.network.named_parameters():
            if not name.endswith("pos_embed.pos_embed"):
                yield name, p

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Words and flow of the damaged scenes, and words of scenes that need no restoration."""
        rng = np.random.default_rng((self.seed, 4, step))
        every = READ_EVERY * self.restore_every
        if step % every:
            loss = self.reading.loss(step)[0]
            metrics = {"direct": loss.item() * every / (every - 1)}
        else:
            others = generate(batch_seeds(step, self.schedule.batch, 5), "train")
            loss = self._answered(damage(others, rng, mild=True))
            metrics = {"read": loss.item() * every}
        if step % self.restore_every == 0:
            seeds = batch_seeds(step, self.schedule.batch, 3)
            drawn, parts = self._restored(damage(generate(seeds, "train"), rng), rng)
            loss = loss + drawn
            metrics |= {key: value * self.restore_every for key, value in parts.items()}
        return loss, metrics

    def _answered(self, damaged: Damaged) -> Tensor:
        """Cross-entropy of thoughts that decide against restoring, and of the answers after them."""
        kit, dialogue = self.kit, Dialogue(self.kit)
        opening = open_dialogue(dialogue, damaged.images, None)
        rows = kit.packer.rows(
            [
                [(q.text, damage_thought(name, q.text, False) + said(q.answer)) for q in asked]
                for name, asked in zip(damaged.names, damaged.asked, strict=True)
            ],
            start=opening.asking[:, 0].tolist(),
        )
        index = dialogue.text(rows, opening.images)
        states = pack(dialogue.blocks).run(kit.network.language_model.model)
        return answer_loss(kit.network, states[index], rows)[0]

    def _restored(self, damaged: Damaged, rng: np.random.Generator) -> tuple[Tensor, Metrics]:
        """Loss of one packed pass over damaged scenes: thoughts, draws, and answers after one route back."""
        kit, batch = self.kit, len(damaged.images)
        dialogue = Dialogue(kit)
        first = [asked[0].text for asked in damaged.asked]
        opening = open_dialogue(dialogue, damaged.images, first)
        texts: dict[int, TextRows] = {}

        rows = kit.packer.rows(
            [[("", damage_thought(name, q, True))] for name, q in zip(damaged.names, first, strict=True)],
            start=opening.after[:, 0].tolist(),
        )
        thought = dialogue.text(rows, opening.blocks)
        texts[thought] = rows.silenced(~damaged.restore)
        context, place = (*opening.blocks, thought), torch.tensor(rows.ends)[:, None]

        clean = latents_of(kit, damaged.scenes.images)
        draws, returned = noised(
            dialogue, clean, rng, [(opening.blocks, opening.after)] + [(context, place)] * (DRAWS - 1)
        )
        if rng.random() < 0.5:
            back: tuple[int, ...] = dialogue.latent(returned, torch.zeros(batch), place, context)
        else:
            back = (dialogue.vision(seen_of(kit, self._decoded(returned)), place, context),)
        answered, rows = answers(kit, dialogue, damaged.asked, (*context, *back), place + 1)
        texts[answered] = rows

        states = pack(dialogue.blocks).run(kit.network.language_model.model)
        words = {i: answer_loss(kit.network, states[i], r)[0] for i, r in texts.items() if r.has_targets}
        flow = flow_loss(kit, states, draws)
        return torch.stack(list(words.values())).sum() + flow, {
            "flow": flow.item(),
            "thought": words[thought].item() if thought in words else 0.0,
            "answer": words[answered].item(),
        }

    @torch.no_grad()
    def _decoded(self, latents: Tensor) -> np.ndarray:
        """uint8 pictures (B, S, S, 3) of latent tokens (B, n, D)."""
        side = int(latents.shape[1] ** 0.5)
        grid = unpatchify(latents, side, side, self.kit.network.config.latent_patch)
        decoded = self.kit.autoencoder.decode(grid).clamp(-1, 1)
        return ((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def check(self) -> Metrics:
        """Direct accuracy on clean validation scenes."""
        scenes = generate(np.arange(128), "validation")
        return accuracy_by_kind(self.kit, scenes.images, scenes, seed=0)
