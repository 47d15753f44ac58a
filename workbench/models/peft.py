"""Adapters as the package peft writes them: told wherever one lies, and never applied."""

from __future__ import annotations

import json
from pathlib import Path

ADAPTER = "adapter_config.json"


def adapter_in(folder: Path) -> str:
    """What adapter a folder has: "LORA adapter for OWNER/NAME"; empty where it has none."""
    path = folder / ADAPTER
    if not path.is_file():
        return ""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, base = found.get("peft_type"), found.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        kind = base = None
    return f"{kind or 'PEFT'} adapter for {base or 'a model that it does not name'}"


def merge(adapter: str) -> str:
    """What to do with an adapter that comes without its model."""
    return (
        f"It has a {adapter}: changes to a model, not a model. Merge them into it with peft "
        "(PeftModel.from_pretrained(MODEL, ADAPTER).merge_and_unload().save_pretrained(FOLDER), and the "
        "processor's save_pretrained to the same place), then open that folder."
    )


def unapplied(folder: Path) -> dict[str, str]:
    """For a model's card: that an adapter beside its weights is not applied. Empty where there is none."""
    adapter = adapter_in(folder)
    return {"adapter": f"{adapter}, beside the weights: it is not applied"} if adapter else {}
