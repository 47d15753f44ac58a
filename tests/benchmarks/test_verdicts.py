"""What the benchmarks conclude from times that are known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from benchmarks import capture, first_page


@pytest.mark.parametrize(("slower", "status"), [(1.049, 0), (1.051, 1)])
def test_capture_is_judged_by_the_median_ratio_of_its_pairs(
    slower: float, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []
    # The machine slows down fivefold on the way, and one pass with capture is held up altogether.
    pace = iter([1.0, 1.0, 2.0, 2.0, 5.0, 5.0])

    def spent(work: Callable[[], object], device: str) -> capture.Spent:
        order.append("captured" if "capture" in work.__code__.co_names else "plain")
        seconds = next(pace) * (slower if order[-1] == "captured" else 1.0)
        seconds += 100.0 if len(order) == 6 and order[-1] == "captured" else 0.0
        return capture.Spent(seconds, 0.5)

    monkeypatch.setattr(capture, "spent", spent)
    words = ["--width", "64", "--layers", "1", "--repeats", "3", "--device", "cpu"]
    assert capture.main(words) == status
    assert order == ["plain", "captured", "captured", "plain", "plain", "captured"]
    said = capsys.readouterr().out
    assert ("ABOVE" in said) == bool(status) and f"{slower:.3f} times" in said and "3 pairs" in said


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


@pytest.mark.parametrize("benchmark", [capture, first_page])
def test_no_rounds_are_refused(benchmark: object) -> None:
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(["--repeats", "0"])  # type: ignore[attr-defined]
    assert stopped.value.code == 2
