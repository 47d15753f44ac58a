"""What can be mapped over the patches of a finished result, at any stage: no model is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.similarity import similarity_map
from workbench.errors import Refusal
from workbench.panels.layers.table import REFERENCE
from workbench.panels.needs import known_stage
from workbench.panels.patches.measure import NONE

if TYPE_CHECKING:
    from workbench.runs.result import Result

SIMILARITY, ATTENTION, WORD, ENTROPY, NORM = "similarity", "attention", "word", "entropy", "norm"
QUANTITIES = {
    SIMILARITY: "similarity to the patch",
    ATTENTION: "attention received",
    WORD: "probability of a word",
    ENTROPY: "entropy of the lens",
    NORM: "norm",
}
"""What each is called on the page, in its order."""
UNITS = {
    SIMILARITY: "cosine",
    ATTENTION: "attention, %",
    WORD: "probability",
    ENTROPY: "nats",
    NORM: "length",
}
"""What stands beside the colours."""
SPACE = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""
QUANTILES = (0.02, 0.98)
"""Of cosines: where the colours of a map of similarity end. Ours."""
MOST = 256
"""Patches whose cosines are taken for that."""
ALL = -1
"""In place of a query or a head: the mean over those that say the answer, over all heads."""


@dataclass(frozen=True)
class Asked:
    """What a person asks of a result, beside the stage.

    token: the patch, row by row from 0. show: one of QUANTITIES. word: one of the result's words, its first
    where this is empty. query: a row of the table "queries", or ALL. head: of each layer, or ALL.
    """

    token: int
    show: str = SIMILARITY
    word: str = ""
    query: int = ALL
    head: int = ALL


def stages_of(result: Result) -> list[str]:
    """The stages that can be shown, in order."""
    return [str(name) for name in result.tables["stages"]["stage"]]


def shown_stages(stages: Sequence[str], chosen: str | None = None, count: int = 5) -> list[str]:
    """`count` of the stages, in order, for a row of maps.

    They lie evenly over the axis, first and last among them; "llm 0" and the chosen one take the places
    nearest to them. Raises Refusal where the chosen one is none of `stages`.
    """
    last = len(stages) - 1
    wanted = [REFERENCE] if REFERENCE in stages else []
    wanted += [] if chosen is None else [known_stage(chosen, stages)]
    if last < count:
        return list(stages)
    picked = [round(k * last / (count - 1)) for k in range(count)]
    kept = {0, last, *(stages.index(name) for name in wanted)}
    for index in sorted(kept - set(picked)):
        free = [place for place in range(count) if picked[place] not in kept]
        picked[min(free, key=lambda place: abs(picked[place] - index))] = index
    return [stages[index] for index in sorted(picked)]


def shape_of(result: Result) -> tuple[int, int]:
    """Rows and columns of patches."""
    rows, cols = (int(v) for v in result.arrays["grid"])
    return rows, cols


def patch_in(result: Result, place: Sequence[int] | None) -> int:
    """The patch at a row and column, counted from 1; without them the one that is shown at first.

    Raises Refusal where the grid has none there.
    """
    rows, cols = shape_of(result)
    if place is None:
        return min(max(int(result.arrays["first"]), 0), rows * cols - 1)
    row, col = place
    if not (1 <= row <= rows and 1 <= col <= cols):
        raise Refusal(f"There is no patch in row {row}, column {col}: the grid is {rows} by {cols}.")
    return (row - 1) * cols + col - 1


def words_of(result: Result) -> list[str]:
    """The words whose probability the lens told, the one that the answer begins with first."""
    return list(result.tables["words"]["word"]) if "words" in result.tables else []


def held(result: Result) -> list[str]:
    """Which of QUANTITIES the result can show at one stage at least."""
    has = {
        SIMILARITY: True,
        ATTENTION: "attention_000" in result.arrays,
        WORD: bool(words_of(result)) and "lens_words" in result.arrays,
        ENTROPY: "lens_entropy" in result.arrays,
        NORM: True,
    }
    return [name for name in QUANTITIES if has[name]]


def row_of(result: Result, stage: str) -> int:
    """The row of the table "stages". Raises Refusal for a stage that the result does not hold."""
    stages = stages_of(result)
    return stages.index(known_stage(stage, stages))


def values(result: Result, stage: str, asked: Asked) -> NDArray[np.float32] | None:
    """The asked quantity at every patch, float32 (patches,); None at a stage that does not have it.

    Cosines -1..1, probabilities 0..1, attention in percent of all that a query gives, entropy in nats,
    Euclidean lengths.

    Raises:
        Refusal: for a stage, patch, word, query or head that the result does not hold.
    """
    at = row_of(result, stage)
    rows, cols = shape_of(result)
    if not 0 <= asked.token < rows * cols:
        raise Refusal(f"Patch {asked.token} is outside the grid of {rows} by {cols}.")
    if asked.show == SIMILARITY:
        tokens = result.arrays[f"tokens_{at:03d}"].astype(np.float32)
        return similarity_map(tokens, asked.token, rows, cols).ravel()
    if asked.show == NORM:
        return np.asarray(result.arrays["norms"][at])
    if asked.show == ATTENTION:
        weights = attention(result, at, asked.query, asked.head)
        return None if weights is None else 100 * weights
    if asked.show not in QUANTITIES:
        raise Refusal(f"There is no map of {asked.show!r}. Choose one of {', '.join(QUANTITIES)}.")
    read = int(result.tables["stages"]["lens"].iloc[at])
    if asked.show not in held(result) or read == NONE:
        return None
    if asked.show == ENTROPY:
        return np.asarray(result.arrays["lens_entropy"][read])
    return np.asarray(result.arrays["lens_words"][read, :, word_at(result, asked.word)])


def word_at(result: Result, word: str) -> int:
    """The place of a word among those that the lens told; the first where it is empty. Raises Refusal."""
    words = words_of(result)
    if word and word not in words:
        raise Refusal(f"The lens was not asked for {word!r}, only for {', '.join(words) or 'no word'}.")
    return words.index(word) if word else 0


def attention(result: Result, row: int, query: int, head: int) -> NDArray[np.float32] | None:
    """The share 0..1 of its attention that a query gives to each patch, float32; None where it is not known.

    Of ALL queries the mean of those that say the answer's tokens, the last of the prompt among them.
    """
    number = int(result.tables["stages"]["attention"].iloc[row])
    if number == NONE:
        return None
    weights = result.arrays[f"attention_{number:03d}"].astype(np.float32)
    heads, queries, _ = weights.shape
    if not ALL <= head < heads or not ALL <= query < queries:
        raise Refusal(f"There are {heads} heads and {queries} queries at {stages_of(result)[row]}.")
    by_head = weights.mean(axis=0) if head == ALL else weights[head]
    says = result.tables["queries"]["says"].to_numpy() >= 0
    return np.asarray(by_head[says].mean(axis=0) if query == ALL else by_head[query])


def heads_of(result: Result) -> int:
    """How many heads the layer with most of them has; 0 without attention."""
    return max((a.shape[0] for name, a in result.arrays.items() if name.startswith("attention_")), default=0)


def queries_of(result: Result) -> list[tuple[str, int]]:
    """The queries whose attention is kept, by what a person calls them, with ALL first."""
    if "queries" not in result.tables:
        return []
    texts = [str(text).strip() or "space" for text in result.tables["tokens"]["text"]]
    queries = result.tables["queries"].to_dict("records")
    saying = sum(int(query["says"]) >= 0 for query in queries)
    mean = f"the answer, mean of {saying} tokens" if saying > 1 else "the answer, one token"
    found = [(mean, ALL)]
    for number, query in enumerate(queries):
        on, says = int(query["token"]), int(query["says"])
        name = "last token of the prompt" if on < 0 else f"token {on + 1}, “{texts[on]}”"
        found.append((f"{name}, says “{texts[says]}”" if says >= 0 else name, number))
    return found


def span(asking: Sequence[tuple[Result, Asked]], stages: Sequence[str]) -> tuple[float, float]:
    """The values at the two ends of the colours of maps at these stages, for all of these results together.

    Cosines lie between QUANTILES of those of every two patches, whichever patch is asked about: in a dark
    scene all are high, and colours from 0 to 1 would be one colour. The rest goes from 0 to the largest
    value; of norms, to the largest that is no outlier. Stages that a result does not have do not count.
    """
    low, high = (math.inf, -math.inf) if asking[0][1].show == SIMILARITY else (0.0, 0.0)
    for result, asked in asking:
        held = set(stages_of(result))
        for name in (name for name in stages if name in held):
            if asked.show == SIMILARITY:
                ends = _cosines(result, name)
                low, high = min(low, ends[0]), max(high, ends[1])
                continue
            found = values(result, name, asked)
            if found is None:
                continue
            plain = found
            if asked.show == NORM:
                far = result.arrays["outliers"][row_of(result, name)]
                plain = found[~far] if (~far).any() else found
            high = max(high, float(np.nanmax(plain)))
    return (low, high) if math.isfinite(low) else (-1.0, 1.0)


def compared(result: Result, show: str, stage: str) -> list[str]:
    """The stages whose maps have the same colours on the screen as this one's.

    Entropies and probabilities keep theirs while one scrubs. Attention and norms, which differ by orders of
    magnitude between layers, and cosines, which drift together, have those of the one stage.
    """
    return stages_of(result) if show in (WORD, ENTROPY) else [stage]


def _cosines(result: Result, stage: str) -> tuple[float, float]:
    """QUANTILES of the cosines of every two patches, rounded outwards; of many patches MOST are taken."""
    tokens = result.arrays[f"tokens_{row_of(result, stage):03d}"].astype(np.float32)
    count = len(tokens)
    some = tokens[np.linspace(0, count - 1, min(count, MOST)).round().astype(int)]
    pairs = (some @ some.T)[np.triu_indices(len(some), 1)]
    pairs = pairs[np.isfinite(pairs)]
    if not len(pairs):
        return -1.0, 1.0
    low, high = np.quantile(pairs, QUANTILES)
    low, high = math.floor(100 * low) / 100, math.ceil(100 * high) / 100
    high = min(high, 1.0)
    return max(min(low, high - 0.01), -1.0), high


def told(show: str, value: float) -> str:
    """A value for reading, with its unit where a number alone would not say."""
    if not np.isfinite(value):
        return "–"
    if show == ATTENTION:
        return (f"{value:.2g}" if value < 10 else f"{value:.0f}") + f"{SPACE}%"
    if show == WORD:
        return chance(value)
    if show == ENTROPY:
        return f"{value:.1f}{SPACE}nats"
    if show == NORM:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def chance(value: float) -> str:
    """A probability in two digits; what is nearly nothing as a bound."""
    if value < 0.001:
        return "< 0.001" if value > 0 else "0"
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}"


def said(result: Result, stage: str, asked: Asked) -> str:
    """What the map shows, in a sentence or two; why there is none where the stage does not have it."""
    row, col = (each + 1 for each in divmod(asked.token, shape_of(result)[1]))
    table = result.tables["stages"].iloc[row_of(result, stage)]
    rows, cols = shape_of(result)
    finer = max(1, round(int(table["tokens"]) / (rows * cols)))
    mean = f" Each is the mean of {finer} finer ones." if finer > 1 else ""
    if asked.show == SIMILARITY:
        return f"Cosine of the outlined patch (row {row}, column {col}) to all others at {stage}.{mean}"
    if asked.show == NORM:
        count = int(result.arrays["outliers"][row_of(result, stage)].sum())
        crossed = f"{count} outlier{'s are' if count != 1 else ' is'} crossed out" if count else "no outliers"
        return f"Euclidean length of each patch's state at {stage}, {crossed}.{mean}"
    found = values(result, stage, asked)
    if found is None:
        if asked.show == ATTENTION:
            return f"No attention is known at {stage}: it is that of layers of the language model."
        return f"The lens reads stages of the language model; {stage} is none."
    if asked.show == ENTROPY:
        return f"Entropy of what the lens reads at each patch at {stage}: low where it is sure of a token."
    if asked.show == WORD:
        word = words_of(result)[word_at(result, asked.word)]
        return f"Probability of “{word}” as the lens reads each patch at {stage}."
    query = dict((number, name) for name, number in queries_of(result))[asked.query]
    heads = "mean over heads" if asked.head == ALL else f"head {asked.head + 1}"
    share = float(np.nansum(found))
    return (
        f"Share of its attention that each patch gets in the layer that writes {stage}, from {query}; "
        f"{heads}. All patches together get {told(ATTENTION, share)}."
    )
