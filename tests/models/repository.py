"""The hub, played by folders: what a test fetches from it is copied, and what it asked for is known."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from workbench.models.memory import header


class Hub:
    """Repositories by name, in `root`; `fetched` are the files copied so far, `reachable` whether it answers.

    `floats`: how many numbers it says that weights have.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.fetched: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.reachable = True
        self.floats: int | None = None
        monkeypatch.setattr("huggingface_hub.snapshot_download", self._download)
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda api, name, **how: self._about(name))
        monkeypatch.setattr(
            "huggingface_hub.HfApi.get_safetensors_metadata", lambda api, name, **how: self._headers(name)
        )

    def add(self, name: str, folder: Path | None = None) -> Path:
        """A repository, a copy of a folder if one is given; where its files are."""
        place = self.root / "hub" / name
        if folder is None:
            place.mkdir(parents=True)
        else:
            shutil.copytree(folder, place)
        return place

    def _files(self, name: str) -> list[str]:
        place = self.root / "hub" / name
        return sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file())

    def _about(self, name: str) -> Any:
        if not self.reachable:
            raise OSError("no network")
        place = self.root / "hub" / name
        files = [SimpleNamespace(rfilename=f, size=(place / f).stat().st_size) for f in self._files(name)]
        total = SimpleNamespace(total=self.floats) if self.floats else None
        return SimpleNamespace(siblings=files, safetensors=total)

    def _headers(self, name: str) -> Any:
        place = self.root / "hub" / name
        if not self.reachable or not (place / "model.safetensors").is_file():
            raise OSError("no network, or no such file")
        tensors = {
            tensor.name: SimpleNamespace(shape=list(tensor.shape))
            for tensor in header(place / "model.safetensors")
        }
        return SimpleNamespace(files_metadata={"model.safetensors": SimpleNamespace(tensors=tensors)})

    def _download(self, name: str, **how: Any) -> str:
        cache = self.root / "cache" / name
        if how.get("local_files_only") or not self.reachable:
            if not cache.is_dir():
                raise LocalEntryNotFoundError("not cached")
            return str(cache)
        self.asked.append((name, how.get("revision")))
        cache.mkdir(parents=True, exist_ok=True)
        for file in self._files(name):
            if any(fnmatch(file, wanted) for wanted in how["allow_patterns"]):
                if not (cache / file).is_file():
                    self.fetched.append(file)
                    (cache / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(self.root / "hub" / name / file, cache / file)
        return str(cache)
