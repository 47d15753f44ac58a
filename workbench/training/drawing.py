"""Stage *drawing*: only what draws learns, from more kinds of damage; what reads stays as it is.

The generation experts and the latent's projections train behind a language model and a tower that are held,
so every answer and caption that no drawing precedes stays what it was to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from workbench.images.scenes import generate
from workbench.training.data import batch_seeds
from workbench.training.dialogue import Dialogue, latents_of, open_dialogue
from workbench.training.interleaving import DRAWS, answers, damage, flow_loss, noised
from workbench.training.kit import Kit
from workbench.training.loop import Metrics, Schedule
from workbench.training.packing import pack
from workbench.training.phrases import DAMAGE, damage_thought
from workbench.training.understanding import GENERATION, accuracy_by_kind, answer_loss

DRAWN = {
    "lens_blur": 0.2,
    "motion_blur": 0.05,
    "gaussian_noise": 0.25,
    "jpeg_compression": 0.05,
    "dark_illumination": 0.15,
    "scan_lines": 0.1,
    "dirty_lens": 0.2,
}
"""How often each corruption is shown."""
UNNAMED = "lens_blur"
"""What the thought calls a kind of damage that it has no word for."""


class DrawingStage:
    """See the module's docstring."""

    name = "drawing"

    def __init__(self, kit: Kit, schedule: Schedule, seed: int) -> None:
        self.kit, self.schedule, self.seed = kit, schedule, seed

    def modules(self) -> dict[str, nn.Module]:
        """The whole network."""
        return {"network": self.kit.network}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """What only generation uses."""
        for name, p in self.kit.network.named_parameters():
            if any(part in name for part in GENERATION) and not name.endswith("pos_embed.pos_embed"):
                yield name, p

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Flow of the draws, and the answers after a drawing came back as latent tokens (the bridge)."""
        kit, dialogue = self.kit, Dialogue(self.kit)
        rng = np.random.default_rng((self.seed, 8, step))
        scenes = generate(batch_seeds(step, self.schedule.batch, 6), "train")
        damaged = damage(scenes, rng, shown=DRAWN)
        first = [asked[0].text for asked in damaged.asked]
        opening = open_dialogue(dialogue, damaged.images, first)
        words = [name if name in DAMAGE else UNNAMED for name in damaged.names]
        rows = kit.packer.rows(
            [[("", damage_thought(word, q, True))] for word, q in zip(words, first, strict=True)],
            start=opening.after[:, 0].tolist(),
        )
        context = (*opening.blocks, dialogue.text(rows, opening.blocks))
        place = torch.tensor(rows.ends)[:, None]
        draws, returned = noised(dialogue, latents_of(kit, scenes.images), rng, [(context, place)] * DRAWS)
        back = dialogue.latent(returned, torch.zeros(len(scenes)), place, context)
        index, said = answers(kit, dialogue, damaged.asked, (*context, *back), place + 1)
        states = pack(dialogue.blocks).run(kit.network.language_model.model)
        answer = answer_loss(kit.network, states[index], said)[0]
        flow = flow_loss(kit, states, draws)
        return flow + answer, {"flow": flow.item(), "answer": answer.item()}

    def check(self) -> Metrics:
        """Direct accuracy on clean validation scenes, which this stage does not change."""
        scenes = generate(np.arange(128), "validation")
        return accuracy_by_kind(self.kit, scenes.images, scenes, seed=0)
