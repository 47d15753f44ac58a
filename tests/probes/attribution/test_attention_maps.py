"""Rollout, flow, sinks and blocks against worked examples and other people's solvers."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from probes.attribution.blocks import Blocks, shares, value_weighted
from probes.attribution.flow import edges, flow
from probes.attribution.rollout import mixed, rollout, rollout_rows
from probes.attribution.sinks import (
    Received,
    massive,
    massive_dimensions,
    standing_out,
    without,
)


def causal(layers: int, tokens: int, seed: int = 0) -> np.ndarray:
    """Random attention of a causal model, (layers, tokens, tokens)."""
    a = np.tril(np.random.default_rng(seed).exponential(size=(layers, tokens, tokens)))
    return a / a.sum(-1, keepdims=True)


def test_rollout_of_two_layers_worked_by_hand() -> None:
    """Two tokens; the second looks half at each in the first layer, and only at the first in the second."""
    one, two = np.array([[1, 0], [0.5, 0.5]]), np.array([[1, 0], [1, 0]])
    np.testing.assert_allclose(mixed(one), [[1, 0], [0.25, 0.75]])
    np.testing.assert_allclose(mixed(two), [[1, 0], [0.5, 0.5]])
    found = rollout([one, two])
    np.testing.assert_allclose(found[0], [[1, 0], [0.25, 0.75]])
    # Half of it is the first token's, half its own, of which a quarter was the first's.
    np.testing.assert_allclose(found[1], [[1, 0], [0.625, 0.375]])
    np.testing.assert_allclose(rollout([one, two], residual=0)[1], two @ one)


def test_rollout_from_either_end_is_the_same_and_sums_to_one() -> None:
    layers = causal(5, 9)
    whole = rollout(layers)
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-6)
    product = np.eye(9)
    for k, a in enumerate(layers):
        product = (0.5 * a + 0.5 * np.eye(9)) @ product
        np.testing.assert_allclose(whole[k], product, atol=1e-6)
    np.testing.assert_allclose(rollout_rows(layers, [2, 8]), whole[:, [2, 8]], atol=1e-6)
    # A score that stands for no token took a share: what is left is brought to 1.
    np.testing.assert_allclose(rollout(0.5 * layers).sum(-1), 1, atol=1e-6)


def test_what_is_no_attention() -> None:
    with pytest.raises(ValueError, match="must have shape"):
        mixed(np.ones((3, 4)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        mixed(np.eye(3), residual=1.5)


def test_flow_through_a_bottleneck_worked_by_hand() -> None:
    """Token 1 is a quarter token 0; the query a quarter of token 0, a quarter of token 1 and half itself.

    From token 0 a quarter flows directly, and a quarter through token 1, whose pipe to the query is as wide.
    """
    one = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
    two = np.array([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])
    found = flow([one, two], 2, [0, 1, 2])
    np.testing.assert_allclose(found, [0.25 + 0.25, 0.25, 0.5], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_flow_is_the_maximum_flow_of_another_solver(seed: int) -> None:
    layers, tokens = causal(3, 6, seed), 6
    graph: nx.DiGraph = nx.DiGraph()
    for level, attention in enumerate(layers):
        widths = 0.5 * attention + 0.5 * np.eye(tokens)
        for i in range(tokens):
            for j in range(tokens):
                if widths[i, j]:
                    graph.add_edge((level, j), (level + 1, i), capacity=float(widths[i, j]))
    told: list[int] = []
    found = flow(layers, 4, range(tokens), done=told.append)
    for j in range(5):
        assert found[j] == pytest.approx(nx.maximum_flow_value(graph, (0, j), (3, 4)), abs=1e-6)
    assert found[5] == 0  # it stands after the query
    assert told == [1, 2, 3, 4, 5, 6] and edges(3, 6) == 63


def test_what_is_received_is_a_mean_over_those_that_see_it() -> None:
    a = np.stack([causal(1, 5, seed)[0] for seed in range(3)])
    found = Received(6)
    for some in (a[:, :2], a[:, 2:]):
        found.add(np.pad(some, ((0, 0), (0, 0), (0, 1))))
    want = [np.mean([a[h, k:, k].mean() for h in range(3)]) for k in range(5)]
    np.testing.assert_allclose(found.means()[:5], want)
    assert found.counts.tolist() == [5, 4, 3, 2, 1, 0] and np.isnan(found.means()[5])


def test_only_what_is_far_above_the_rest_stands_out() -> None:
    rng = np.random.default_rng(0)
    x = 1 + 0.05 * rng.standard_normal((2, 50))
    x[0, 7] = 5
    assert standing_out(x).sum(-1).tolist() == [1, 0] and standing_out(x)[0, 7]
    assert not standing_out([np.nan, 1, 1, 1]).any()


def test_massive_dimensions_are_those_of_the_first_token() -> None:
    """As in published models: two dimensions hundreds of times the rest at the first token and at a patch."""
    states = np.random.default_rng(0).standard_normal((6, 4096))
    states[0, [14, 25]] = 900, -600
    states[3, 25] = 400
    dims = massive_dimensions(states[0])
    assert dims.tolist() == [14, 25]
    found = massive(states, dims)
    rms = np.sqrt((states**2).mean(-1))
    np.testing.assert_allclose(found, np.abs(states[:, dims]).max(-1) / rms)
    assert (found >= 20).nonzero()[0].tolist() == [0, 3]
    assert not massive(states, massive_dimensions(states[1])).any()


def test_what_is_taken_out_goes_to_the_rest() -> None:
    rows = np.array([[0.6, 0.3, 0.1], [1.0, 0, 0]])
    np.testing.assert_allclose(without(rows, [True, False, False]), [[0, 0.75, 0.25], [0, 0, 0]])
    np.testing.assert_allclose(without(rows, np.zeros(3, bool)), rows)


def test_blocks_are_means_over_queries_however_they_come() -> None:
    a = np.stack([causal(1, 7, seed)[0] for seed in range(2)])
    kinds = np.array([0, 1, 1, 0, 2, 1, 0])
    blocks = Blocks(kinds, 4, 2)
    blocks.add(a[:, :3], 0)
    blocks.add(a[:, 3:], 3)
    means = blocks.means()
    for h in range(2):
        for i in range(3):
            for j in range(3):
                own = a[h][np.ix_(kinds == i, kinds == j)]
                assert means[h, i, j] == pytest.approx(own.sum(1).mean())
    np.testing.assert_allclose(means[:, :3].sum(-1), 1)
    assert np.isnan(means[:, 3]).all()
    np.testing.assert_allclose(shares(a, kinds, 3).sum(-1), 1)


def test_value_weighting_is_the_length_of_what_each_key_adds() -> None:
    rng = np.random.default_rng(0)
    a = np.stack([causal(1, 5, seed)[0] for seed in range(2)])
    vectors = rng.standard_normal((2, 5, 3))
    norms = np.linalg.norm(vectors, axis=-1)
    found = value_weighted(a, norms)
    added = np.linalg.norm(a[..., None] * vectors[:, None], axis=-1)
    np.testing.assert_allclose(found, added / added.sum(-1, keepdims=True))
    assert not value_weighted(a, 0 * norms).any()
