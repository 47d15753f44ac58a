"""Families that depart from the convention, one file each; a new one needs nothing but its file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from workbench.models.hf.family import Family
from workbench.models.hf.refused import demand_known_way


@cache
def _families() -> dict[str, type[Family]]:
    """By the model type of the configuration, from every file of this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found: dict[str, type[Family]] = {}
    waiting = [Family]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found |= dict.fromkeys(kind.__dict__.get("model_types", ()), kind)
    return found


def family_of(config: Any) -> type[Family]:
    """The family of a configuration: that of its type with its tower, that of its type, or the convention.

    Raises Refusal where models of its type cannot be measured.
    """
    demand_known_way(config)
    tower = getattr(getattr(config, "vision_config", None), "model_type", None)
    known = _families()
    return known.get(f"{config.model_type} with {tower}") or known.get(config.model_type, Family)
