"""Families that depart from the convention, one file each; a new one needs nothing but its file."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from workbench.models.hf.family import Family


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


def family_of(model_type: str) -> type[Family]:
    """The family of a model type: its own, or the convention."""
    return _families().get(model_type, Family)
