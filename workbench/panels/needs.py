"""What a study asks of a model, and the sentence where a model does not offer it or has no such stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import Refusal
from workbench.models.protocol import Capability, ModelCard, Stage

DOES: dict[Capability, str] = {
    Capability.ANSWERS: "answer a question",
    Capability.SCORES: "score answers given to it",
    Capability.HIDDEN_STATES: "show its hidden states",
    Capability.ATTENTION: "show its attention",
    Capability.GENERATES: "draw an image",
    Capability.INTERLEAVES: "draw on its way to an answer",
    Capability.TOKENISES: "write an image as tokens",
    Capability.PIXEL_GRADIENTS: "be followed back to its pixels",
}

NOBODY = ModelCard(
    id="no model",
    family="none",
    folder=Path(),
    revision="",
    parameters=0,
    dtype="",
    device="",
    attention="",
    processor={},
    vision_layers=0,
    llm_layers=0,
    width=0,
    capabilities=frozenset(),
    licence="",
    knows="",
)
"""Stands for the model in a study that asks none."""


def missing(card: ModelCard, needs: frozenset[Capability]) -> str:
    """Why this model cannot serve a study with these needs, in one sentence; empty where it can."""
    lacking = [does for capability, does in DOES.items() if capability in needs - card.capabilities]
    if not lacking:
        return ""
    *first, last = lacking
    listed = f"{', '.join(first)} or {last}" if first else last
    return f"Not with {card.id}, which cannot {listed}: open a model that can."


def known_stage(stage: str, stages: Sequence[str], what: str = "map of") -> str:
    """The stage as given. Raises Refusal where it is none of `stages`, naming the ends of each band."""
    if stage in stages:
        return stage
    bands: dict[str, list[str]] = {}
    for name in stages:
        bands.setdefault(name.rpartition(" ")[0] or name, []).append(name)
    ends = [names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}" for names in bands.values()]
    raise Refusal(f"There is no {what} {stage!r}. Choose a stage out of {', '.join(ends) or 'none'}.")


def chosen_stages(names: Sequence[str], stages: Sequence[Stage]) -> list[Stage]:
    """The stages of these names in the model's order; the name of a band stands for all of it.

    Raises Refusal where there is no stage of a name, naming the ends of each band.
    """
    every = [stage.name for stage in stages]
    bands = {stage.band for stage in stages}
    wanted = {name if name in bands else known_stage(name, every, "stage") for name in names}
    return [stage for stage in stages if stage.name in wanted or stage.band in wanted]
