"""Capture: one pass over a prompt, and everything of it that a panel can need later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal, go_on
from workbench.models.protocol import BANDS, Answer, Capability, Grid, Model, Prompt, never
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.needs import chosen_stages, missing
from workbench.panels.question import short_enough
from workbench.panels.specimen import degrade, find, known

if TYPE_CHECKING:
    from workbench.capture.hidden import Captured
    from workbench.images.read import Picture
    from workbench.runs.result import Result

STUDY = "capture"
NEEDS = frozenset({Capability.HIDDEN_STATES})
UNKNOWN = -1
"""In place of a grid's number where tokens stand on no known grid, and of a token's where there is none."""
LARGEST_HALF = float(np.finfo(np.float16).max)

Row = dict[str, Any]


def prepared(config: CaptureConfig) -> list[Picture]:
    """The pictures of a capture; what needs no model is refused here. Raises Refusal."""
    short_enough(config.prompt)
    known(config.corruption)
    return [find(image).picture for image in config.images]


def run(
    config: CaptureConfig,
    model: Model,
    *,
    pictures: Sequence[Picture] | None = None,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    stop: Callable[[], bool] = never,
) -> Result:
    """Show the pictures once, all in one prompt, and keep what the pass shows.

    The hidden states come from a pass over the prompt alone, so that they are to the last bit those that a
    study of the open model measures; the attention from one more, over prompt and answer. One pass over both
    would not do: where image and text are one sequence, its length decides how products are cut, and states
    differ in the last bits (a tiny LLaVA's by 5e-7 in float32, by 0.01 of 3.4 in bfloat16).

    The result's tables: "images" (what was shown), "grids" (rows, columns, which image and what of it),
    "states" (one row for each kept array, with its stage and grid), with a lens "vocabulary" (the tokens that
    it names) and "words" (those whose probability it keeps: the one that the answer begins with, then those
    asked for), and, where the model answers, "answer", "tokens" and, where its attention can be read, "rows"
    (which query each row of attention is of: the answer's token that it stands on and the one that it says).
    Its arrays, NNN being row numbers of "states" or, of attention, stages' indices, GG a grid's number:
    ``states_NNN`` (tokens, width); ``boxes_GG`` float32 (tokens, 4) in pixels of the image; ``positions_GG``
    int64 (tokens,), places in the language model's sequence; ``lens_ids_NNN`` int32 and
    ``lens_probabilities_NNN`` float32 (tokens, k), ``lens_entropy_NNN`` float32 (tokens,) in nats and
    ``lens_words_NNN`` float32 (tokens, words), of language stages; ``attention_NNN`` float16 (heads, rows,
    prompt tokens), which sum to 1 together with what falls on the answer itself.

    Args:
        config: the settings.
        model: an open model with hidden states.
        pictures: those of `config.images`, if they are at hand.
        progress: told a fraction 0..1 and what is being done.
        stop: asked between passes and between tokens.

    Raises:
        Refusal: on bad input, a stage that the model has not, or a model that shows no hidden states or
            numbers that are not finite.
        Cancelled: once `stop` says so.
    """
    if reason := missing(model.card, NEEDS):
        raise Refusal(reason)
    import pandas as pd

    from workbench.capture.hidden import capture, finite
    from workbench.runs.manifest import manifest
    from workbench.runs.result import Result

    started = time.time()
    kept = {stage.name for stage in chosen_stages(config.stages, model.stages())} if config.stages else None
    words = {word: model.beginnings(word) for word in config.words} if config.lens_top else {}
    found = prepared(config) if pictures is None else list(pictures)
    shown = [degrade(p.pixels, config.corruption, config.intensity, config.seed) for p in found]
    progress(0.0, "one pass through the model")
    prompt = model.prepare(shown, config.prompt, together=len(shown) > 1)
    go_on(stop)
    captured = finite(capture(model, prompt, others=True, stages=kept), model.card)
    tables, arrays = _states(config, prompt, captured)
    go_on(stop)
    if Capability.ANSWERS in model.card.capabilities:
        progress(0.2, "answering")
        answer = model.answer(prompt, max_new_tokens=config.max_new_tokens, stop=stop)[0]
        tables |= _said(answer)
        words = _begun(model, answer) | words
        if config.attention_rows and Capability.ATTENTION in model.card.capabilities:
            go_on(stop)
            progress(0.4, "one pass over prompt and answer")
            tables["rows"], weights = _attention(config, model, prompt, answer, kept)
            arrays |= weights
    if config.lens_top:
        read = _lens(config, model, captured, words, progress, stop)
        tables, arrays = tables | read[0], arrays | read[1]
    tables["images"] = [
        {
            "image": source,
            "sha256": picture.sha256,
            "width": picture.pixels.shape[1],
            "height": picture.pixels.shape[0],
            "notes": " ".join(picture.notes),
        }
        for source, picture in zip(config.images, found, strict=True)
    ]
    values = config.model_dump(mode="json")
    shot = {f"image {number}": picture for number, picture in enumerate(found)}
    images = {f"original_{number}": picture.pixels for number, picture in enumerate(found)}
    progress(1.0, "captured")
    return Result(
        study=STUDY,
        config=values,
        manifest=manifest(model.card, values, config.seed, shot, started),
        tables={name: pd.DataFrame(rows) for name, rows in tables.items()},
        arrays=arrays,
        images=images | {f"shown_{number}": pixels for number, pixels in enumerate(shown)},
    )


def _states(
    config: CaptureConfig, prompt: Prompt, captured: Captured
) -> tuple[dict[str, list[Row]], dict[str, np.ndarray]]:
    """Hidden states and the grids that they stand on; first those that the language model reads."""
    read = [(prompt.grid, prompt.visual), *((view.grid, view.positions) for view in prompt.others)]
    grids = [grid for grid, _ in read]
    arrays = {f"positions_{k:02d}": places.cpu().numpy() for k, (_, places) in enumerate(read)}
    rows: list[Row] = []
    for k, (stage, states, grid) in enumerate(
        zip(captured.stages, captured.states, captured.grids, strict=True)
    ):
        kept = _kept(states[0], config.dtype_states)
        arrays[f"states_{k:03d}"] = kept
        rows.append(
            {
                "stage": stage.name,
                "band": stage.band,
                "index": stage.index,
                "grid": UNKNOWN if grid is None else _number(grids, grid),
                "tokens": kept.shape[0],
                "width": kept.shape[1],
                "dtype": str(kept.dtype),
            }
        )
    arrays |= {f"boxes_{k:02d}": np.asarray(grid.boxes, dtype=np.float32) for k, grid in enumerate(grids)}
    about = [{"rows": grid.rows, "cols": grid.cols, "image": grid.image, "part": grid.part} for grid in grids]
    return {"states": rows, "grids": about}, arrays


def _kept(states: np.ndarray, dtype: str) -> np.ndarray:
    """The states as they are written: in half precision only where that holds their largest number."""
    fits = dtype == "float32" or float(np.abs(states).max(initial=0.0)) <= LARGEST_HALF
    return states.astype(dtype if fits else np.float32)


def _number(grids: list[Grid], grid: Grid) -> int:
    """The grid's number among those found so far, to which it is added where it is new."""
    for number, other in enumerate(grids):
        same = (other.rows, other.cols, other.image, other.part) == (
            grid.rows,
            grid.cols,
            grid.image,
            grid.part,
        )
        if same and np.array_equal(other.boxes, grid.boxes):
            return number
    grids.append(grid)
    return len(grids) - 1


def _said(answer: Answer) -> dict[str, list[Row]]:
    """The answer's words, and its tokens with their log-probabilities in nats; none where it is empty."""
    whole = {"answer": answer.text, "logprob": answer.logprob, "probability": answer.probability}
    tokens = [{"text": t.text, "logprob": t.logprob, "id": t.id} for t in answer.tokens]
    return {"answer": [whole], "tokens": tokens}


def _begun(model: Model, answer: Answer) -> dict[str, list[int]]:
    """The token that the answer begins with, also as it stands after a space, by its name; or nothing."""
    if not answer.tokens:
        return {}
    first = answer.tokens[0].id
    text = model.spelled([first])[0]
    word = text.strip()
    if not word:
        return {text: [first]}
    with contextlib.suppress(Refusal):  # A mark of an image, say, is spelled as itself alone.
        return {word: list(dict.fromkeys([first, *model.beginnings(word)]))}
    return {word: [first]}


def _lens(
    config: CaptureConfig,
    model: Model,
    captured: Captured,
    words: dict[str, list[int]],
    progress: Callable[[float, str], None],
    stop: Callable[[], bool],
) -> tuple[dict[str, list[Row]], dict[str, np.ndarray]]:
    """What the lens reads at every language stage, and the text of the tokens that it names."""
    from workbench.capture.lens import readings

    read = [k for k, stage in enumerate(captured.stages) if stage.band == BANDS[-1]]
    states = [captured.states[k][0] for k in read]
    arrays: dict[str, np.ndarray] = {}
    named = {number for tokens in words.values() for number in tokens}
    told = readings(model, states, top=config.lens_top, words=words, stop=stop)
    for done, (k, reading) in enumerate(zip(read, told, strict=True), 1):
        progress(0.5 + 0.5 * done / len(read), f"the lens, {captured.stages[k].name}")
        arrays |= {
            f"lens_ids_{k:03d}": reading.ids,
            f"lens_probabilities_{k:03d}": reading.probabilities,
            f"lens_entropy_{k:03d}": reading.entropy,
            f"lens_words_{k:03d}": reading.words,
        }
        named |= set(reading.ids.ravel().tolist())
    numbers = sorted(named)
    spelled = dict(zip(numbers, model.spelled(numbers), strict=True))
    tables: dict[str, list[Row]] = {"vocabulary": [{"id": n, "text": text} for n, text in spelled.items()]}
    if words:
        tables["words"] = [
            {"word": word, "tokens": " ".join(map(str, tokens)), "asked": word in config.words}
            for word, tokens in words.items()
        ]
    return tables, arrays


def _attention(
    config: CaptureConfig, model: Model, prompt: Prompt, answer: Answer, kept: Collection[str] | None
) -> tuple[list[Row], dict[str, np.ndarray]]:
    """What the answer's tokens attend to in the prompt, and which query each row is of."""
    from workbench.capture.attention import attention_rows

    said = answer.tokens[: config.attention_rows]
    longer, places = model.continued(prompt, [token.id for token in said])
    seen = attention_rows(model, longer, places)
    read = int(places[0]) + 1
    rows = [
        {"place": int(place), "token": k - 1, "says": k if k < len(said) else UNKNOWN}
        for k, place in enumerate(places)
    ]
    weights = {
        f"attention_{stage.index:03d}": w[0, :, :, :read].astype(np.float16)
        for stage, w in zip(seen.stages, seen.weights, strict=True)
        if kept is None or stage.name in kept
    }
    return rows, weights
