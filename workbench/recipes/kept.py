"""What an earlier call left in the figure's folder, and whether a look would lead to the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workbench import models
from workbench.datasets import open_collection
from workbench.errors import Refusal
from workbench.models.hub import cached
from workbench.panels.perceptual.config import RUN
from workbench.panels.studies import STUDIES
from workbench.recipes.recipe import Look
from workbench.runs.code import code
from workbench.runs.result import Result
from workbench.runs.store import load

MADE_FROM = "made from"
"""The manifest's entry that holds the key."""


def kept(look: Look, folder: Path, runs: Mapping[str, Path] | None = None) -> Result | None:
    """The result of the same look, if the folder holds it whole; a damaged one counts as none.

    runs: folders of the runs that it may name.
    """
    key = key_of(look, runs)
    try:
        result = load(folder) if key and folder.is_dir() else None
    except Refusal:
        return None
    return result if result is not None and result.manifest.get(MADE_FROM) == key else None


def key_of(look: Look, runs: Mapping[str, Path] | None = None) -> str:
    """What stands for everything that a look is made from; empty where its model is not on this machine yet.

    Files count by name, size and time of change, those of the checkpoint and those that a setting names, so
    that nothing needs to be opened to tell that nothing changed. So do runs that a look at pictures names.
    """
    assert look.config is not None
    if STUDIES[look.study].of_runs:
        return _of_pictures(look, runs or {})
    opening = asdict(look.opening)
    places = [_place(look.model, look.opening.revision, bool(look.opening.base))]
    if look.opening.base:
        places.append(_place(look.opening.base, "", False))
    if None in places:
        return ""
    settings = look.config.model_dump(mode="json")
    named = [*_texts(settings), look.opening.system_prompt]
    named += [text.partition(":")[2] for text in named]  # Data are named with their kind before them.
    made_from = {
        "code": code(),
        "study": look.study,
        "config": settings,
        "opening": opening,
        "checkpoint": [_stamp(place) for place in places if place is not None],
        "data": open_collection(settings["data"]).fingerprint if "data" in settings else "",
        "files": {text: _stamp(Path(text).expanduser()) for text in named if _is_path(text)},
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _of_pictures(look: Look, runs: Mapping[str, Path]) -> str:
    """The same of a look that asks no model: its pictures, and what weights its measures take."""
    assert look.config is not None
    settings = look.config.model_dump(mode="json")
    named = {text: runs.get(text.removeprefix(RUN), Path(text).expanduser()) for text in _texts(settings)}
    made_from = {
        "code": code(),
        "study": look.study,
        "config": settings,
        "files": {text: _stamp(place) for text, place in named.items() if _is_path(str(place))},
        "weights": STUDIES[look.study].file("study").weights(look.config),
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _place(model: str, revision: str, alone: bool) -> Path | None:
    given = models.plain(model)
    return models.on_this_machine(given, revision, alone=alone) or cached(given, revision)


def _texts(value: Any) -> Iterator[str]:
    """Every text in settings of JSON's types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _is_path(text: str) -> bool:
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _stamp(place: Path) -> str:
    """Names, sizes and times of a file, or of all files in a folder."""
    digest = hashlib.sha256()
    paths = [place] if place.is_file() else sorted(Path(at) / f for at, _, fs in os.walk(place) for f in fs)
    for path in paths:
        try:
            about = path.stat()
        except OSError:
            continue
        name = path.name if path == place else path.relative_to(place).as_posix()
        digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
