"""A model card for models that are not real."""

from __future__ import annotations

from pathlib import Path

from workbench.models.protocol import Capability, ModelCard

CARD = ModelCard(
    id="pocket-fake",
    family="fake",
    folder=Path("nowhere"),
    revision="0" * 12,
    parameters=1_200_000,
    dtype="float32",
    device="cpu",
    attention="eager",
    processor={"size": {"longest_edge": 96}, "image_mean": [0.5, 0.5, 0.5]},
    vision_layers=0,
    llm_layers=0,
    width=1,
    capabilities=frozenset(Capability),
    licence="Apache-2.0",
    knows="drawn scenes, and those only by pretending",
)
