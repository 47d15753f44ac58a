"""Readers of many stages: the same as one after the other, however they are worked on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import readers
from probes.linear import LogisticProbe, logistic, logistic_stages
from probes.readers import read_stages
from probes.workers import Stopped, side_by_side

COUNTS = (150, 80, 120)


def probe_set(
    widths: tuple[int, ...] = (12, 300, 40),
) -> tuple[list[tuple[np.ndarray, ...]], dict[str, tuple]]:
    """Three splits of stages of any widths, and of two kinds of labels, one of them with two classes."""
    rng = np.random.default_rng(0)
    shape = [rng.integers(0, 4, n) + 3 for n in COUNTS]
    side = [rng.choice([2, 9], n) for n in COUNTS]
    stages = []
    for width in widths:
        to_shape, to_side = rng.normal(size=(10, width)), rng.normal(size=(10, width))
        stages.append(
            tuple(
                (to_shape[a] + to_side[b] + 3 * rng.normal(size=(len(a), width))).astype(np.float32)
                for a, b in zip(shape, side, strict=True)
            )
        )
    return stages, {"shape": tuple(shape), "side": tuple(side)}


def same(a: LogisticProbe, b: LogisticProbe) -> bool:
    def numbers(p: LogisticProbe) -> list[float]:
        scores = [x for s in (p.accuracy, p.control) for x in (s.value, s.low, s.high, *s.samples)]
        return [*scores, p.majority, p.inverse_penalty]

    return bool(np.allclose(numbers(a), numbers(b), rtol=0, atol=1e-12))


@pytest.mark.parametrize("workers", [1, 3])
def test_side_by_side_is_one_after_the_other(workers: int) -> None:
    stages, labels = probe_set()
    found = logistic_stages(stages, labels, resamples=50, seed=4, workers=workers)
    assert list(found) == ["shape", "side"]
    for name, probes in found.items():
        for features, probe in zip(stages, probes, strict=True):
            one = logistic(*zip(features, labels[name], strict=True), resamples=50, seed=4)
            assert same(one, probe)
            value, low, high = probe.selectivity
            assert value == probe.accuracy.value - probe.control.value and low <= value <= high


def test_it_scores_what_scikit_learn_scores() -> None:
    stages, labels = probe_set()
    found = logistic_stages(stages, labels, resamples=20)
    for name, (y, yv, yt) in labels.items():
        for (x, xv, xt), probe in zip(stages, found[name], strict=True):
            models = [
                make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000, tol=1e-6)).fit(x, y)
                for c in (0.001, 0.01, 0.1, 1.0)
            ]
            best = int(np.argmax([model.score(xv, yv) for model in models]))
            assert probe.inverse_penalty == (0.001, 0.01, 0.1, 1.0)[best]
            assert probe.accuracy.value == pytest.approx(models[best].score(xt, yt), abs=1.01 / len(yt))


def test_batches_of_a_gpu_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # The way of a GPU, taken on the CPU: stages of three widths, two at a time.
    stages, labels = probe_set((12, 300, 40, 25, 7))
    expected = logistic_stages(stages, labels, resamples=20)
    told = []
    monkeypatch.setattr(readers, "_most_stages", lambda like, tasks: 2)
    monkeypatch.setattr(readers, "_on_cores", lambda device: False)
    found = logistic_stages(stages, labels, resamples=20, progress=lambda *done: told.append(done))
    assert told == [(4, 10), (8, 10), (10, 10)]
    for name in labels:
        for a, b in zip(expected[name], found[name], strict=True):
            assert a.inverse_penalty == b.inverse_penalty
            assert a.accuracy.value == b.accuracy.value
            assert a.control.value == pytest.approx(b.control.value, abs=2e-3)
    with pytest.raises(Stopped):
        logistic_stages(stages, labels, stop=lambda: len(told) > 3, progress=lambda *done: told.append(done))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_says_the_same() -> None:
    stages, labels = probe_set((12, 300, 40, 25, 7))
    expected, found = (logistic_stages(stages, labels, resamples=20, device=d) for d in ("cpu", "cuda"))
    for name in labels:
        for a, b in zip(expected[name], found[name], strict=True):
            assert a.inverse_penalty == b.inverse_penalty
            assert a.accuracy.value == pytest.approx(b.accuracy.value, abs=2e-3 + 1 / COUNTS[2])


def test_a_stage_may_lie_on_disk(tmp_path: Path) -> None:
    stages, labels = probe_set((30,))
    mapped = []
    for i, x in enumerate(stages[0]):
        np.save(tmp_path / f"{i}.npy", x)
        mapped.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
    a, b = (logistic_stages([s], labels, resamples=20)["shape"][0] for s in (stages[0], tuple(mapped)))
    assert same(a, b)


def test_a_label_that_training_lacks_is_never_read() -> None:
    stages, labels = probe_set((12,))
    y, yv, yt = labels["shape"]
    strange = np.where(np.arange(len(yt)) % 2, yt, 77)
    found = logistic_stages(stages, {"": (y, yv, strange)}, resamples=20)[""][0]
    plain = logistic_stages(stages, {"": (y, yv, yt)}, resamples=20)[""][0]
    assert 0 < found.accuracy.value <= 0.5 < plain.accuracy.value


def test_images_without_a_label_have_no_part_in_its_reader() -> None:
    stages, labels = probe_set((12, 200))
    rng = np.random.default_rng(3)
    some = tuple(np.where(rng.random(len(y)) < 0.3, -1, y) for y in labels["side"])
    told: list[tuple[int, int]] = []
    found = logistic_stages(
        stages, labels | {"some": some}, resamples=20, progress=lambda *done: told.append(done)
    )
    assert list(found) == ["shape", "side", "some"] and told[-1] == (6, 6)
    for features, probe in zip(stages, found["some"], strict=True):
        kept = [(x[y >= 0], y[y >= 0]) for x, y in zip(features, some, strict=True)]
        assert same(logistic(*kept, resamples=20), probe)
        assert probe.accuracy.images == (some[2] >= 0).sum() < COUNTS[2]
    with pytest.raises(ValueError, match="test: labels of none"):
        logistic_stages(stages, {"none": (some[0], some[1], np.full(COUNTS[2], -1))})


def test_bad_stages_are_named() -> None:
    stages, labels = probe_set()
    stages[1][2][5, 7] = np.nan
    with pytest.raises(ValueError, match="stage 1, test: 1 rows hold NaN"):
        logistic_stages(stages, labels)
    with pytest.raises(ValueError, match="stage 0, validation: 11 features, where training has 12"):
        logistic_stages([(stages[0][0], stages[0][1][:, :-1], stages[0][2]), stages[2]], labels)
    with pytest.raises(ValueError, match="training split holds one class of x only"):
        logistic_stages(stages, {"x": ([1] * 150, [1] * 80, [1] * 120)})
    with pytest.raises(ValueError, match="penalties"):
        logistic_stages(stages, labels, inverse_penalties=())
    assert logistic_stages([], labels) == {"shape": [], "side": []}


def test_pieces_come_back_in_order_and_progress_is_told_where_it_was_asked() -> None:
    told: list[tuple[int, int, int]] = []
    before = torch.get_num_threads()

    def asked() -> list[tuple[int, int]]:
        return side_by_side(
            lambda i, check: (i, torch.get_num_threads()),
            7,
            workers=3,
            progress=lambda done, of: told.append((done, of, threading.get_ident())),
        )

    with ThreadPoolExecutor(1) as pool:  # as a page does: not in the main thread
        assert pool.submit(asked).result() == [(i, 1) for i in range(7)]
        assert {ident for *_, ident in told} == {pool.submit(threading.get_ident).result()}
        assert pool.submit(torch.get_num_threads).result() == before
    assert told[-1][:2] == (7, 7) and [done for done, *_ in told] == sorted({done for done, *_ in told})
    assert side_by_side(lambda i, check: i, 0) == [] and torch.get_num_threads() == before


def test_stopping_ends_what_runs_and_starts_nothing_more() -> None:
    started, ended = [], []
    running = threading.Event()

    def work(i: int, check) -> None:  # type: ignore[no-untyped-def]
        started.append(i)
        running.set()
        try:
            while True:
                check()
        except Stopped:
            ended.append(i)
            raise

    with pytest.raises(Stopped):
        side_by_side(work, 50, workers=2, stop=running.is_set)
    assert sorted(started) == sorted(ended) and len(started) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probes")]


def test_what_a_piece_or_progress_raises_arrives() -> None:
    def work(i: int, check) -> int:  # type: ignore[no-untyped-def]
        if i == 3:
            raise KeyError("third")
        return i

    with pytest.raises(KeyError, match="third"):
        side_by_side(work, 9, workers=2)

    def tired(done: int, of: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        side_by_side(lambda i, check: i, 9, workers=2, progress=tired)


def test_reading_is_lazy() -> None:
    stages, labels = probe_set((12,) * 6)
    asked: list[int] = []

    def features(i: int) -> list[np.ndarray]:
        asked.append(i)
        return [x.astype(np.float64) for x in stages[i]]

    stopped = lambda: len(asked) >= 2  # noqa: E731
    arguments = dict(shuffles=1, seed=0, device="cpu", workers=1, progress=lambda done, of: None)
    truth = {name: [np.asarray(y) for y in splits] for name, splits in labels.items()}
    with pytest.raises(Stopped):
        read_stages(features, 6, truth, [1.0], stop=stopped, **arguments)
    assert len(asked) < 6
