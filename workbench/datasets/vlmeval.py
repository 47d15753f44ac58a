"""Benchmarks in VLMEvalKit's TSV: an image in base64, a question, its options and answer in each line.

Several lines may ask about one image (MME and POPE repeat it, MMBench's circular lines refer to it): they are
one sample with several questions, so that no image is in two splits and intervals count images. MMBench's
circular lines (their index is another line's and a multiple of a million) turn the options of that line: they
are one question with it, as VLMEvalKit counts them.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
CIRCULAR = 1_000_000
"""What VLMEvalKit adds to the index of a line for each turn of its options."""
SHORT = 64
"""Characters below which an image's cell is the index of another line, which holds it."""


@dataclass(frozen=True)
class Line:
    """One line without its image: where it begins in the file, and its words by column.

    image: the index of the line that holds its image where it refers to one, else what tells its image apart.
    """

    index: str
    start: int
    words: dict[str, str]
    image: str


@dataclass(frozen=True)
class Shown:
    """An image, by the first line that shows it, and all lines that ask about it."""

    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """The index of its first line."""
        return self.lines[0].index

    def value(self, column: str) -> str:
        """What its lines say in a column; empty where they say nothing, or not the same."""
        found = self.said(column)
        return next(iter(found)) if len(found) == 1 else ""

    def said(self, column: str) -> set[str]:
        """Everything that its lines say in a column."""
        return {line.words[column] for line in self.lines if line.words.get(column)}


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
            lines = [
                Line(words["index"], start, _without_image(words), _told_apart(words))
                for start, words in _lines(file, self.columns)
            ]
        if not lines:
            raise Refusal(f"{self.title} has no lines after its header.")
        self.at = {line.index: line for line in lines}
        images = _by_image(lines, self.at)
        self.targets: Mapping[str, tuple[str, ...]]
        self.targets, said = _targets(images)
        self.defaults = tuple(self.targets)[:1]
        split: dict[Split, list[Shown]]
        split, self.divided = in_three({"train": images}, lambda shown: shown.name)
        self.splits = split
        if len(images) < len(lines):
            most = max(len(shown.lines) for shown in images)
            said = (
                f"Its {len(lines):,} lines ask about {len(images):,} images: the lines of one image are "
                f"questions about it, in one split, and it counts once. A study asks as many of them as its "
                f"setting “each” says; the most about one image are {most:,}.",
                *said,
            )
        if turned := sum(_turned(line) in self.at and _turned(line) != line.index for line in lines):
            said = (
                f"{turned:,} of its lines turn the options of another one: a question is right only where it "
                "is in every turn (circular evaluation, as VLMEvalKit counts MMBench).",
                *said,
            )
        self.notes: tuple[str, ...] = (*self.divided, *said)
        self.fingerprint = fingerprint([f"{self.path.name}\t{stamp_of(self.path)}\tby image"])

    def count(self, split: Split) -> int:
        """How many images a split has, whatever the number of lines."""
        return len(self.splits[split])

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order."""
        for shown in self.splits[split][start:stop]:
            yield tried(shown.name, partial(self._sample, shown))

    def _sample(self, shown: Shown) -> Sample:
        from workbench.images.fit import fitted
        from workbench.images.read import read

        name = shown.name
        picture = fitted(read(self._image(shown.lines[0]), name=f"{self.title} {name}"))
        labels = {
            target: values.index(value)
            for target, values in self.targets.items()
            if (value := shown.value(target)) in values
        }
        return Sample(name, picture.pixels, number_of(name), labels, asked=_questions(shown.lines))

    def _image(self, line: Line, *, followed: bool = False) -> bytes:
        """The bytes of a line's image; a short cell is the index of the line that holds it."""
        with self.path.open("rb") as file:
            file.seek(line.start)
            _, words = next(_lines(file, self.columns))
        cell = _bare(words.get("image", ""))
        if len(cell) < SHORT and cell in self.at and not followed:
            return self._image(self.at[cell], followed=True)
        if not cell:
            raise Refusal("It has no image: only TSVs that hold their images are read, not those of paths.")
        try:
            return base64.b64decode(cell, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal("Its image is not base64, as VLMEvalKit writes it.") from None


def open_tsv(path: str) -> Benchmark:
    """A VLMEvalKit TSV. Raises Refusal where it cannot be read as one."""
    return Benchmark(path)


def asked(words: dict[str, str]) -> Asked:
    """The question of a line, with its hint before and its options after it, as VLMEvalKit asks it."""
    options = {letter: words[letter] for letter in OPTIONS if words.get(letter)}
    text = words.get("question", "")
    if words.get("hint"):
        text = f"Hint: {words['hint']}\n{text}"
    answer = words.get("answer", "").strip()
    if options:
        if answer.upper() in options:
            answer = answer.upper()
        text += "\n" + "\n".join(f"{letter}. {option}" for letter, option in options.items())
        return Asked(text, answer, tuple(options), "choice")
    if answer.lower() in ("yes", "no"):
        return Asked(text, answer.capitalize(), ("Yes", "No"), "yes or no")
    return Asked(text, answer, (), words.get("category", ""))


def _questions(lines: Sequence[Line]) -> tuple[Asked, ...]:
    """What lines of one image ask; those that turn the options of another one belong to its question."""
    here = {line.index for line in lines}
    by_question: dict[str, list[Asked]] = {}
    for line in lines:
        first = _turned(line)
        by_question.setdefault(first if first in here else line.index, []).append(asked(line.words))
    return tuple(replace(first, turns=tuple(turns)) for first, *turns in by_question.values())


def _turned(line: Line) -> str:
    """The index of the line whose options this one turns; its own where it turns none."""
    if not line.index.isdecimal() or int(line.index) < CIRCULAR:
        return line.index
    return str(int(line.index) % CIRCULAR)


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


def _bare(cell: str) -> str:
    """The base64 of an image's cell, in one line and without what makes it a data address (RFC 2397)."""
    head, comma, rest = cell.partition(",")
    if comma and head.lstrip().lower().startswith("data:image/") and head.lower().endswith(";base64"):
        cell = rest
    return "".join(cell.split())


def _without_image(words: dict[str, str]) -> dict[str, str]:
    return {name: word for name, word in words.items() if name not in ("image", "image_path")}


def _told_apart(words: dict[str, str]) -> str:
    """The index that a short cell is, else a hash of the image's base64, or of the line where it has none."""
    cell = _bare(words.get("image", ""))
    if 0 < len(cell) < SHORT:
        return cell
    return hashlib.sha256((cell or f"line {words['index']}").encode()).hexdigest()


def _by_image(lines: Sequence[Line], at: Mapping[str, Line]) -> list[Shown]:
    """Lines by the image that they show, each image where it first comes."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        holder = at.get(line.image, line)
        found.setdefault(holder.image, []).append(line)
    return [Shown(tuple(each)) for each in found.values()]


def _targets(images: Sequence[Shown]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The columns that label an image, with their values, and what was left out."""
    found: dict[str, tuple[str, ...]] = {}
    notes = []
    for name in TARGETS:
        values = tuple(sorted({value for shown in images if (value := shown.value(name))}))
        several = sum(len(shown.said(name)) > 1 for shown in images)
        if 1 < len(values) <= MOST_VALUES:
            found[name] = values
        elif len(values) == 1:
            notes.append(f"All its images are of one {name} ({values[0]}), so there is no label to read.")
        elif values:
            notes.append(f"The column “{name}” is no label: it has {len(values):,} different values.")
        if several:
            notes.append(f"Images whose lines differ in {name}, which have no such label: {several:,}.")
    return found, tuple(notes)
