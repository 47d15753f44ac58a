"""The table of docs/models.md, told by the opened models themselves: `python -m tests.models.hf.table`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill

import numpy as np
import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from tests.models.hf.builders import BUILDERS, saved
from tests.models.hf.verified import COLUMNS, cells, whole
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.family import Family
from workbench.models.hf.load import load
from workbench.models.hf.refused import REASONS
from workbench.models.protocol import Capability

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"
HEAD = """\
# Models

Any image-text-to-text model of the installed transformers opens by convention
(`workbench/models/hf/family.py`) where its visual tokens make a grid that is known, and is refused
with the reason where they do not. A family that departs from the convention is one file in
`workbench/models/hf/families/`.

The tables are written by `python -m tests.models.hf.table` from tiny random checkpoints that were
made with transformers' own configuration, model and processor classes, saved, and opened from disk. It
runs `tests/models/hf/test_families.py`, on wide, tall and square images, and writes nothing where one
of them fails; a test holds the tables to what the models say and to what was compared. The second one
counts for each row what was:

- cells and pixels: a visual token changes when the pixels of its rectangle do, and no other token does;
  so the tower's cells, where their grids are known;
- images together keep their places; a batch computes what each image alone does;
- a question that holds a word of the model for an image is refused by that word; every other special
  word of its tokenizer leaves the visual tokens where they are;
- the last stage through the final norm and the head gives the model's logits;
- words said are those of `generate`, one by one; scores are sums of log-probabilities;
- attention rows equal a plain softmax over everything within 1e-5, a row for each head, query and layer
  that attends, of the language model and of the tower. The output comes from sdpa, but for PaliGemma 2, whose
  capped scores only its own eager function computes.

What attribution changes in a pass is held against a plain way for every row too
(`tests/models/hf/test_changing.py`): gradients of what is said by pixels, by states and by attention
weights against differences; blocked attention against a softmax that leaves it out; other pixels side by
side against images of their own; the cells in which pixels are summed against the pixels that were changed.
Gradients do not reach the pixels of Emu3 and Chameleon, which choose codes, and the two towers of
DeepSeek-VL's hybrid have no one set of pixels. Models that hand their layers more of the image than the
tokens that enter (Qwen3-VL and others with its DeepStack, Gemma 4) keep that of their own image where other
tokens are put in their place.

At each opening, of a published checkpoint too, it is checked that what enters the tower's blocks changes
where the picture does, that every language layer keeps one state for each token, that visual tokens and
grid agree, and that the last stage gives the logits; a model that fails is refused.

Rows of attention are read under flash attention and eager as well (`tests/models/hf/test_kernels.py`):
windows, images that lie one after the other, padding and capped scores count as the kernel has them. That
was held against flash attention's definition, not against its package, which needs a GPU.

Janus and Emu3 also draw from words (`workbench/models/hf/drawing/`): their tokens are those of
transformers' own generation, one by one, greedy and sampled with the same seed
(`tests/models/hf/test_drawing.py`). Any Emu3 checkpoint can be asked to draw; Emu3-Gen is the one
that learned it. Emu3's and Chameleon's tokens of an image are those that the language model gets
(`tests/models/hf/test_tokenised.py`), Janus' are those of its public code, by the smallest angle;
what transformers has of Chameleon's tokeniser is its encoder alone, so nothing reads them back.

Qwen2.5-Omni and Qwen3-Omni open by the part that sees and answers, their thinker, also from a folder of
the whole model; what speaks is left out.

## Opening

In 8 or 4 bits (`--quantised`, by bitsandbytes; 4 bits are NF4) linear layers are
replaced. transformers does so for its models, which keep embeddings, the head and norms as they are.
Of BAGEL and CLEAR the linear layers of both experts in the language layers are replaced, nine tenths
of the numbers: by the published shapes 57 % of the bytes remain in 8 bits and 35 % in 4. Vision tower,
connector, autoencoder, embeddings, head, norms and what carries latents in and out stay in the number
type. That was tried on a CPU with bitsandbytes 0.50.2 (`tests/models/test_bitsandbytes.py`), where its
4 bits want matrices whose sides are multiples of 32 and 64 and others are refused with that; not on a
GPU. What rounding does to what they draw was not measured.

From the hub only what is read is fetched: configuration, words, and the weight files that the index
lists or that were chosen. Before any weight is fetched these are refused: a model type that is not
opened, code of its own, pickled weights, an adapter without its model, a device or package that lacks,
weights that were quantised by a method whose package is not here, a tokenizer that cannot be read, and
weights whose names or shapes, as the headers of their files tell, are not those of the configuration.
Weights that are not finite are refused by name. An adapter of peft beside weights is named on the card
and not applied.

## Families

