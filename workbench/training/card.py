"""The model card: measured numbers in words, beside the weights."""

from __future__ import annotations

from pathlib import Path

from workbench import models
from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS
from workbench.models.bagel.adapter import BagelModel
from workbench.training.measure import SHIFT, STEPS, Measured, Rate, measure
from workbench.training.state import write_json


def write_card(folder: Path, *, scenes: int, restored: int) -> None:
    """Measure the checkpoint in `folder` and write `measured.json` and `README.md` into it.

    scenes and restored: how many test scenes to measure answers and restoration on. Raises Refusal for
    numbers that do not fit together, or for a folder that holds no BAGEL checkpoint.
    """
    if scenes < 1 or not 1 <= restored <= scenes:
        raise Refusal(f"--restored ({restored}) must be at least 1 and at most --scenes ({scenes}).")
    model = models.open(folder)
    if not isinstance(model, BagelModel):
        raise Refusal(f"{folder} is not a BAGEL checkpoint; the card is about the embedded one.")
    found = measure(model, scenes=scenes, restored=restored, say=lambda line: print(line, flush=True))
    write_json({"revision": model.card.revision, **found.as_json()}, folder / "measured.json")
    (folder / "README.md").write_text(card_text(model, found, scenes, restored), encoding="utf-8")


def _percent(value: Rate) -> str:
    """A share in per cent, with its interval."""
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def _points(value: Rate) -> str:
    """A difference of shares in points, signed, with its interval."""
    return f"{100 * value.mean:+.1f} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"


def card_text(model: BagelModel, found: Measured, scenes: int, restored: int) -> str:
    """The card as Markdown."""
    card = model.card
    size = sum(path.stat().st_size for path in card.folder.glob("*.safetensors")) / 1e6
    lines = [
        f"# {card.id}",
        "",
        f"A small model in the layout of BAGEL-7B-MoT: {card.parameters / 1e6:.1f} M parameters, {size:.1f} "
        f"MB of fp16 safetensors, {card.llm_layers} language layers of width {card.width}, "
        f"{card.vision_layers} vision layers, 96×96 pixels, a 12×12 grid of vision tokens and 6×6 "
        "latent tokens.",
        "",
        f"It knows {card.knows}. Anything else, a photograph above all, is outside what it was trained on: "
        "its states can be measured there, its answers mean nothing.",
        "",
        "Trained by `python -m workbench train base`. The vision tower saw captions and masked pixels only, "
        "never the labels that the probes read (class of a patch, depth, colour of a pixel).",
        "",
        f"Revision {card.revision}. Every number below: `python -m workbench train measure --scenes "
        f"{scenes} --restored {restored}`, on test scenes (seeds 0 to {scenes - 1}; other "
        "digits than in training, and colour-shape pairs that training never showed). "
        "Brackets are 95 % bootstrap intervals over scenes.",
        "",
        "## Answers on clean scenes, % right ↑",
        "",
        "| kind | right | n | chance | commonest answer |",
        "|---|---|---|---|---|",
    ]
    for kind, value in found.clean.items():
        lines.append(
            f"| {kind} | {_percent(value)} | {value.n} | {100 * found.chance[kind]:.1f} | "
            f"{100 * found.majority[kind]:.1f} |"
        )
    sets, overlap = found.captions["object sets"], found.captions["object F1"]
    lines += [
        "",
        f"Captions name exactly the right set of (colour, shape) objects in {_percent(sets)} % of {sets.n} "
        f"scenes; mean F1 of the set {_percent(overlap)} %.",
    ]
    if found.autoencoder:
        lines.append(
            f"The autoencoder alone returns an image at {found.autoencoder.mean:.1f} dB PSNR "
            f"({found.autoencoder.low:.1f} to {found.autoencoder.high:.1f}, n = {found.autoencoder.n})."
        )
    lines += [
        "",
        "## Under corruption",
        "",
        f"MMD-Bench's definitions, pixel sizes relative to 512. `direct`: every question of {scenes} scenes, "
        f"from vision tokens alone. The other columns: one question on each of {restored} scenes, "
        f"restoration always drawn ({STEPS} steps, shift {SHIFT:g}, no guidance), the answer after the "
        "drawn image came back as vision tokens (re-encode) or as latent tokens (bridge), each less "
        "the direct answer to the same questions.",
        "",
        "| corruption | direct, % ↑ | PSNR in → restored, dB ↑ | re-encode gain, points | bridge gain, "
        "points | restores by itself, % |",
        "|---|---|---|---|---|---|",
    ]
    for key, numbers in found.restored.items():
        name, _, level = key.rpartition(" ")
        label = f"{CORRUPTIONS[name].label}, {level}" if name else "none"
        lines.append(
            f"| {label} | {_percent(found.direct[key])} | {numbers['psnr degraded'].mean:.1f} → "
            f"{numbers['psnr restored'].mean:.1f} | {_points(numbers['re-encode gain'])} | "
            f"{_points(numbers['bridge gain'])} | {100 * numbers['triggered'].mean:.0f} |"
        )
    hurts = [
        k for k, v in found.restored.items() if v["re-encode gain"].high < 0 and v["bridge gain"].high < 0
    ]
    helps = [k for k, v in found.restored.items() if max(v["re-encode gain"].low, v["bridge gain"].low) > 0]
    lines += [
        "",
        f"Restoration makes answers better beyond doubt under: {', '.join(helps) or 'none of these'}. It "
        f"makes them worse by both routes under: {', '.join(hurts) or 'none of these'}.",
        "",
        "Licence: Apache-2.0, like the project.",
        "",
    ]
    return "\n".join(lines)
