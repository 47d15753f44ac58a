"""CKA against its definition, written out; cosines against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from probes.alignment import LinearCKA, block_cka, linear_cka, packed_gram, token_cosine
from probes.bootstrap import draws


def biased(x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith et al. (2019), section 3: with centred Gram matrices, as written there."""
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    return float(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)))


def hsic_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased HSIC as a mean over quadruples of different rows: what the closed form abbreviates."""
    k, m, n = x @ x.T, y @ y.T, len(x)
    total, count = 0.0, 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
                        count += 1
    return total / count


def test_it_is_the_mean_over_quadruples() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)) + 2, rng.normal(size=(7, 5)) - 1
    expected = hsic_by_loops(x, y) / np.sqrt(hsic_by_loops(x, x) * hsic_by_loops(y, y))
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)


def test_of_many_tokens_it_is_the_usual_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1500, 6))
    y = x @ rng.normal(size=(6, 8)) + 2 * rng.normal(size=(1500, 8))
    assert linear_cka(x, y) == pytest.approx(biased(x, y), abs=0.01)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert linear_cka(x, 7 * x @ turn + 100) == pytest.approx(1.0, abs=1e-9)


def test_few_independent_tokens_are_not_alike() -> None:
    """The biased estimate is near 1 with more features than tokens; the unbiased one is about 0."""
    rng = np.random.default_rng(2)
    pairs = [(rng.normal(size=(32, 200)), rng.normal(size=(32, 200))) for _ in range(20)]
    assert np.mean([biased(x, y) for x, y in pairs]) > 0.8
    assert abs(np.mean([linear_cka(x, y) for x, y in pairs])) < 0.05


def test_batches_average_before_the_quotient() -> None:
    rng = np.random.default_rng(3)
    layers = [rng.normal(size=(60, 5)) for _ in range(3)]
    layers[2] = layers[0] + 0.1 * layers[2]
    found = LinearCKA(3, 3)
    for part in np.array_split(np.arange(60), 3):
        found.update([x[part] for x in layers], [x[part] for x in layers])
    np.testing.assert_allclose(np.diag(found.value), 1.0)
    np.testing.assert_allclose(found.value, found.value.T)
    assert found.value[0, 2] > 0.95 > 0.5 > found.value[0, 1] and found.batches == 3
    sums = np.zeros(3)
    for part in np.array_split(np.arange(60), 3):
        a, b = layers[0][part], layers[1][part]
        sums += [
            linear_part(a, b),
            linear_part(a, a),
            linear_part(b, b),
        ]
    assert found.value[0, 1] == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]))


def linear_part(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased HSIC with Gram matrices as Nguyen et al. (2021) print it."""
    n, one = len(x), np.ones(len(x))
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return float((np.trace(k @ m) + middle - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3)))


def test_bad_states_are_refused() -> None:
    good = np.random.default_rng(4).normal(size=(5, 2))
    found = LinearCKA(1, 1)
    for a, b in ((good[:3], good[:3]), (good, good[:4]), (good, np.full((5, 2), np.nan))):
        with pytest.raises(ValueError, match="tokens|finite"):
            found.update([a], [b])
    with pytest.raises(ValueError, match="layers"):
        found.update([good, good], [good])
    assert np.isnan(found.value).all() and np.isnan(linear_cka(np.ones((6, 2)), good[[0, 1, 2, 3, 4, 0]]))


def test_cosine_of_each_token_is_scikit_learns() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 9, 4)), rng.normal(size=(2, 9, 4))
    b[0, 3] = 0
    expected = [np.diag(cosine_similarity(x, y)) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(token_cosine(a, b), expected, atol=1e-6)
    with pytest.raises(ValueError, match="one shape"):
        token_cosine(a, b[:, :3])


def kept(layers: list[np.ndarray], size: int) -> np.ndarray:
    """Gram matrices of layers in blocks of so many rows."""
    return np.array([[packed_gram(x[k : k + size]) for k in range(0, len(x), size)] for x in layers])


def test_kept_gram_matrices_give_what_the_states_gave() -> None:
    rng = np.random.default_rng(5)
    first = [rng.normal(size=(96, 5)) + 3, rng.normal(size=(96, 20))]
    second = [first[0] @ rng.normal(size=(5, 7)) + rng.normal(size=(96, 7)) for _ in range(3)]
    streamed = LinearCKA(2, 3)
    for k in range(0, 96, 12):
        streamed.update([x[k : k + 12] for x in first], [y[k : k + 12] for y in second])
    found = block_cka(kept(first, 12).astype(np.float32), kept(second, 12))
    np.testing.assert_allclose(found.value, streamed.value, atol=1e-5)
    assert found.value.shape == (2, 3) and found.value[0, 0] > 0.5 > found.value[1, 0]


def test_rows_that_one_lacks_are_left_out_of_both() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(10, 4)), rng.normal(size=(10, 6))
    y[:, :4] += x
    lacking_x, lacking_y = x.copy(), y.copy()
    lacking_x[2], lacking_y[[0, 7]] = np.nan, np.nan
    rest = [1, 3, 4, 5, 6, 8, 9]
    expected = hsic_by_loops(x[rest], y[rest]) / np.sqrt(
        hsic_by_loops(x[rest], x[rest]) * hsic_by_loops(y[rest], y[rest])
    )
    found = block_cka(kept([lacking_x], 10), kept([lacking_y], 10))
    assert found.value[0, 0] == pytest.approx(expected, rel=1e-9)
    lacking_x[3:] = np.nan
    assert np.isnan(block_cka(kept([lacking_x], 10), kept([y], 10)).value).all(), "two rows are too few"
    with pytest.raises(ValueError, match="same blocks"):
        block_cka(kept([x], 10), kept([y], 5))


def test_its_interval_resamples_blocks() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(160, 6))
    y = x + rng.normal(size=(160, 6))
    score = block_cka(kept([x], 16), kept([y], 16)).score(0, 0, 160, resamples=50, seed=3)
    parts = [(x[k : k + 16], y[k : k + 16]) for k in range(0, 160, 16)]
    by_hand = []
    for counts in draws(10, 50, 3):
        again = LinearCKA(1, 1)
        for (a, b), times in zip(parts, counts, strict=True):
            for _ in range(int(times)):
                again.update([a], [b])
        by_hand.append(again.value[0, 0])
    np.testing.assert_allclose(score.samples, by_hand, atol=1e-9)
    assert score.low < score.value < score.high and (score.n, score.images) == (160, 10)
    few = block_cka(kept([x[:64]], 16), kept([y[:64]], 16)).score(0, 0, 64, resamples=50, seed=3)
    assert np.isnan(few.low) and np.isfinite(few.value)
