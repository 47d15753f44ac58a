"""Data sets in parquet: a file, a folder of shards, or a data set of the Hugging Face hub by its id."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.datasets.collection import Sample, Skipped, Split, fingerprint, in_three, number_of, tried
from workbench.datasets.files import NAMED_SPLITS, stamp_of
from workbench.errors import Refusal

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "pixel_values", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label", "target", "category")
MASK_COLUMNS = ("annotation", "mask", "segmentation", "label_map", "semantic_mask")
MOST_CLASSES = 5000
"""Different values up to which a column of text or numbers counts as a label."""
UNLABELLED = 255
BLOCK = 16
"""Fewest rows that stay together when a data set is shuffled: each read is of a whole row group."""
FEW = 100
"""Such blocks below which rows are shuffled one by one."""


@dataclass(frozen=True)
class Shard:
    """One parquet file, and how many rows it has."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Rows:
    """Some rows of a shard, `start` up to `stop`."""

    path: Path
    start: int
    stop: int


class Table:
    """A collection in parquet shards; `workbench.datasets.collection.Collection`.

    Rows are shuffled some at a time, a quarter of a row group, and read by row group: memory does not grow
    with the data set, and what is read is a few times what is shown. Where the shards name no splits, rows
    are dealt to them by the hash of shard and row.
    """

    def __init__(self, spec: str, title: str, shards: Mapping[Split, Sequence[Path]]) -> None:
        """`shards`: files by split. Raises Refusal where they cannot be read or hold no column of images."""
        self.spec, self.title = spec, title
        files = {split: [_shard(path) for path in sorted(paths)] for split, paths in shards.items()}
        first = next((s for each in files.values() for s in each if s.rows), None)
        if first is None:
            raise Refusal(f"{title} holds no rows.")
        schema = _opened(first.path).schema_arrow
        self.image, self.mask = _image_column(schema, title), _mask_column(schema)
        self.targets: Mapping[str, tuple[str, ...]]
        self.targets, said = _targets(schema, [s.path for each in files.values() for s in each])
        self.numbered = {name for name, about in _features(schema).items() if _is_class_label(about)}
        self.defaults = tuple(self.targets)[:1]
        self.classes: tuple[str, ...] = tuple(f"class {k}" for k in range(UNLABELLED)) if self.mask else ()
        self.rows, how = _dealt(files)
        self._ends = {
            split: list(accumulate(r.stop - r.start for r in rows)) for split, rows in self.rows.items()
        }
        self.notes = (*how, *said)
        self.fingerprint = fingerprint(
            [f"{s.path.name}\t{stamp_of(s.path)}" for e in files.values() for s in e]
        )

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return self._ends[split][-1] if self._ends[split] else 0

    def read(self, split: Split, start: int, stop: int) -> Iterator[Sample | Skipped]:
        """The images `start` to `stop` of a split, in order."""
        for place in range(start, min(stop, self.count(split))):
            path, row = self._at(split, place)
            name = f"{path.name}:{row}"
            yield tried(name, partial(self._sample, name, path, row))

    def _at(self, split: Split, place: int) -> tuple[Path, int]:
        """The shard and the row of an image by its place in a split."""
        block = bisect_right(self._ends[split], place)
        rows = self.rows[split][block]
        return rows.path, rows.stop - (self._ends[split][block] - place)

    def _sample(self, name: str, path: Path, row: int) -> Sample:
        from workbench.datasets.masks import fitted_mask, numbers_of
        from workbench.images.fit import fitted
        from workbench.images.read import read

        columns = [self.image, *self.targets, *([self.mask] if self.mask else [])]
        record = _record(path, row, tuple(columns))
        picture = read(_bytes(record[self.image], name), name=name)
        small = fitted(picture).pixels
        labels = {
            target: values.index(word)
            for target, values in self.targets.items()
            if (word := _word(record[target], values, numbered=target in self.numbered)) in values
        }
        classes = None
        if self.mask:
            numbers = numbers_of(BytesIO(_bytes(record[self.mask], name)), "Its mask")
            if numbers.shape != picture.pixels.shape[:2]:
                raise Refusal("Its mask has another size than the image.")
            classes = np.minimum(fitted_mask(numbers, small.shape[:2]), UNLABELLED).astype(np.int16)
        return Sample(name, small, number_of(name), labels, classes=classes, regions=classes)


def open_table(path: str) -> Table:
    """A parquet file, or a folder of them; splits by the names of folders and shards (train-00000-of-…).

    Raises Refusal where there is none.
    """
    place = Path(path).expanduser()
    if place.is_file():
        return Table(f"parquet:{path}", place.stem, {"train": [place]})
    found = sorted(place.rglob("*.parquet")) if place.is_dir() else []
    if not found:
        raise Refusal(f"There is no parquet file at {path}. Give a .parquet file, or a folder of them.")
    return Table(f"parquet:{path}", place.resolve().name, _by_split(found, place))


def open_hub(name: str) -> Table:
    """A data set of the hub, OWNER/NAME or OWNER/NAME@CONFIGURATION, in the hub's own parquet copy of it.

    Raises Refusal where the hub has no such data set or no such copy, or cannot be reached.
    """
    from workbench.datasets.hub import parquet_of

    folder = parquet_of(name)
    return Table(f"hub:{name}", name, _by_split(sorted(folder.rglob("*.parquet")), folder))


