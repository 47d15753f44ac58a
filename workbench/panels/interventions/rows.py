"""One response on the page: every state as a small picture, with its answer by each route."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.page import markup
from workbench.panels.interventions.config import OWN
from workbench.panels.interventions.states import ABOUT, LABELS
from workbench.panels.interventions.verdict import verdict
from workbench.panels.layers.axis import signed
from workbench.panels.states.shots import probability

if TYPE_CHECKING:
    from workbench.runs.result import Result

BOX = 96
"""Pixels of the square that a picture is shown in."""


def empty() -> str:
    """What stands there before the first look."""
    return markup.placeholder(
        "the drawing and what stands in its place, side by side, with the answer that follows each"
    )


def told(result: Result) -> str:
    """What the numbers say, a line for each route."""
    lines = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(result))
    return f'<div class="aft told">{lines}</div>'


def pictures(result: Result) -> str:
    """A table: a column for each state, a row for each route; answers that changed stand out."""
    table = result.tables["answers"]
    states = list(dict.fromkeys(table["state"]))
    heads = "".join(_head(state, result) for state in states)
    body = []
    for route in dict.fromkeys(table["route"]):
        here = table[table["route"] == route].set_index("state").to_dict("index")
        cells = "".join(_cell(state, here[state]) for state in states)
        body.append(f'<tr><th scope="row">{escape(str(route))}</th>{cells}</tr>')
    truth = str(table["truth"].iloc[0])
    note = (
        "Bold: another answer than after its own drawing. Δ: change of that answer's log-probability, nats."
    )
    right = f" The right answer is “{truth}”." if truth else ""
    return (
        '<div class="aft instead"><table><thead><tr><td></td>'
        f"{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>" + markup.remark(note + right)
    )


def _head(state: str, result: Result) -> str:
    image = result.images.get(state)
    name, about = LABELS[state], ABOUT[state]
    shown = (
        markup.image(image, f"{name}: {about}", BOX)
        if image is not None
        else '<span class="nothing" aria-hidden="true"></span>'
    )
    return f'<th scope="col" title="{escape(about)}">{shown}<span>{escape(name)}</span></th>'


def _cell(state: str, row: Mapping[str, Any]) -> str:
    words = escape(row["answer"] or "no words")
    chance = float(row["probability"])
    numbers = [] if math.isnan(chance) else [probability(chance)]
    if state != OWN and not math.isnan(float(row["delta"])):
        numbers.append(f"Δ {signed(float(row['delta']))}")
    flipped = row["flipped"] == 1  # NaN where there was no answer that could change.
    said = f"<b>{words}</b>" if flipped else words
    told = '<span class="unseen"> (changed)</span>' if flipped else ""
    lines = "".join(f'<span class="quiet num">{escape(number)}</span>' for number in numbers)
    return f"<td{' class=flipped' if flipped else ''}>{said}{told}{lines}</td>"


def pinned_row(title: str, result: Result) -> str:
    """A pinned look in one row: its drawing, and what each route says of it."""
    images = [markup.image(result.images[key], f"{title}: {key}", BOX) for key in ("degraded", OWN)]
    return markup.strip(title, images, [result.config["question"], *verdict(result)])
