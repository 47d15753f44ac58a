"""What capture costs: a pass with the visual states of every stage kept, over the plain forward pass.

Both run our own BAGEL network with random weights on a prompt of 1,000 tokens, 960 of them visual. They take
turns in pairs, now one first and now the other, so that a machine that slows down slows both. A pair's ratio
is the seconds with capture over those without; the median ratio of the pairs is the result. Copying the
states to the host counts as capture's.

Run it from the repository, on a machine that does nothing else, with no more threads than free cores:

    python -m benchmarks.capture --repeats 15

It prints the medians of both, with the smallest and the largest, and ends with exit status 1 if the median
ratio is above 1.05. On a CPU the CPU seconds are printed too, which other work on the machine hardly touches;
the wall clock is what is judged.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from workbench.capture.hidden import capture
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.config import AutoencoderConfig, BagelConfig, LanguageConfig, VisionConfig
from workbench.models.bagel.language import ATTENTION
from workbench.models.bagel.network import Bagel, SpecialTokens
from workbench.models.bagel.patches import processor
from workbench.models.bagel.reader import Pictures
from workbench.models.protocol import Capability, Grid, ModelCard, Prompt

ROWS, COLS, TOKENS = 30, 32, 1000
LIMIT = 1.05
"""Times the plain forward pass that a pass with capture may take."""


def random_model(width: int, layers: int, device: str) -> BagelModel:
    """A BAGEL of this width and depth, random weights, without the generation experts that never run here."""
    config = BagelConfig(
        language=LanguageConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            num_key_value_heads=max(1, width // 256),
            intermediate_size=4 * width,
            vocab_size=1000,
        ),
        vision=VisionConfig(
            hidden_size=256,
            num_hidden_layers=5,
            num_attention_heads=4,
            intermediate_size=1024,
            image_size=448,
        ),
        autoencoder=AutoencoderConfig(ch=32),
    )
    with torch.device("meta"):
        network = Bagel(config)
        for layer in network.language_model.model.layers:
            layer.mlp_moe_gen = nn.Identity()
            attention = cast(nn.Module, layer.self_attn)
            for name, _ in list(attention.named_children()):
                if name.endswith("_moe_gen"):
                    setattr(attention, name, nn.Identity())
    network.to_empty(device=device)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.02) if parameter.ndim > 1 else parameter.fill_(1.0)
    card = ModelCard(
        id="random",
        family="bagel",
        folder=Path(),
        revision="random",
        parameters=sum(p.numel() for p in network.parameters()),
        dtype="float32",
        device=device,
        attention=ATTENTION,
        processor=processor(config),
        vision_layers=config.vision.used_layers,
        llm_layers=layers,
        width=width,
        capabilities=frozenset({Capability.HIDDEN_STATES}),
        licence="",
        knows="nothing",
    )
    return BagelModel(network, Autoencoder(config.autoencoder), None, SpecialTokens(0, 1, 2, 3), card)


def random_prompt(model: BagelModel) -> Prompt:
    """A prompt of TOKENS tokens: start, ROWS x COLS visual tokens, end, text."""
    patch, device = model.config.vision.patch_size, model.network.device
    pixels = np.zeros((ROWS * patch, COLS * patch, 3), np.uint8)
    inputs = {
        "pictures": Pictures([pixels], ROWS, COLS, ROWS, COLS),
        "patches": torch.rand(1, ROWS * COLS, patch * patch * 3, device=device) * 2 - 1,
        "ids": torch.randint(4, 1000, (1, TOKENS - ROWS * COLS - 2), device=device),
    }
    boxes = np.zeros((ROWS * COLS, 4), np.float32)
    visual = torch.arange(1, 1 + ROWS * COLS, device=device)
    return Prompt([pixels], "", Grid(ROWS, COLS, boxes), inputs, visual)


@dataclass(frozen=True)
class Spent:
    """What one call took: wall seconds, and CPU seconds, which other work on the machine hardly touches."""

    wall: float
    cpu: float


def spent(work: Callable[[], object], device: str) -> Spent:
    """Time one call, with the device's queue empty before and after."""
    if device != "cpu":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def pairs(
    plain: Callable[[], object], captured: Callable[[], object], repeats: int, device: str
) -> list[tuple[Spent, Spent]]:
    """Time (plain, captured) `repeats` times, the one that goes first changing from pair to pair."""
    found = []
    for pair in range(repeats):
        if pair % 2 == 0:
            first = spent(plain, device)
            found.append((first, spent(captured, device)))
        else:
            first = spent(captured, device)
            found.append((spent(plain, device), first))
    return found


def told(clock: str, plain: Sequence[float], captured: Sequence[float]) -> float:
    """Print what was measured on one clock, in seconds; returns the median ratio of the pairs."""
    for name, seconds in (("plain forward", plain), ("with capture", captured)):
        spread = f"({min(seconds):.3f} to {max(seconds):.3f})"
        print(f"{clock:4}  {name:14} median {statistics.median(seconds):.3f} s  {spread}")
    ratios = [b / a for a, b in zip(plain, captured, strict=True)]
    ratio = statistics.median(ratios)
    print(f"{clock:4}  {'ratio':14} median {ratio:.3f}    ({min(ratios):.3f} to {max(ratios):.3f})")
    return ratio


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print medians, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1024, help="of the language model, in 64s [1024]")
    parser.add_argument("--layers", type=int, default=24, help="of the language model [24]")
    parser.add_argument("--repeats", type=int, default=15, help="pairs [15]")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU [1]")
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda ... [the GPU if there is one]",
    )
    given = parser.parse_args(argv)
    if given.repeats < 1:
        parser.error("--repeats must be at least 1")
    torch.set_num_threads(given.threads)

    model = random_model(given.width, given.layers, given.device)
    prompt = random_prompt(model)
    kept = sum(states.nbytes for states in capture(model, prompt).states) / 2**20
    model.forward(prompt)  # both have run once before the first pair
    times = pairs(lambda: model.forward(prompt), lambda: capture(model, prompt), given.repeats, given.device)
    print(
        f"{TOKENS:,} tokens, width {given.width}, {given.layers} layers, {len(model.stages())} stages, "
        f"{kept:.0f} MiB kept, {given.device}, {given.repeats} pairs"
    )
    if given.device == "cpu":
        told("cpu", [a.cpu for a, _ in times], [b.cpu for _, b in times])
    ratio = told("wall", [a.wall for a, _ in times], [b.wall for _, b in times])
    verdict = "within" if ratio <= LIMIT else "ABOVE"
    print(f"capture takes {ratio:.3f} times the plain forward pass, {verdict} the limit of {LIMIT}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
