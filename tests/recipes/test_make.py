"""A figure is made once, again to the last bit, and from what is already there."""

from __future__ import annotations

import gc
import hashlib
import json
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pypdf import PdfReader

from tests.capture.fake import FakeModel
from workbench import cli
from workbench.errors import Refusal
from workbench.recipes.make import make
from workbench.recipes.recipe import read
from workbench.runs.store import load

SMALL = (
    "n_train: 20, n_validation: 10, n_test: 12, resamples: 100, measures: [structure, geometry, segmentation]"
)
TEXT = f"""\
about: a test
runs:
  clean: {{study: layers, {SMALL}}}
  dark: {{study: layers, {SMALL}, corruption: dark_illumination, intensity: 0.9}}
  one: {{study: layers, image: "scene:7", permutations: 20}}
panels:
  - {{of: [clean, dark], show: contrast}}
  - {{of: clean, show: effective dimension}}
  - {{of: one, show: neighbourhood}}
tables:
  - {{of: [clean, dark], show: change, measures: [patch mIoU]}}
"""


class Opened(list[str]):
    """The names that were opened, and how many of the models were alive at once."""

    most = 0


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    names, alive = Opened(), []

    def opening(name: str, **how: Any) -> FakeModel:
        names.append(name)
        model = FakeModel(side=12, width=16)
        alive.append(weakref.ref(model))
        gc.collect()
        names.most = max(names.most, sum(each() is not None for each in alive))
        return model

    monkeypatch.setattr("workbench.models.open", opening)
    return names


def written(folder: Path, text: str = TEXT, out: str = "out") -> Path:
    path = folder / "fig.yaml"
    path.write_text(text, encoding="utf-8")
    make(read(path), folder / out, progress=lambda share, words: None)
    return folder / out


def shown(out: Path) -> dict[str, bytes]:
    """All that a figure consists of but its manifest, which knows the moment."""
    return {
        path.name: path.read_bytes()
        for path in out.iterdir()
        if path.is_file() and path.name != "manifest.json"
    }


def test_a_figure_its_numbers_its_runs_and_how_it_was_made(tmp_path: Path, opened: Opened) -> None:
    out = written(tmp_path)
    assert set(shown(out)) == {
        *("figure.pdf", "figure.svg", "figure.png", "figure-a.csv", "figure-b.csv", "figure-c.csv"),
        *("table.csv", "table.md", "recipe.yaml"),
    }
    page = PdfReader(out / "figure.pdf").pages[0]
    assert float(page.mediabox.width) == pytest.approx(6.75 * 72)
    text = page.extract_text()
    assert all(word in text for word in ("clean", "dark", "effective dimension", "neighbours"))
    clean = load(out / "runs" / "clean").tables["curves"]
    drawn = pd.read_csv(out / "figure-a.csv")
    assert list(drawn["run"].unique()) == ["clean", "dark"]
    expected = clean[clean["measure"] == "contrast difference"]["value"]
    assert drawn[drawn["run"] == "clean"]["value"].tolist() == expected.tolist()
    about = json.loads((out / "manifest.json").read_text())
    assert about["runs"]["dark"]["config"]["corruption"] == "dark_illumination"
    assert about["runs"]["clean"]["model"]["revision"] and "matplotlib" in about["packages"]
    for name, digest in about["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    row = pd.read_csv(out / "table.csv").iloc[0]
    last = clean[clean["measure"] == "patch mIoU"].sort_values("index").iloc[-1]
    assert row["change"] == last["delta"] and row["n"] == 12 and row["last stage"] == "llm 4"
    table = (out / "table.md").read_text().splitlines()
    assert table[0].startswith("| condition | measure | llm 0 |") and len(table) == 4
    assert opened == ["pocket-bagel"]


def test_made_again_from_its_own_copy_it_is_the_same_to_the_last_bit(tmp_path: Path, opened: Opened) -> None:
    first = written(tmp_path)
    make(read(first / "recipe.yaml"), tmp_path / "again", progress=lambda share, words: None)
    assert len(opened) == 2
    assert shown(first) == shown(tmp_path / "again")


def test_what_is_there_is_not_computed_again(tmp_path: Path, opened: Opened) -> None:
    first = shown(written(tmp_path))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*.json")}
    assert shown(written(tmp_path)) == first and opened == ["pocket-bagel"]
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("*.json")}
    # One setting changed is one run made again; a panel taken away takes its numbers with it.
    lines = [line for line in TEXT.replace("0.9", "0.5").splitlines() if "effective" not in line]
    out = written(tmp_path, "\n".join(lines))
    changed = {path for path in stamps if stamps[path] != path.stat().st_mtime_ns}
    assert {path.parent.name for path in changed} == {"dark"} and len(opened) == 2
    assert "figure-c.csv" not in shown(out)
    (out / "runs" / "one" / "curves.csv").write_text("damaged")
    written(tmp_path, "\n".join(lines))
    assert len(opened) == 3


