"""What every study returns, whoever asked: the page, the command line or a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass
class Result:
    """One finished study.

    Attributes:
        study: the panel's name, such as "states".
        config: the study's settings, of JSON's types.
        manifest: how it was made, of JSON's types; ``workbench.runs.manifest`` writes it.
        tables: tidy tables by name. Columns hold whole numbers, floats, booleans or text; the index is not
            kept.
        arrays: named arrays of numbers or booleans, any shape.
        images: uint8 (H, W, 3) or (H, W) by name.
    """

    study: str
    config: dict[str, Any]
    manifest: dict[str, Any]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    images: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its numbers, pictures and tables in memory, which is about what they take on disk."""
        arrays = sum(array.nbytes for array in (*self.arrays.values(), *self.images.values()))
        return arrays + sum(int(table.memory_usage(deep=True).sum()) for table in self.tables.values())
