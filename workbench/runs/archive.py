"""Saved runs as one file: a result's folder in a .zip, and the way back, also from somebody else's.

Reading unpacks nothing onto the disk: of the file only what the index names is looked at, and names lead
nowhere. What is read is bounded before it is decompressed or decoded.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from workbench.errors import Refusal
from workbench.runs.export import whole
from workbench.runs.result import Result
from workbench.runs.store import ARRAYS, INDEX, load, megabytes, packed, parsed, told

LARGEST = 1_000_000_000
"""Bytes that a .zip, and what is in it, may have; pictures count by their pixels."""
MOST_FILES = 4000
LARGEST_TEXT = 16_000_000
"""Bytes of the index, of a table, and of the header of the arrays."""
LONGEST_ENTRY = 400
"""Bytes that an entry of the directory has on average, at most."""
_END = struct.Struct("<4s4H2LH")
_MADE = (1980, 1, 1, 0, 0, 0)
"""The day that every file in a .zip is from, the first that the format knows."""
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
)


def pack(result: Result, path: Path) -> None:
    """Write a result's folder as a .zip, the same bytes for the same result. It appears whole or not at all.

    Missing parents are made.

    Raises:
        Refusal: the disk is full or may not be written.
    """
    index, files = packed(result)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as fresh, zipfile.ZipFile(fresh, "w") as target:
            for name, content in {INDEX: index.encode(), **files}.items():
                entry = zipfile.ZipInfo(f"{path.stem}/{name}", _MADE)
                entry.external_attr = 0o644 << 16
                # Numbers of hidden states hardly shrink, and a PNG has shrunk already.
                dense = name.endswith((".png", ".safetensors"))
                entry.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
                target.writestr(entry, content)


def runs_at(path: Path) -> list[Path]:
    """The run at a path; of a folder of runs, as a series leaves one, each, in the order of their numbers."""
    if not path.is_dir() or (path / INDEX).exists():
        return [path]
    inside = [each for each in path.iterdir() if (each / INDEX).is_file() or each.suffix == ".zip"]
    return sorted(inside, key=by_numbers) or [path]


def by_numbers(path: Path) -> list[int | str]:
    """A key that sorts paths by the numbers in their names: step-90 before step-100."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def opened(path: Path, *, name: str = "") -> tuple[str, Result]:
    """A saved run from its folder or its .zip, and 64 hexadecimal digits that stand for all of its contents.

    ``name`` is what a sentence calls it; the path's own where it is empty.

    Raises:
        Refusal: it is no run, damaged, made by a newer version, or, in a .zip, larger than is read.
    """
    called = name or path.name or str(path)
    if path.is_file():
        return _from_zip(path, called)
    result = load(path)
    return hashlib.sha256((path / INDEX).read_bytes()).hexdigest(), result


def _from_zip(path: Path, called: str) -> tuple[str, Result]:
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise _too_large(called, size)
        _check_directory(path, called)
        with zipfile.ZipFile(path) as source:
            entries = _entries(source, called)
            index = _content(source, entries, INDEX)
            result = parsed(index.decode("utf-8"), _bounded(source, entries, called), called)
    except _BROKEN as error:
        raise Refusal(f"“{called}” is no whole .zip file ({error}). Save or copy the run again.") from error
    return hashlib.sha256(index).hexdigest(), result


def _check_directory(path: Path, called: str) -> None:
    """Raise Refusal where the file's directory is none, or names more than a run has, before it is read."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END.size - 65_535))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise Refusal(
            f"“{called}” is no saved run: neither a run's folder nor a .zip of one. "
            "Choose what “Whole run” downloads, or zip the folder that --out wrote."
        )
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    is_64 = tail[max(0, at - 20) : at].startswith(b"PK\6\7")
    if is_64 or count > MOST_FILES or length > MOST_FILES * LONGEST_ENTRY:
        raise Refusal(f"“{called}” holds more files than a run has. Zip one run's folder alone.")


def _entries(source: zipfile.ZipFile, called: str) -> dict[str, zipfile.ZipInfo]:
    """The entries of the one run in a file, by their names inside its folder."""
    found = [entry for entry in source.infolist() if not entry.filename.startswith("__MACOSX/")]
    if len({entry.filename for entry in found}) < len(found):
        raise Refusal(f"“{called}” holds two files of one name. Zip the run's folder again.")
    if (total := sum(entry.file_size for entry in found)) > LARGEST:
        raise _too_large(called, total)
    runs = [PurePosixPath(entry.filename).parent for entry in found if _is_index(entry.filename)]
    if not runs:
        raise Refusal(f"“{called}” holds no run: it has no {INDEX}. Zip the folder of a run.")
    if len(runs) > 1:
        raise Refusal(f"“{called}” holds {len(runs)} runs. Zip the folder of one.")
    before = "" if runs[0] == PurePosixPath(".") else f"{runs[0]}/"
    return {e.filename.removeprefix(before): e for e in found if e.filename.startswith(before)}


def _is_index(name: str) -> bool:
    """Whether this is a run's index: at the top, or in a folder there."""
    path = PurePosixPath(name)
    return path.name == INDEX and len(path.parts) <= 2 and not path.is_absolute()


def _content(source: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    """A file's content; never more of it than the directory says, whatever is in the file."""
    entry = entries[name]
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that is not read here")
    if entry.file_size > LARGEST_TEXT and not name.endswith((".png", ".safetensors")):
        raise ValueError(f"{name} is longer than any that the workbench writes")
    return source.read(entry)


def _bounded(
    source: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], called: str
) -> Callable[[str], bytes]:
    """The content of a run's files, as long as all that they are decoded to is within bounds."""
    left = LARGEST

    def content(name: str) -> bytes:
        nonlocal left
        try:
            found = _content(source, entries, name)
            left -= _decoded(name, found)
        except _BROKEN as error:
            raise OSError(f"{name} cannot be read: {error}") from error
        if left < 0:
            raise _too_large(called, LARGEST - left)
        return found

    return content


def _decoded(name: str, content: bytes) -> int:
    """Bytes that a file has in memory once it is decoded."""
    if name.endswith(".png"):
        if not content.startswith(b"\x89PNG"):
            raise ValueError("it is no PNG")
        width, height = struct.unpack(">II", content[16:24])
        return int(4 * width * height)
    if name == ARRAYS and int.from_bytes(content[:8], "little") > LARGEST_TEXT:
        raise ValueError("its header is longer than any that the workbench writes")
    return len(content)


def _too_large(called: str, size: int) -> Refusal:
    return Refusal(
        f"“{called}” holds {megabytes(size)}; a .zip of up to {megabytes(LARGEST)} is opened. Unpack it and "
        "start the workbench with --open and the folder; of a capture, fewer --stages make a smaller one."
    )
