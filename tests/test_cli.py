"""The command line: help that comes quickly, results in a folder, mistakes in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.capture.fake import FakeModel as Captured
from tests.page.fake import FakeModel
from workbench import cli
from workbench.errors import Refusal
from workbench.runs.store import load

HEAVY = ("torch", "gradio", "transformers", "matplotlib", "sklearn", "pandas", "skimage")


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: FakeModel())


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *words],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=120,
    )


def test_help_reads_as_help_and_names_every_command() -> None:
    done = ran("--help")
    assert done.returncode == 0
    for command in cli.COMMANDS:
        assert f"    {command}" in done.stdout
    assert "scene:SEED" in done.stdout


@pytest.mark.parametrize("command", ["states", "layers", "run"])
def test_each_command_has_help_with_its_defaults(command: str) -> None:
    done = ran(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "--model" in done.stdout and "[pocket-bagel]" in done.stdout
    assert "--device NAME" in done.stdout and "--dtype {auto,float32,bfloat16,float16}" in done.stdout
    assert "--revision NAME" in done.stdout and "--quantised {8bit,4bit}" in done.stdout
    assert "--attention {auto,sdpa,eager,flash_attention_2,flash_attention_3}" in done.stdout
    if command == "states":
        assert "--steps" in done.stdout and "[12]" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["states", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom workbench.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().endswith("[]"), done.stderr


def test_states_writes_result_figures_and_numbers(tmp_path: Path, fake_model: None) -> None:
    out = tmp_path / "new" / "out"
    words = ["states", "--image", "scene:10", "--question", "what colour is the star?", "--steps", "3"]
    assert cli.main([*words, "--corruption", "dark_illumination", "--out", str(out)]) == 0
    for name in ("figure.png", "figure.svg", "figure.pdf", "trace.csv", "answers.csv", "result.json"):
        assert (out / name).stat().st_size > 0
    result = load(out)
    assert result.config["steps"] == 3 and result.config["image"] == "scene:10"
    assert len(pd.read_csv(out / "trace.csv")) == len(result.tables["trace"])
    assert json.loads((out / "result.json").read_text())["manifest"]["model"]["id"] == "pocket-fake"
    assert cli.main([*words, "--out", str(out)]) == 0, "the same folder may be written again"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["states", "--image", "/nowhere.png"], "nowhere.png"),
        (["states", "--image", "scene:1", "--question", " "], "no question"),
        (["states", "--image", "scene:1", "--intensity", "3"], "--intensity"),
        (["states"], "Name an image"),
        (["states", "--image", "scene:1", "--corruption", "rain"], "rain"),
        (["states", "--image", "scene:1", "--intensity", "0.9"], "name a corruption"),
        (["layers", "--question", "x" * 10_000], "10,000 characters"),
        (["layers", "--corruption", "rain"], "rain"),
        (["layers", "--stage", "llm 1"], "--image"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_exit_code_2(
    words: list[str], sentence: str, tmp_path: Path, fake_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    last = told.err.strip().splitlines()[-1]
    assert sentence in last and "Traceback" not in told.err
    assert not (tmp_path / "out").exists()


def test_device_and_dtype_are_those_asked_for_and_stand_in_the_manifest(tmp_path: Path) -> None:
    words = ["layers", "--image", "scene:7", "--permutations", "20", "--device", "cpu", "--dtype", "bfloat16"]
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 0
    model = load(tmp_path / "out").manifest["model"]
    assert (model["device"], model["dtype"], model["attention"]) == ("cpu", "bfloat16", "sdpa")
    assert model["processor"]["patch_size"] == 8 and model["processor"]["image_mean"] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("command", ["states", "layers", "run"])
@pytest.mark.parametrize(
    ("flag", "value"), [("--dtype", "int4"), ("--attention", "fast"), ("--quantised", "2bit")]
)
def test_a_way_to_open_that_is_not_known_is_refused(
    command: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, flag, value])
    assert stopped.value.code == 2
    assert flag in capsys.readouterr().err


def test_a_device_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["states", "--image", "scene:1", "--device", "abacus", "--out", str(tmp_path / "o")]
    assert cli.main(words) == 2
    assert "abacus" in capsys.readouterr().err and not (tmp_path / "o").exists()


HOW = {
    "device": "cuda:1",
    "dtype": "float16",
    "revision": "v1",
    "attention": "eager",
    "quantised": "8bit",
}


@pytest.mark.parametrize("command", ["run", "states", "layers"])
def test_a_model_is_opened_as_the_flags_say(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, object]] = []

    def opening(name: str, *, say: object, **how: object) -> FakeModel:
        opened.append({"name": name, **how})
        raise Refusal("That is all that was asked.")

    monkeypatch.setattr("workbench.models.open", opening)
    monkeypatch.setattr("workbench.models.locate", lambda *a, **k: None)
    monkeypatch.setattr("workbench.app.launch", lambda page, **options: page.models.model(page.models.first))
    flags = [word for name, value in HOW.items() for word in (f"--{name}", value)]
    study = [] if command == "run" else ["--image", "scene:1", "--out", str(tmp_path / "o")]
    assert cli.main([command, "--model", "owner/name", *flags, *study]) == 2
    assert opened == [{"name": "owner/name", **HOW}]


def test_the_stage_that_is_asked_for_stands_in_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Captured(side=12, width=16)
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: model)

    def figure(*words: str) -> bytes:
        out = tmp_path / "out"
        assert cli.main(["layers", "--image", "scene:7", *words, "--out", str(out)]) == 0
        return (out / "figure.svg").read_bytes()

    usual = figure()
    assert figure() == usual
    assert figure("--stage", "vision 2") != usual
    passes = model.passes
    capsys.readouterr()
    words = ["layers", "--image", "scene:7", "--stage", "llm 99", "--out", str(tmp_path / "other")]
    assert cli.main(words) == 2
    assert "'llm 99'" in capsys.readouterr().err
    assert model.passes == passes and not (tmp_path / "other").exists()


def test_an_unknown_model_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["states", "--image", "scene:1", "--model", "no-such", "--out", str(tmp_path / "o")]) == 2
    assert "no-such" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["states", "--image", "/nowhere.png"],
        ["states", "--image", "scene:1", "--steps", "0"],
        ["layers", "--image", "/nowhere.png"],
        ["states", "--image", "scene:1", "--out", "FULL"],
        ["states", "--image", "scene:1", "--out", "FULL/mine.txt/below"],
    ],
)
def test_what_needs_no_model_is_refused_before_one_opens(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: opened.append(a))
    (tmp_path / "mine.txt").write_text("mine")
    words = [word.replace("FULL", str(tmp_path)) for word in words]
    assert cli.main(words if "--out" in words else [*words, "--out", str(tmp_path / "o")]) == 2
    assert opened == []


@pytest.mark.parametrize(
    ("failure", "status", "sentence"),
    [(MemoryError, 2, "There is not enough memory for that."), (KeyboardInterrupt, 130, "Stopped.")],
)
def test_what_no_refusal_foresees_is_a_sentence_too(
    failure: type[BaseException],
    status: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise failure

    monkeypatch.setattr("workbench.models.open", failing)
    assert cli.main(["states", "--image", "scene:1", "--out", str(tmp_path / "o")]) == status
    said = capsys.readouterr().err.strip()
    assert said.startswith(sentence) and len(said.splitlines()) == 1


def test_training_on_a_device_that_is_not_there_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "base", "--device", "xyz", "--out", str(tmp_path / "o")]) == 2
    assert "xyz" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(
    tmp_path: Path, fake_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["states", "--image", "scene:1", "--steps", "1", "--out", str(tmp_path)]) == 2
    assert "other files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_a_command_the_page_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("workbench.app.launch", lambda page, **options: opened.append(options))
    monkeypatch.setattr("workbench.app.build", lambda *args, **options: None)
    assert cli.main([]) == 0
    assert cli.main(["--port", "8123", "--no-browser"]) == 0
    assert opened[0]["inbrowser"] is True  # type: ignore[index]
    assert opened[1]["server_port"] == 8123 and opened[1]["inbrowser"] is False  # type: ignore[index]


def test_training_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import workbench.training.base

    given: list[list[str]] = []
    monkeypatch.setattr(workbench.training.base, "main", lambda argv: given.append(argv))
    assert cli.main(["train", "base", "--scale", "3"]) == 0
    assert given == [["base", "--scale", "3"]]
    monkeypatch.undo()
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", "something"])
    assert stopped.value.code == 2
