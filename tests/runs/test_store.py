"""Results go to disk whole and come back equal, or do not go at all."""

from __future__ import annotations

import builtins
import errno
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import Refusal
from workbench.runs import tables
from workbench.runs.result import Result
from workbench.runs.store import INDEX, Store, load, save


@dataclass(frozen=True)
class Card:
    id: str = "pocket"
    family: str = "bagel"
    folder: Path = Path("/somewhere")
    revision: str = "0123456789ab"
    dtype: str = "float32"
    device: str = "cpu"
    attention: str = "sdpa"
    processor: dict[str, Any] = field(default_factory=lambda: {"size": {"longest_edge": 96}})


def made(seed: int = 0, side: int = 8) -> Result:
    generator = np.random.default_rng(seed)
    return Result(
        study="states",
        config={"seed": seed, "question": "what colour is the “star”?", "steps": 12, "scale": 0.1},
        manifest={"model": {"id": "pocket"}, "seconds": 1.25},
        tables={
            "trace": pd.DataFrame(
                {
                    "step": np.arange(5),
                    "psnr": [np.nan, np.inf, 1 / 3, -0.0, 1e-310],
                    "half": generator.random(5).astype(np.float32),
                    "restored": [True, False, True, True, False],
                    "text": ["", "a,b", 'say "x"', "line\nline\r", "nan"],
                    "maybe": ["x", None, "", "NA", None],
                }
            ),
            "empty": pd.DataFrame({"a": pd.Series(dtype=np.int64), "b": pd.Series(dtype="str")}),
        },
        arrays={
            "latents": generator.random((3, 4, 5)).astype(np.float32),
            "turned": generator.random((4, 6)).T,
            "mask": generator.random((2, 2)) > 0.5,
            "scalar": np.array(7, np.int64),
            "none": np.zeros((0, 3), np.float16),
        },
        images={
            "original": generator.integers(0, 256, (side, side, 3), dtype=np.uint8),
            "step_001": generator.integers(0, 256, (side, side), dtype=np.uint8),
        },
    )


def assert_equal(a: Result, b: Result) -> None:
    assert (a.study, a.config, a.manifest) == (b.study, b.config, b.manifest)
    assert list(a.tables) == list(b.tables) and list(a.images) == list(b.images)
    for name, table in a.tables.items():
        for column in table:
            left, right = table[column], b.tables[name][column]
            if left.dtype.kind in "iufb":
                assert left.dtype == right.dtype
                assert left.to_numpy().tobytes() == right.to_numpy().tobytes() or np.array_equal(
                    left, right, equal_nan=True
                )
            else:
                assert [None if pd.isna(v) else v for v in left] == [None if pd.isna(v) else v for v in right]
    for kind in ("arrays", "images"):
        left, right = getattr(a, kind), getattr(b, kind)
        assert left.keys() == right.keys()
        for name in left:
            assert left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name])
            assert left[name].shape == right[name].shape


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_comes_back_equal(tmp_path: Path) -> None:
    save(made(), tmp_path / "deep" / "run")
    assert_equal(made(), load(tmp_path / "deep" / "run"))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["run"]


def test_nothing_at_all_comes_back_too(tmp_path: Path) -> None:
    bare = Result("layers", {}, {}, tables={"rows": pd.DataFrame(index=range(3))})
    save(bare, tmp_path / "run")
    back = load(tmp_path / "run")
    assert back.arrays == {} and back.images == {} and back.tables["rows"].shape == (3, 0)


