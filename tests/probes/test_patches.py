"""Patch structure against loops over pairs and examples whose answer can be written down."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from probes.patches import (
    Structure,
    contrast_ratio,
    permuted_structure,
    permuted_surroundings,
    structure,
    summarise,
    surroundings,
)

RNG = np.random.default_rng(1)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def brute_structure(x: np.ndarray, labels: np.ndarray, minimum: int = 2) -> tuple[float, float]:
    groups = [np.flatnonzero(labels == k) for k in np.unique(labels[labels >= 0])]
    groups = [g for g in groups if len(g) >= minimum]
    cohesion = np.mean([np.mean([cosine(x[i], x[j]) for i, j in combinations(g, 2)]) for g in groups])
    cross = [cosine(x[i], x[j]) for g, h in combinations(groups, 2) for i in g for j in h]
    return float(cohesion), float(np.mean(cross))


def test_worked_example() -> None:
    # Two regions at right angles; the second holds a pair 60 degrees apart.
    half = np.sqrt(3) / 2
    x = np.array([[2.0, 0, 0], [3.0, 0, 0], [0, 1, 0], [0, 0.5, half], [9, 9, 9]])
    found = structure(x, [0, 0, 1, 1, -1])
    assert found.cohesion == pytest.approx([0.75])
    assert found.coupling == pytest.approx([0.0])
    assert found.difference == pytest.approx([0.75])
    assert np.isnan(found.ratio[0])
    # six pairs of labelled tokens: 1, 0.5 and four zeros
    assert found.chance == pytest.approx([0.25])


@pytest.mark.parametrize("minimum", [2, 3])
def test_structure_equals_loops_over_pairs(minimum: int) -> None:
    x = RNG.normal(size=(4, 25, 6)) + 1.0
    labels = RNG.integers(-1, 4, (4, 25))
    labels[0, labels[0] == 3] = 2
    labels[0, 0] = 3  # a region of one token
    found = structure(x, labels, minimum=minimum)
    for i in range(4):
        cohesion, coupling = brute_structure(x[i], labels[i], minimum)
        assert found.cohesion[i] == pytest.approx(cohesion, abs=1e-6)
        assert found.coupling[i] == pytest.approx(coupling, abs=1e-6)
        assert found.ratio[i] == pytest.approx(cohesion / coupling, rel=1e-4)
    centred = structure(x[1], labels[1], minimum=minimum, centre=True)
    _, coupling = brute_structure(x[1] - x[1].mean(axis=0), labels[1], minimum)
    assert centred.coupling[0] == pytest.approx(coupling, abs=1e-6)


def test_permutations_average_to_the_exact_chance_level() -> None:
    x = RNG.normal(size=(30, 5)) + 0.7
    labels = np.repeat([0, 1, 2], 10)
    x[labels == 1] += [3.0, -3, 0, 0, 0]
    truth = structure(x, labels)
    shuffled = permuted_structure(x, labels, permutations=3000, seed=0)
    assert shuffled.cohesion.mean() == pytest.approx(truth.chance[0], abs=4e-3)
    assert shuffled.coupling.mean() == pytest.approx(truth.chance[0], abs=2e-3)
    assert shuffled.difference.mean() == pytest.approx(0.0, abs=5e-3)
    assert truth.difference[0] > np.quantile(shuffled.difference, 0.99)
    again = permuted_structure(x, labels, permutations=3000, seed=0)
    np.testing.assert_array_equal(shuffled.cohesion, again.cohesion)


def test_one_region_has_cohesion_only_and_no_region_has_nothing() -> None:
    found = structure(np.stack([np.eye(4)] * 2), [[0, 0, -1, -1], [-1, -1, -1, 2]])
    assert found.cohesion[0] == pytest.approx(0.0)
    assert np.isnan(found.coupling[0])
    assert np.isnan([found.cohesion[1], found.coupling[1], found.chance[1]]).all()


def test_what_is_not_finite_is_nobodys_likeness() -> None:
    x = RNG.normal(size=(3, 6, 4))
    labels = np.tile([0, 0, 0, 1, 1, -1], (3, 1))
    x[0, 1, 2], x[1, 5, 0], x[2, 5, 0] = np.nan, np.nan, np.inf
    found = structure(x, labels)
    assert np.isnan([found.cohesion[0], found.coupling[0], found.chance[0]]).all()
    # The last token belongs to no region, so it has no part in either.
    clean = structure(x[1:, :5], labels[1:, :5])
    np.testing.assert_allclose(found.cohesion[1:], clean.cohesion)
    np.testing.assert_allclose(found.coupling[1:], clean.coupling)
    assert np.isnan(structure(x[1], labels[1], centre=True).cohesion).all()
    around = surroundings(x, 2, 3)
    for values in (around.near, around.moran, around.chance):
        assert np.isnan(values).all()


@pytest.mark.parametrize("value", [0.1, 1000.3, -7e5])
def test_tokens_that_are_all_the_same_are_alike_and_centred_are_nothing(value: float) -> None:
    x = np.full((1, 144, 8), value) * np.linspace(1, 2, 8)
    labels = np.tile(np.repeat([0, 1, 2], 48), (1, 1))
    plain, centred = structure(x, labels), structure(x, labels, centre=True)
    assert plain.cohesion == pytest.approx([1.0]) and plain.coupling == pytest.approx([1.0])
    assert plain.ratio == pytest.approx([1.0])
    assert centred.cohesion[0] == centred.coupling[0] == 0.0 and np.isnan(centred.ratio[0])
    around = surroundings(x, 12, 12)
    assert around.near == pytest.approx([1.0]) and np.isnan(around.moran[0])


def test_one_object_alone_permutes_to_itself() -> None:
    x = RNG.normal(size=(9, 4))
    labels = np.where(np.arange(9) < 5, 7, -1)
    found = permuted_structure(x, labels, permutations=20)
    assert found.cohesion == pytest.approx(np.full(20, structure(x, labels).cohesion[0]))
    assert np.isnan(found.coupling).all()
    nothing = permuted_structure(x, np.full(9, -1), permutations=20)
    assert np.isnan(nothing.cohesion).all() and len(nothing.cohesion) == 20


def test_negative_labels_belong_nowhere() -> None:
    x = RNG.normal(size=(6, 4))
    assert structure(x, [0, 0, 1, 1, -1, -1]).coupling == structure(x, [0, 0, 1, 1, -2, -2]).coupling


def test_a_ratio_whose_coupling_may_be_zero_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    around_zero = Structure(np.full(40, 0.5), rng.normal(0.01, 0.2, 40), np.full(40, -0.1))
    found = summarise(around_zero, resamples=500)
    ratio = found["contrast ratio"]
    assert np.isnan([ratio.low, ratio.high, ratio.chance]).all()
    assert np.isfinite([found["contrast difference"].low, found["contrast difference"].high]).all()


def test_ratio_needs_a_positive_coupling() -> None:
    found = contrast_ratio([0.8, 0.8, 0.8], [0.4, 0.0, -0.1])
    assert found[0] == pytest.approx(2.0)
    assert np.isnan(found[1:]).all()


def test_summary_averages_images_that_have_both() -> None:
    x = RNG.normal(size=(40, 12, 5)) + 0.5
    labels = np.tile(np.repeat([0, 1], 6), (40, 1))
    labels[3] = -1
    per_image = structure(x, labels)
    found = summarise(per_image, resamples=2000, seed=0)
    keep = np.arange(40) != 3
    assert found["cohesion"].n == 39
    assert found["cohesion"].value == pytest.approx(per_image.cohesion[keep].mean())
    assert found["contrast ratio"].value == pytest.approx(
        per_image.cohesion[keep].mean() / per_image.coupling[keep].mean()
    )
    for name, per in (("cohesion", per_image.cohesion), ("contrast difference", per_image.difference)):
        spread = per[keep].std() / np.sqrt(39)
        assert found[name].high - found[name].low == pytest.approx(3.92 * spread, rel=0.15)
        assert found[name].low < found[name].value < found[name].high
    assert found["contrast difference"].chance == 0.0
    empty = summarise(structure(x[:1], labels[3:4]), resamples=10)
    assert empty["coupling"].n == 0 and np.isnan(empty["coupling"].value)


def brute_surroundings(x: np.ndarray, rows: int, cols: int) -> tuple[float, float, float]:
    near, far, products = [], [], []
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    z = u - u.mean(axis=0)
    for i, j in combinations(range(rows * cols), 2):
        dy, dx = i // cols - j // cols, i % cols - j % cols
        if abs(dy) + abs(dx) == 1:
            near.append(cosine(x[i], x[j]))
            products.append(z[i] @ z[j])
        if np.hypot(dy, dx) >= max(rows, cols) / 2:
            far.append(cosine(x[i], x[j]))
    weights = 2 * len(products)
    moran = len(x) / weights * 2 * np.sum(products) / (z**2).sum()
    return float(np.mean(near)), float(np.mean(far)), float(moran)


@pytest.mark.parametrize(("rows", "cols"), [(4, 5), (6, 3), (2, 2), (1, 7), (5, 1), (1, 2)])
def test_surroundings_equal_loops_over_pairs(rows: int, cols: int) -> None:
    x = RNG.normal(size=(2, rows * cols, 4)) + 0.3
    found = surroundings(x, rows, cols)
    for i in range(2):
        near, far, moran = brute_surroundings(x[i], rows, cols)
        assert found.near[i] == pytest.approx(near, abs=1e-5)
        assert found.far[i] == pytest.approx(far, abs=1e-5)
        assert found.moran[i] == pytest.approx(moran, abs=1e-5)
        assert found.gap[i] == pytest.approx(near - far, abs=1e-5)


def test_surroundings_of_known_patterns() -> None:
    board = np.indices((6, 6)).sum(axis=0) % 2
    halves = np.repeat([[0, 0, 0, 1, 1, 1]], 6, axis=0)
    states = np.stack([np.eye(2)[board.ravel()], np.eye(2)[halves.ravel()]])
    found = surroundings(states, 6, 6)
    assert found.near == pytest.approx([0.0, 54 / 60])
    assert found.moran == pytest.approx([-1.0, 48 / 60])


def test_nearly_parallel_tokens_have_their_moran() -> None:
    x = (np.array([1.0, 0, 0, 0]) + 1e-4 * np.random.default_rng(0).normal(size=(36, 4))).astype(np.float32)
    found = surroundings(x, 6, 6).moran[0]
    assert found == pytest.approx(brute_surroundings(x.astype(np.float64), 6, 6)[2], abs=2e-3)


def test_shuffled_places_have_moran_at_its_expectation() -> None:
    x = RNG.normal(size=(36, 4))
    x[:18] += 3
    truth = surroundings(x, 6, 6)
    shuffled = permuted_surroundings(x, 6, 6, permutations=2000, seed=0)
    assert shuffled.moran.mean() == pytest.approx(-1 / 35, abs=6e-3)
    assert shuffled.near.mean() == pytest.approx(truth.chance[0], abs=5e-3)
    assert shuffled.far.mean() == pytest.approx(truth.chance[0], abs=5e-3)
    assert truth.moran[0] > shuffled.moran.max()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError):
        structure(np.ones((4, 3)), [0, 0, 1])
    with pytest.raises(ValueError):
        structure(np.ones((4, 3)), [0, 0, 1, 1], minimum=1)
    with pytest.raises(ValueError):
        surroundings(np.ones((12, 3)), 3, 5)
    with pytest.raises(ValueError):
        permuted_structure(np.ones((2, 4, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="single|fit"):
        surroundings(np.ones((1, 3)), 1, 1)
    with pytest.raises(ValueError, match="one image"):
        permuted_surroundings(np.ones((2, 4, 3)), 2, 2)
    with pytest.raises(ValueError, match="at least one permutation"):
        permuted_surroundings(np.ones((4, 3)), 2, 2, permutations=0)
