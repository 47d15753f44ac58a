"""What capture costs: one pass with the visual states of every stage kept, against the plain forward.

Random weights in our own BAGEL network, a prompt of 1,000 tokens of which 960 are visual. Plain and captured
passes alternate, so that a machine that slows down slows both; reported are the medians and their ratio.

    python -m benchmarks.capture --repeats 5
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
            for name, _ in list(layer.self_attn.named_children()):
                if name.endswith("_moe_gen"):
                    setattr(layer.self_attn, name, nn.Identity())
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
    return Prompt([pixels], "", Grid(ROWS, COLS, boxes), inputs, visual)  # type: ignore[arg-type]


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, default=1, help="of the CPU; more than there are free cores mislead"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    model = random_model(given.width, given.layers, given.device)
    prompt = random_prompt(model)
    captured = capture(model, prompt)
    kept = sum(states.nbytes for states in captured.states) / 2**20
    del captured
    model.forward(prompt)

    plain: list[Spent] = []
    full: list[Spent] = []
    for pair in range(given.repeats):
        for captures in (False, True) if pair % 2 == 0 else (True, False):
            if captures:
                full.append(spent(lambda: capture(model, prompt), given.device))
            else:
                plain.append(spent(lambda: model.forward(prompt), given.device))
    print(
        f"{TOKENS:,} tokens, width {given.width}, {given.layers} layers, {len(model.stages())} stages, "
        f"{kept:.0f} MiB kept, {given.device}, {given.repeats} pairs"
    )
    for clock in ("wall", "cpu") if given.device == "cpu" else ("wall",):
        a, b = ([getattr(time, clock) for time in times] for times in (plain, full))
        print(f"{clock:4} plain forward  median {statistics.median(a):.3f} s  ({min(a):.3f} to {max(a):.3f})")
        print(f"{clock:4} with capture   median {statistics.median(b):.3f} s  ({min(b):.3f} to {max(b):.3f})")
        ratio = statistics.median(b) / statistics.median(a)
        pairs = statistics.median(y / x for x, y in zip(a, b, strict=True))
        print(f"{clock:4} ratio of medians {ratio:.3f}, median of pair ratios {pairs:.3f} (asked: {LIMIT})")


if __name__ == "__main__":
    main()
