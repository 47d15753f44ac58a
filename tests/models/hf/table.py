"""The table of docs/models.md, told by the opened models themselves: `python -m tests.models.hf.table`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tests.models.hf.builders import BUILDERS, saved
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.family import Family
from workbench.models.hf.load import load
from workbench.models.protocol import Capability

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"
HEAD = """\
# Models

Any image-text-to-text model of the installed transformers opens by convention
(`workbench/models/hf/family.py`) where its visual tokens make a grid that is known, and is refused
with the reason where they do not. A family that departs from the convention is one file in
`workbench/models/hf/families/`.

The table is written by `python -m tests.models.hf.table` from tiny random checkpoints that were
made with transformers' own configuration, model and processor classes, saved, and opened from disk;
a test holds it to what they say. What is verified for every row
(`tests/models/hf/test_families.py`, on wide, tall and square images):

- a visual token changes when the pixels of its rectangle do, and no other token does; so in tower
  and projector, where their grids are known;
- images shown together keep their places; a batch computes what each image alone does;
- the last stage through the final norm and the head gives the model's logits;
- answers are those of `generate`, word by word; scores are sums of log-probabilities;
- attention rows under the fast kernel equal a plain softmax over everything within 1e-5 (where
  attention is read).

Janus and Emu3 also draw from words (`workbench/models/hf/drawing/`): their tokens are those of
transformers' own generation, one by one, greedy and sampled with the same seed
(`tests/models/hf/test_drawing.py`). Any Emu3 checkpoint can be asked to draw; Emu3-Gen is the one
that learned it. Emu3's and Chameleon's tokens of an image are those that the language model gets
(`tests/models/hf/test_tokenised.py`), Janus' are those of its public code, by the smallest angle;
what transformers has of Chameleon's tokeniser cannot read them back.

No published checkpoint was opened for this table. `grids` are the parts of an image that visual
tokens stand for; `tower` says whether the tower's own tokens are placed on the image too.

| checkpoint | class | grids | tower | attention |
|---|---|---|---|---|
"""


def row(name: str, model: HFModel) -> str:
    """One line of the table."""
    image = np.random.default_rng(0).integers(0, 256, (70, 100, 3)).astype(np.uint8)
    prompt = model.prepare([image], "what is this?")
    parts = dict.fromkeys([prompt.grid.part, *(view.grid.part for view in prompt.others)])
    stages = [tap for tap in model.taps(prompt) if tap.stage.band == "vision"]
    tower = "no blocks" if not stages else "placed" if stages[0].grid is not None else "not placed"
    attention = "rows" if Capability.ATTENTION in model.card.capabilities else "–"
    ways = "" if type(model.family) is Family else f" ({type(model.family).__name__})"
    return f"| {name} | {type(model.network).__name__}{ways} | {' + '.join(parts)} | {tower} | {attention} |"


def table() -> str:
    """The whole document."""
    lines = []
    with TemporaryDirectory() as folder:
        for name in sorted(BUILDERS):
            path = saved(name, Path(folder))
            model = load(path, name=name, device=torch.device("cpu"), dtype=torch.float32)
            lines.append(row(name, model))
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(table(), encoding="utf-8")
