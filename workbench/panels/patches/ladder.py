"""What is told of one patch, stage by stage; and of all patches, for a spreadsheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.panels.patches.measure import NONE
from workbench.panels.patches.quantities import (
    ATTENTION,
    SIMILARITY,
    Asked,
    attention,
    shape_of,
    stages_of,
    values,
    word_at,
    words_of,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from workbench.runs.result import Result

MISLEADS = (
    "Read with care. The lens puts the states of every layer through the norm and the head that were trained "
    "for the last one: an early layer that reads as noise may hold plenty, and a lens tuned for each layer "
    "(Belrose et al., 2023) reads otherwise. Visual tokens were never trained to predict words, so a word "
    "here is not what the model thinks of the patch."
)


@dataclass(frozen=True)
class Rung:
    """One language stage of one patch.

    read: the likeliest tokens with their probabilities, best first. entropy in nats. word: the probability of
    the asked word, NaN without one. received: the share 0..1 of its attention that the asked query gives the
    patch, and average: what it gives a patch on average; NaN where it is not known. share_of_words: of all
    patches' likeliest tokens those that read as words, 0..1.
    """

    stage: str
    read: tuple[tuple[str, float], ...]
    entropy: float
    word: float
    received: float
    average: float
    share_of_words: float


def ladder(result: Result, asked: Asked) -> list[Rung]:
    """The asked patch at every stage of the language model; empty where nothing but states is known of it."""
    names = _vocabulary(result)
    place = word_at(result, asked.word) if words_of(result) else NONE
    found = []
    for at, row in enumerate(result.tables["stages"].to_dict("records")):
        read = int(row["lens"])
        weights = attention(result, at, asked.query, asked.head)
        if read == NONE and weights is None:
            continue
        ids = result.arrays["lens_ids"][read, asked.token] if read != NONE else ()
        shares = result.arrays["lens_probabilities"][read, asked.token] if read != NONE else ()
        known = read != NONE
        found.append(
            Rung(
                str(row["stage"]),
                tuple((names[int(number)], float(p)) for number, p in zip(ids, shares, strict=True)),
                float(result.arrays["lens_entropy"][read, asked.token]) if known else np.nan,
                float(result.arrays["lens_words"][read, asked.token, place])
                if known and place != NONE
                else np.nan,
                np.nan if weights is None else float(weights[asked.token]),
                np.nan if weights is None else float(weights.mean()),
                float(row["share_of_words"]),
            )
        )
    return found


def _vocabulary(result: Result) -> dict[int, str]:
    if "vocabulary" not in result.tables:
        return {}
    table = result.tables["vocabulary"]
    return {int(number): str(text) for number, text in zip(table["id"], table["text"], strict=True)}


def visible(text: str) -> str:
    """A token's text so that white space is seen: "␣red"; what cannot be printed as its escape."""
    escaped = "".join(
        "␣" if c == " " else c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    return escaped or "∅"


def numbers(result: Result, asked: Asked) -> DataFrame:
    """Everything that is known, a row for each stage and patch; cosines are to the asked patch.

    Attention is in percent, of the asked query and head. What a stage does not have is empty.
    """
    import pandas as pd

    names, words = _vocabulary(result), words_of(result)
    rows, cols = shape_of(result)
    row, col = np.divmod(np.arange(rows * cols), cols)
    parts = []
    for at, stage in enumerate(stages_of(result)):
        columns = {
            "stage": stage,
            "row": row + 1,
            "column": col + 1,
            "cosine": values(result, stage, Asked(asked.token, SIMILARITY)),
            "norm": result.arrays["norms"][at],
            "outlier": result.arrays["outliers"][at],
        }
        weights = values(result, stage, Asked(asked.token, ATTENTION, "", asked.query, asked.head))
        if weights is not None:
            columns["attention_percent"] = weights
        read = int(result.tables["stages"]["lens"].iloc[at])
        if read != NONE:
            columns["entropy_nats"] = result.arrays["lens_entropy"][read]
            for k in range(result.arrays["lens_ids"].shape[2]):
                ids = result.arrays["lens_ids"][read, :, k].tolist()
                columns[f"token_{k + 1}"] = [names[number] for number in ids]
                columns[f"p_{k + 1}"] = result.arrays["lens_probabilities"][read, :, k]
            for k, word in enumerate(words):
                columns[f"p({word})"] = result.arrays["lens_words"][read, :, k]
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
