"""How a result was made: enough to make it again, or to see why another one differs."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import workbench

if TYPE_CHECKING:
    from workbench.models.protocol import ModelCard

PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "scikit-learn"),
    *("scikit-image", "pillow", "pandas", "matplotlib"),
)


class Noted(Protocol):
    """An image that went into a study, as `images.read.Picture` is one."""

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of shape and pixels."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was done to it, a sentence each."""
        ...


_called: list[Sequence[str]] = []
"""Commands in progress that a programme gave in place of the process' own arguments."""


@contextmanager
def called(words: Sequence[str]) -> Iterator[None]:
    """What is written meanwhile says that this was the command, program and arguments."""
    _called.append(words)
    try:
        yield
    finally:
        _called.pop()


def manifest(
    model: ModelCard | Mapping[str, Any],
    config: Mapping[str, Any],
    seed: int,
    images: Mapping[str, str | Noted],
    started: float,
) -> dict[str, Any]:
    """The manifest of a study that ends now.

    Args:
        model: card of the model that was looked at; or, where it is not at hand, what the manifest of an
            earlier result says of it.
        config: the study's settings, of JSON's types.
        seed: the seed of everything random in it.
        images: every image that went in, by name; the sha256 of what is not one image, as of a collection.
        started: ``time.time()`` at the beginning.

    Returns:
        A dict of JSON's types; ``images`` holds each sha256, ``notes`` what was done to the images before
        (those of which there is something to say; older results have none), ``seconds`` is wall time,
        ``started`` is UTC in ISO 8601.
    """
    return {
        "model": dict(model) if isinstance(model, Mapping) else _about(model),
        "config": dict(config),
        "seed": seed,
        "images": {name: one if isinstance(one, str) else one.sha256 for name, one in images.items()},
        "notes": {
            name: list(one.notes) for name, one in images.items() if not isinstance(one, str) and one.notes
        },
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(max(0.0, time.time() - started), 3),
        **made_with(),
    }


def made_with() -> dict[str, Any]:
    """What whatever is written now is made with: the command, and versions of all that takes part."""
    return {
        "workbench": workbench.__version__,
        "command": _command(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _versions(),
    }


def _about(card: ModelCard) -> dict[str, Any]:
    """What decides what a model computes, and whose it is."""
    return {
        "id": card.id,
        "family": card.family,
        "revision": card.revision,
        "parameters": card.parameters,
        "dtype": card.dtype,
        "device": card.device,
        "attention": card.attention,
        "processor": dict(card.processor),
        "licence": card.licence,
        "choices": dict(card.choices),
    }


def _versions() -> dict[str, str]:
    """Installed versions, without importing the packages."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _command() -> str:
    if _called:
        return shlex.join(_called[-1])
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])