No published checkpoint was opened for these tables. `grids` are the parts of an image that visual
tokens stand for; `tower` says whether the tower's own tokens are placed on the image too; all answer, score
candidates and show their hidden states, `besides` is what else they do.

KNOWN
| checkpoint | class | grids | tower | attention | besides |
|---|---|---|---|---|---|
"""
VERIFIED = f"""\
## Verified

Numbers compared in each family, all of which agreed; – where it has no such thing.

| checkpoint | {" | ".join(COLUMNS.values())} |
|---|{"---:|" * len(COLUMNS)}
"""
REFUSED = """\
## Refused

These types are refused before their weights are read (`workbench/models/hf/refused.py`):
"""
UNTRIED = """\
## Not tried

transformers reads the images of these types with torchvision alone, so they are refused, with that
reason, where it is not installed. With it they open where the convention holds for them and the checks
at opening pass; nothing else is verified of them:
"""
KNOWN = {
    "LLaVA": "llava",
    "LLaVA-NeXT": "llava_next",
    "LLaVA-OneVision": "llava_onevision",
    "Qwen2-VL": "qwen2_vl",
    "Qwen2.5-VL": "qwen2_5_vl",
    "Qwen3-VL": "qwen3_vl",
    "Qwen-Omni": "qwen2_5_omni_thinker",
    "InternVL": "internvl",
    "Gemma 3": "gemma3",
    "SmolVLM": "smolvlm",
    "Idefics 3": "idefics3",
    "PaliGemma": "paligemma",
    "Mistral 3": "mistral3",
    "Pixtral": "llava_pixtral",
    "Llama 4": "llama4",
    "GLM-4V": "glm4v",
    "Aya Vision": "aya_vision",
    "Command A Vision": "cohere2_vision",
    "Janus": "janus",
    "Emu3": "emu3",
    "Chameleon": "chameleon",
}
"""Rows of families by the names that people use, where those are not the rows' own."""


def row(name: str, model: HFModel) -> str:
    """One line of the table."""
    image = np.random.default_rng(0).integers(0, 256, (70, 100, 3)).astype(np.uint8)
    prompt = model.prepare([image], "what is this?")
    parts = dict.fromkeys([prompt.grid.part, *(view.grid.part for view in prompt.others)])
    stages = [tap for tap in model.taps(prompt) if tap.stage.band == "vision"]
    tower = "no blocks" if not stages else "placed" if stages[0].grid is not None else "not placed"
    attention = "rows" if Capability.ATTENTION in model.card.capabilities else "–"
    ways = "" if type(model.family) is Family else f" ({type(model.family).__name__})"
    more = {Capability.GENERATES: "draws", Capability.TOKENISES: "tokenises"}
    besides = ", ".join(word for known, word in more.items() if known in model.card.capabilities)
    cells = [name, type(model.network).__name__ + ways, " + ".join(parts), tower, attention, besides]
    return f"| {' | '.join(cells)} |"


def compared(name: str) -> str:
    """One line of the table of what was verified in this process."""
    return f"| {' | '.join([name, *cells(name)])} |"


def refused() -> list[str]:
    """A line for each reason, with the types that are refused for it."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in sorted(REASONS.items()):
        by_reason.setdefault(reason, []).append(f"`{name}`")
    return [f"- {', '.join(names)}: such a model {reason}." for reason, names in by_reason.items()]


def untried() -> list[str]:
    """A line with the types that are neither in the table nor refused: all of them need torchvision."""
    types = sorted(set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES) - set(REASONS) - set(BUILDERS))
    return [", ".join(f"`{name}`" for name in types)]


def document() -> str:
    """The whole document."""
    lines = []
    with TemporaryDirectory() as folder:
        for name in sorted(BUILDERS):
            path = saved(name, Path(folder))
            model = load(path, name=name, device=torch.device("cpu"), dtype=torch.float32)
            lines.append(row(name, model))
    known = "; ".join(f"{name} is `{at}`" for name, at in KNOWN.items())
    head = HEAD.replace("KNOWN", fill(f"By the names that people use: {known}.", 108) + "\n")
    found = [compared(name) for name in sorted(BUILDERS)]
    lists = [REFUSED, *refused(), "", UNTRIED, *untried()]
    return head + "\n".join([*lines, "", VERIFIED + "\n".join(found), "", *lists]) + "\n"


def main() -> None:
    """Verify every family here and now, then write the document."""
    if pytest.main(["-q", "-p", "no:cacheprovider", str(Path(__file__).with_name("test_families.py"))]):
        raise SystemExit("A family fails, so nothing is written.")
    if missing := [name for name in sorted(BUILDERS) if not whole(name)]:
        raise SystemExit(f"Not every test that counts was run: {', '.join(missing)}.")
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
