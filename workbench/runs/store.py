"""Results on disk: one folder each, written beside its place and then renamed into it.

A folder holds ``result.json`` (study, config, manifest, and the sha256 of every other file), a CSV per table,
the arrays as ``arrays.safetensors`` and the images as PNG under ``images/``. Nothing in it is ever executed
on loading, and a file that is not what was written makes the whole folder unreadable rather than wrong.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import workbench
from workbench.errors import Refusal
from workbench.runs import tables
from workbench.runs.result import Result

if TYPE_CHECKING:
    from workbench.models.protocol import ModelCard

FORMAT = 1
INDEX = "result.json"
"""The file that says what the others are and holds their digests."""
ARRAYS = "arrays.safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.,+-]{0,99}")
_KEY = re.compile(r"[0-9a-f]{64}")
_STALE = 3600.0
_SWAPPING = threading.Lock()


def save(result: Result, folder: Path) -> None:
    """Write a result to ``folder``, which holds either all of it or what it held before.

    An earlier result in the folder is replaced; files that somebody else laid beside it stay. Missing parents
    are made.

    Raises:
        Refusal: the disk is full or may not be written, or the folder holds other things than a result.
        TypeError, ValueError: the result breaks what ``Result`` promises (a fault of the study).
    """
    index, files = packed(result)
    folder = Path(os.path.abspath(folder))
    with told(folder):
        with _SWAPPING:
            check_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = folder.parent / f".{folder.name[:80]}.{uuid.uuid4().hex}.tmp"
        try:
            for name, content in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            (fresh / INDEX).write_text(index, encoding="utf-8")
            with _SWAPPING:
                _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def load(folder: Path) -> Result:
    """Read a result back, every file checked against the digest that was written with it.

    Raises:
        Refusal: the folder is missing, is no result, was made by a newer version or is damaged.
    """
    folder = Path(folder)
    try:
        text = (folder / INDEX).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal(
            f"“{folder.name}” holds no result: it has no {INDEX}. Choose a result's folder."
        ) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise _damaged(folder.name, INDEX) from error
    return parsed(text, lambda name: (folder / name).read_bytes(), folder.name)


def parsed(text: str, content: Callable[[str], bytes], called: str) -> Result:
    """A result from the text of its index, and the ``content`` of its other files by name.

    Every file is checked against its digest. ``called`` is what a sentence names the result by.

    Raises:
        Refusal: it was made by a newer version or is damaged; or what ``content`` itself refuses.
    """
    try:
        index = json.loads(text, parse_constant=_no_number)
        if index["format"] > FORMAT:
            raise Refusal(f"“{called}” was written by a newer version of the workbench. Update this one.")
        return _unpacked(index, lambda name: _checked(content, name, index["files"], called))
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # Whatever the parsers say of a file that somebody else may have made.
        raise _damaged(called, INDEX) from error


class Store:
    """Finished results by what they were made from, kept under one folder within bounds.

    Args:
        root: the folder; it is made when the first result comes.
        max_bytes: beyond it the results not used for longest are removed, the newest never.
        max_age: seconds since its last use after which a result is removed.
    """

    def __init__(self, root: Path, *, max_bytes: int = 2_000_000_000, max_age: float = 7 * 86_400) -> None:
        self.root = Path(root)
        self.max_bytes = max_bytes
        self.max_age = max_age

    @staticmethod
    def key(
        study: str, config: Mapping[str, Any], model_card: ModelCard, image_hashes: Mapping[str, str]
    ) -> str:
        """The name of what these inputs lead to, 64 hexadecimal digits; any input changed gives another one.

        The model counts by its weights and by how it is run: number type, device, attention implementation
        and processor; not by where it lies.
        """
        made_from = {
            "format": FORMAT,
            "workbench": workbench.__version__,
            "study": study,
            "config": dict(config),
            "model": {
                "family": model_card.family,
                "revision": model_card.revision,
                "dtype": model_card.dtype,
                "device": model_card.device,
                "attention": model_card.attention,
                "processor": dict(model_card.processor),
            },
            "images": dict(image_hashes),
        }
        canonical = json.dumps(made_from, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def get(self, key: str) -> Result | None:
        """The result of that name, or None; a damaged one is removed and counts as none."""
        folder = self._folder(key)
        try:
            if not folder.is_dir():
                return None
            result = load(folder)
        except (Refusal, OSError):
            _remove(folder)
            return None
        with contextlib.suppress(OSError):  # A disk that cannot be written to any more can still be read.
            os.utime(folder)
        return result

    def put(self, key: str, result: Result) -> None:
        """Keep a result under its key, then remove what goes beyond the bounds.

        Raises:
            Refusal: it cannot be written, such as on a full disk.
        """
        save(result, self._folder(key))
        self._evict(key)

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key of the store: {key!r}")
        return self.root / key

    def _evict(self, newest: str) -> None:
        now = time.time()
        entries: list[tuple[float, int, Path]] = []
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):  # Another request may be evicting too.
                used = path.stat().st_mtime
                if path.name.endswith(".tmp"):
                    if now - used > _STALE:  # Left behind by a process that was killed.
                        shutil.rmtree(path, ignore_errors=True)
                elif _KEY.fullmatch(path.name):
                    entries.append((used, _bytes_in(path), path))
        total = sum(size for _, size, _ in entries)
        for used, size, path in sorted(entries):
            if path.name != newest and (now - used > self.max_age or total > self.max_bytes):
                _remove(path)
                total -= size


@contextlib.contextmanager
def told(place: Path) -> Iterator[None]:
    """Turn a disk that fails under ``place`` into a Refusal that says what to do."""
    try:
        yield
    except OSError as error:
        shown = f"“{place.name}”"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = f"The disk is full: {shown} was not written. Free some space and try again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            sentence = f"{shown} cannot be written: no permission. Choose a folder that you may write to."
        elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL):
            sentence = f"{shown} cannot be a folder: {error.strerror or error}. Choose another name."
        else:
            sentence = (
                f"{shown} was not written: {error.strerror or error}. Choose another folder and try again."
            )
        raise Refusal(sentence) from error


def check_room(size: int, folder: Path) -> None:
    """Raise Refusal where the disk of ``folder`` has less room than ``size`` bytes."""
    folder = Path(os.path.abspath(folder))
    with told(folder):
        free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    if size > free:
        raise Refusal(
            f"“{folder.name}” needs {megabytes(size)} and its disk has {megabytes(free)} left. "
            "Free some space, or name a folder on another disk."
        )


def megabytes(size: int) -> str:
    """Bytes for reading: "0.4 MB", "1,250 MB"."""
    return f"{size / 1e6:.1f} MB" if size < 10_000_000 else f"{size / 1e6:,.0f} MB"


def check_place(folder: Path) -> None:
    """Raise Refusal where no result can be written to ``folder``: other files, a file, or no permission."""
    folder = Path(os.path.abspath(folder))
    with told(folder):
        if folder.exists() and not folder.is_dir():
            raise Refusal(f"“{folder.name}” is a file. Name a new folder for the result.")
        if folder.exists() and not (folder / INDEX).is_file():
            if any(folder.iterdir()):
                raise Refusal(
                    f"“{folder.name}” already holds other files. Name a new or empty folder for the result."
                )
            if folder == Path.cwd():
                raise Refusal(
                    "A result cannot take the place of the current folder. Name a new folder inside it."
                )
        above = next(path for path in folder.parents if path.exists())
        if not above.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        # Tried, not asked: to who may do everything, any place seems open.
        os.rmdir(tempfile.mkdtemp(prefix=".afterimage-", dir=above))


def _remove(folder: Path) -> None:
    """Take a result away whole: a `put` of the same key must not meet a folder that is half gone."""
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError), _SWAPPING:
        os.replace(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` where ``folder`` is. Files in the old folder that its result does not list move over."""
    try:
        os.replace(fresh, folder)  # Succeeds where nothing is there, or an empty folder.
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not (folder / INDEX).is_file():
            raise
    old = fresh.with_name(fresh.name.replace(".tmp", ".old.tmp"))
    os.replace(folder, old)
    try:
        os.replace(fresh, folder)
    except OSError:
        os.replace(old, folder)
        raise
    try:
        known = {INDEX, "images", *json.loads((old / INDEX).read_text("utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        known = {INDEX, "images"}
    for path in old.iterdir():
        if path.name not in known and not (folder / path.name).exists():
            os.replace(path, folder / path.name)
    shutil.rmtree(old, ignore_errors=True)


def packed(result: Result) -> tuple[str, dict[str, bytes]]:
    """The text of ``result.json``, and the other files' contents by name.

    Raises:
        TypeError, ValueError: the result breaks what ``Result`` promises (a fault of the study).
    """
    from PIL import Image
    from safetensors.numpy import save as to_safetensors

    files: dict[str, bytes] = {}
    columns: dict[str, Any] = {}
    for name, table in result.tables.items():
        columns[name], files[f"{_safe(name)}.csv"] = tables.to_csv(table)
    if result.arrays:
        # Laid out in C order: the format writes memory as it lies.
        files[ARRAYS] = to_safetensors({name: np.asarray(a, order="C") for name, a in result.arrays.items()})
    for name, image in result.images.items():
        buffer = io.BytesIO()
        Image.fromarray(_as_promised(name, image)).save(buffer, "PNG")
        files[f"images/{_safe(name)}.png"] = buffer.getvalue()
    index = {
        "format": FORMAT,
        "study": result.study,
        "config": result.config,
        "manifest": result.manifest,
        "tables": columns,
        "images": list(result.images),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return json.dumps(index, indent=1, allow_nan=False) + "\n", files


def _as_promised(name: str, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise TypeError(f"image {name!r} is {image.dtype} {image.shape}, not uint8 (H, W) or (H, W, 3)")
    return image


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _unpacked(index: dict[str, Any], read: Callable[[str], bytes]) -> Result:
    from PIL import Image
    from safetensors.numpy import load as from_safetensors

    if not isinstance(index["config"], dict) or not isinstance(index["manifest"], dict):
        raise TypeError("config and manifest are no tables of names and values")
    return Result(
        study=str(index["study"]),
        config=index["config"],
        manifest=index["manifest"],
        tables={
            name: tables.from_csv(read(f"{_safe(name)}.csv"), columns)
            for name, columns in index["tables"].items()
        },
        arrays=dict(from_safetensors(read(ARRAYS))) if ARRAYS in index["files"] else {},
        images={
            name: _as_promised(
                name, np.array(Image.open(io.BytesIO(read(f"images/{_safe(name)}.png")), formats=["PNG"]))
            )
            for name in index["images"]
        },
    )


def _safe(name: str) -> str:
    """The name, which becomes part of a path: letters, digits and marks of which none leads elsewhere."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a file of a result")
    return name


def _checked(content: Callable[[str], bytes], name: str, digests: Mapping[str, str], called: str) -> bytes:
    try:
        found = content(name)
    except OSError as error:
        raise _damaged(called, name) from error
    if hashlib.sha256(found).hexdigest() != digests[name]:
        raise _damaged(called, name)
    return found


def _damaged(called: str, name: str) -> Refusal:
    return Refusal(
        f"The result in “{called}” is damaged: {name} is missing or not what was written. "
        "Run the study again."
    )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
