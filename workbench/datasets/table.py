"""Data sets in parquet: a file, a folder of shards, or a data set of the Hugging Face hub by its id."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from workbench.datasets.collection import Sample, Skipped, Split, fingerprint, in_three, number_of, tried
from workbench.datasets.columns import image_column, mask_column, numbered, targets
from workbench.datasets.files import NAMED_SPLITS
from workbench.datasets.masks import LAYOUTS
from workbench.datasets.shards import Shard, footers, record, starts
from workbench.errors import Refusal

BLOCK = 16
"""Fewest rows that stay together when a data set is shuffled: each read is of a whole row group."""
FEW = 100
"""Such blocks below which rows are shuffled one by one."""
NAMED_LAYOUTS = {
    "ade20k": "ade20k",
    "scene_parse": "ade20k",
    "coco-stuff": "coco-stuff",
    "cocostuff": "coco-stuff",
}
"""Parts of a data set's name that say how its masks are to be read."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a shard, `start` up to `stop`."""

    shard: Shard
    start: int
    stop: int


class Table:
    """A collection in parquet shards; `workbench.datasets.collection.Collection`.

    Rows are shuffled some at a time, a quarter of a row group, and read by row group: memory does not grow
    with the data set, and what is read is a few times what is shown. Where the shards name no splits, rows
    are dealt to them by the hash of shard and row.
    """

    def __init__(
        self,
        spec: str,
        title: str,
        given: Mapping[Split, Sequence[Shard]],
        *,
        layout: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        """`given`: files by split. `layout`: of masks, one of LAYOUTS; by the title where none is named.

        Raises Refusal where they cannot be read or hold no column of images.
        """
        self.title = title
        self.spec = f"{layout}:{spec.partition(':')[2]}" if layout else spec
        every = [shard for shards in given.values() for shard in shards]
        ends = dict(zip(every, footers(every), strict=True))
        first = next((shard for shard in every if ends[shard].num_rows), None)
        if first is None:
            raise Refusal(f"{title} holds no rows.")
        schema = ends[first].schema.to_arrow_schema()
        self.image, self.mask = image_column(schema, title), mask_column(schema)
        self.targets: Mapping[str, tuple[str, ...]]
        self.targets, said = targets(schema, every)
        self.numbered = numbered(schema)
        self.defaults = tuple(self.targets)[:1]
        self.layout = LAYOUTS[layout or _layout_named(title)]
        self.classes: tuple[str, ...] = self.layout.numbers() if self.mask else ()
        self.rows, self.divided = _dealt(given)
        self._ends = {
            split: list(accumulate(r.stop - r.start for r in rows)) for split, rows in self.rows.items()
        }
        masked = (f"Masks as in {self.layout.source}. {self.layout.kinds}",) if self.mask else ()
        self.notes = (*notes, *self.divided, *said, *masked)
        self.fingerprint = fingerprint([f"{shard.name}\t{shard.stamp}" for shard in every])

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return self._ends[split][-1] if self._ends[split] else 0

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order."""
        for place in range(start, min(stop, self.count(split))):
            shard, row = self._at(split, place)
            name = f"{shard.name}:{row}"
            yield tried(name, partial(self._sample, name, shard, row))

    def _at(self, split: Split, place: int) -> tuple[Shard, int]:
        """The shard and the row of an image by its place in a split."""
        block = bisect_right(self._ends[split], place)
        rows = self.rows[split][block]
        return rows.shard, rows.stop - (self._ends[split][block] - place)

    def _sample(self, name: str, shard: Shard, row: int) -> Sample:
        from workbench.datasets.masks import fitted_mask, numbers_of
        from workbench.images.fit import fitted
        from workbench.images.read import read

        columns = [self.image, *self.targets, *([self.mask] if self.mask else [])]
        cells = record(shard, row, tuple(columns))
        picture = read(_bytes(cells[self.image], name), name=name)
        small = fitted(picture).pixels
        labels = {
            target: values.index(word)
            for target, values in self.targets.items()
            if (word := _word(cells[target], values, numbered=target in self.numbered)) in values
        }
        classes = None
        if self.mask:
            numbers = numbers_of(BytesIO(_bytes(cells[self.mask], name)), "Its mask")
            if numbers.shape != picture.pixels.shape[:2]:
                raise Refusal("Its mask has another size than the image.")
            classes = self.layout.indices(fitted_mask(numbers, small.shape[:2]), len(self.classes))
        return Sample(name, small, number_of(name), labels, classes=classes, regions=classes)


def open_table(path: str, layout: str = "") -> Table:
    """A parquet file, or a folder of them; splits by the names of folders and shards (train-00000-of-…).

    Raises Refusal where there is none.
    """
    place = Path(path).expanduser()
    if place.is_file():
        shard = Shard(place.name, place)
        return Table(f"parquet:{path}", place.stem, {"train": [shard]}, layout=layout)
    found = sorted(place.rglob("*.parquet")) if place.is_dir() else []
    if not found:
        raise Refusal(f"There is no parquet file at {path}. Give a .parquet file, or a folder of them.")
    given: dict[Split, list[Shard]] = {}
    for file in found:
        name = file.relative_to(place).as_posix()
        named = [split for part in reversed(name.split("/")) if (split := _split_named(part))]
        given.setdefault(named[0] if named else "train", []).append(Shard(name, file))
    return Table(f"parquet:{path}", place.resolve().name, given, layout=layout)


def open_hub(name: str, layout: str = "") -> Table:
    """A data set of the hub, OWNER/NAME or OWNER/NAME@CONFIGURATION, in the hub's own parquet copy of it.

    Raises Refusal where the hub has no such data set or no such copy, or cannot be reached.
    """
    from workbench.datasets.hub import copy_of

    found = copy_of(name)
    named = {folder: split for folder in found.splits if (split := _split_named(folder))}
    given: dict[Split, list[Shard]] = {}
    for folder, files in found.splits.items():
        if folder in named or not named:
            shards = [Shard(file.file, file) for file in files]
            given.setdefault(named.get(folder, "train"), []).extend(shards)
    left = [folder for folder in found.splits if named and folder not in named]
    notes = [*found.notes, *([f"Its splits {', '.join(left)} are left out."] if left else [])]
    return Table(f"hub:{name}", name, given, layout=layout, notes=notes)


def _split_named(word: str) -> Split | None:
    """The split that the name of a file or folder begins with, if it does."""
    return NAMED_SPLITS.get(re.split(r"[-_.]", word.lower())[0])


def _layout_named(title: str) -> str:
    """The layout of masks that a data set's name tells."""
    return next((layout for part, layout in NAMED_LAYOUTS.items() if part in title.lower()), "masks")


def _dealt(given: Mapping[Split, Sequence[Shard]]) -> tuple[dict[Split, list[Rows]], tuple[str, ...]]:
    """Every row of the shards, by split, some rows at a time."""
    groups = [begin for shards in given.values() for shard in shards if (begin := starts(shard))[-1]]
    largest = max(b - a for begin in groups for a, b in pairwise(begin))
    block = max(BLOCK, -(-largest // 4)) if sum(begin[-1] for begin in groups) >= BLOCK * FEW else 1
    blocks = {
        split: [
            Rows(shard, first, min(first + block, starts(shard)[-1]))
            for shard in shards
            for first in range(0, starts(shard)[-1], block)
        ]
        for split, shards in given.items()
    }
    return in_three(blocks, lambda rows: f"{rows.shard.name}:{rows.start}")


def _bytes(value: Any, name: str) -> bytes:
    """The file in a cell: bytes, or what the datasets library writes, {"bytes": …, "path": …}."""
    data = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(data, bytes) or not data:
        raise Refusal(f"“{name}” holds no picture, only the path of one: fetch the data with its pictures.")
    return data


def _word(value: Any, values: tuple[str, ...], *, numbered: bool) -> str:
    """A cell as a value of its target; `numbered`: it is the number of a name, as ClassLabel writes it."""
    if numbered:
        return values[value] if isinstance(value, int) and 0 <= value < len(values) else ""
    return "" if value is None else str(value)
