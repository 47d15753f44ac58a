"""What a study asks of a model, and the sentence where a model does not offer it."""

from __future__ import annotations

from workbench.models.protocol import Capability, ModelCard

DOES: dict[Capability, str] = {
    Capability.ANSWERS: "answer a question",
    Capability.SCORES: "score answers given to it",
    Capability.HIDDEN_STATES: "show its hidden states",
    Capability.ATTENTION: "show its attention",
    Capability.GENERATES: "draw an image",
    Capability.INTERLEAVES: "draw on its way to an answer",
    Capability.TOKENISES: "write an image as tokens",
}


def missing(card: ModelCard, needs: frozenset[Capability]) -> str:
    """Why this model cannot serve a study with these needs, in one sentence; empty where it can."""
    lacking = [does for capability, does in DOES.items() if capability in needs - card.capabilities]
    if not lacking:
        return ""
    *first, last = lacking
    listed = f"{', '.join(first)} or {last}" if first else last
    return f"Not with {card.id}, which cannot {listed}: open a model that can."
