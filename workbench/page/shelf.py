"""Specimens by id: the example scenes that ship with the workbench, and what a visitor laid down."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import Refusal
from workbench.page.session import Session
from workbench.panels.specimen import Specimen

SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
SAMPLE = "sample:"


def samples() -> list[tuple[Path, str]]:
    """File and name of each example scene."""
    return [(SAMPLES / about["file"], about["name"]) for about in _about_samples()]


def sample(number: int) -> Specimen:
    """One of the example scenes."""
    about = _about_samples()[number]
    return _specimen(SAMPLES / about["file"], about)


def save(session: Session, found: Specimen) -> str:
    """Keep a specimen for this session; its id. Raises Refusal where the disk is full."""
    from PIL import Image

    identity = secrets.token_hex(8)
    folder = session.sub("pictures")
    about = {
        "source": found.source,
        "name": found.name,
        "question": found.question,
        "truth": found.truth,
        "notes": found.picture.notes,
        "sha256": found.picture.sha256,
    }
    try:
        with session.writing():
            Image.fromarray(found.picture.pixels).save(folder / f"{identity}.png", compress_level=1)
            (folder / f"{identity}.json").write_text(json.dumps(about), encoding="utf-8")
    except OSError as error:
        raise Refusal(
            f"The picture cannot be kept: {error.strerror}. Free some disk space and try again."
        ) from error
    return identity


def load(session: Session, identity: str) -> Specimen:
    """A specimen by its id. Raises Refusal where it is no longer kept, Cancelled once the visit is over."""
    if identity.startswith(SAMPLE):
        return sample(int(identity.removeprefix(SAMPLE)))
    about = session.place("pictures") / f"{identity}.json"
    try:
        if identity.isalnum() and about.is_file():
            return _specimen(about.with_suffix(".png"), json.loads(about.read_text("utf-8")))
    except OSError as error:
        raise Refusal(f"The picture cannot be read: {error.strerror}. Lay it down again.") from error
    raise Refusal("The picture is no longer kept: the page was idle for too long. Lay it down again.")


def _about_samples() -> Any:
    return json.loads((SAMPLES / "samples.json").read_text("utf-8"))


def _specimen(path: Path, about: dict[str, Any]) -> Specimen:
    from PIL import Image

    from workbench.images.read import Picture

    with Image.open(path) as stored:
        pixels = np.asarray(stored.convert("RGB"))
    picture = Picture(pixels, tuple(about["notes"]), about["sha256"])
    return Specimen(picture, about["source"], about["name"], about["question"], about["truth"])
