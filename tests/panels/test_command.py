"""What the page copies is what the command line reads."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from workbench.cli.commands import opening_of
from workbench.cli.parser import parser_for
from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS
from workbench.models import Opening
from workbench.panels.command import as_command, from_flags
from workbench.panels.layers.config import LayersConfig
from workbench.panels.robustness.config import RobustnessConfig
from workbench.panels.specimen import CLEAN
from workbench.panels.states.config import StatesConfig

KINDS: dict[str, type[BaseModel]] = {
    "states": StatesConfig,
    "layers": LayersConfig,
    "robustness": RobustnessConfig,
}


def read_back(command: str) -> BaseModel:
    """The config that the command line makes of a command, read as a shell reads it, comments and all."""
    python, dash, module, study, *flags = shlex.split(command, comments=True)
    assert (python, dash, module) == ("python", "-m", "workbench")
    options = parser_for(study).parse_args([study, *flags])
    assert options.out
    return from_flags(KINDS[study], vars(options))


@pytest.mark.parametrize(
    "config",
    [
        StatesConfig(),
        StatesConfig(
            image="a picture; rm -rf $HOME.png",
            question='what\'s "this"? --out x',
            corruption="gaussian_noise",
            intensity=0.31,
            seed=12,
            interval=(0.2, 0.75),
            renorm="text_channel",
            restore="never",
        ),
        StatesConfig(image="-x.png", question="-what?", seed=2**31 - 1, text_scale=1.2345678901),
        StatesConfig(
            image="\"double\" 'single' $HOME `ls` #1 !! 星 é.png", question="two\nlines, # no comment"
        ),
        LayersConfig(),
        LayersConfig(image="scene:4", centre=True, targets=("texture", "count"), n_test=33),
        RobustnessConfig(data="MMD_HIGH.tsv", corruptions=(), each=4),
    ],
)
def test_a_config_copied_and_pasted_is_the_same_config(config: BaseModel) -> None:
    study = next(name for name, kind in KINDS.items() if isinstance(config, kind))
    assert read_back(as_command(study, config)) == config


@pytest.mark.parametrize("corruption", [CLEAN, *CORRUPTIONS])
@pytest.mark.parametrize("image", ["scene:10", "my photo.jpg"])
@pytest.mark.parametrize("study", ["states", "layers"])
def test_every_corruption_is_copied(study: str, image: str, corruption: str) -> None:
    for intensity in (0.0, 0.23, 0.45, 0.9, 1.0):
        config = KINDS[study](image=image, question="what is it?", corruption=corruption, intensity=intensity)
        again = read_back(as_command(study, config))
        # Without a corruption an intensity acts on nothing and is left out.
        expected = config.model_copy(update={"intensity": 0.45} if corruption == CLEAN else {})
        assert again == expected


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("astronaut.png", True),
        ("my holiday's photo.png", True),
        ("scene:10", False),
        ("", False),
        ("pictures/astronaut.png", False),
        ("/data/astronaut.png", False),
    ],
)
def test_of_an_uploaded_file_the_command_says_where_its_path_belongs(image: str, told: bool) -> None:
    lines = as_command("layers", LayersConfig(image=image)).splitlines()
    assert len(lines) == 1 + told
    if told:
        assert lines[0].startswith("#") and "--image" in lines[0]
        assert not set(lines[0]) & set("'\"`$!*?;&|<>()[]{}~\\"), "a shell may read comments as commands"
    assert lines[-1].startswith("python -m workbench layers")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_shell_reads_the_command_as_we_do(tmp_path: Path) -> None:
    config = StatesConfig(
        image='it\'s "my" $HOME `ls` 星.png', question="a\nb 'c' \\ !! # d", corruption="lens_blur"
    )
    command = as_command("states", config, model="/folder with space", out=str(tmp_path / "o'ut"))
    printing = command.replace("python -m workbench", "printf '%s\\0'")
    told = subprocess.run(["bash", "-c", printing], capture_output=True, text=True, check=True).stdout
    assert told.split("\0")[:-1] == shlex.split(command, comments=True)[3:]


def test_what_is_left_at_its_default_is_left_out() -> None:
    assert as_command("states", StatesConfig()) == "python -m workbench states --out results/states"
    assert "--model here" in as_command("states", StatesConfig(), model="here")


@pytest.mark.parametrize(
    "opening",
    [
        Opening(),
        Opening("cuda:1", "bfloat16", "v1", "flash_attention_2", "4bit"),
        Opening(dtype="float16", revision="-odd name"),
    ],
)
def test_how_the_model_was_opened_is_copied(opening: Opening) -> None:
    command = as_command("layers", LayersConfig(), model="owner/name", opening=opening)
    _, _, _, study, *words = shlex.split(command)
    options = parser_for(study).parse_args([study, *words])
    assert options.model == "owner/name" and opening_of(options) == opening
    for each in fields(opening):
        assert (f"--{each.name}" in command) == (getattr(opening, each.name) != each.default)


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["--intensity", "2", "--corruption", "lens_blur"], "--intensity"),
        (["--steps", "many"], "--steps"),
        (["--interval", "0.1", "high"], "--interval"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_value_that_does_not_fit_names_its_flag(words: list[str], flag: str) -> None:
    with pytest.raises(Refusal, match=flag):
        read_back(shlex.join(["python", "-m", "workbench", "states", *words, "--out", "o"]))


def test_an_interval_of_one_number_is_refused_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_back("python -m workbench states --interval 0.5 --out o")
    assert "expected 2 arguments" in capsys.readouterr().err


def test_an_intensity_needs_a_corruption() -> None:
    with pytest.raises(Refusal, match="--corruption"):
        read_back("python -m workbench states --intensity 0.9 --out o")
    assert "--intensity" not in as_command("states", StatesConfig(intensity=0.9))


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(Refusal) as refused:
        read_back("python -m workbench layers --out o --n-test " + "x" * 5000)
    assert "--n-test" in str(refused.value) and len(str(refused.value)) < 250
