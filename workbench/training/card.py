"""The model card: measured numbers in words, beside the weights."""

from __future__ import annotations

from pathlib import Path

from workbench import models
from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS, LEVELS, MMD_BENCH
from workbench.models.bagel.adapter import BagelModel
from workbench.training.data import TRAINED_CORRUPTIONS
from workbench.training.drawing import DRAWN
from workbench.training.measure import ROUTES, SHIFT, STEPS, Measured, Rate, measure
from workbench.training.state import write_json

AGAINST = ("gain", "gain in context")
"""The two answers without a drawing that one with it is compared with."""
PSNR_GOAL = ("gaussian_noise", "dark_illumination")
"""The kinds of damage whose PSNR restoration was to raise."""


def write_card(folder: Path, *, scenes: int, restored: int, captioned: int) -> None:
    """Measure the checkpoint in `folder` and write `measured.json` and `README.md` into it.

    scenes, restored, captioned: how many test scenes to measure answers, restoration and captions on. Raises
    Refusal for numbers that do not fit together, or for a folder that holds no BAGEL checkpoint.
    """
    if scenes < 1 or not 1 <= restored <= scenes:
        raise Refusal(f"--restored ({restored}) must be at least 1 and at most --scenes ({scenes}).")
    if captioned < 1:
        raise Refusal(f"--captioned must be at least 1; it is {captioned}.")
    model = models.open(folder)
    if not isinstance(model, BagelModel):
        raise Refusal(f"{folder} is not a BAGEL checkpoint; the card is about the embedded one.")
    counts = {"scenes": scenes, "restored": restored, "captioned": captioned}
    found = measure(model, **counts, say=lambda line: print(line, flush=True))
    write_json({"revision": model.card.revision, **found.as_json()}, folder / "measured.json")
    (folder / "README.md").write_text(card_text(model, found, **counts), encoding="utf-8")


def _percent(value: Rate) -> str:
    """A share in per cent, with its interval."""
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def _points(value: Rate) -> str:
    """A difference of shares in points, signed, with its interval."""
    return f"{100 * value.mean:+.1f} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"


def _by_pairs(found: Measured) -> str:
    """The same for scenes whose pairs of colour and shape training showed, and for the others."""
    parts = [
        f"{words}, {_percent(value)} % of {value.n}"
        for name, words in (
            ("object sets, known pairs", "In scenes whose colour-shape pairs all occur in training"),
            ("object sets, new pairs", "in scenes with one that training never showed"),
        )
        if (value := found.captions.get(name))
    ]
    return "; ".join(parts) + "." if parts else ""


def card_text(model: BagelModel, found: Measured, *, scenes: int, restored: int, captioned: int) -> str:
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
        "Trained by `python -m workbench train base`. The vision tower learned first from the words of "
        "captions of windows that hold one object, and from masked pixels; then, with the language model, "
        "from captions, questions and answers. No map (class of a patch, instance, depth) was ever its "
        "target. So that a colour says nothing of the shape that goes with it, some scenes were shown in "
        "grey, and half of the captions were read with other colours than they said. The weights are the "
        "mean of five continuations of one run (of three of them, of their last snapshots), as `train base "
        "--start` makes it of several checkpoints; on top of that mean only what draws was trained, with "
        "`--drawing`. No one command makes the same bytes again: data and rates changed between those runs. "
        "Shape and colour words stand in captions and answers, so pooled probes show how well words known to "
        "the tower survive; probes of patches show what it was never told.",
        "",
        f"Revision {card.revision}. Every number below: `python -m workbench train measure --scenes "
        f"{scenes} --restored {restored} --captioned {captioned}`, on test scenes (seeds from 0 on; other "
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
        f"scenes; mean F1 of the set {_percent(overlap)} %. " + _by_pairs(found),
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
        "MMD-Bench's definitions, pixel sizes relative to 512. `direct`: every question on each of "
        f"{restored} scenes, from vision tokens alone. Damage marked * was never shown in training, damage "
        "marked † only while drawing was learned.",
        "",
        "| corruption | " + " | ".join(f"{level}, % right ↑" for level in LEVELS) + " |",
        "|---" * (1 + len(LEVELS)) + "|",
    ]
    for name in MMD_BENCH:
        label = CORRUPTIONS[name].label + _mark(name)
        cells = [_percent(found.direct[f"{name} {level}"]) for level in LEVELS]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Undamaged, the same questions: {_percent(found.direct['clean'])} %.",
        "",
        "## Restoration",
        "",
        f"One question on each of {restored} scenes, restoration always drawn ({STEPS} steps, shift "
        f"{SHIFT:g}, no guidance, noise of each scene's own). Three answers: from vision tokens alone; after "
        "the same prompt, image and thought without drawing; and after the drawing came back, as vision "
        "tokens (re-encode) or as latent tokens (bridge). PSNR is against the undamaged scene.",
        "",
        "| corruption | PSNR in → restored, dB ↑ | vision alone, % ↑ | same context, % ↑ | re-encode, % ↑ | "
        "bridge, % ↑ | restores by itself, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, numbers in found.restored.items():
        shares = [_percent(numbers[way]) for way in ("without", "same context", *ROUTES)]
        lines.append(
            f"| {_label(key)} | {_psnr(numbers)} | {' | '.join(shares)} | "
            f"{100 * numbers['triggered'].mean:.0f} |"
        )
    lines += [
        "",
        "What the drawing changes, in points, paired by question:",
        "",
        "| corruption | re-encode, against vision alone | against same context | bridge, against vision "
        "alone | against same context |",
        "|---|---|---|---|---|",
    ]
    for key, numbers in found.restored.items():
        gains = [_points(numbers[f"{route} {against}"]) for route in ROUTES for against in AGAINST]
        lines.append(f"| {_label(key)} | {' | '.join(gains)} |")
    lines += ["", *_verdict(found), "", "## Goals", "", *_goals(found), ""]
    lines += [
        "Licence: Apache-2.0, like the project.",
        "",
    ]
    return "\n".join(lines)


