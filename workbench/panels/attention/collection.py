"""The shares of attention over a collection, resumed where an earlier run was ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from probes.bootstrap import mean_scores
from workbench.datasets import open_collection
from workbench.datasets.asking import ALL_SPLITS, count_of_all, notes_of_all, read_some
from workbench.datasets.collection import Skipped
from workbench.errors import Refusal, go_on
from workbench.models.protocol import Model
from workbench.panels.attention.config import AttentionConfig
from workbench.panels.attention.gather import shares_of
from workbench.panels.attention.kinds import kinds, views_of
from workbench.panels.interventions.collection import Pace
from workbench.panels.layers.config import Progress
from workbench.panels.specimen import degrade
from workbench.runs.store import Store
from workbench.runs.unfinished import Unfinished

Row = dict[str, Any]


def measured(
    config: AttentionConfig, model: Model, progress: Progress, stop: Callable[[], bool]
) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Tables and hashes: the first question about each image, answered, and what its answer attends to.

    Each image counts as one: the mean over its answer's kept tokens and over heads. What is gathered is put
    down once a minute.
    """
    progress(0.0, "looking through the data")
    data = open_collection(config.data)
    count = min(config.n, count_of_all(data))
    if count < 2:
        raise Refusal(f"{data.title} has too few images ({count}): two are needed.")
    key = Store.key("attention", config.model_dump(mode="json"), model.card, {"data": data.fingerprint})
    unfinished, pace = Unfinished(key), Pace()
    names: list[str] = []
    stages: list[str] = []
    told: list[dict[str, np.ndarray]] = []
    skipped: list[Row] = []
    start = 0
    if (found := unfinished.found()) is not None:
        before, arrays = found
        start, names, stages, skipped = (before[k] for k in ("place", "kinds", "stages", "skipped"))
        told = [dict(zip(names, one, strict=True)) for one in arrays["shares"]]
        pace.begin(start)
    for place in range(start, count):
        go_on(stop)
        left = pace.left(place, count)
        progress(0.98 * place / count, f"answering, image {place + 1:,} of {count:,}{left}")
        (sample,) = read_some(data, ALL_SPLITS, place, place + 1, config.square)
        if isinstance(sample, Skipped) or not sample.asked:
            reason = sample.reason if isinstance(sample, Skipped) else "It comes with no question."
            skipped.append({"name": sample.name, "reason": reason})
            continue
        seed = (config.seed + sample.seed) % 2**31
        pixels = degrade(sample.pixels, config.corruption, config.intensity, seed)
        try:
            one = _shares(config, model, pixels, sample.asked[0].text, stop)
        except Refusal as refusal:
            skipped.append({"name": sample.name, "reason": str(refusal)})
            continue
        stages, own = one
        names += [name for name in own if name not in names]
        told.append(own)
        if unfinished.due:
            so_far = {"place": place + 1, "kinds": names, "stages": stages, "skipped": skipped}
            unfinished.keep(so_far, {"shares": _stacked(told, names, len(stages))})
    if len(told) < 2:
        first = skipped[0]["reason"] if skipped else "none was left"
        raise Refusal(f"Of {data.title} only {len(told)} images could be used: {first}")
    progress(0.99, "computing intervals")
    values = _stacked(told, names, len(stages))
    flat = mean_scores(values.reshape(len(values), -1).T, resamples=config.resamples, seed=config.seed)
    rows = [
        {"stage": stage, "kind": kind, "value": s.value, "low": s.low, "high": s.high, "n": s.n}
        for (kind, stage), s in zip(((a, b) for a in names for b in stages), flat, strict=True)
    ]
    unfinished.done()
    about: list[Row] = [
        {"what": "collection", "value": data.title},
        {"what": "fingerprint", "value": data.fingerprint},
        {"what": "images", "value": f"{len(values):,}"},
        {"what": "skipped", "value": f"{len(skipped):,}"},
        *({"what": "note", "value": note} for note in notes_of_all(data)),
    ]
    out: dict[str, list[Row]] = {"share": rows, "data": about}
    if skipped:
        out["skipped"] = skipped
    progress(1.0, "done")
    return out, {"data": data.fingerprint}


def _stacked(told: list[dict[str, np.ndarray]], names: list[str], layers: int) -> np.ndarray:
    """Shares (images, kinds, layers); NaN where an image's prompt has no token of a kind."""
    nothing = np.full(layers, np.nan)
    return np.stack([[one.get(name, nothing) for name in names] for one in told])


def _shares(
    config: AttentionConfig, model: Model, pixels: np.ndarray, question: str, stop: Callable[[], bool]
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The stages, and by kind what of its attention the answer gives to its tokens, float64 (layers,)."""
    from workbench.capture.attention import attention_rows

    prompt = model.prepare([pixels], question)
    answer = model.answer(prompt, max_new_tokens=config.max_new_tokens, stop=stop)[0]
    if not answer.tokens:
        raise Refusal("The answer is empty.")
    ids = [token.id for token in answer.tokens][: config.tokens]
    longer, places = model.continued(prompt, ids)
    seen = attention_rows(model, longer, places[:-1])
    names, which = kinds(views_of(longer), int(places[-1]) + 1, len(ids))
    by_head = shares_of([weights[0] for weights in seen.weights], which, len(names))
    means = np.nanmean(by_head, axis=(1, 2))
    return [stage.name for stage in seen.stages], dict(zip(names, means.T, strict=True))