def test_the_same_result_is_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save(made(), tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_what_is_written_can_be_read_by_others(tmp_path: Path) -> None:
    save(made(), tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "trace.csv")
    assert table["psnr"][2] == 1 / 3
    assert not any(data[:1] == b"\x80" or b"pickle" in data for data in files(tmp_path / "run").values())


numbers = st.floats(allow_nan=True, allow_infinity=True)
words = st.one_of(
    st.none(), st.text(max_size=12), st.sampled_from(["NA", "", '"', ",", "\r", "\n", " ", "\ufeff"])
)


@settings(deadline=None)  # A busy machine is no fault.
@given(
    st.lists(st.tuples(numbers, words, st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=6), words
)
def test_any_table_survives(rows: list[tuple[float, str | None, int, bool]], name: str | None) -> None:
    text = "t" if name is None else f"{name}t"
    table = pd.DataFrame(
        {
            "f": np.array([r[0] for r in rows], float),
            text: pd.Series([r[1] for r in rows], dtype=object),
            "i": np.array([r[2] for r in rows], np.int64),
            "b": np.array([r[3] for r in rows], bool),
        }
    )
    about, data = tables.to_csv(table)
    back = tables.from_csv(data, json.loads(json.dumps(about)))
    assert list(back) == list(table)
    assert np.array_equal(back["f"], table["f"], equal_nan=True)
    assert [None if pd.isna(v) else v for v in back[text]] == [r[1] for r in rows]
    assert back["i"].tolist() == [r[2] for r in rows] and back["b"].tolist() == [r[3] for r in rows]


@pytest.mark.parametrize(
    "broken",
    [
        {"tables": {"t": pd.DataFrame({"x": [object()]})}},
        {"tables": {"t": pd.DataFrame({"x": pd.to_datetime(["2020-01-01"])})}},
        {"tables": {"t": pd.DataFrame({1: [2]})}},
        {"tables": {"../t": pd.DataFrame({"x": [2]})}},
        {"images": {"i": np.zeros((2, 2, 3))}},
        {"images": {"i": np.zeros((2, 2, 4), np.uint8)}},
        {"images": {"a/b": np.zeros((2, 2, 3), np.uint8)}},
        {"config": {"x": float("nan")}},
        {"manifest": {"x": Path("y")}},
    ],
)
def test_a_faulty_study_is_told_and_nothing_is_written(broken: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        save(replace(made(), **broken), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


# Where a result may go.


def test_an_earlier_result_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    run = tmp_path / "run"
    save(made(0), run)
    (run / "figure.pdf").write_text("a figure")
    (run / "notes").mkdir()
    (run / "notes" / "mine.txt").write_text("mine")
    later = replace(made(1), tables={}, images={"only": made(1).images["original"]})
    save(later, run)
    assert_equal(later, load(run))
    assert set(files(run)) == {INDEX, "arrays.safetensors", "images/only.png", "figure.pdf", "notes/mine.txt"}
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(Refusal, match="already holds other files"):
        save(made(), tmp_path)
    with pytest.raises(Refusal, match="is a file"):
        save(made(), tmp_path / "thesis.tex")
    with pytest.raises(Refusal, match="cannot be a folder"):
        save(made(), tmp_path / "thesis.tex" / "below")
    assert set(files(tmp_path)) == {"thesis.tex"}


def test_an_empty_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(made(), tmp_path / "run")
    empty = tmp_path / "empty"
    empty.mkdir()
    save(made(), empty)
    assert_equal(made(), load(empty))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(Refusal, match="current folder"):
        save(made(), Path("."))
    save(made(), Path("new"))
    assert_equal(made(), load(here / "new"))


# Damage.


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(Refusal, match="holds no result"):
            load(place)


@pytest.mark.parametrize("how", ["truncated", "changed", "missing", "empty"])
def test_every_file_matters(how: str, tmp_path: Path) -> None:
    save(made(), tmp_path / "whole")
    for name, content in files(tmp_path / "whole").items():
        run = tmp_path / "run"
        shutil.copytree(tmp_path / "whole", run)
        match how:
            case "missing":
                (run / name).unlink()
            case "empty":
                (run / name).write_bytes(b"")
            case "truncated":
                (run / name).write_bytes(content[: len(content) // 2])
            case "changed" if name != INDEX:
                (run / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            case _:
                (run / name).write_bytes(content.replace(b'"sha', b'"').replace(b".csv", b".csw"))
        with pytest.raises(Refusal, match="damaged|holds no result"):
            load(run)
        shutil.rmtree(run)


@pytest.mark.parametrize(
    "index", ["[]", "{}", "null", '{"format": "x"}', '{"format": 1, "study": 3, "files": []}', "\udcff"]
)
def test_a_nonsensical_index(index: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(index.encode("utf-8", "surrogateescape"))
    with pytest.raises(Refusal, match="damaged"):
        load(tmp_path)


def test_an_index_cannot_point_outside(tmp_path: Path) -> None:
    save(made(), tmp_path / "run")
    (tmp_path / "secret.png").write_bytes(b"secret")
    index = json.loads((tmp_path / "run" / INDEX).read_text())
    index["images"] = ["../../secret"]
    index["files"]["images/../../secret.png"] = "0" * 64
    (tmp_path / "run" / INDEX).write_text(json.dumps(index))
    with pytest.raises(Refusal, match="damaged"):
        load(tmp_path / "run")


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    save(made(), tmp_path / "run")
    path = tmp_path / "run" / INDEX
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(Refusal, match="newer version"):
        load(tmp_path / "run")


# A disk that fails.


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "no permission"),
        (errno.EIO, "not written"),
    ],
)
@pytest.mark.parametrize("at", range(6))
def test_a_failing_disk_leaves_nothing_half_written(
    code: int, words: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(made(0), tmp_path / "run")
    before = files(tmp_path)
    written = 0

    def failing(where: Path, content: bytes) -> int:
        nonlocal written
        if written == at:
            with builtins.open(where, "wb") as file:
                file.write(content[: len(content) // 2])
            raise OSError(code, os.strerror(code))
        written += 1
        with builtins.open(where, "wb") as file:
            return file.write(content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    monkeypatch.setattr(Path, "write_text", lambda self, text, encoding: failing(self, text.encode(encoding)))
    for place in ("run", "new"):
        written = 0
        with pytest.raises(Refusal, match=words):
            save(made(1), tmp_path / place)
    assert files(tmp_path) == before
    monkeypatch.undo()
    assert_equal(made(0), load(tmp_path / "run"))


def test_a_rename_that_fails_brings_the_earlier_result_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(made(0), tmp_path / "run")
    before = files(tmp_path)
    rename, calls = os.replace, 0

    def failing(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(Refusal, match="disk is full"):
        save(made(1), tmp_path / "run")
    assert calls == 4 and files(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs more rights")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    store = Store(small_disk / "results")
    key = store.key("states", {}, Card(), {})
    store.put(key, made())
    before = files(small_disk)
    with pytest.raises(Refusal, match="disk is full"):
        store.put(store.key("states", {"n": 1}, Card(), {}), made(1, side=400))
    assert files(small_disk) == before
    assert store.get(key) is not None


# The store.


def test_key_depends_on_everything_that_decides_the_result() -> None:
    base: dict[str, Any] = {
        "study": "s",
        "config": {"a": 1, "b": [1, 2]},
        "model_card": Card(),
        "image_hashes": {"o": "x"},
    }
    key = Store.key(**base)
    assert key == Store.key(**{**base, "config": {"b": [1, 2], "a": 1}})
    assert key == Store.key(**{**base, "model_card": replace(Card(), folder=Path("/elsewhere"), id="mine")})
    changed = [
        {"study": "t"},
        {"config": {"a": 1.5, "b": [1, 2]}},
        {"config": {"a": 1, "b": [2, 1]}},
        {"model_card": replace(Card(), revision="f" * 12)},
        {"model_card": replace(Card(), dtype="bfloat16")},
        {"model_card": replace(Card(), device="cuda")},
        {"model_card": replace(Card(), attention="eager")},
        {"model_card": replace(Card(), processor={"size": {"longest_edge": 98}})},
        {"model_card": replace(Card(), processor={})},
        {"image_hashes": {"o": "y"}},
        {"image_hashes": {"p": "x"}},
    ]
    keys = {Store.key(**{**base, **change}) for change in changed}
    assert len(keys) == len(changed) and key not in keys


def key_of(number: int) -> str:
    return Store.key("states", {"number": number}, Card(), {})


def test_get_and_put(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    assert store.get(key_of(0)) is None
    store.put(key_of(0), made(0))
    found = Store(tmp_path / "results").get(key_of(0))
    assert found is not None
    assert_equal(made(0), found)
    store.put(key_of(0), made(1))
    again = store.get(key_of(0))
    assert again is not None and again.config["seed"] == 1


def test_a_damaged_result_counts_as_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(key_of(0), made())
    (tmp_path / key_of(0) / "arrays.safetensors").write_bytes(b"")
    assert store.get(key_of(0)) is None
    assert not (tmp_path / key_of(0)).exists()


@pytest.mark.parametrize("key", ["", "..", "a" * 63, "../" + "a" * 64, "A" * 64, "a" * 64 + "\n"])
def test_only_keys_open_the_store(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a key"):
        Store(tmp_path).get(key)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(4):
        store.put(key_of(number), made(number))
        used = time.time() - 1000 + number
        os.utime(tmp_path / key_of(number), (used, used))
    one = sum(len(content) for content in files(tmp_path / key_of(3)).values())
    old = Store(tmp_path, max_bytes=int(3.5 * one))
    assert old.get(key_of(0)) is not None  # Used now, so 1 is the oldest.
    old.put(key_of(9), made(9))
    left = {number for number in (0, 1, 2, 3, 9) if (tmp_path / key_of(number)).exists()}
    assert left == {0, 3, 9}
    Store(tmp_path, max_bytes=1).put(key_of(5), made(5))
    assert [p.name for p in tmp_path.iterdir()] == [key_of(5)]


def test_what_is_old_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    store = Store(tmp_path, max_age=100)
    store.put(key_of(0), made(0))
    (tmp_path / "README").write_text("mine")
    half = tmp_path / f".{key_of(1)}.dead.tmp"
    half.mkdir()
    for path in (tmp_path / key_of(0), half, tmp_path / "README"):
        os.utime(path, (1e9, 1e9))
    fresh = tmp_path / f".{key_of(2)}.alive.tmp"
    fresh.mkdir()
    store.put(key_of(3), made(3))
    assert {p.name for p in tmp_path.iterdir()} == {"README", fresh.name, key_of(3)}


def test_nothing_stands_under_its_key_while_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, max_bytes=1)
    removing, removed = shutil.rmtree, []

    def watched(path: Path, **options: Any) -> None:
        if any(path.glob("*.csv")):
            removed.append(path)
            assert not (tmp_path / key_of(0)).exists()
            save(made(7), tmp_path / key_of(0))  # Whoever keeps the same result meanwhile succeeds.
        removing(path, **options)

    store.put(key_of(0), made(0))
    monkeypatch.setattr(shutil, "rmtree", watched)
    store.put(key_of(1), made(1))
    assert len(removed) == 1
    (tmp_path / key_of(0) / "arrays.safetensors").write_bytes(b"")
    assert store.get(key_of(0)) is None
    assert len(removed) == 2 and store.get(key_of(0)) is not None


def test_many_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path, max_bytes=30_000)
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                store.put(key_of((number + turn) % 3), made(number))
                found = store.get(key_of(turn % 3))
                assert found is None or found.study == "states"
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
