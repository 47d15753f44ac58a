"""Stage *interleaving*: think, decide, restore, answer again; and draw from a caption.

All language-model weights train, tower and autoencoder stay. The generation experts start as copies of the
understanding experts, as BAGEL's do. One packed pass over a degraded scene holds the thought with its
decision, several noise draws of the clean latent (rectified flow), and the answer after the clean picture
came back over either route; a second one keeps direct answers as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.corruptions import corrupt
from workbench.images.scene_language import Question, caption, questions
from workbench.images.scenes import Scenes, generate
from workbench.models.bagel.network import Bagel
from workbench.training.data import (
    TRAINED_CORRUPTIONS,
    Pair,
    TextRows,
    asked_of,
    batch_seeds,
    images_to_unit,
    mildly_corrupted,
    tensor,
)
from workbench.training.dialogue import Dialogue, latents_of, open_dialogue, seen_of
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule
from workbench.training.packing import pack
from workbench.training.phrases import DESCRIBE, damage_thought, restored_thought
from workbench.training.seeing import MILD_SHARE, MILD_STRONGEST
from workbench.training.understanding import (
    accuracy_by_kind,
    answer_loss,
    read_packed,
)

CLEAN_SHARE = 0.15
"""Share of the scenes that stay undamaged."""
RESTORE_FROM = 0.4
"""Above this intensity the thought ends in the decision to restore. Ours: the published decision is learned
from which answers were wrong, and follows severity."""
DRAWS = 4
"""Noise draws of the clean latent in one pass; one more hangs on a caption alone."""
WITHOUT_THOUGHT = 0.15
"""Share of the draws that see the image and the question but no thought."""
FLOW_WEIGHT = 1.0
"""Weight of the flow losses beside half the sum of the word losses."""


@dataclass(frozen=True)
class Damaged:
    """A batch of scenes, damaged, with what was done to each.

    images: uint8 (B, S, S, 3), damaged; names: corruptions, "" where there is none; intensities: float32
    (B,), 0 … 1; asked: one question a scene.
    """

    scenes: Scenes
    images: np.ndarray
    names: list[str]
    intensities: np.ndarray
    asked: list[Question]

    @property
    def restore(self) -> np.ndarray:
        """Bool (B,): whether the thought should decide to restore."""
        return (self.intensities >= RESTORE_FROM) & np.array([name != "" for name in self.names])


def damage(scenes: Scenes, rng: np.random.Generator) -> Damaged:
    """One random corruption of any intensity and one question for each scene; a share stays clean."""
    images, names = scenes.images.copy(), []
    intensities = rng.random(len(scenes)).astype(np.float32)
    for i in range(len(scenes)):
        clean = rng.random() < CLEAN_SHARE
        names.append("" if clean else TRAINED_CORRUPTIONS[rng.integers(len(TRAINED_CORRUPTIONS))])
        if names[i]:
            images[i] = corrupt(images[i], names[i], float(intensities[i]), seed=int(rng.integers(2**31)))
    asked = []
    for i in range(len(scenes)):
        options = questions(scenes, i, rng)
        asked.append(options[rng.integers(len(options))])
    return Damaged(scenes, images, names, intensities, asked)


def copy_experts(network: Bagel) -> None:
    """Start the generation experts from the understanding experts."""
    own = network.state_dict()
    with torch.no_grad():
        for name, value in own.items():
            if "_moe_gen" in name:
                value.copy_(own[name.replace("_moe_gen", "")])
    nn.init.zeros_(network.llm2vae.weight)


def flow_times(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Flow times in (0, 1): the sigmoid of a normal, as BAGEL trains; unshifted, for our latents are few."""
    return torch.sigmoid(tensor(rng.standard_normal(shape)).float())


