"""Linear readers against scikit-learn, and intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import confusion_matrix, jaccard_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import bootstrap
from probes.bootstrap import draws, drop, interval, mean_score, mean_scores, resampled_mean, resampled_sums
from probes.linear import logistic
from probes.ridge import LabelMoments, Moments, RidgePath
from probes.segmentation import intersection_over_union, mean_iou, segmentation, tallies

Split = tuple[np.ndarray, np.ndarray]


def blobs(n: int, classes: int, width: int, spread: float, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    y = rng.integers(0, classes, n)
    return centres[y] + spread * rng.normal(size=(n, width)) + 4.0, y


def test_logistic_equals_scikit_learn() -> None:
    train, val, test = (blobs(n, 4, 10, 1.6, s) for n, s in ((400, 0), (200, 1), (300, 2)))
    grid = (0.001, 0.03, 1.0)
    scores, predictions = [], []
    for c in grid:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000, tol=1e-7)).fit(*train)
        scores.append(model.score(*val))
        predictions.append(model.predict(test[0]))
    best = int(np.argmax(scores))
    found = logistic(train, val, test, inverse_penalties=grid)
    assert found.inverse_penalty == grid[best]
    assert found.accuracy.value == pytest.approx((predictions[best] == test[1]).mean(), abs=0.007)
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    most = np.bincount(train[1]).argmax()
    assert found.majority == pytest.approx((test[1] == most).mean())


def test_shuffled_labels_leave_chance() -> None:
    train, val, test = (blobs(n, 4, 10, 1.0, s) for n, s in ((600, 0), (200, 1), (400, 2)))
    found = logistic(train, val, test, shuffles=20)
    assert found.accuracy.value > 0.85
    assert found.control.value == pytest.approx(0.25, abs=0.05)


def test_the_test_split_does_not_choose_the_penalty() -> None:
    train, val, test = (blobs(n, 3, 6, 2.0, s) for n, s in ((100, 0), (100, 1), (100, 2)))
    first = logistic(train, val, test)
    second = logistic(train, val, (test[0][::-1], test[1]))
    assert first.inverse_penalty == second.inverse_penalty


def test_scale_and_dead_features_do_not_matter() -> None:
    train, val, test = (blobs(n, 3, 6, 1.0, s) for n, s in ((200, 0), (100, 1), (100, 2)))

    def changed(split: Split) -> Split:
        x = split[0] * np.geomspace(1e-3, 1e3, 6) - 50.0
        return np.concatenate([x, np.full((len(x), 1), 3.0)], axis=1), split[1]

    plain, scaled = logistic(train, val, test), logistic(changed(train), changed(val), changed(test))
    assert scaled.accuracy.value == pytest.approx(plain.accuracy.value, abs=0.011)


def test_a_constant_features_rounding_is_no_signal() -> None:
    # Constant but for the last digits of float32, and those would give every label away.
    y = np.arange(120) % 3
    leak = (1000.0 + 1e-4 * y)[:, None]
    assert (leak.astype(np.float32) != 1000.0).any()
    found = logistic((leak, y), (leak, y), (leak, y), shuffles=2)
    assert found.accuracy.value == pytest.approx(1 / 3)
    moments = LabelMoments(1, 3)
    moments.update(leak, y)
    assert np.abs(RidgePath(moments).weights).max() == 0


@pytest.mark.parametrize("case", ["one class", "nan", "mismatch", "empty"])
def test_bad_data_is_named(case: str) -> None:
    x, y = blobs(50, 3, 4, 1.0, 0)
    bad = {
        "one class": (x, np.zeros(50)),
        "nan": (np.where(np.arange(50)[:, None] == 7, np.nan, x), y),
        "mismatch": (x, y[:-1]),
        "empty": (x[:0], y[:0]),
    }[case]
    with pytest.raises(ValueError, match="train"):
        logistic(bad, (x, y), (x, y))


def test_bootstrap_interval_has_the_width_theory_gives() -> None:
    rng = np.random.default_rng(0)
    correct = rng.random(400) < 0.7
    found = mean_score(correct, resamples=4000, seed=1)
    p = correct.mean()
    assert found.high - found.low == pytest.approx(3.92 * np.sqrt(p * (1 - p) / 400), rel=0.1)
    assert found.n == 400


def test_images_not_tokens_are_resampled() -> None:
    # 30 images of 50 tokens that are right or wrong together: the interval is that of 30 draws, not of 1,500.
    right = np.repeat(np.random.default_rng(0).random((30, 1)) < 0.5, 50, axis=1)
    by_image = segmentation(tallies(np.zeros((30, 50)), ~right, 2), resamples=4000).accuracy
    by_token = mean_score(right.ravel(), resamples=4000)
    assert by_image.n == 30 and by_image.value == pytest.approx(by_token.value)
    wider = (by_image.high - by_image.low) / (by_token.high - by_token.low)
    assert wider == pytest.approx(np.sqrt(50), rel=0.15)


def test_a_paired_drop_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(300) < 0.7
    after = before & (rng.random(300) < 0.95)
    a, b = mean_score(after), mean_score(before)
    value, low, high = drop(a, b)
    assert value == pytest.approx(after.mean() - before.mean())
    assert low < value < high < 0
    assert a.high > b.low
    assert drop(b, b) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError):
        drop(a, mean_score(before[:10]))


def test_pairs_stay_pairs_where_each_stage_lacks_another_image() -> None:
    values = 10.0 * np.random.default_rng(0).normal(size=200)
    here, there = values + 1.0, values.copy()
    here[3], there[150] = np.nan, np.nan
    a, b = mean_score(here), mean_score(there)
    assert a.n == b.n == 199 and a.images == b.images == 200
    _, low, high = drop(a, b)
    # The images differ by 10, the pairs by nothing but the two that lack one: far sharper than either mean.
    assert low < 1.0 < high and high - low < 0.2 * (a.high - a.low)


def test_one_value_has_no_interval_and_none_has_nothing() -> None:
    one = mean_score([np.nan, 0.25, np.nan], resamples=50)
    assert one.value == 0.25 and one.n == 1 and np.isnan([one.low, one.high]).all()
    assert np.isnan(drop(one, one)[1:]).all() and drop(one, one)[0] == 0.0
    assert mean_score([], resamples=5).n == 0
    lone = segmentation(tallies([[0, 1], [-1, -1]], [[0, 0], [0, 0]], 2), resamples=50)
    assert lone.accuracy.n == 1 and lone.accuracy.value == 0.5 and np.isnan(lone.accuracy.low)


def test_an_interval_with_holes_is_none() -> None:
    assert np.isnan(interval([0.1, 0.2, np.nan])).all() and np.isnan(interval([])).all()
    assert np.isnan(interval([0.1, np.inf])).all()
    assert interval([0.1, 0.1]) == pytest.approx((0.1, 0.1))


def test_ridge_path_equals_scikit_learn_for_every_penalty() -> None:
    x, y = blobs(500, 4, 12, 1.5, 0)
    xt, _ = blobs(200, 4, 12, 1.5, 1)
    penalties = (1e-4, 1e-2, 1.0, 30.0)
    moments = LabelMoments(12, 4)
    for part in np.array_split(np.arange(500), 7):
        moments.update(x[part], y[part])
    path = RidgePath(moments, penalties)
    predicted = path.classes(xt)
    scaler = StandardScaler().fit(x)
    for i, penalty in enumerate(penalties):
        reference = Ridge(alpha=penalty * 500).fit(scaler.transform(x), np.eye(4)[y])
        np.testing.assert_allclose(path.weights[i], reference.coef_.T, atol=1e-8)
        np.testing.assert_array_equal(predicted[i], reference.predict(scaler.transform(xt)).argmax(axis=1))
        np.testing.assert_array_equal(path.classes(xt, i), predicted[i])


def test_ridge_leaves_out_unlabelled_rows_and_dead_features() -> None:
    x, y = blobs(300, 3, 5, 1.0, 0)
    dead = np.concatenate([x, np.full((300, 1), 1234.5)], axis=1)
    a, b = LabelMoments(5, 3), LabelMoments(6, 3)
    a.update(x[:200], y[:200])
    b.update(dead, np.where(np.arange(300) < 200, y, -1))
    assert a.n == b.n == 200
    first, second = RidgePath(a), RidgePath(b)
    np.testing.assert_allclose(first.weights, second.weights[:, :5], atol=1e-8)
    assert np.abs(second.weights[:, 5]).max() == 0
    with pytest.raises(ValueError):
        a.update(np.full((2, 5), np.nan), [0, 1])
    with pytest.raises(ValueError):
        a.update(x, y + 3)
    with pytest.raises(ValueError):
        RidgePath(LabelMoments(5, 3))


def test_shuffled_ridge_reads_nothing() -> None:
    x, y = blobs(2000, 4, 12, 0.5, 0)
    xt, yt = blobs(500, 4, 12, 0.5, 1)
    moments = LabelMoments(12, 4, seed=3)
    for part in np.array_split(np.arange(2000), 4):
        moments.update(x[part], y[part])
    assert (RidgePath(moments).classes(xt, 0) == yt).mean() > 0.97
    control = RidgePath(moments).control()
    assert np.abs(control.weights).max() < 0.25 * np.abs(RidgePath(moments).weights).max()


def test_segmentation_scores_equal_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(-1, 4, (20, 36))
    guess = np.where(rng.random((20, 36)) < 0.6, truth, rng.integers(0, 4, (20, 36))).clip(0)
    per_image = tallies(truth, guess, 6)
    known = truth >= 0
    matrix = confusion_matrix(truth[known], guess[known])
    np.testing.assert_array_equal(
        per_image.sum(0)[:, :4], [np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)]
    )
    found = segmentation(per_image, resamples=500)
    assert found.accuracy.value == pytest.approx((truth == guess)[known].mean())
    assert found.miou.value == pytest.approx(jaccard_score(truth[known], guess[known], average="macro"))
    np.testing.assert_allclose(found.iou[:4], jaccard_score(truth[known], guess[known], average=None))
    assert np.isnan(found.iou[4:]).all()
    assert found.miou.low < found.miou.value < found.miou.high
    assert found.accuracy.n == 20


@pytest.mark.parametrize(
    ("truth", "guess"), [([[0, 2]], [[0, 1]]), ([[0, 1]], [[0, 2]]), ([[0, 1]], [[0, -1]])]
)
def test_a_class_outside_the_matrix_is_refused(truth: list[list[int]], guess: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="outside 0..1"):
        tallies(truth, guess, 2)


def test_mean_iou_worked_example() -> None:
    # class 0: 3 hits, 1 missed, 2 wrongly taken -> 3/6; class 1: 4 hits, 2 missed, 1 wrong -> 4/7
    counts = [[3, 4, 0], [4, 6, 0], [5, 5, 0]]
    np.testing.assert_allclose(intersection_over_union(counts)[:2], [3 / 6, 4 / 7])
    assert mean_iou(counts) == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert np.isnan(mean_iou(np.zeros((3, 3))))


def test_many_scores_are_those_of_each_and_of_draws_in_any_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(3, 40))
    values[1, 5], values[2, 1:] = np.nan, np.nan
    counts = draws(40, 30, seed=2)
    found = mean_scores(values, resamples=30, seed=2)
    monkeypatch.setattr(bootstrap, "CELLS", 100)
    for row, score in zip(values, found, strict=True):
        np.testing.assert_allclose(mean_score(row, resamples=30, seed=2).samples, score.samples)
    np.testing.assert_allclose(found[0].samples, counts @ values[0] / 40)
    np.testing.assert_array_equal(draws(40, 30, seed=2), counts)
    cubes = np.random.default_rng(1).normal(size=(40, 2, 3))
    sums = resampled_sums(cubes, resamples=30, seed=2)
    np.testing.assert_allclose(sums, np.einsum("ri,iab->rab", counts, cubes))


def test_draws_are_seeded_resamples() -> None:
    counts = draws(10, 50, seed=4)
    assert (counts.sum(axis=1) == 10).all()
    np.testing.assert_array_equal(counts, draws(10, 50, seed=4))
    values = np.array([1.0, np.nan] * 5)
    means = resampled_mean(values, counts)
    assert np.nanmin(means) == np.nanmax(means) == 1.0
    assert interval([np.nan, np.nan]) != interval([1.0])
    assert mean_score([1.0, np.nan, 3.0], resamples=50).value == 2.0
    assert mean_score([np.nan], resamples=50).n == 0
    with pytest.raises(ValueError):
        draws(0, 5, 0)


def test_sums_that_were_put_down_go_on_as_if_they_had_not_been() -> None:
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(20, 5)), rng.integers(-1, 3, 20)) for _ in range(4)]
    whole, first, second = LabelMoments(5, 3, seed=1), LabelMoments(5, 3, seed=1), LabelMoments(5, 3, seed=1)
    for batch in batches:
        whole.update(*batch)
    for batch in batches[:2]:
        first.update(*batch)
    second.restore(first.held())
    for batch in batches[2:]:
        second.update(*batch)
    for name, value in whole.held().items():
        np.testing.assert_array_equal(second.held()[name], value)


def test_the_control_is_of_other_images_also_where_a_batch_is_one_image() -> None:
    """An image's tokens share their level: permuted among themselves they would still give it away."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=(300, 1, 1))
    x = level + 0.1 * rng.normal(size=(300, 20, 4))
    y = level + 0.1 * rng.normal(size=(300, 20, 1))
    one, many = Moments(4, 1), Moments(4, 1)
    for image in range(300):
        one.update(x[image], y[image])
    many.update(x.reshape(-1, 4), y.reshape(-1, 1))
    test = level[:50] + 0.1 * rng.normal(size=(50, 20, 4))
    for moments in (one, many):
        control = RidgePath(moments, (1e-3,)).control().values(test.reshape(-1, 4), 0)
        assert control.std() < 0.15, "it reads next to nothing"
        assert RidgePath(moments, (1e-3,)).values(test.reshape(-1, 4), 0).std() > 0.8


def test_the_pool_is_a_fair_sample_of_all_rows() -> None:
    moments = Moments(1, 1)
    for start in range(0, 40_000, 1000):
        rows = np.arange(start, start + 1000, dtype=float)[:, None]
        moments.update(rows, rows)
    assert len(moments.pool) == 4096
    assert moments.pool.mean() == pytest.approx(20_000, rel=0.05)
    assert np.histogram(moments.pool, bins=4)[0] == pytest.approx(1024, rel=0.12)
