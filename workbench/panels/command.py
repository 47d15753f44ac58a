"""A study's config as command-line flags, and back: what the page copies is what the command line reads."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from workbench.errors import Refusal
from workbench.models import Opening
from workbench.panels.specimen import CLEAN, SCENE

# No character in it means anything to a shell, also to one that reads comments as commands.
OWN_PATH = "# After --image, put the path of your own file: the page knows its name only."
"""What stands above the command for an uploaded picture."""
SHOWN = 80
"""Characters of a value that are repeated to the person who gave it."""
METAVARS: dict[Any, str] = {int: "N", float: "X", str: "TEXT"}


def flag(field: str) -> str:
    """The command-line name of a config's field."""
    return "--" + field.replace("_", "-")


def add_flags(
    parser: argparse._ActionsContainer, config: type[BaseModel], *, but: Collection[str] = ()
) -> None:
    """One optional flag for every field of the config, ``but`` for some, with its description and default."""
    for name, field in config.model_fields.items():
        if name in but:
            continue
        default = field.get_default(call_default_factory=True)
        text = (field.description or "").replace("%", "%%")
        text += "" if default in ("", None, ()) or default is False else f" [{_words(default)}]"
        options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": text}
        kind = _plain(field)
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is Literal:
            options["choices"] = [str(choice) for choice in get_args(kind)]
        elif get_origin(kind) is tuple:
            items = get_args(kind)
            options |= {
                "nargs": len(items) if Ellipsis not in items else "+" if _filled(field) else "*",
                "metavar": METAVARS.get(get_args(kind)[0], "WORD"),
            }
        else:
            options["metavar"] = METAVARS[kind]
        parser.add_argument(flag(name), **options)


def from_flags(config: type[BaseModel], given: dict[str, Any]) -> Any:
    """The config with the given flags set. Raises Refusal naming the flag that does not fit."""
    fields = {name: value for name, value in given.items() if name in config.model_fields}
    try:
        made = config(**fields)
    except ValidationError as error:
        raise Refusal(sentence(error)) from error
    for name in fields:
        if _idle(name, made):
            raise Refusal(f"{flag(name)} has nothing to act on: name a corruption with --corruption too.")
    return made


def _filled(field: FieldInfo) -> bool:
    """Whether a list may not be empty; one that may is emptied by its flag alone."""
    return any(getattr(rule, "min_length", 0) for rule in field.metadata)


def _idle(name: str, config: BaseModel) -> bool:
    """Whether a field has no effect as the others stand: an intensity without a corruption."""
    return name == "intensity" and getattr(config, "corruption", "") == CLEAN


def sentence(error: ValidationError) -> str:
    """A validation error as a sentence that names the flag."""
    first = error.errors()[0]
    name = flag(str(first["loc"][0])) if first["loc"] else "The settings"
    message = first["msg"].removeprefix("Value error, ")
    return f"{name} does not fit: {message[0].lower()}{message[1:]} (given: {_short(first['input'])})."


def _short(given: Any) -> str:
    """What a person gave, cut where it is long."""
    text = repr(given)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def as_command(
    study: str,
    config: BaseModel,
    *,
    model: str = "",
    opening: Opening | None = None,
    out: str = "",
    placed: str = "",
) -> str:
    """The command that does the same look; what is left at its default or acts on nothing is left out.

    ``model`` is opened as ``opening`` says. ``placed`` is the field whose values stand without a flag.

    Of an uploaded picture only the name is known: a line above the command says where its path belongs.
    """
    words = ["python", "-m", "workbench", study, *map(_words, getattr(config, placed, ()))]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name == placed or value == field.get_default(call_default_factory=True) or _idle(name, config):
            continue
        if isinstance(value, bool):
            words.append(flag(name) if value else "--no-" + name.replace("_", "-"))
        elif isinstance(value, list | tuple):
            words += [flag(name), *(_words(item) for item in value)]
        else:
            words += _flagged(flag(name), _words(value))
    if model and model != "pocket-bagel":
        words += _flagged("--model", model)
    how = opening or Opening()
    for each in fields(how):
        if (value := getattr(how, each.name)) != each.default:
            words += [flag(each.name)] if value is True else _flagged(flag(each.name), value)
    command = shlex.join([*words, *_flagged("--out", out or f"results/{study}")])
    return f"{OWN_PATH}\n{command}" if _is_bare_name(getattr(config, "image", "")) else command


def _is_bare_name(image: str) -> bool:
    """Whether an image is named by a file's name alone, as an uploaded one is."""
    return bool(image) and not image.startswith(SCENE) and Path(image).name == image


def _flagged(name: str, value: str) -> list[str]:
    """A flag with its value, as one word where the value would be read as a flag itself."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _words(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list | tuple):
        return " ".join(_words(item) for item in value)
    return str(value)


def _plain(field: FieldInfo) -> Any:
    """The field's type with an optional None taken off."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
    if type(None) in get_args(field.annotation) and len(kinds) == 1:
        return kinds[0]
    return field.annotation
