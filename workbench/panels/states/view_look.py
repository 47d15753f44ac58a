"""What the panel "States" shows of a look, going on or finished: its pictures, words and tokens as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.models.protocol import Decision, Thought, VisualState
from workbench.page import markup
from workbench.panels.states import shots
from workbench.panels.states.events import SAME, Laid, StudyEvent, answered, spoken
from workbench.panels.states.record import RESPONSE, Record

if TYPE_CHECKING:
    from workbench.runs.result import Result

PAIRS = {
    "degraded, restored": ("degraded", "restored"),
    "original, restored": ("original", "restored"),
    "original, degraded": ("original", "degraded"),
}
COMPARE_BOX = 384
DIFFERS = "differs from the same context without drawing"
ROW = "the image on its way through the model"
TO_COME = ("each step as it happens", "what it believes is there")
UNDRAWN = ("the model answers without drawing", "so nothing is restored")
Row = Mapping[str, Any]
"""A row of a result's table."""


@dataclass(frozen=True)
class Seen:
    """One look so far, for the screen: what has just happened, what is there, and the record's rows."""

    event: StudyEvent | None = None
    laid: Laid | None = None
    step: VisualState | None = None
    said: Thought | None = None
    drawings: int = 0
    compared_at: Sequence[int] = ()
    restore: str = "auto"
    trace: Sequence[Row] = ()
    answers: Sequence[Row] = ()

    @property
    def undrawn(self) -> bool:
        """Whether nothing will be drawn."""
        decided = isinstance(self.event, Decision) and not self.event.restore
        return not self.drawings and (decided or self.restore == "never")

    def after(self, event: StudyEvent, record: Record) -> Seen:
        """The same look after an event that the record holds already."""
        said = event if isinstance(event, Thought) else self.said
        return Seen(
            event=event,
            laid=event if isinstance(event, Laid) else self.laid,
            step=event if isinstance(event, VisualState) else self.step,
            # What was said before a drawing is in the trace; it was no answer.
            said=None if isinstance(event, Decision) and event.restore else said,
            drawings=record.drawings,
            compared_at=record.compared_at,
            restore=record.config.restore,
            trace=tuple(record.trace),
            answers=tuple(record.answers),
        )


def pictures(seen: Seen) -> str:
    """The row while the look is going on: what is there, and dashed frames for what is to come."""
    if seen.laid is None:
        cells = [
            markup.figure("original", "", None, empty="the image on the bench"),
            markup.figure("degraded", "", None, empty="what the model gets"),
        ]
    else:
        psnr = _psnr(seen.trace, "degraded")
        given = (
            shots.Shot("original", "original", seen.laid.original),
            shots.Shot("degraded", "degraded", seen.laid.degraded, psnr),
        )
        cells = [_figure(shot) for shot in given]
    if (now := seen.step) is not None:
        psnr, several = _psnr(seen.trace, "step"), seen.drawings > 1
        name = f"step {now.step} of {now.steps}"
        cells.append(_figure(shots.Shot("step", name, now.image, psnr, now.t, seen.drawings, several)))
        cells.append(markup.figure("restored", "", None, empty=TO_COME[1]))
    else:
        cells += _undrawn(UNDRAWN if seen.undrawn else TO_COME)
    size = markup.remark(shots.size_note(seen.compared_at)) if seen.compared_at else ""
    return markup.row(cells, ROW) + size


def _figure(shot: shots.Shot, mark: str = "") -> str:
    return markup.figure(shot.label, shot.note, shot.pixels, mark=mark)


def _undrawn(why: tuple[str, str]) -> list[str]:
    """The frames of what is drawn, empty."""
    names = ("denoising", "restored")
    return [markup.figure(name, "", None, empty=words) for name, words in zip(names, why, strict=True)]


def _psnr(trace: Sequence[Row], event: str) -> float:
    """The number in the last row of its kind; NaN where there is none."""
    return next((float(row["psnr"]) for row in reversed(trace) if row["event"] == event), math.nan)


