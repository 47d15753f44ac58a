"""YAML with its line numbers: what is wrong in a file is said with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import Refusal

LARGEST = 200_000
"""Bytes of a recipe."""
Place = tuple[str | int, ...]
"""The keys and numbers that lead to a value."""


class Document:
    """A YAML file whose top is a table of names and values.

    Attributes:
        content: its bytes, as they were read.
        values: what it holds, of YAML's plain types.

    Raises:
        Refusal: it cannot be read, is no YAML, is empty, or names something twice.
    """

    def __init__(self, path: Path) -> None:
        self.name, self._lines = path.name, dict[Place, int]()
        try:
            with path.open("rb") as file:
                self.content = file.read(LARGEST + 1)
            text = self.content.decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal(f"{path} is not text in UTF-8, so it is no recipe.") from None
        except OSError as error:
            raise Refusal(f"{path} cannot be read: {error.strerror or error}.") from None
        if len(self.content) > LARGEST:
            raise Refusal(f"{path} is larger than a recipe may be ({LARGEST:,} bytes).")
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    line = event.start_mark.line + 1
                    raise Refusal(
                        f"{self.name}, line {line}: write *{event.anchor} out; a recipe has no aliases."
                    )
            top = yaml.compose(text, Loader=yaml.SafeLoader)
            if top is None:
                raise Refusal(f"{path} is empty. A recipe names runs and panels; docs/figures.md shows one.")
            self._walk(top, ())
            self.values: dict[str, Any] = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f", line {mark.line + 1}" if mark else ""
            raise Refusal(
                f"{self.name}{where}: this is no YAML ({error.problem or error.context})."
            ) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise Refusal(f"{self.name}: this is no YAML ({str(error).splitlines()[0]}).") from None
        if not isinstance(self.values, dict):
            raise Refusal(
                f"{self.name} holds no names with values, as “runs: …”; docs/figures.md shows a recipe."
            )

    def refused(self, place: Place, sentence: str) -> Refusal:
        """A refusal that says where in the file; what is not written there stands for what holds it."""
        for length in range(len(place), 0, -1):
            if line := self._lines.get(place[:length]):
                return Refusal(f"{self.name}, line {line}: {sentence}")
        return Refusal(f"{self.name}: {sentence}")

    @contextmanager
    def said_at(self, place: Place) -> Iterator[None]:
        """Let a refusal from within say where in the file."""
        try:
            yield
        except Refusal as refusal:
            raise self.refused(place, str(refusal)) from refusal

    def _walk(self, node: yaml.Node, place: Place) -> None:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise Refusal(f"{self.name}, line {line}: “{key.value}” is named twice. Leave one out.")
                seen.add(key.value)
                self._lines[(*place, key.value)] = key.start_mark.line + 1
                self._walk(value, (*place, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._walk(value, (*place, number))
