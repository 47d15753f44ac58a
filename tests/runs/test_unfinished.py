"""Work that was put down is found again, whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from workbench.runs import unfinished
from workbench.runs.unfinished import ABOUT, ARRAYS, Unfinished


def test_what_is_put_down_is_found_by_its_key_alone(tmp_path: Path) -> None:
    work = Unfinished("a" * 64, tmp_path)
    assert work.found() is None
    assert work.keep({"place": 3}, {"x": np.arange(6.0).reshape(2, 3).T})
    assert work.keep({"place": 4}, {"x": np.arange(6).reshape(2, 3)[:, ::2]})
    found = Unfinished("a" * 64, tmp_path).found()
    assert found is not None and found[0] == {"place": 4}
    np.testing.assert_array_equal(found[1]["x"], [[0, 2], [3, 5]])
    assert Unfinished("b" * 64, tmp_path).found() is None
    assert [path.name for path in tmp_path.iterdir()] == ["a" * 64]
    work.done()
    assert work.found() is not None, "the disk that the result goes to may be full"
    then = time.time() - 2 * unfinished.AFTER
    os.utime(work.folder, (then, then))
    Unfinished("c" * 64, tmp_path)
    assert work.found() is None


def test_a_kill_between_the_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Unfinished("a" * 64, tmp_path)
    work.keep({"place": 3}, {"x": np.zeros(3)})
    renamed: list[str] = []

    class Killed(BaseException):
        pass

    def replace(source: Path, target: Path) -> None:
        renamed.append(target.name)
        if len(renamed) == 2:
            raise Killed
        os.rename(source, target)

    with monkeypatch.context() as kill:
        kill.setattr(unfinished.os, "replace", replace)
        kill.setattr(unfinished.shutil, "rmtree", lambda *given, **how: None)  # nor is anything cleaned up
        with pytest.raises(Killed):
            work.keep({"place": 4}, {"x": np.ones(3)})
    assert not work.folder.exists()
    found = Unfinished("a" * 64, tmp_path).found()
    assert found is not None and found[0] == {"place": 4} and found[1]["x"].sum() == 3
    assert Unfinished("b" * 64, tmp_path).found() is None


def test_what_other_code_put_down_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> Unfinished:
        return Unfinished("a" * 64, tmp_path)

    work().keep({"place": 3}, {"x": np.zeros(3)})
    assert work().found() is not None
    with monkeypatch.context() as other:
        other.setattr(unfinished, "code", lambda: "of another day")
        assert work().found() is None
    assert work().found() is not None
    # What was kept before the code was told is no whole work either.
    (work().folder / ABOUT).write_text('{"place": 3}')
    assert work().found() is None


@pytest.mark.parametrize("name", [ARRAYS, ABOUT])
def test_a_damaged_file_counts_as_none(tmp_path: Path, name: str) -> None:
    work = Unfinished("a" * 64, tmp_path)
    work.keep({"place": 3}, {"x": np.zeros(3)})
    (work.folder / name).write_bytes(b"\x00\x01")
    assert work.found() is None


def test_a_disk_that_takes_nothing_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not Unfinished("a" * 64, tmp_path / "file" / "below").keep({}, {"x": np.zeros(1)})


def test_it_is_due_after_a_while_and_what_is_old_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0.0)
    work = Unfinished("a" * 64, tmp_path)
    assert work.due
    work.keep({}, {"x": np.zeros(1)})
    then = time.time() - 2 * unfinished.MAX_AGE
    os.utime(work.folder, (then, then))
    Unfinished("b" * 64, tmp_path)
    assert work.found() is None
    monkeypatch.setattr(unfinished, "EVERY", 60.0)
    assert not Unfinished("c" * 64, tmp_path).due