def finished(result: Result) -> str:
    """The row of a finished look: every step is there, the last one shown."""
    every = shots.screen(result)
    steps = [shot for shot in every if shot.kind == "step"]
    cells = [_figure(shot) for shot in every[:2]]
    for index, shot in enumerate(steps):
        hidden = "" if index == len(steps) - 1 else " hidden"
        cells.append(_figure(shot, f'data-step="{index}"{hidden}'))
        if (pointed := shot.pointed) is not None:
            cells.append(_figure(pointed, f'data-step="{index}" data-kind="estimate" hidden'))
    restored = [shot for shot in every if shot.kind == "restored"]
    cells += [_figure(shot) for shot in restored] or _undrawn(UNDRAWN)
    return markup.row(cells, ROW) + markup.remark(shots.size_note(result.arrays["compared_at"]))


def has_estimates(result: Result) -> bool:
    """Whether it knows what its steps point to."""
    return any(shot.estimate is not None for shot in shots.screen(result))


def tokens(result: Result) -> str:
    """Every token of the response with its probability as a shade; empty where a result has none."""
    table = result.tables.get("tokens")
    own = [] if table is None else table[table["on"] == RESPONSE].to_dict("records")
    if not own:
        return ""
    texts: dict[int, list[tuple[str, float, bool]]] = {}
    for row in own:
        texts.setdefault(row["text"], []).append((row["token"], row["logprob"], row["answer"]))
    return markup.tokens([(f"text {number}", tokens) for number, tokens in texts.items()])


def told(trace: Sequence[Row], answers: Sequence[Row], restore: str, saying: Thought | None = None) -> str:
    """Thoughts and decisions; then the answers without drawing, and last, marked, the response's own.

    ``saying`` is what the model says just now, as far as it is said: a thought, or the answer's first words.
    """
    rows = []
    for row in trace:
        if row["event"] == "thought":
            rows.append(("thought", f"“{row['text']}”", ""))
        elif row["event"] == "decision":
            chance = shots.probability(row["probability"], "p(draw)")
            rows.append(("decision", shots.decided(row["text"] == "draw", restore), chance))
    if saying is not None and not saying.done and (thought := spoken(saying.text)):
        rows.append(("thought", f"“{thought}”", ""))
    own = [row for row in answers if row["on"] in shots.ANSWERS]
    without = {row["on"]: row for row in answers if row["on"] not in shots.ANSWERS}
    for on, row in without.items():
        alone = "without drawing, from vision tokens alone, " if on in shots.ALONE else ""
        rows.append((alone + shots.given(on, restore), *shots.said(row)))
    differs = False
    if own:
        (last,) = own
        rows.append((f"answer, {shots.given(last['on'], restore)}", *shots.said(last)))
        differs = SAME in without and last["answer"] != without[SAME]["answer"]
    elif saying is not None and (begun := answered(saying.text)):
        drew = any(row["event"] == "step" for row in trace)
        rows.append((f"answer, {shots.given('restored' if drew else 'no drawing', restore)}", begun, ""))
    else:
        return markup.table(rows) if rows else ""
    return markup.table(rows, now=len(rows) - 1, remark=DIFFERS if differs else "")


def numbers(result: Result) -> Any:
    """The trace with the digits one reads; empty where an event has no such number."""
    table = result.tables["trace"].round({"probability": 3, "t": 3, "velocity_norm": 2, "psnr": 2})
    shown = table.astype(object).where(table.notna(), "").replace({np.inf: "equal"})
    shown["drawing"] = shown["drawing"].replace({0: ""})
    shown["step"] = shown["step"].replace({-1: ""})
    return shown


def pair_of(result: Result, chosen: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Two images of one size for the comparison slider; None where one was not drawn."""
    left, right = PAIRS[chosen]
    if left not in result.images or right not in result.images:
        return None
    first = markup.enlarged(result.images[left], COMPARE_BOX)
    second = markup.enlarged(result.images[right], COMPARE_BOX)
    if second.shape != first.shape:
        from PIL import Image

        size = (first.shape[1], first.shape[0])
        second = np.asarray(Image.fromarray(second).resize(size, Image.Resampling.NEAREST))
    return first, second


def pinned_row(title: str, result: Result) -> str:
    """A pinned look in one row: its name, small pictures, its answers."""
    keys = [key for key in ("degraded", "restored") if key in result.images]
    answers = result.tables["answers"].to_dict("records")
    said = "; ".join(shots.in_one(row, result.config["restore"]) for row in answers)
    return markup.strip(
        title,
        [markup.image(result.images[key], f"{title}: {key}", 96) for key in keys],
        [result.config["question"], said],
    )
