"""The card beside the planes: the patch under the pointer, in its picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.page import markup

if TYPE_CHECKING:
    from workbench.runs.result import Result

PLACE = ["left", "top", "width", "height", "image_width", "image_height"]
INVITATION = "Move over a point, or tap it: its patch, with what is around it, and its picture."


def card(results: Sequence[Result]) -> str:
    """An empty card, and the sheet of each result with where its pictures lie on it."""
    sheets = "".join(
        f'<img class="sheet" hidden alt="" src="{markup.data_uri(result.images["sheet"])}" '
        f'data-places="{escape(json.dumps(result.tables["pictures"][PLACE].to_numpy().tolist()))}">'
        for result in results
    )
    return (
        '<div class="aft atlas-card" role="status"><canvas width="132" height="132"></canvas>'
        '<canvas width="132" height="132"></canvas>'
        f'<p class="atlas-words"><span>{INVITATION}</span><br><span class="quiet"></span></p>{sheets}</div>'
    )
