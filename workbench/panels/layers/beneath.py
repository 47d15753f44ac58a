"""What stands under the curves of some groups: pictures that were read, or CKA of every two stages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.page import markup
from workbench.panels.layers.between import Named, matrix
from workbench.panels.layers.measures import BETWEEN
from workbench.panels.layers.read_pictures import columns, has_pictures
from workbench.panels.overlay import cividis

if TYPE_CHECKING:
    from workbench.runs.result import Result

CONTENT, LIKENESS = "content reader", "likeness"
BOX = 192
"""Pixels of the square that one read picture is shown in."""
CELL = 14
"""Pixels of one pair of stages."""


def beneath(many: Sequence[Named], group: str | None) -> str:
    """HTML for a group of the first of these results, empty where there is nothing to show."""
    if not many:
        return ""
    result = many[0][1]
    if group == BETWEEN:
        first, second, found = matrix(many)
        words = (
            f"CKA of every stage of {first} (from the top: {_ends(found.first)}) with every stage of "
            f"{second} (from the left: {_ends(found.second)}); n = {found.images:,} {found.of}."
        )
        return _map(found.cka.value, words)
    if group == CONTENT and has_pictures(result):
        return _pictures(result)
    if group == LIKENESS and "cka" in result.tables:
        return _matrix(result)
    return ""


def _pictures(result: Result) -> str:
    """Test pictures, a row each, as they were and as they are read at some stages."""
    parts = [
        f"<figure><figcaption>{escape(name)}</figcaption>"
        + "".join(markup.image(pixels, f"{name}, picture {k + 1}", BOX) for k, pixels in enumerate(pictures))
        + "</figure>"
        for name, pictures in columns(result)
    ]
    words = (
        "What a linear reader still sees: each patch's colours, 4 × 4 of them, read from its token alone. "
        "The first test pictures, before any corruption at the left."
    )
    return f'<div class="aft read-pictures">{"".join(parts)}</div>{markup.remark(words)}'


def _matrix(result: Result) -> str:
    """CKA of every two stages as a map, first stage at the top left."""
    table = result.tables["cka"]
    stages = list(dict.fromkeys(table["stage"]))
    values = table["cka"].to_numpy(dtype=np.float64).reshape(len(stages), len(stages))
    words = (
        f"CKA of every two stages, from {stages[0]} (top, left) to {stages[-1]} (bottom, right); its values "
        "are in the table cka of the download."
    )
    return _map(values, words)


def _ends(stages: Sequence[str]) -> str:
    return f"{stages[0]} to {stages[-1]}"


def _map(values: np.ndarray, words: str) -> str:
    """CKA of stages, down and across, as a picture with its scale."""
    shade: NDArray[np.uint8] = cividis()[
        np.clip(np.nan_to_num(values) * 255 + 0.5, 0, 255).astype(int)
    ].astype(np.uint8)
    height, width = (CELL * count for count in values.shape)
    bar = np.broadcast_to(cividis()[:, None].transpose(1, 0, 2), (10, 256, 3)).astype(np.uint8)
    picture = (
        f'<img class="whole" src="{markup.data_uri(shade)}" width="{width}" height="{height}" '
        f'alt="{escape(words)}">'
    )
    return f'<div class="aft">{picture}</div>{markup.scale(words, bar, "0", "1")}'
