"""What the benchmarks conclude from times that are known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import capture, first_page, probes, readers, robustness, streaming, ways
from benchmarks.peak import Peak, peak
from benchmarks.subject import ANSWER, QUESTION, SIZES, open_random, subject

MIB = 2**20
CAST = ("plain", "states", "capture", "eager")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Benchmarks capture without a model: the ways only say, in this list, that their turn came."""
    order: list[str] = []
    ways = {name: lambda ready, name=name: order.append(name) for name in CAST}
    monkeypatch.setattr(capture, "WAYS", ways)
    monkeypatch.setattr(capture, "subject", lambda model, visual: None)
    monkeypatch.setattr(capture, "spent", lambda work, device: work() or 1.0)
    said_of(monkeypatch, plain=100, states=100, capture=180, eager=1800)
    return order


def said_of(monkeypatch: pytest.MonkeyPatch, **above: int) -> None:
    """Each way's peak above the model in MiB; of capture's 75 are kept."""

    def peak(size: str, visual: int, way: str, device: str, threads: int) -> Peak:
        return Peak(500 * MIB, above[way] * MIB, 75 * MIB if way == "capture" else 0)

    monkeypatch.setattr(capture, "peak", peak)


def judged(*words: str) -> int:
    return capture.main(["--size", "tiny", "--device", "cpu", "--ways", "eager", *words])


