"""A run in a .zip: the way there and back, and everything that somebody else may put into one."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.runs.test_store import assert_equal, files, made
from workbench.errors import Refusal
from workbench.runs import archive
from workbench.runs.archive import opened, pack, runs_at
from workbench.runs.store import INDEX, save


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    pack(made(), path)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as source:
        return {name: source.read(name) for name in source.namelist()}


def zipped(path: Path, entries: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return path


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        opened(path, **options)
    said = str(caught.value)
    assert "\n" not in said and said.endswith(".")
    return said


# The way there and back.


def test_there_and_back(packed: Path, tmp_path: Path) -> None:
    identity, result = opened(packed)
    assert_equal(made(), result)
    save(made(), tmp_path / "folder")
    same, again = opened(tmp_path / "folder")
    assert_equal(result, again)
    assert identity == same and len(identity) == 64
    other = tmp_path / "other.zip"
    pack(made(1), other)
    assert opened(other)[0] != identity


def test_the_same_run_is_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        pack(made(), tmp_path / name / "run.zip")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_what_is_unpacked_by_hand_opens(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as source:
        source.extractall(tmp_path / "out")
    assert_equal(made(), opened(tmp_path / "out" / "run")[1])


def test_a_folder_that_a_person_zipped_opens(tmp_path: Path) -> None:
    save(made(), tmp_path / "deep" / "run")
    (tmp_path / "deep" / "run" / "figure.pdf").write_bytes(b"%PDF")
    whole = Path(shutil.make_archive(str(tmp_path / "with folder"), "zip", tmp_path / "deep"))
    inside = Path(shutil.make_archive(str(tmp_path / "without"), "zip", tmp_path / "deep" / "run"))
    mac = zipped(tmp_path / "mac.zip", contents(whole) | {"__MACOSX/run/._result.json": b"\0\5\x16\7"})
    for path in (whole, inside, mac):
        assert_equal(made(), opened(path)[1])


# Foreign and damaged.


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", b"PK\3\4", b"PK\5\6", b"\x80\x04\x95.", b"PK\5\6" * 9]
)
def test_what_is_no_zip_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert "“x.zip”" in refused(tmp_path / "x.zip")


def test_a_zip_of_something_else_is_a_sentence(tmp_path: Path) -> None:
    assert "holds no run" in refused(zipped(tmp_path / "a.zip", {"thesis.tex": b"x"}))
    assert "holds no run" in refused(zipped(tmp_path / "b.zip", {"a/b/result.json": b"{}"}))
    assert "holds no run" in refused(zipped(tmp_path / "c.zip", {}))
    assert "holds 2 runs" in refused(zipped(tmp_path / "d.zip", {"a/result.json": b"", "b/result.json": b""}))
    assert "holds no result" in refused(tmp_path / "absent")


def test_every_byte_matters(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for at in range(0, len(whole), 97):
        path = tmp_path / "damaged.zip"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            found = opened(path)[1]
        except Refusal:
            continue
        assert_equal(made(), found)  # Dates and rights of files are not read.


def test_a_file_cut_off_anywhere_is_refused(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for length in range(0, len(whole), 211):
        path = tmp_path / "cut.zip"
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("missing", [".csv", "arrays.safetensors", "images/original.png"])
def test_a_missing_file_is_named(missing: str, packed: Path, tmp_path: Path) -> None:
    kept = {name: content for name, content in contents(packed).items() if not name.endswith(missing)}
    said = refused(zipped(tmp_path / "x.zip", kept))
    assert "damaged" in said and missing in said


def changed(packed: Path, path: Path, edit: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """The same run with another index or other files, the digests made to fit."""
    entries = {name.removeprefix("run/"): content for name, content in contents(packed).items()}
    index = json.loads(entries.pop(INDEX))
    edit(index, entries)
    from hashlib import sha256

    index["files"] |= {name: sha256(content).hexdigest() for name, content in entries.items()}
    return zipped(path, {INDEX: json.dumps(index).encode(), **entries}, zipfile.ZIP_STORED)


def test_a_future_format_is_named(packed: Path, tmp_path: Path) -> None:
    path = changed(packed, tmp_path / "x.zip", lambda index, entries: index.update(format=2))
    assert "newer version" in refused(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda index, entries: index.update(config=[]),
        lambda index, entries: index.update(manifest="x"),
        lambda index, entries: index["manifest"].update(seconds=float("nan")),
        lambda index, entries: index.update(images=["../../etc/passwd"]),
        lambda index, entries: index.update(
            tables={"/etc/passwd": {"rows": 1, "columns": [{"name": "root"}]}}
        ),
        lambda index, entries: entries.update({"images/original.png": b"no png" * 9}),
        lambda index, entries: entries.update({"images/original.png": b""}),
        lambda index, entries: entries.update({"arrays.safetensors": b"\x80\x04}q\x00."}),
        lambda index, entries: entries.update({"arrays.safetensors": struct.pack("<Q", 2**60) + b"{}"}),
        lambda index, entries: entries.update({"trace.csv": b"," * 200_000}),
    ],
)
def test_a_nonsensical_run_is_damaged(edit: Any, packed: Path, tmp_path: Path) -> None:
    assert "damaged" in refused(changed(packed, tmp_path / "x.zip", edit))


@pytest.mark.parametrize("mode", ["RGBA", "1", "I;16", "LA"])
def test_a_picture_of_another_kind_is_damaged(mode: str, packed: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (8, 8)).save(buffer, "PNG")

    def edit(index: dict[str, Any], entries: dict[str, bytes]) -> None:
        entries["images/original.png"] = buffer.getvalue()

    assert "damaged" in refused(changed(packed, tmp_path / "x.zip", edit))


# Hostile.


@pytest.mark.parametrize("name", ["../evil", "/evil", "run/../../evil", "..\\evil", "C:\\evil"])
def test_nothing_is_written_whatever_the_names(
    name: str, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    path = zipped(tmp_path / "x.zip", contents(packed) | {name: b"evil"})
    before = files(tmp_path)
    assert_equal(made(), opened(path)[1])
    assert files(tmp_path) == before
    assert "holds no run" in refused(
        zipped(tmp_path / "y.zip", {f"../{k}": v for k, v in contents(packed).items()})
    )


def test_a_link_is_not_followed(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name, content in contents(packed).items():
            if name.endswith("original.png"):
                entry = zipfile.ZipInfo(name)
                entry.external_attr = 0o120777 << 16
                target.writestr(entry, str(tmp_path / "secret.png"))
            else:
                target.writestr(name, content)
    assert "damaged" in refused(path)


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, *a: read.append(a))
    monkeypatch.setattr(archive, "LARGEST", 2_000_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("result.json", b"{}")
        target.writestr("arrays.safetensors", bytes(3_000_000))
    assert path.stat().st_size < 10_000
    assert "3.0 MB" in refused(path) and not read
    (tmp_path / "large.zip").write_bytes(bytes(2_000_001))
    assert "2.0 MB" in refused(tmp_path / "large.zip")


def test_no_more_is_unpacked_than_the_directory_says(packed: Path, tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)[2:-4]
    name = b"result.json"
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(bomb), 100, len(name), 0) + name + bomb
    entry = (
        struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(bomb), 100, len(name), 0, 0, 0, 0, 0, 0
        )
        + name
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(head), 0)
    path = tmp_path / "x.zip"
    path.write_bytes(head + entry + end)
    with zipfile.ZipFile(path) as source, pytest.raises(zipfile.BadZipFile):
        source.read("result.json")
    assert "no whole .zip" in refused(path)


def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    Image.new("L", (3000, 3000)).save(buffer, "PNG")
    monkeypatch.setattr(archive, "LARGEST", 30_000_000)

    def edit(index: dict[str, Any], entries: dict[str, bytes]) -> None:
        entries["images/original.png"] = buffer.getvalue()

    opening, decoded = Image.open, []
    monkeypatch.setattr(Image, "open", lambda *a, **k: decoded.append(a) or opening(*a, **k))
    assert "30" in refused(changed(packed, tmp_path / "x.zip", edit)) and not decoded


def test_very_many_files_are_refused_before_the_directory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "x.zip", {f"{k}": b"" for k in range(archive.MOST_FILES + 1)})
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *a, **k: pytest.fail("it was read"))
    assert "more files than a run has" in refused(path)
    tail = path.read_bytes()
    at = tail.rfind(b"PK\5\6")
    few = tail[:at] + b"PK\6\7" + bytes(16) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 60, 0, 0)
    path.write_bytes(few)
    assert "more files than a run has" in refused(path)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_compressing_are_not_read(how: int, packed: Path, tmp_path: Path) -> None:
    assert "no whole .zip" in refused(zipped(tmp_path / "x.zip", contents(packed), how))


def test_an_encrypted_file_and_two_of_one_name_are_sentences(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    at = data.find(b"PK\1\2")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\1\2", at + 4)
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert "encrypted" in refused(path)
    with zipfile.ZipFile(packed, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr(f"run/{INDEX}", b"{}")
    assert "two files of one name" in refused(packed)


# A disk that fails.


def test_a_failing_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(zipfile.ZipFile, "writestr", failing)
    with pytest.raises(Refusal, match="disk is full"):
        pack(made(), tmp_path / "run.zip")
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_every_kind_come_back(tmp_path: Path) -> None:
    result = made()
    result.arrays = {kind: np.ones((2, 3), kind) for kind in ("float16", "float32", "int64", "bool")}
    pack(result, tmp_path / "run.zip")
    assert_equal(result, opened(tmp_path / "run.zip")[1])


def test_a_folder_of_runs_is_opened_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for name in ("step-100", "step-20", "step-3"):
        save(made(), tmp_path / "series" / name)
    pack(made(), tmp_path / "series" / "step-40.zip")
    (tmp_path / "series" / "notes").mkdir()
    assert [path.name for path in runs_at(tmp_path / "series")] == [
        "step-3",
        "step-20",
        "step-40.zip",
        "step-100",
    ]
    alone = tmp_path / "series" / "step-3"
    assert runs_at(alone) == [alone] and runs_at(tmp_path / "nowhere") == [tmp_path / "nowhere"]
    assert runs_at(tmp_path / "series" / "notes") == [tmp_path / "series" / "notes"]
