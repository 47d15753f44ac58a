"""Tables as CSV that loses nothing: floats to the last digit, column types and missing text beside it."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = re.compile(r"\w([\w .:;%()°×–-]*\w)?")


def to_csv(table: pd.DataFrame) -> tuple[dict[str, Any], bytes]:
    """The table as CSV (UTF-8, header, no index) and what the CSV alone does not tell.

    The latter holds ``rows`` (their number) and ``columns``: for each its ``name``, its ``type`` (the name of
    a numpy type, or "text") and, for text, ``missing``: the rows without one.

    Raises:
        TypeError: a column is of another type, or a column's name is not text.
    """
    import pandas as pd

    columns: list[dict[str, Any]] = []
    for name, column in table.items():
        if not isinstance(name, str):
            raise TypeError(f"the column name {name!r} is not text")
        if isinstance(column, pd.DataFrame) or table.columns.tolist().count(name) > 1:
            raise TypeError(f"two columns are called {name!r}")
        if getattr(column.dtype, "kind", "") in "iufb" and not pd.api.types.is_extension_array_dtype(
            column.dtype
        ):
            columns.append({"name": name, "type": str(column.dtype)})
            continue
        missing = column.isna()
        if not all(isinstance(value, str) for value in column[~missing]):
            raise TypeError(f"column {name!r} ({column.dtype}) holds neither numbers nor text")
        columns.append({"name": name, "type": "text", "missing": missing.to_numpy().nonzero()[0].tolist()})
    cells = [
        [_quoted(column["name"]), *_written(table[column["name"]], column["type"])] for column in columns
    ]
    text = "".join(",".join(row) + "\n" for row in zip(*cells, strict=True))
    return {"rows": len(table), "columns": columns}, text.encode("utf-8", "surrogatepass")


def _written(column: pd.Series, kind: str) -> list[str]:
    if kind == "text":
        return ["" if value != value or value is None else _quoted(value) for value in column]
    return ["" if value != value else str(value) for value in column.to_numpy()]


def _quoted(text: str) -> str:
    """In quotes where a reader could take it for something else, as empty text for missing text."""
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def from_csv(data: bytes, about: dict[str, Any]) -> pd.DataFrame:
    """The table back, equal in values and types.

    Raises:
        ValueError, KeyError, TypeError: CSV and description do not belong together.
    """
    import numpy as np
    import pandas as pd

    columns = about["columns"]
    if not columns:
        return pd.DataFrame(index=range(about["rows"]))
    text = data.decode("utf-8", "surrogatepass")
    names = [column["name"] for column in columns]
    # Before pandas, which takes long over a file of very many columns, as only somebody else's can be.
    if next(csv.reader(io.StringIO(text, newline="")), None) != names:
        raise ValueError("the table's columns are not those that were written")
    texts = pd.read_csv(
        io.StringIO(text),
        header=None,
        dtype=object,
        keep_default_na=False,
        skip_blank_lines=False,
    )
    texts = texts.iloc[1:]
    if len(texts) != about["rows"]:
        raise ValueError("the table's rows are not those that were written")
    table = {}
    for place, column in enumerate(columns):
        values = texts[place]
        if column["type"] == "text":
            words = pd.Series(values.tolist(), dtype="str")
            words.iloc[column["missing"]] = np.nan
            table[column["name"]] = words
            continue
        kind = np.dtype(column["type"])
        if kind.kind == "b":
            table[column["name"]] = pd.Series(values.to_numpy() == "True")
        elif kind.kind in "iu":
            table[column["name"]] = pd.Series(np.array([int(value) for value in values], kind))
        elif kind.kind == "f":
            table[column["name"]] = pd.Series(np.array([float(value or "nan") for value in values], kind))
        else:
            raise ValueError(f"unknown column type {column['type']!r}")
    return pd.DataFrame(table)
