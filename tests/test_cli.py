"""The command line: help that comes quickly, results in a folder, mistakes in one sentence."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from tests.capture.fake import FakeModel as Captured
from tests.page.fake import FakeModel
from workbench import cli
from workbench.app import Page
from workbench.errors import Refusal
from workbench.models import Opening
from workbench.runs.store import load, save

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


@pytest.mark.parametrize("command", ["states", "layers", "patches", "atlas", "draw", "tokens", "run"])
def test_each_command_has_help_with_its_defaults(command: str) -> None:
    done = ran(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "--model" in done.stdout and "[pocket-bagel]" in done.stdout
    assert "--device NAME" in done.stdout and "--dtype {auto,float32,bfloat16,float16}" in done.stdout
    assert "--revision NAME" in done.stdout and "--quantised {8bit,4bit}" in done.stdout
    assert "--attention {auto,sdpa,eager,flash_attention_2,flash_attention_3}" in done.stdout
    if command == "states":
        assert "--steps" in done.stdout and "[12]" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["--help"], ["states", "--help"], ["draw", "--help"], ["atlas", "--help"], ["capture", "--help"]],
)
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


def test_a_drawing_is_written_with_its_figures_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pocket = FakeModel()
    pocket.card = replace(pocket.card, family="bagel")
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: pocket)
    out = tmp_path / "drawing"
    assert cli.main(["draw", "--prompt", "a red star", "--guidance", "3", "--out", str(out)]) == 0
    assert "never to draw from words" in capsys.readouterr().err
    result = load(out)
    assert result.config["guidance"] == 3.0 and result.manifest["drawing"]["settings"]["guidance"] == 3.0
    assert len(pd.read_csv(out / "tokens.csv")) == 12
    assert all((out / f"figure.{form}").stat().st_size for form in ("png", "svg", "pdf"))


def test_tokens_are_written_with_their_figures_and_numbers(tmp_path: Path, fake_model: None) -> None:
    out = tmp_path / "tokens"
    assert cli.main(["tokens", "--image", "scene:10", "--out", str(out)]) == 0
    assert pd.read_csv(out / "codes.csv")["count"].sum() == 12 * 11
    assert (out / "figure.pdf").stat().st_size


def test_an_atlas_is_written_with_its_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: Captured(side=12))
    out = tmp_path / "atlas"
    words = [
        "atlas",
        "--image",
        "scene:10",
        "--method",
        "pca",
        "--stages",
        "llm 0",
        "llm 4",
        "--tokens",
        "90",
    ]
    assert cli.main([*words, "--colour", "row", "--out", str(out)]) == 0
    points = pd.read_csv(out / "points.csv")
    assert len(points) == 90 and set(points["stage"]) == {"llm 0", "llm 4"}
    assert "PCA is a shadow" in capsys.readouterr().err
    assert all((out / f"figure.{form}").stat().st_size for form in ("png", "svg", "pdf"))
    assert cli.main(["atlas", "--stages", "llm 9", "--out", str(out)]) == 2
    assert "no stage 'llm 9'. Choose a stage out of vision 1 … vision 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["atlas", "--with-clean"], "nothing to act on"),
        (["states", "--image", "/nowhere.png"], "nowhere.png"),
        (["states", "--image", "scene:1", "--question", " "], "no question"),
        (["states", "--image", "scene:1", "--intensity", "3"], "--intensity"),
        (["states"], "Name an image"),
        (["states", "--image", "scene:1", "--corruption", "rain"], "rain"),
        (["states", "--image", "scene:1", "--intensity", "0.9"], "name a corruption"),
        (["layers", "--question", "x" * 10_000], "10,000 characters"),
        (["layers", "--corruption", "rain"], "rain"),
        (["patches"], "Name an image"),
        (["patches", "--image", "scene:1", "--top", "99"], "--top"),
        (["capture", "m", "/nowhere.png"], "nowhere.png"),
        (["capture", "m", "scene:1", "--attention-rows", "99"], "--attention-rows"),
        (["capture", "m", "scene:1", "--prompt", "x" * 10_000], "10,000 characters"),
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


def test_a_study_opens_weights_over_a_base_with_a_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, Opening]] = []

    def opening(name: str, *, say: object, **how: str) -> FakeModel:
        opened.append((name, Opening(**how)))
        return FakeModel()

    monkeypatch.setattr("workbench.models.open", opening)
    words = ["states", "--image", "scene:10", "--steps", "2", "--out", str(tmp_path / "out")]
    words += ["--model", "clear", "--base", "bagel", "--weights", "model", "--system-prompt", "p.txt"]
    assert cli.main(words) == 0
    assert opened == [("clear", Opening(base="bagel", weights="model", system_prompt="p.txt"))]


def test_a_photograph_is_said_to_be_outside_what_the_model_knows(
    tmp_path: Path, fake_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.png")
    for image, said in (("scene:10", False), (str(tmp_path / "photo.png"), True)):
        out = tmp_path / f"out-{said}"
        asked = ["--question", "what?"] if said else []
        assert cli.main(["states", "--image", image, *asked, "--steps", "2", "--out", str(out)]) == 0
        assert ("A picture outside that" in capsys.readouterr().err) == said


def test_a_preset_gives_what_no_flag_gives(tmp_path: Path, fake_model: None) -> None:
    words = ["states", "--image", "scene:10", "--out", str(tmp_path / "out"), "--seed", "4"]
    assert cli.main([*words, "--preset", "clear-evaluation", "--steps", "2", "--route", "both"]) == 0
    config = load(tmp_path / "out").config
    assert (config["steps"], config["route"], config["seed"]) == (2, "both", 4)
    assert (config["text_scale"], config["image_scale"], config["renorm"]) == (3.0, 1.5, "text_channel")
    assert (config["max_new_tokens"], config["interval"]) == (8192, [0.4, 1.0])


HOW = {
    "device": "cuda:1",
    "dtype": "float16",
    "revision": "v1",
    "attention": "eager",
    "quantised": "8bit",
    "base": "bagel",
    "weights": "ema",
    "system_prompt": "p.txt",
    "read_as": "clear",
}


@pytest.mark.parametrize("command", ["run", "states", "layers", "capture"])
def test_a_model_is_opened_as_the_flags_say(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, object]] = []

    def opening(name: str, *, say: object, **how: object) -> FakeModel:
        opened.append({"name": name, **how})
        raise Refusal("That is all that was asked.")

    monkeypatch.setattr("workbench.models.open", opening)
    monkeypatch.setattr("workbench.models.sources", lambda *a, **k: None)
    monkeypatch.setattr("workbench.app.launch", lambda page, **options: page.models.model(page.models.first))
    flags = [word for name, value in HOW.items() for word in ("--" + name.replace("_", "-"), value)]
    flags += ["--trust-remote-code"]
    model = ["owner/name", "scene:1"] if command == "capture" else ["--model", "owner/name"]
    study = [] if command == "run" else ["--out", str(tmp_path / "o")]
    study += ["--image", "scene:1"] if command in ("states", "layers", "patches") else []
    assert cli.main([command, *model, *flags, *study]) == 2
    assert opened == [{"name": "owner/name", **HOW, "trust_remote_code": True}]


def test_the_patch_map_and_stage_that_are_asked_for_stand_in_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Captured(side=12, width=16)
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: model)

    out = tmp_path / "out"

    def figure(*words: str) -> bytes:
        assert cli.main(["patches", "--image", "scene:7", *words, "--out", str(out)]) == 0
        return (out / "figure.svg").read_bytes()

    usual = figure()
    assert figure() == usual
    assert figure("--stage", "vision 2") != usual
    assert figure("--patch", "12", "1") != usual
    assert figure("--map", "word", "--words", "star") != figure("--map", "norm")
    numbers = pd.read_csv(out / "numbers.csv")
    assert len(numbers) == 9 * 144 and {"cosine", "entropy_nats", "token_1"} <= set(numbers.columns)
    assert load(out).study == "patches"
    passes = model.passes
    capsys.readouterr()
    for words, said in ((["--stage", "llm 99"], "'llm 99'"), (["--patch", "13", "1"], "row 13")):
        asked = ["patches", "--image", "scene:7", *words, "--out", str(tmp_path / "other")]
        assert cli.main(asked) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "other").exists()
    assert model.passes == passes + 1


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


def test_a_capture_is_told_its_size_written_and_opens_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: Captured(side=12, width=16))
    out = tmp_path / "runs"
    words = ["capture", "some/model", "scene:3", "scene:4", "--prompt", "what?", "--dtype-states", "float32"]
    assert cli.main([*words, "-o", str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == [str(out / "scene-3"), str(out / "scene-4"), "Open with"]
    assert "for all 2 that are left" in told[0] and "MB to write" in told[1]
    for name in ("scene-3", "scene-4"):
        result = load(out / name)
        assert result.study == "capture" and result.config["prompt"] == "what?"
        on_disk = sum(path.stat().st_size for path in (out / name).rglob("*") if path.is_file())
        assert 0.5 < on_disk / result.size < 1.5, "the estimate is about what is written"

    monkeypatch.setattr("workbench.models.open", lambda *a, **k: pytest.fail("a model was opened"))
    pages: list[Page] = []
    monkeypatch.setattr("workbench.app.launch", lambda page, **options: pages.append(page))
    opening = shlex.split(told[2].partition("workbench ")[2])
    assert opening[:2] == ["run", "--no-model"] and cli.main(opening) == 0
    (page,) = pages
    assert [one.study for one in page.saved.common.found] == ["layers", "patches", "atlas"] * 2
    assert page.models.first.name == ""
    pages.clear()
    assert cli.main(["run", "--open", str(tmp_path)]) == 2 and not pages
    assert "holds no result" in capsys.readouterr().err


def test_one_image_is_captured_into_the_folder_itself_and_so_are_several_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: Captured(side=12, width=16))
    assert cli.main(["capture", "m", "scene:3", "--out", str(tmp_path / "one")]) == 0
    assert load(tmp_path / "one").config["images"] == ["scene:3"]
    image = tmp_path / "a.png"
    Image.new("RGB", (96, 96)).save(image)
    (tmp_path / "b").mkdir()
    Image.new("RGB", (96, 96), "red").save(tmp_path / "b" / "a.png")
    words = ["capture", "m", str(image), str(tmp_path / "b" / "a.png")]
    assert cli.main([*words, "--out", str(tmp_path / "each")]) == 0
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["a", "a-2"]
    asked: list[tuple[int, bool]] = []
    prepare = Captured.prepare

    def watched(self: Captured, images: list[Any], text: str = "", *, together: bool = False) -> Any:
        asked.append((len(images), together))
        return prepare(self, images, text)

    monkeypatch.setattr(Captured, "prepare", watched)
    assert cli.main([*words, "--together", "--out", str(tmp_path / "both")]) == 0
    assert asked == [(2, True)] and len(load(tmp_path / "both").tables["images"]) == 2


FITTED = "Fitted from 2000 × 1500 to 1024 × 768 pixels."


@pytest.fixture
def large(tmp_path: Path) -> str:
    """A CMYK JPEG that is larger than what is looked at."""
    Image.new("CMYK", (2000, 1500)).save(tmp_path / "large.jpg")
    return str(tmp_path / "large.jpg")


def test_what_was_done_to_an_image_is_said_once_and_kept(
    tmp_path: Path, large: str, fake_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["states", "--image", large, "--steps", "1", "--out", str(tmp_path / "out")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "large.jpg" in line]
    assert len(said) == 1 and "CMYK" in said[0] and said[0].endswith(FITTED)
    assert f"large.jpg: {' '.join(load(tmp_path / 'out').manifest['notes']['original'])}" == said[0]
    assert cli.main(["states", "--image", "scene:1", "--steps", "1", "--out", str(tmp_path / "plain")]) == 0
    assert "scene:1:" not in capsys.readouterr().err
    assert load(tmp_path / "plain").manifest["notes"] == {}


def test_captures_and_what_opens_no_model_say_what_was_done_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: Captured(side=12, width=16))
    grey, said = str(tmp_path / "grey.png"), "It is greyscale: the three channels are equal."
    Image.new("L", (96, 96), 90).save(grey)
    assert cli.main(["capture", "m", grey, "scene:3", "-o", str(tmp_path / "c")]) == 0
    assert capsys.readouterr().err.count(f"grey.png: {said}") == 1
    assert load(tmp_path / "c" / "grey").manifest["notes"] == {"image 0": [said]}
    assert load(tmp_path / "c" / "scene-3").manifest["notes"] == {}
    for command, name in (("patches", "picture"), ("corrupt", "original")):
        assert cli.main([command, "--image", grey, "--out", str(tmp_path / command)]) == 0
        assert capsys.readouterr().err.count(f"grey.png: {said}") == 1
        assert load(tmp_path / command).manifest["notes"] == {name: [said]}


def test_a_capture_that_does_not_fit_on_the_disk_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.models.open", lambda *a, **k: Captured(side=12, width=16))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100_000))
    words = ["capture", "m", "scene:3", "scene:4", "scene:5"]
    assert cli.main([*words, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "0.1 MB left" in said and "“scene-3”" in said
    assert not (tmp_path / "out").exists()


def test_a_model_and_none_are_not_both_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", "--model", "x", "--no-model"])
    assert stopped.value.code == 2 and "--no-model" in capsys.readouterr().err


def test_a_saved_run_is_read_without_loading_torch(tmp_path: Path) -> None:
    shows: Any = Captured(side=12, width=16)
    from workbench.panels.capture import study
    from workbench.panels.capture.config import CaptureConfig

    save(study.run(CaptureConfig(images=("scene:4",)), shows), tmp_path / "run")
    code = (
        "import sys\nfrom workbench import app, cli\napp.launch = lambda page, **options: None\n"
        f"assert cli.main(['run', '--no-model', '--open', {str(tmp_path / 'run')!r}]) == 0\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_the_page_is_built_without_what_takes_long_to_load() -> None:
    slow = ("torch", "transformers", "scipy", "sklearn", "matplotlib", "numba", "captum", "umap")
    code = "import sys\nfrom workbench.app import build\nbuild()\n"
    code += f"print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("Cannot find empty port"), "cannot be served there"),
        (ValueError("When localhost is not accessible, a shareable link must be created."), "NO_PROXY"),
    ],
)
def test_a_page_that_cannot_be_served_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    def launch(page: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("workbench.app.launch", launch)
    assert cli.main(["run", "--no-model", "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
