"""Knockout and patching over every family: what must hold whatever its language model is like."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.hf.test_changing import MORE_ENTERS
from tests.models.hf.test_families import noise
from workbench.models.hf.adapter import HFModel
from workbench.panels.causal.tracing import Edit, Run, Said

SIZE = (70, 100)


def run_on(model: HFModel, seed: int) -> Run:
    return Run(model, model.prepare([noise(SIZE, seed)], "what is this?"), batch=3)


def test_visual_tokens_are_exchanged(model: HFModel) -> None:
    """Own states and no tokens change nothing; all tokens of another image at llm 0 are that image."""
    clean, degraded = run_on(model, 0), run_on(model, 1)
    said: Said = tuple(int(token) for token in model.family.candidate("a blue ring")[0])
    spots = clean.spots()
    language = [spot for spot in spots if spot.places is not None]
    clean.watch(spots, said)
    degraded.watch(spots, said)
    first, middle = language[0], language[len(language) // 2]
    every = [Edit(spot, np.ones(len(spot.boxes), bool)) for spot in (first, middle)]
    nothing = [Edit(spot, np.zeros(len(spot.boxes), bool)) for spot in (spots[0], middle)]
    want, before = clean.said([said])[0], degraded.said([said])[0]
    own = degraded.patched(degraded.states, every, [said])[0]
    assert own == pytest.approx([before, before], abs=1e-3)
    found = degraded.patched(clean.states, [*every, *nothing], [said])[0]
    assert found[2:] == pytest.approx([before, before], abs=1e-3)
    if model.card.id in MORE_ENTERS:
        assert found[0] != pytest.approx(want, abs=1e-4)
    else:
        assert found[0] == pytest.approx(want, abs=1e-3)


def test_attention_is_blocked(model: HFModel) -> None:
    """Blocked in every layer, what the answer reads is changed; the places part the sequence."""
    run = run_on(model, 0)
    said: Said = tuple(int(token) for token in model.family.candidate("a blue ring")[0])
    places, layers = run.places(said), run.layers()
    assert set(run.prompt.visual.tolist()) <= set(places.image.tolist())
    assert len(places.answer) == len(said) and len(places.question)
    assert int(places.image.max()) < int(places.question.min())
    assert int(places.question.max()) + 1 == int(places.answer[0])
    if not layers:
        return  # all of its layers choose among keys by an index
    before = float(run.said([said])[0])
    after = run.blocked(list(layers.values()), places.answer, places.image, said)
    assert np.isfinite(after) and abs(after - before) > 1e-6
