"""Knockout and patching on a tiny BAGEL, against passes that are written out layer by layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.tiny import picture
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.language import rope
from workbench.models.protocol import Prompt
from workbench.panels.causal.tracing import Edit, Run, Said, around, covering

LAYERS = 3


def run_on(model: BagelModel, seed: int) -> Run:
    return Run(model, model.prepare([picture(32, 48, seed)], "what red is it?"), batch=4)


def target(model: BagelModel) -> Said:
    return tuple(model.typed("seven red"))


@torch.inference_mode()
def entered(model: BagelModel, prompt: Prompt, said: Said) -> tuple[Tensor, Tensor, Tensor]:
    """What the first layer reads, the mask, and the rows of the answer, put together here."""
    network, longer = model.network, model.continued(prompt, said)[0]
    sight, *texts = longer.inputs["segments"]
    seen = network.embed_vision(sight.patches, sight.rows, sight.cols)
    special = model.special
    frame = network.embed_text(torch.tensor([[special.image_start, special.image_end]]))
    x = torch.cat(
        [frame[:, :1], seen, frame[:, 1:], *(network.embed_text(text.ids) for text in texts)], dim=1
    )
    block = seen.shape[1] + 2
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
    mask[:block, :block] = True
    return x, mask, torch.arange(x.shape[1] - len(said) - 1, x.shape[1] - 1)


@torch.inference_mode()
def layered(
    model: BagelModel,
    prompt: Prompt,
    said: Said,
    *,
    cut: dict[int, tuple[Tensor, Tensor]] | None = None,
    put: dict[int, tuple[Tensor, Tensor]] | None = None,
) -> tuple[float, list[Tensor]]:
    """The answer's log-probability and what each layer reads, layer by layer.

    cut: by layer from 1, queries and keys that do not meet; put: by "llm k", places and their states.
    """
    network = model.network
    x, mask, rows = entered(model, prompt, said)
    block = len(prompt.visual) + 2
    positions = torch.cat([torch.zeros(block), torch.arange(1, 1 + x.shape[1] - block)]).long()[None]
    cos, sin = rope(positions, network.config.language.head_dim, network.config.language.rope_theta)
    read = []
    for number, layer in enumerate(network.language_model.model.layers):
        if put and number in put:
            places, states = put[number]
            x = x.index_copy(1, places, states)
        read.append(x)
        own = mask.clone()
        if cut and number + 1 in cut:
            queries, keys = cut[number + 1]
            own[queries[:, None], keys[None]] = False
        x, _ = layer(x, cos, sin, None, None, own, False)
    logits = network.logits(network.language_model.model.norm(x[:, rows])).float().log_softmax(-1)
    return float(logits.double()[0, torch.arange(len(said)), list(said)].sum()), read


@pytest.mark.parametrize("window", [[1], [2, 3], [1, 2, 3]], ids=str)
@pytest.mark.parametrize("path", ["image-answer", "image-question", "question-answer"])
def test_knockout_is_a_masked_pass(model: BagelModel, path: str, window: list[int]) -> None:
    run, said = run_on(model, 0), target(model)
    places = run.places(said)
    queries = places.answer if path.endswith("answer") else places.question
    keys = places.image if path.startswith("image") else places.question
    layers = run.layers()
    found = run.blocked([layers[k] for k in window], queries, keys, said)
    want, _ = layered(model, run.prompt, said, cut=dict.fromkeys(window, (queries, keys)))
    assert found == pytest.approx(want, abs=1e-4)
    assert found != pytest.approx(float(run.said([said])[0]), abs=1e-4)


def test_places_part_the_sequence_after_the_image(model: BagelModel) -> None:
    run, said = run_on(model, 0), target(model)
    places = run.places(said)
    asked = len(model.typed("what red is it?")) + 2
    image = len(run.prompt.visual)
    assert places.image.tolist() == run.prompt.visual.tolist()
    # The mark that ends the image, the question in its frame; then the mark that begins the answer.
    assert places.question.tolist() == list(range(image + 1, image + 2 + asked))
    assert places.answer.tolist() == [image + 2 + asked + k for k in range(len(said))]
    assert not len(places.drawn)


def test_all_tokens_at_llm_0_are_the_clean_run(model: BagelModel) -> None:
    clean, degraded, said = run_on(model, 0), run_on(model, 1), target(model)
    spots = {spot.stage: spot for spot in clean.spots()}
    clean.watch(spots.values(), said)
    every = Edit(spots["llm 0"], np.ones(len(spots["llm 0"].boxes), bool))
    want = clean.said([said])
    assert degraded.said([said]) != pytest.approx(want, abs=1e-3)
    assert degraded.patched(clean.states, [every], [said])[:, 0] == pytest.approx(want, abs=1e-5)


def test_patching_is_a_pass_with_other_states(model: BagelModel) -> None:
    """Every stage of the language model, a few tokens each, side by side and by hand."""
    clean, degraded, said = run_on(model, 0), run_on(model, 1), target(model)
    spots = [spot for spot in clean.spots() if spot.places is not None]
    assert [spot.stage for spot in spots] == [f"llm {k}" for k in range(LAYERS + 1)]
    clean.watch(spots, said)
    rng = np.random.default_rng(0)
    edits = [Edit(spot, rng.random(len(spot.boxes)) < 0.4) for spot in spots]
    found = degraded.patched(clean.states, edits, [said])[0]
    _, read = layered(model, clean.prompt, said)
    for k, edit in enumerate(edits[:-1]):
        at = degraded.prompt.visual[torch.from_numpy(edit.tokens)]
        want, _ = layered(model, degraded.prompt, said, put={k: (at, read[k][:, at])})
        assert found[k] == pytest.approx(want, abs=1e-4)
    # What the last layer writes at the image is read by nobody.
    assert found[-1] == pytest.approx(degraded.said([said])[0], abs=1e-5)


def test_own_states_and_no_tokens_change_nothing(model: BagelModel) -> None:
    run, said = run_on(model, 0), target(model)
    spots = run.spots()
    run.watch(spots, said)
    edits = [Edit(spot, np.ones(len(spot.boxes), bool)) for spot in spots]
    edits += [Edit(spot, np.zeros(len(spot.boxes), bool)) for spot in spots]
    other = run_on(model, 1)
    other.watch(spots, said)
    own = run.patched(run.states, edits, [said])[0]
    none = run.patched(other.states, edits[len(spots) :], [said])[0]
    want = float(run.said([said])[0])
    assert own == pytest.approx(np.full(len(edits), want), abs=1e-5)
    assert none == pytest.approx(np.full(len(spots), want), abs=1e-5)


def test_edits_side_by_side_are_those_one_by_one(model: BagelModel) -> None:
    clean, degraded, said = run_on(model, 0), run_on(model, 1), target(model)
    spots = clean.spots()
    clean.watch(spots, said)
    rng = np.random.default_rng(1)
    edits = [Edit(spot, rng.random(len(spot.boxes)) < 0.5) for spot in spots]
    targets = [said, tuple(model.typed("blue"))]
    together = degraded.patched(clean.states, edits, targets)
    alone = Run(model, degraded.prompt, batch=1).patched(clean.states, edits, targets)
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert together.shape == (2, len(edits)) and np.ptp(together[0]) > 1e-3


def test_a_tower_of_several_views_is_no_spot(model: BagelModel) -> None:
    run = run_on(model, 0)
    assert {spot.stage for spot in run.spots()} >= {"vision 0", "projector", "llm 0"}
    from workbench.models.protocol import View

    twice = replace(run.prompt, others=(View(run.prompt.grid, run.prompt.visual[:4]),))
    assert all(spot.places is not None for spot in Run(model, twice).spots())


def test_cells_and_masks_choose_tokens(model: BagelModel) -> None:
    grid = run_on(model, 0).prompt.grid
    alone = around(grid, 0, grid.boxes)
    assert np.array_equal(np.stack(alone), np.eye(grid.rows * grid.cols, dtype=bool))
    near = around(grid, 1, grid.boxes)
    assert near[0].sum() == 4 and near[grid.cols + 1].sum() == 9
    mask = np.zeros((32, 48), bool)
    x0, y0, x1, y1 = (int(v) for v in grid.boxes[0])
    mask[y0:y1, x0 : (x0 + x1) // 2] = True
    assert covering(grid.boxes, mask, 0.5, (32, 48)).nonzero()[0].tolist() == [0]
    assert not covering(grid.boxes, mask, 0.6, (32, 48)).any()
