"""Benchmarks in VLMEvalKit's TSV: an image in base64, a question, its options and answer in each line."""

from __future__ import annotations

import base64
import binascii
import csv
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from workbench.datasets.collection import (
    Asked,
    Sample,
    Skipped,
    Split,
    fingerprint,
    in_three,
    number_of,
    tried,
)
from workbench.datasets.files import stamp_of
from workbench.errors import Refusal

OPTIONS = "ABCDEFGHIJ"
TARGETS = ("category", "l2-category")
MOST_VALUES = 200
"""Different values up to which a column counts as a label."""
SHORT = 64
"""Characters below which an image's cell is the index of another line, which holds it."""


@dataclass(frozen=True)
class Line:
    """One line without its image: where it begins in the file, and its words by column."""

    index: str
    start: int
    words: dict[str, str]


class Benchmark:
    """A TSV as a collection; `workbench.datasets.collection.Collection`.

    Only words are held in memory; an image is read from the file when it is asked for.
    """

    def __init__(self, path: str) -> None:
        """Raises Refusal where there is no such file, or it has no columns index, image and question."""
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise Refusal(f"There is no file {path}. Give the path of a VLMEvalKit .tsv.")
        self.spec, self.title = f"tsv:{path}", self.path.stem
        self.classes: tuple[str, ...] = ()
        with self.path.open("rb") as file:
            self.columns = _header(file, self.title)
            self.lines = [
                Line(words["index"], start, _without_image(words))
                for start, words in _lines(file, self.columns)
            ]
        if not self.lines:
            raise Refusal(f"{self.title} has no lines after its header.")
        self.at = {line.index: line for line in self.lines}
        self.targets: Mapping[str, tuple[str, ...]] = {
            name: values for name in TARGETS if len(values := self._values(name)) > 1
        }
        self.defaults = tuple(self.targets)[:1]
        split: dict[Split, list[Line]]
        split, self.notes = in_three({"train": self.lines}, lambda line: line.index)
        self.splits = split
        self.fingerprint = fingerprint([f"{self.path.name}\t{stamp_of(self.path)}"])

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return len(self.splits[split])

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order."""
        for line in self.splits[split][start:stop]:
            yield tried(line.index, partial(self._sample, line))

    def _sample(self, line: Line) -> Sample:
        from workbench.images.fit import fitted
        from workbench.images.read import read

        picture = fitted(read(self._image(line), name=f"{self.title} {line.index}"))
        labels = {
            name: values.index(line.words[name])
            for name, values in self.targets.items()
            if line.words.get(name) in values
        }
        return Sample(line.index, picture.pixels, number_of(line.index), labels, asked=(asked(line.words),))

    def _image(self, line: Line, *, followed: bool = False) -> bytes:
        """The bytes of a line's image; a short cell is the index of the line that holds it."""
        with self.path.open("rb") as file:
            file.seek(line.start)
            _, words = next(_lines(file, self.columns))
        cell = words.get("image", "")
        if len(cell) < SHORT and cell in self.at and not followed:
            return self._image(self.at[cell], followed=True)
        if not cell:
            raise Refusal("It has no image: only TSVs that hold their images are read, not those of paths.")
        try:
            return base64.b64decode(cell, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal("Its image is not base64, as VLMEvalKit writes it.") from None

    def _values(self, name: str) -> tuple[str, ...]:
        found = {line.words[name] for line in self.lines if line.words.get(name)}
        return tuple(sorted(found)) if len(found) <= MOST_VALUES else ()


def open_tsv(path: str) -> Benchmark:
    """A VLMEvalKit TSV. Raises Refusal where it cannot be read as one."""
    return Benchmark(path)


def asked(words: dict[str, str]) -> Asked:
    """The question of a line, with its hint before and its options after it, as VLMEvalKit asks it."""
    options = {letter: words[letter] for letter in OPTIONS if words.get(letter)}
    text = words.get("question", "")
    if words.get("hint"):
        text = f"Hint: {words['hint']}\n{text}"
    answer = words.get("answer", "")
    if options:
        text += "\n" + "\n".join(f"{letter}. {option}" for letter, option in options.items())
        return Asked(text, answer, tuple(options), "choice")
    if answer.lower() in ("yes", "no"):
        return Asked(text, answer, ("Yes", "No"), "yes or no")
    return Asked(text, answer, (), words.get("category", ""))


def _header(file: BinaryIO, title: str) -> list[str]:
    columns = file.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n").split("\t")
    missing = [name for name in ("index", "question") if name not in columns]
    if missing or not {"image", "image_path"} & set(columns):
        raise Refusal(
            f"{title} is no VLMEvalKit benchmark: its first line names {', '.join(columns[:12])}; index, "
            "image and question are needed."
        )
    return columns


def _lines(file: BinaryIO, columns: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each record with the place where it begins; a quoted cell may hold line breaks."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    place = file.tell()

    def decoded() -> Iterator[str]:
        nonlocal place
        while line := file.readline():
            place += len(line)
            yield line.decode("utf-8", errors="replace")

    reader = csv.reader(decoded(), delimiter="\t")
    while True:
        start = place
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
        if cells:
            yield start, dict(zip(columns, cells, strict=False))


def _without_image(words: dict[str, str]) -> dict[str, str]:
    return {name: word for name, word in words.items() if name not in ("image", "image_path")}
