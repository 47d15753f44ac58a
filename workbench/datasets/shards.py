"""Parquet files, here or on the hub, read a row group at a time: of a distant one only what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.datasets.files import stamp_of
from workbench.datasets.hub import Distant
from workbench.errors import Refusal

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 8
"""Files whose ends are read at once."""


@dataclass(frozen=True)
class Shard:
    """One parquet file: its name within the collection, and where it is."""

    name: str
    place: Path | Distant

    @property
    def stamp(self) -> str:
        """Differs where its rows may; of a file of the hub it is the same on every machine."""
        return stamp_of(self.place) if isinstance(self.place, Path) else self.place.commit


def footers(shards: Sequence[Shard]) -> list[Any]:
    """The `pyarrow.parquet.FileMetaData` of each. Raises Refusal where one is no parquet."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(_footer, shards))


def starts(shard: Shard) -> tuple[int, ...]:
    """Where each row group begins, and where the last one ends."""
    footer = _footer(shard)
    return tuple(accumulate((footer.row_group(k).num_rows for k in range(footer.num_row_groups)), initial=0))


def record(shard: Shard, row: int, columns: tuple[str, ...]) -> dict[str, Any]:
    """The cells of a row. Raises Refusal where they cannot be read."""
    begin = starts(shard)
    group = int(np.searchsorted(begin, row, side="right")) - 1
    try:
        table = _group(shard, group, columns)
    except OSError as error:
        raise Refusal(f"Its row cannot be read: {str(error).partition(chr(10))[0]}") from None
    return {name: table.column(name)[row - begin[group]].as_py() for name in columns}


def values(shard: Shard, column: str) -> set[str | int]:
    """The different words or whole numbers of a column."""
    found: set[str | int] = set()
    for group in range(len(starts(shard)) - 1):
        cells = _group(shard, group, (column,)).column(column).unique().to_pylist()
        found |= {cell for cell in cells if isinstance(cell, str | int)}
    return found


@lru_cache(maxsize=4096)
def _kept_footer(shard: Shard, stamp: str) -> Any:
    """What stands at the end of a file that has this stamp."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise Refusal("Reading parquet needs the package pyarrow: pip install pyarrow.") from None
    if isinstance(shard.place, Distant):
        return shard.place.footer()
    try:
        return pq.read_metadata(shard.place)
    except Exception as error:
        raise Refusal(
            f"“{shard.place.name}” cannot be read as parquet: {str(error).partition(chr(10))[0]}"
        ) from None


def _footer(shard: Shard) -> Any:
    return _kept_footer(shard, shard.stamp)


@lru_cache(maxsize=2)
def _group(shard: Shard, group: int, columns: tuple[str, ...]) -> pa.Table:
    """One row group; those of the images that come next are most often the same."""
    import pyarrow.parquet as pq

    if isinstance(shard.place, Distant):
        return shard.place.group(group, columns)
    return pq.ParquetFile(shard.place).read_row_group(group, columns=list(columns))
