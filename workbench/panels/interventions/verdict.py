"""What the numbers say, in a sentence or two: does the drawn image matter to the answer?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.panels.interventions.config import OWN
from workbench.panels.interventions.states import LABELS
from workbench.panels.layers.axis import signed

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

WITHOUT = ("none", "blank", "noise", "other", "degraded")
"""States that lack what the drawing shows. The clean image has it, and a painted edit may."""


def verdict(result: Result) -> list[str]:
    """A sentence for each route. Ours: a drawing is load-bearing where answers change without it."""
    many = "effects" in result.tables
    table = result.tables["effects" if many else "answers"]
    tell = _of_many if many else _of_one
    said = []
    for route in _routes(table):
        said.append(tell(table[table["route"] == route], str(route)))
        if many:
            said.append(_silent(result.tables["answers"], str(route)))
    return [sentence for sentence in said if sentence]


def _routes(table: DataFrame) -> list[str]:
    return list(dict.fromkeys(table["route"]))


def _of_one(table: DataFrame, route: str) -> str:
    """One response by one route."""
    rows = table.set_index("state")
    states = [state for state in WITHOUT if state in rows.index]
    if not states:
        return ""
    own = rows.loc[OWN, "answer"]
    if not own or rows["flipped"].isna().any():
        return (
            f"By {route}, the model says nothing after its own drawing: there is no answer of which could be "
            "told whether it rests on the drawing."
        )
    flipped = [state for state in states if bool(rows.loc[state, "flipped"])]
    listed = ", ".join(LABELS[state] for state in flipped)
    if len(flipped) == len(states):
        return f"By {route}, the answer “{own}” rests on the drawing: without it, it changes every time."
    if flipped:
        return (
            f"By {route}, the answer “{own}” changes with {len(flipped)} of {len(states)} states that lack "
            f"what the drawing shows: {listed}."
        )
    if "clean" in rows.index and bool(rows.loc["clean", "flipped"]):
        other = rows.loc["clean", "answer"] or "no words"
        return (
            f"By {route}, the answer “{own}” does not rest on this drawing: it stays without it; with the "
            f"clean image in its place it would be “{other}”."
        )
    return f"By {route}, the answer “{own}” does not rest on the drawing: it stays whatever is in its place."


def _silent(answers: DataFrame, route: str) -> str:
    """How many questions of a collection got no words after the own drawing; empty where all did."""
    own = answers[(answers["route"] == route) & (answers["state"] == OWN)]
    silent = int(own["flipped"].isna().sum())
    if not silent:
        return ""
    return (
        f"By {route}, the model says nothing after its own drawing to {silent:,} of {len(own):,} questions: "
        "they have no answer that could change, and count in no share of answers that change."
    )


def _of_many(table: DataFrame, route: str) -> str:
    """A collection by one route."""
    values = table.set_index(["measure", "state"])
    states = [state for state in WITHOUT if ("flips", state) in values.index]
    if not states:
        return ""
    state = states[0]
    flips, delta = values.loc[("flips", state)], values.loc[("delta", state)]
    words = (
        f"By {route}, {LABELS[state]} instead of its own changes {100 * flips['value']:.0f} % of answers "
        f"({100 * flips['low']:.0f} to {100 * flips['high']:.0f}) and the log-probability of the answer by "
        f"{signed(delta['value'])} nats ({signed(delta['low'])} to {signed(delta['high'])})"
    )
    words = words.replace("no drawing instead of its own", "leaving the drawing out")
    below = sum(bool(values.loc[("delta", each), "high"] < 0) for each in states)
    return (
        f"{words}; the answer loses probability, with an interval below zero, in {below} of {len(states)} "
        f"states that lack what the drawing shows (n = {int(flips['n']):,} images)."
    )
