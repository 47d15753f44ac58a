"""What the page copies is what the command line reads."""

from __future__ import annotations

import argparse
import shlex

import pytest
from pydantic import BaseModel

from workbench.errors import Refusal
from workbench.panels.command import add_flags, as_command, from_flags
from workbench.panels.layers.config import LayersConfig
from workbench.panels.states.study import StatesConfig


def read_back(command: str, kind: type[BaseModel]) -> BaseModel:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--model")
    add_flags(parser, kind)
    return from_flags(kind, vars(parser.parse_args(shlex.split(command)[4:])))


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
        LayersConfig(),
        LayersConfig(image="scene:4", centre=True, targets=("texture", "count"), n_test=33),
    ],
)
def test_a_config_copied_and_pasted_is_the_same_config(config: BaseModel) -> None:
    assert read_back(as_command("any", config), type(config)) == config


def test_what_is_left_at_its_default_is_left_out() -> None:
    assert as_command("states", StatesConfig()) == "python -m workbench states --out results/states"
    assert "--model here" in as_command("states", StatesConfig(), model="here")


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
        read_back(shlex.join(["python", "-m", "workbench", "states", *words]), StatesConfig)


def test_an_interval_of_one_number_is_refused_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_back("python -m workbench states --interval 0.5", StatesConfig)
    assert "expected 2 arguments" in capsys.readouterr().err


def test_an_intensity_needs_a_corruption() -> None:
    with pytest.raises(Refusal, match="--corruption"):
        read_back("python -m workbench states --intensity 0.9", StatesConfig)
    assert "--intensity" not in as_command("states", StatesConfig(intensity=0.9))


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(Refusal) as refused:
        read_back("python -m workbench layers --n-test " + "x" * 5000, LayersConfig)
    assert "--n-test" in str(refused.value) and len(str(refused.value)) < 250