def _mark(corruption: str) -> str:
    """What training showed of a kind of damage, as the table marks it."""
    if corruption in TRAINED_CORRUPTIONS:
        return ""
    return " †" if corruption in DRAWN else " *"


def _label(key: str) -> str:
    """A condition in words: "noise, high", or "none"."""
    name, _, level = key.rpartition(" ")
    return f"{CORRUPTIONS[name].label}, {level}" if name else "none"


def _psnr(numbers: dict[str, Rate]) -> str:
    """PSNR before and after; undamaged pictures equal their truth and have none."""
    before = f"{numbers['psnr degraded'].mean:.1f}" if "psnr degraded" in numbers else "equal"
    return f"{before} → {numbers['psnr restored'].mean:.1f}"


def _verdict(found: Measured) -> list[str]:
    """Where drawing helps and where it hurts, by intervals that leave out zero."""
    lines = []
    for against, words in zip(AGAINST, ("vision tokens alone", "the same context"), strict=True):
        gains = {k: [v[f"{route} {against}"] for route in ROUTES] for k, v in found.restored.items()}
        helps = [_label(k) for k, both in gains.items() if any(g.low > 0 for g in both)]
        hurts = [_label(k) for k, both in gains.items() if all(g.high < 0 for g in both)]
        lines.append(
            f"Against {words}: drawing gives better answers by at least one route under "
            f"{'; '.join(helps) or 'none of these'}, worse ones by both under "
            f"{'; '.join(hurts) or 'none of these'} (95 % interval beyond zero)."
        )
        lines.append("")
    return lines[:-1]


def _goals(found: Measured) -> list[str]:
    """What the checkpoint was to reach, and whether it did, by the means."""

    def line(words: str, reached: bool, numbers: str) -> str:
        return f"- {words}: **{'reached' if reached else 'not reached'}** ({numbers})."

    answers, overlap, exact = found.clean["all"], found.captions["object F1"], found.captions["object sets"]
    gains = {
        key: found.restored[key]["psnr gain"].mean
        for key in (f"{name} {level}" for name in PSNR_GOAL for level in ("mid", "high"))
    }
    points = {
        name: 100 * max(found.restored[f"{name} high"][f"{route} gain"].mean for route in ROUTES)
        for name in MMD_BENCH
    }
    raised = sum(value >= 10 for value in points.values())
    return [
        line("95 % of answers right on clean scenes", answers.mean >= 0.95, f"{_percent(answers)} %"),
        line("Sets of objects in captions 90 % right, by F1", overlap.mean >= 0.9, f"{_percent(overlap)} %"),
        line("90 % of captions name exactly the objects", exact.mean >= 0.9, f"{_percent(exact)} %"),
        line(
            "Restoration raises PSNR of noise and of darkness from 0.45 up",
            all(value > 0 for value in gains.values()),
            ", ".join(f"{_label(key)} {value:+.1f} dB" for key, value in gains.items()),
        ),
        line(
            "At 0.9, answers after restoration are 10 points above those from vision tokens alone, for at "
            "least three kinds of damage, by the better route",
            raised >= 3,
            ", ".join(f"{CORRUPTIONS[name].label} {value:+.1f}" for name, value in points.items()),
        ),
    ]