@pytest.mark.parametrize("way", capture.OURS)
@pytest.mark.parametrize(("slower", "status"), [(1.049, 0), (1.051, 1)])
def test_ours_is_judged_by_the_median_ratio_of_its_rounds(
    way: str,
    slower: float,
    status: int,
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The machine slows down fivefold on the way, and one pass of ours is held up altogether.
    pace = iter([1.0] * 4 + [2.0] * 4 + [5.0] * 4)

    def spent(work: Callable[[], object], device: str) -> float:
        work()
        held_up = 100.0 if taken.count(way) == 1 + 3 and taken[-1] == way else 0.0
        return next(pace) * (slower if taken[-1] == way else 1.0) + held_up

    monkeypatch.setattr(capture, "spent", spent)
    assert judged("--visual", "16", "--rounds", "3") == status
    turns = [[*CAST[k:], *CAST[:k]] for k in range(3)]
    assert taken == [*CAST, *turns[0], *turns[1], *turns[2]]
    said = capsys.readouterr().out
    assert ("ABOVE" in said) == bool(status) and f"| {slower:.3f} |" in said and "rounds: 3" in said


@pytest.mark.parametrize(("above", "status"), [(185, 0), (186, 1)])
def test_what_capture_keeps_is_not_held_against_it_but_the_rest_is(
    above: int,
    status: int,
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said_of(monkeypatch, plain=100, states=100, capture=above, eager=1000)
    assert judged("--visual", "16", "--rounds", "1") == status
    said = capsys.readouterr().out
    assert f"| {above} | {above / 100:.2f} | 75 | {(above - 75) / 100:.2f} |" in said
    assert ("memory, ABOVE" in said) == bool(status)
    assert f"plain's memory: {above / 100:.2f} at 16 tokens" in said


@pytest.mark.parametrize(
    ("visual", "eager", "status"), [("4096", 1800, 0), ("4096", 1799, 1), ("1200", 1, 0)]
)
def test_eager_is_judged_at_the_largest_image_only(
    visual: str, eager: int, status: int, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said_of(monkeypatch, plain=100, states=100, capture=180, eager=eager)
    assert judged("--visual", visual, "--rounds", "1") == status


def test_every_way_keeps_the_same_numbers() -> None:
    ready = subject(open_random(SIZES["tiny"], "cpu", torch.float32), 16)
    size = SIZES["tiny"]
    mine, eager, hooks = (ways.WAYS[name](ready) for name in ("capture", "eager", "hooks"))
    alone = ways.states(ready)
    for a, b in zip(alone, mine[: -size.layers], strict=True):
        np.testing.assert_array_equal(a, b)
    states = alone[size.vision_layers + 2 :]  # of the language model; before it tower and projector
    assert [len(states), len(eager), len(hooks)] == [3, 5, 6]
    pairs = [(states[0], eager[0]), (states[1], eager[1]), (mine[-2], eager[-2]), (mine[-1], eager[-1])]
    pairs += [(mine[1], hooks[0][None]), (mine[-2], hooks[2]), (states[1], hooks[3]), (states[2], hooks[5])]
    places = ready.model.taps(ready.prompt)[1].positions
    for number, (a, b) in enumerate(pairs):
        # Ours are in the order of the grid, the tower's own are in that of its windows.
        np.testing.assert_allclose(a, b[:, places] if number == 4 else b, atol=1e-5)
    assert mine[-1].shape == (1, 2, ANSWER, 1 + 16 + 1 + QUESTION + ANSWER)
    np.testing.assert_allclose(mine[-1].sum(-1), 1, atol=1e-5)


def test_nnsight_keeps_the_same_states() -> None:
    pytest.importorskip("nnsight")
    ready = subject(open_random(SIZES["tiny"], "cpu", torch.float32), 16)
    size = SIZES["tiny"]
    mine, theirs = ways.states(ready)[size.vision_layers + 3 :], ways.nnsight(ready)
    assert len(theirs) == size.layers
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_memory_is_that_of_the_pass() -> None:
    plain, eager = (peak("tiny", 1200, way, "cpu", 1) for way in ("plain", "eager"))
    whole = 2 * 2 * (1200 + 50) ** 2 * 4  # two layers' two heads, every token to every token
    assert plain.kept == 0 < plain.above < plain.loaded
    assert eager.above > plain.above + whole


@pytest.mark.parametrize(("share", "status"), [(1.49, 0), (1.51, 1)])
def test_the_page_is_judged_by_the_median_of_the_apps_own_share(
    share: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    floors = iter([0.0, 2.0, 5.0, 2.5, 5.5, 9.0, 20.0])  # before the rounds; then gradio, everything, ...
    pages = iter([(2.0 + share, 8.0), (2.5 + share, 9.0), (9.0 + 40.0, 60.0)])
    monkeypatch.setattr(first_page, "importing", lambda modules: next(floors))
    monkeypatch.setattr(first_page, "visited", lambda chromium: next(pages))
    assert first_page.main(["--repeats", "3"]) == status
    said = capsys.readouterr().out
    assert "medians of 3 rounds" in said and f"{share:.2f} s  (" in said
    assert ("ABOVE" in said) == bool(status)


def test_in_a_browser_nothing_is_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first_page, "importing", lambda modules: 1.0)
    monkeypatch.setattr(first_page, "visited", lambda chromium: (50.0, 60.0) if chromium else (0.0, 0.0))
    assert first_page.main(["--repeats", "1", "--browser"]) == 0
    assert "limit" not in capsys.readouterr().out


def test_an_app_that_ends_is_not_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    with pytest.raises(SystemExit, match="exit status 3"):
        first_page.served("http://127.0.0.1:9", process)


@pytest.mark.parametrize(
    ("seconds", "accuracy", "device", "status"),
    [
        (1.81, 0.7015, "cpu", 0),
        (1.79, 0.700, "cpu", 1),
        (1.81, 0.703, "cpu", 1),
        (1.81, 0.700, "cuda", 1),
        (20.1, 0.6985, "cuda", 0),
    ],
)
def test_readers_are_judged_by_seconds_and_by_what_they_read(
    seconds: float,
    accuracy: float,
    device: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = {"ours": accuracy, "loop": 0.7}
    clock, counts = [0.0], []

    def way(name: str) -> readers.Way:
        def taken(stages: list[readers.Stage], labels: readers.Labels) -> list[readers.Found]:
            counts.append(len(stages))
            clock[0] += 10.0 * (seconds if name == "loop" else 1.0)
            return [readers.Found(0.1, said[name], 0.1)] * len(stages)

        return taken

    monkeypatch.setattr(
        probes, "settled", lambda stages, labels: [readers.Found(0.1, 0.7, np.nan)] * len(stages)
    )
    monkeypatch.setattr(probes, "ways", lambda device: {name: way(name) for name in said})
    monkeypatch.setattr(probes.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(probes, "SIZE", probes.QUICK_SIZE)
    words = ["--parts", "readers", "--ways", "ours", "--rounds", "2", "--device", device]
    assert probes.main(words) == status
    # Once each on little, two rounds of two stages each, and ours at all stages twice.
    assert counts == [2, 2, 2, 2, 2, 2, 29, 29]
    assert f"| {seconds:.2f} |" in capsys.readouterr().out


@pytest.mark.parametrize(("more", "status"), [(109, 0), (111, 1)])
def test_a_stream_is_judged_by_how_its_peak_grows(
    more: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter([100, more])
    monkeypatch.setattr(
        probes, "in_own_process", lambda n, width: streaming.Streamed(next(peaks) * MIB, 1.0, 0.5)
    )
    assert probes.main(["--parts", "stream"]) == status


def test_a_stream_is_read_in_less_memory_than_its_states_take() -> None:
    found = streaming.in_own_process(40_000, 256)
    assert 0 < found.above < 40_000 * 256 * 4 / 1.5 and 0.5 < found.accuracy <= 1


def test_every_way_reads_the_same() -> None:
    stages, labels = readers.States(24, 3).all_of(readers.Size(200, 80, 400, 24), [0, 2])
    mine, loop, naive = (readers.ways("cpu")[name](stages, labels) for name in ("ours", "loop", "naive"))
    assert mine[0].accuracy > mine[1].accuracy > mine[1].control
    for found in (loop, naive):
        for a, b in zip(mine, found, strict=True):
            assert a.inverse_penalty == b.inverse_penalty
            assert a.accuracy == pytest.approx(b.accuracy, abs=0.011)
            assert a.control == pytest.approx(b.control, abs=0.011)


@pytest.mark.parametrize(("times", "wrong", "status"), [(5.1, 0, 0), (4.9, 0, 1), (5.1, 2, 1), (5.1, 1, 0)])
def test_robustness_is_judged_by_the_median_ratio_and_by_what_is_said(
    times: float, wrong: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {("none", 0.0, k): "red" for k in range(100)}
    other = said | {("none", 0.0, k): "blue" for k in range(wrong)}
    spent = iter([1.0, 1.0, 50.0])  # one round is held up
    monkeypatch.setattr(robustness, "opened", lambda name, threads: None)
    monkeypatch.setattr(robustness, "study", lambda model, config: robustness.Asked(next(spent), other))
    monkeypatch.setattr(robustness, "loop", lambda model, config: robustness.Asked(times, said))
    assert robustness.main(["--rounds", "3", "--images", "4"]) == status
    printed = capsys.readouterr().out
    assert f"{times:.1f} times" in printed and ("BELOW" in printed) == bool(status)


@pytest.mark.parametrize(
    ("benchmark", "word"),
    [(capture, "--rounds"), (first_page, "--repeats"), (probes, "--rounds"), (robustness, "--rounds")],
)
def test_no_rounds_are_refused(benchmark: Any, word: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        benchmark.main([word, "0"])
    assert stopped.value.code == 2