class InterleavingStage:
    """See the module's docstring."""

    name = "interleaving"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed

    def modules(self) -> dict[str, nn.Module]:
        """The whole network."""
        return {"network": self.kit.network}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """Everything but the vision tower and the two fixed position tables."""
        for name, p in self.kit.network.named_parameters():
            if not name.startswith("vit_model.") and not name.endswith("pos_embed.pos_embed"):
                yield name, p

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Words and flow of the interleaved pass, and the words of direct answers."""
        rng = np.random.default_rng((self.seed, 4, step))
        scenes = generate(batch_seeds(step, self.schedule.batch, 3), "train")
        interleaved, metrics = self._interleaved(damage(scenes, rng), rng)
        direct = self._direct(scenes, rng)
        return interleaved + direct, metrics | {"direct": direct.item()}

    def _interleaved(self, damaged: Damaged, rng: np.random.Generator) -> tuple[Tensor, Metrics]:
        """Loss of one packed pass over damaged scenes: thoughts, draws, and answers after one route back."""
        kit, batch = self.kit, len(damaged.images)
        dialogue = Dialogue(kit)
        opening = open_dialogue(dialogue, damaged.images, [q.text for q in damaged.asked])
        starts = opening.after[:, 0].tolist()
        texts: dict[int, TextRows] = {}

        def say(
            said: list[str], at: list[int], sees: tuple[int, ...], silent: np.ndarray | None = None
        ) -> int:
            """Add texts to be learned, but for the rows in `silent`; returns their block."""
            rows = kit.packer.rows([[("", text)] for text in said], start=at)
            index = dialogue.text(rows, sees)
            texts[index] = rows if silent is None else rows.silenced(silent)
            return index

        answers = [f"<answer>{q.answer}</answer>" for q in damaged.asked]
        say(
            [damage_thought(n, False) + a for n, a in zip(damaged.names, answers, strict=True)],
            starts, opening.blocks, damaged.restore,
        )  # fmt: skip
        thought = say(
            [damage_thought(n, True) for n in damaged.names], starts, opening.blocks, ~damaged.restore
        )
        context = (*opening.blocks, thought)
        place = torch.tensor(texts[thought].ends)[:, None]

        clean = latents_of(kit, damaged.scenes.images)
        draws: list[tuple[int, Tensor]] = []
        times, noise = (
            flow_times((DRAWS + 1, batch), rng),
            tensor(rng.standard_normal((DRAWS + 1, *clean.shape)).astype(np.float32)),
        )
        described = kit.packer.rows([[("", caption(damaged.scenes, i))] for i in range(batch)], start=0)
        caption_block = dialogue.text(described)
        sees: tuple[int, ...]
        for k in range(DRAWS + 1):
            t = times[k][:, None, None]
            x = (1 - t) * clean + t * noise[k]
            if k == DRAWS:
                sees, at = (caption_block,), torch.tensor(described.ends)[:, None]
            elif rng.random() < WITHOUT_THOUGHT:
                sees, at = opening.blocks, opening.after
            else:
                sees, at = context, place
            draws.append((dialogue.latent(x, times[k], at, sees)[1], noise[k] - clean))

        # What comes back at inference is a sample, not the truth: show truth and slightly damaged truth.
        returned = mildly_corrupted(damaged.scenes.images, rng, 0.5, 0.4)
        after = [restored_thought() + a for a in answers]
        route = "bridge" if rng.random() < 0.5 else "re-encode"
        if route == "bridge":
            back: tuple[int, ...] = dialogue.latent(
                latents_of(kit, returned), torch.zeros(batch), place, context
            )
        else:
            back = (dialogue.vision(seen_of(kit, self._through_latents(returned)), place, context),)
        answered = say(after, (place[:, 0] + 1).tolist(), (*context, *back))

        states = pack(dialogue.blocks).run(kit.network.language_model.model)
        words = {
            i: answer_loss(kit.network, states[i], rows)[0] for i, rows in texts.items() if rows.has_targets
        }
        errors = [F.mse_loss(kit.network.llm2vae(states[i]), v) for i, v in draws]
        flow = torch.stack(errors[:DRAWS]).mean()
        loss = torch.stack(list(words.values())).sum() / 2 + FLOW_WEIGHT * (flow + errors[DRAWS] / DRAWS)
        return loss, {
            "flow": flow.item(),
            "caption": errors[DRAWS].item(),
            "thought": words[thought].item() if thought in words else 0.0,
            "answer": words[answered].item(),
        }

    @torch.no_grad()
    def _through_latents(self, images: np.ndarray) -> np.ndarray:
        """uint8 scenes as the autoencoder gives them back."""
        autoencoder = self.kit.autoencoder
        decoded = autoencoder.decode(autoencoder.encode(images_to_unit(images))).clamp(-1, 1)
        return ((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()

    def _direct(self, scenes: Scenes, rng: np.random.Generator) -> Tensor:
        """Cross-entropy of answers and captions on a third of the scenes, from vision tokens alone."""
        few = len(scenes) // 2
        images = mildly_corrupted(scenes.images[:few], rng, MILD_SHARE, MILD_STRONGEST)
        asked: list[list[Pair]] = []
        for i in range(few):
            asked.append([*asked_of(scenes, i, rng), (DESCRIBE, caption(scenes, i))])
        rows = self.kit.packer.rows(asked, start=1)
        return answer_loss(self.kit.network, read_packed(self.kit, seen_of(self.kit, images), rows), rows)[0]

    def check(self) -> Metrics:
        """Direct accuracy on clean validation scenes."""
        scenes = generate(np.arange(128), "validation")
        return {"direct": accuracy_by_kind(self.kit, scenes.images, scenes, seed=0)["all"]}