def _by_split(paths: Sequence[Path], root: Path) -> dict[Split, list[Path]]:
    """Shards by the split that their names, or their folders', say; under "train" where none does."""
    found: dict[Split, list[Path]] = {}
    for path in paths:
        words = [re.split(r"[-_.]", part.lower())[0] for part in path.relative_to(root).parts]
        named = [NAMED_SPLITS[word] for word in reversed(words) if word in NAMED_SPLITS]
        split: Split = named[0] if named else "train"
        found.setdefault(split, []).append(path)
    return found


def _dealt(files: Mapping[Split, Sequence[Shard]]) -> tuple[dict[Split, list[Rows]], tuple[str, ...]]:
    """Every row of the shards, by split, some rows at a time."""
    total = sum(shard.rows for shards in files.values() for shard in shards)
    groups = [_starts(shard.path) for shards in files.values() for shard in shards if shard.rows]
    largest = max(b - a for starts in groups for a, b in pairwise(starts))
    block = max(BLOCK, -(-largest // 4)) if total >= BLOCK * FEW else 1
    blocks = {
        split: [
            Rows(shard.path, first, min(first + block, shard.rows))
            for shard in shards
            for first in range(0, shard.rows, block)
        ]
        for split, shards in files.items()
    }
    return in_three(blocks, lambda rows: f"{rows.path.name}:{rows.start}")


def _opened(path: Path) -> Any:
    """A parquet file. Raises Refusal where it is none, or pyarrow is not installed."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise Refusal("Reading parquet needs the package pyarrow: pip install pyarrow.") from None
    try:
        return pq.ParquetFile(path)
    except Exception as error:
        raise Refusal(
            f"“{path.name}” cannot be read as parquet: {str(error).partition(chr(10))[0]}"
        ) from None


def _shard(path: Path) -> Shard:
    return Shard(path, _opened(path).metadata.num_rows)


@lru_cache(maxsize=2)
def _group(path: Path, group: int, columns: tuple[str, ...]) -> pa.Table:
    """One row group; those of the images that come next are most often the same."""
    return _opened(path).read_row_group(group, columns=list(columns))


@lru_cache(maxsize=64)
def _starts(path: Path) -> tuple[int, ...]:
    """Where each row group begins, and where the last one ends."""
    metadata = _opened(path).metadata
    sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    return tuple(int(start) for start in np.concatenate([[0], np.cumsum(sizes)]))


def _record(path: Path, row: int, columns: tuple[str, ...]) -> dict[str, Any]:
    starts = _starts(path)
    group = int(np.searchsorted(starts, row, side="right")) - 1
    try:
        table = _group(path, group, columns)
    except OSError as error:
        raise Refusal(f"Its row cannot be read: {str(error).partition(chr(10))[0]}") from None
    return {name: table.column(name)[row - starts[group]].as_py() for name in columns}


def _bytes(value: Any, name: str) -> bytes:
    """The file in a cell: bytes, or what the datasets library writes, {"bytes": …, "path": …}."""
    data = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(data, bytes) or not data:
        raise Refusal(f"“{name}” holds no picture, only the path of one: fetch the data with its pictures.")
    return data


def _features(schema: Any) -> Mapping[str, Any]:
    """What the datasets library wrote about the columns; empty where it wrote nothing."""
    try:
        return dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}


def _is_image(schema: Any, name: str) -> bool:
    import pyarrow as pa

    if _features(schema).get(name, {}).get("_type") == "Image":
        return True
    kind = schema.field(name).type
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return binary or (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _image_column(schema: Any, title: str) -> str:
    found = [name for name in schema.names if _is_image(schema, name) and name not in MASK_COLUMNS]
    named = [name for name in IMAGE_COLUMNS if name in found]
    if not found:
        raise Refusal(f"{title} has no column of images; its columns are {', '.join(schema.names)}.")
    return (named or found)[0]


def _mask_column(schema: Any) -> str:
    return next((name for name in MASK_COLUMNS if name in schema.names and _is_image(schema, name)), "")


def _targets(schema: Any, paths: Sequence[Path]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The columns that label a whole image, with their values, and what was left out."""
    features, found, said = _features(schema), {}, []
    for name in schema.names:
        about = features.get(name, {})
        if _is_class_label(about):
            found[name] = tuple(str(word) for word in about["names"])
        elif name in LABEL_COLUMNS and not _is_image(schema, name):
            values = {v for path in paths for v in _column(path, name) if v is not None}
            if 2 <= len(values) <= MOST_CLASSES:
                found[name] = tuple(str(v) for v in sorted(values))
            else:
                said.append(f"The column “{name}” is no label: it has {len(values):,} different values.")
    return found, tuple(said)


def _is_class_label(about: Any) -> bool:
    return isinstance(about, Mapping) and about.get("_type") == "ClassLabel" and bool(about.get("names"))


def _column(path: Path, name: str) -> set[Any]:
    values = _opened(path).read(columns=[name]).column(name).unique().to_pylist()
    return {value for value in values if isinstance(value, str | int)}


def _word(value: Any, values: tuple[str, ...], *, numbered: bool) -> str:
    """A cell as a value of its target; `numbered`: it is the number of a name, as ClassLabel writes it."""
    if numbered:
        return values[value] if isinstance(value, int) and 0 <= value < len(values) else ""
    return "" if value is None else str(value)