def test_another_checkpoint_under_the_same_name_counts_as_another(tmp_path: Path, opened: Opened) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    text = f"model: '{folder}'\n" + TEXT
    written(tmp_path, text)
    (folder / "config.json").write_text("{ }")
    written(tmp_path, text)
    assert opened == [str(folder)] * 2


def test_a_kill_loses_only_the_run_in_progress(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.panels.layers import study

    real, seen = study.run, []

    def killed(config: Any, model: Any, **others: Any) -> Any:
        seen.append(config.corruption)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(config, model, **others)

    monkeypatch.setattr(study, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path)
    assert not (tmp_path / "out" / "figure.pdf").exists()
    out = written(tmp_path)
    assert seen == [
        "none",
        "dark_illumination",
        "dark_illumination",
        "none",
    ]  # The last is the single picture.
    assert (out / "figure.pdf").is_file()


def test_each_model_opens_once_and_goes_before_the_next(tmp_path: Path, opened: Opened) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    run = 'study: layers, image: "scene:7", permutations: 20'
    models = {"a": tmp_path / "one", "b": tmp_path / "two", "c": tmp_path / "one"}
    runs = "".join(
        f"  {name}: {{{run}, model: '{where}', seed: {k}}}\n"
        for k, (name, where) in enumerate(models.items())
    )
    out = written(tmp_path, f"runs:\n{runs}panels:\n  - {{of: [a, b, c], show: contrast}}\n")
    assert opened == [str(tmp_path / "one"), str(tmp_path / "two")] and opened.most == 1
    assert list(pd.read_csv(out / "figure.csv")["run"].unique()) == ["a", "b", "c"]


def test_a_saved_run_is_drawn_without_a_model(tmp_path: Path, opened: Opened) -> None:
    kept = written(tmp_path) / "runs" / "clean"
    text = f"width: column\nruns:\n  old: {{study: layers, saved: '{kept}'}}\n"
    text += "panels:\n  - {of: old, show: contrast}\n"
    out = written(tmp_path, text, "second")
    assert opened == ["pocket-bagel"] and float(PdfReader(out / "figure.pdf").pages[0].mediabox.width) == 234
    with pytest.raises(Refusal, match="is not there"):
        written(tmp_path, text.replace("clean", "clear"), "third")
    with pytest.raises(Refusal, match="a run of the study layers, not of states"):
        written(tmp_path, text.replace("study: layers", "study: states").replace("contrast", "filmstrip")
                .replace("column", "page"), "third")  # fmt: skip


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(Refusal, match="already holds other files"):
        written(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"] and not opened


def test_a_picture_that_is_not_there_is_refused_before_a_model_opens(tmp_path: Path, opened: Opened) -> None:
    with pytest.raises(Refusal):
        written(tmp_path, TEXT.replace("scene:7", "nowhere.png"))
    assert not opened


def test_what_a_kept_result_does_not_hold_is_refused_with_its_line_before_a_model_opens(
    tmp_path: Path, opened: Opened
) -> None:
    kept = written(tmp_path) / "runs" / "clean"
    opened.clear()
    text = f"runs:\n  old: {{study: layers, saved: '{kept}'}}\n  new: {{study: layers, {SMALL}}}\n"
    text += "panels:\n  - {of: new, show: contrast}\n"
    with pytest.raises(Refusal, match="fig.yaml, line 6: These results hold nothing about likeness"):
        written(tmp_path, text + "  - {of: old, show: likeness}\n", "second")
    with pytest.raises(Refusal, match="line 7: There is no measure 'patch mIOU'"):
        written(tmp_path, text + "tables:\n  - {of: old, show: change, measures: [patch mIOU]}\n", "third")
    assert not opened


def test_the_command(tmp_path: Path, opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fig.yaml").write_text("runs: {}\n")
    assert cli.main(["figure", str(tmp_path / "fig.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert "line 1: runs does not fit" in capsys.readouterr().err
    text = 'runs:\n  a: {study: layers, image: "scene:7", permutations: 20}\n'
    text += "panels:\n  - {of: a, show: contrast}\n"
    (tmp_path / "fig.yaml").write_text(text)
    assert cli.main(["figure", str(tmp_path / "fig.yaml"), "--out", str(tmp_path / "out")]) == 0
    assert "figure.pdf" in capsys.readouterr().out
