"""Every question in every cell, once; the numbers are those of the definitions; a kill costs nothing."""

from __future__ import annotations

import base64
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.panels.robust import DRAWING, SMALL, Guessing
from workbench.datasets import open_collection
from workbench.errors import Cancelled, Refusal
from workbench.images.corruptions import corrupt
from workbench.models.protocol import Capability
from workbench.panels.robustness import chart, figure, written
from workbench.panels.robustness.config import RobustnessConfig
from workbench.panels.robustness.items import Items, conditions
from workbench.panels.robustness.paper import Heat
from workbench.panels.robustness.paper_drawing import Sweep
from workbench.panels.robustness.shows import BARS, GAIN, HEAT, SEVERITY, SHOWS, SWEEP, TABLES, TRIGGER
from workbench.panels.robustness.study import run
from workbench.panels.robustness.tables import Tables
from workbench.runs import unfinished
from workbench.runs.result import Result
from workbench.runs.store import load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield run(DRAWING, Guessing())


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield run(SMALL, Guessing())


def row(result: Result, **where: object) -> pd.Series:
    table = result.tables["accuracy"]
    for name, value in where.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_each_question_is_asked_about_each_damaged_image(direct: Result) -> None:
    items, questions = direct.tables["items"], direct.tables["questions"]
    assert len(questions) == SMALL.n_images * SMALL.each and len(items) == len(questions) * 5
    model = Guessing()
    samples = {
        sample.name: sample
        for sample in open_collection("scenes").read("test", 0, SMALL.n_images)
        if hasattr(sample, "pixels")
    }
    for item in items.sample(40, random_state=0).to_dict("records"):
        asked = questions.iloc[item["question"]]
        sample = samples[asked["name"]]
        pixels = sample.pixels
        if item["corruption"] != "none":
            pixels = corrupt(pixels, item["corruption"], item["severity"], seed=sample.seed)
        (one,) = [a for a in sample.asked if a.text == asked["question"] and a.answer == asked["answer"]][:1]
        values = model.score(model.prepare([pixels], one.text), one.candidates)[0]
        assert item["said"] == one.candidates[int(values.argmax())]
        assert item["right"] == (item["said"] == one.answer)
        assert item["confidence"] == pytest.approx(np.exp(values.max()) / np.exp(values).sum(), abs=1e-6)


def test_the_numbers_are_those_of_the_items(direct: Result) -> None:
    items = direct.tables["items"].pivot_table(
        index="question", columns=["corruption", "level"], values="right", sort=False
    )
    clean, dark = items["none", "clean"], items["dark_illumination", "high"]
    here = row(direct, corruption="dark_illumination", level="high")
    assert here["value"] == pytest.approx(dark.mean()) and here["n"] == 80 and here["images"] == 40
    assert here["drop"] == pytest.approx(clean.mean() - dark.mean())
    assert here["drop_low"] <= here["drop"] <= here["drop_high"]
    assert here["low"] < here["value"] < here["high"]
    assert here["lost_from_clean"] == pytest.approx(((clean == 1) & (dark == 0)).mean())
    assert here["gained_on_clean"] == pytest.approx(((clean == 0) & (dark == 1)).mean())
    assert here["drop"] == pytest.approx(here["lost_from_clean"] - here["gained_on_clean"])
    assert np.isnan(here["against_direct"]) and np.isnan(here["triggered"])
    noise = items["gaussian_noise", "high"]
    both = row(direct, corruption="all", level="high")
    assert both["value"] == pytest.approx((dark.mean() + noise.mean()) / 2) and both["n"] == 160
    assert row(direct, corruption="environment", level="high")["value"] == pytest.approx(both["value"])
    assert row(direct, corruption="none")["drop"] == 0
    counts = direct.tables["questions"]["candidates"]
    assert here["chance"] == pytest.approx((1 / counts).mean())
    bins = direct.tables["bins"]
    some = bins[bins["level"] == "clean"]
    error = (some["n"] * (some["accuracy"] - some["confidence"]).abs()).sum() / some["n"].sum()
    assert row(direct, corruption="none")["ece"] == pytest.approx(error)
    kinds = direct.tables["kinds"]
    assert kinds[kinds["level"] == "clean"]["questions"].sum() == 80


def test_drawings_are_measured_and_told_apart_from_what_draws_not(result: Result) -> None:
    table = result.tables["accuracy"]
    drew = table[table["pathway"] == "re-encode"]["triggered"]
    assert ((drew > 0) & (drew < 1)).any()
    assert (table[table["pathway"] == "in context"]["triggered"] == 0).all()
    assert table[table["pathway"] == "direct"]["triggered"].isna().all()
    some = row(result, corruption="all", level="all", pathway="re-encode")
    against = row(result, corruption="all", level="all", pathway="direct")["value"]
    assert some["against_direct"] == pytest.approx(some["value"] - against)
    assert 0 <= some["restore"] <= 1 and some["seconds"] > 0
    items = result.tables["items"]
    drawn = items[items["drew"] == 1]
    assert len(drawn) and drawn["PSNR after"].notna().all()
    assert items[items["drew"] != 1]["PSNR after"].isna().all()
    gain = result.tables["gain"]
    here = gain[(gain["corruption"] == "all") & (gain["level"] == "all") & (gain["measure"] == "PSNR")].iloc[
        0
    ]
    damaged = drawn[drawn["corruption"] != "none"]
    assert here["n"] == len(damaged)
    assert here["gain"] == pytest.approx((damaged["PSNR after"] - damaged["PSNR before"]).mean(), rel=1e-5)
    assert len(chart.drawings([("", result)])) == here["n"]


def test_ssim_is_that_of_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    from workbench.panels.robustness.quality import ssim

    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-40, 40, a.shape), 0, 255).astype(np.uint8)
    theirs = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
    )
    assert ssim(b, a) == pytest.approx(theirs, abs=1e-3)
    assert ssim(a, a) == pytest.approx(1) and np.isnan(ssim(a[:8], b[:8]))


def comparable(result: Result) -> dict[str, pd.DataFrame]:
    """Its tables but for how long it took."""
    return {name: table.drop(columns=["seconds"], errors="ignore") for name, table in result.tables.items()}


def test_a_study_that_was_stopped_goes_on_and_asks_nothing_twice(
    direct: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.panels.robustness.asking.PUT_DOWN", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0.0)
    whole = Guessing()
    run(SMALL.model_copy(update={"seed": 7}), whole)
    model = Guessing()

    def stopped() -> bool:
        return model.calls >= 57

    with pytest.raises(Cancelled):
        run(SMALL, model, stop=stopped)
    first = model.calls
    model.calls = 0
    again = run(SMALL, model)
    for name, table in comparable(direct).items():
        pd.testing.assert_frame_equal(table, comparable(again)[name])
    # Of the condition in which it was stopped some passes are made again, of no other.
    assert first + model.calls <= whole.calls * 1.35
    model.calls = 0
    run(SMALL, model)
    assert model.calls == 0


@pytest.mark.slow
def test_a_killed_study_ends_with_the_same_table(direct: Result, tmp_path: Path, cache: Path) -> None:
    out, chance = tmp_path / "out", random.Random(0)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.panels.robust", str(out)]
    env = os.environ | {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(root)}
    kills = 0
    place = cache / "afterimage" / "unfinished"
    for _ in range(3):
        process = subprocess.Popen(command, cwd=root, env=env)
        before = {path.stat().st_mtime_ns for path in place.glob("*/about.json")}
        # Killed at some moment once it has put something new down, or while it is about to.
        while process.poll() is None:
            if {path.stat().st_mtime_ns for path in place.glob("*/about.json")} - before:
                break
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills
    subprocess.run(command, cwd=root, env=env, check=True)
    again = load(out)
    for name, table in comparable(direct).items():
        pd.testing.assert_frame_equal(table, comparable(again)[name], check_dtype=False)


def test_what_is_said_freely_is_matched_or_judged(direct: Result) -> None:
    config = SMALL.model_copy(update={"answers": "generated", "n_images": 4, "corruptions": ()})
    free = run(config, Guessing())
    items = free.tables["items"].merge(free.tables["questions"], left_on="question", right_index=True)
    assert (items["right"] == (items["said"] == items["answer"])).all()
    assert items["confidence"].unique() == pytest.approx([np.exp(-0.5)])
    lenient = run(config, Guessing(), judge=lambda question, answer, said: 1.0, judge_name="yes")
    assert lenient.tables["items"]["right"].all()
    assert "yes" in set(lenient.tables["data"]["value"])
    with pytest.raises(Refusal, match="judge marks"):
        run(SMALL, Guessing(), judge=lambda *words: 1.0)


def test_a_free_answer_may_be_as_long_as_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    own = Guessing.answer

    def answer(self: Guessing, prompt: Any, **how: Any) -> Any:
        asked.append(how["max_new_tokens"])
        return own(self, prompt, **how)

    monkeypatch.setattr(Guessing, "answer", answer)
    given = {"answers": "generated", "n_images": 2, "corruptions": (), "max_new_tokens": 200}
    run(SMALL.model_copy(update=given), Guessing())
    assert set(asked) == {200}


def test_a_judge_that_fails_is_asked_again_and_what_was_judged_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workbench.datasets.judges.WAITS", (0.0, 0.0))
    config = SMALL.model_copy(update={"answers": "generated", "n_images": 4, "corruptions": ()})
    failures = iter([True, True, False])

    def tired(question: str, answer: str, said: str) -> float:
        if next(failures, False):
            raise TimeoutError("429")
        return 1.0

    assert run(config, Guessing(), judge=tired, judge_name="tired").tables["items"]["right"].all()

    def gone(*words: str) -> float:
        raise TimeoutError("429")

    with pytest.raises(Refusal, match="failed 3 times .TimeoutError: 429.. The same command goes on"):
        run(config, Guessing(), judge=gone, judge_name="gone")


def test_a_question_that_is_too_long_is_set_aside_by_name(tmp_path: Path) -> None:
    lines = ["index\timage\tquestion\tA\tB\tanswer"]
    for k in range(6):
        buffer = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), 20 * k, np.uint8)).save(buffer, "PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        lines.append(f"{k}\t{image}\t{'what is it? ' * (600 if k == 2 else 1)}\ta star\ta ring\tA")
    (tmp_path / "LONG.tsv").write_text("\n".join(lines) + "\n")
    given = {"data": str(tmp_path / "LONG.tsv"), "corruptions": ()}
    found = run(SMALL.model_copy(update=given), Guessing())
    assert len(found.tables["questions"]) == 5
    (reason,) = found.tables["skipped"]["reason"]
    assert "at most 4,000 are read" in reason


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    plain = Guessing()
    object.__setattr__(plain.card, "capabilities", frozenset({Capability.ANSWERS, Capability.SCORES}))
    with pytest.raises(Refusal, match="draw on its way"):
        run(DRAWING, plain)
    tsv = tmp_path / "open.tsv"
    pixels = io.BytesIO()
    Image.new("RGB", (24, 24), "red").save(pixels, "PNG")
    encoded = base64.b64encode(pixels.getvalue()).decode()
    tsv.write_text(f"index\timage\tquestion\tanswer\n1\t{encoded}\twhat?\ta star\n")
    with pytest.raises(Refusal, match="no questions with answers to choose from"):
        run(SMALL.model_copy(update={"data": str(tsv)}), Guessing())
    for wrong in ({"corruptions": ("fog",)}, {"severities": (1.5,)}, {"pathways": ()}):
        with pytest.raises(ValueError):
            RobustnessConfig(**wrong)


def test_every_line_of_a_benchmark_is_asked(tmp_path: Path) -> None:
    import base64
    import io

    from PIL import Image

    lines = ["index\timage\tquestion\tA\tB\tanswer"]
    for k in range(12):
        buffer = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), 20 * k, np.uint8)).save(buffer, "PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        lines.append(f"{k}\t{image}\twhat is it?\ta star\ta ring\t{'AB'[k % 2]}")
    path = tmp_path / "BENCH.tsv"
    path.write_text("\n".join(lines) + "\n")
    found = run(SMALL.model_copy(update={"data": str(path), "corruptions": ()}), Guessing())
    assert len(found.tables["questions"]) == 12 and set(found.tables["questions"]["matched"]) == {
        "candidates"
    }
    assert row(found, corruption="none")["chance"] == 0.5


def test_turned_options_count_once_and_only_if_all_are_right(tmp_path: Path) -> None:
    """MMBench's circular lines against VLMEvalKit's rule, worked out from the same lines asked singly."""

    def tsv(name: str, index: Callable[[int, int], str]) -> str:
        lines = ["index\timage\tquestion\tA\tB\tC\tanswer\tcategory"]
        for turn in range(3):
            for k in range(30):
                buffer = io.BytesIO()
                Image.fromarray(np.full((16, 16, 3), 8 * k, np.uint8)).save(buffer, "PNG")
                image = base64.b64encode(buffer.getvalue()).decode() if not turn else index(k, 0)
                options = ["a star", "a ring", "a moon"]
                turned = options[turn:] + options[:turn]
                answer = "ABC"[turned.index(options[k % 3])]
                lines.append("\t".join([index(k, turn), image, "what is it?", *turned, answer, "shapes"]))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def asked(data: str, each: int) -> Result:
        return run(SMALL.model_copy(update={"data": data, "corruptions": (), "each": each}), Guessing())

    circular = asked(tsv("CIRCULAR.tsv", lambda k, turn: str(k + turn * 1_000_000)), 1)
    single = asked(tsv("SINGLE.tsv", lambda k, turn: f"{k}-{turn}"), 3)
    questions, items = single.tables["questions"], single.tables["items"]
    by_name = items.assign(name=items["question"].map(questions["name"].str.split("-").str[0]))
    every = by_name.groupby("name")["right"].min()
    mine = circular.tables["items"].assign(name=circular.tables["questions"]["name"]).set_index("name")
    assert set(questions.groupby("name").size()) == {3} and len(circular.tables["questions"]) == 30
    assert mine["right"].to_dict() == every.to_dict() and 0 < every.mean() < items["right"].mean()
    assert row(circular, corruption="none")["value"] == pytest.approx(every.mean())
    assert row(circular, corruption="none")["chance"] == pytest.approx(1 / 27)
    least = by_name.groupby("name")["confidence"].min()
    assert mine["confidence"].to_dict() == pytest.approx(least.to_dict())
    about = circular.tables["data"]["value"]
    assert any("60 of its lines turn" in note for note in about)
    assert not any("divided" in note for note in about), "all splits are asked about"


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_or_none_has_an_interval(right: float) -> None:
    """Wilson's of twenty images, though two questions are asked about each; a difference to either side."""
    items = Items(conditions(DRAWING), DRAWING.pathways)
    items.more([{"image": k // 2, "kind": "colour", "candidates": 3, "turns": 0} for k in range(40)])
    items.numbers["right"][:] = right
    items.numbers["confidence"][:] = 0.5
    for place, pathway in enumerate(DRAWING.pathways[1:], start=1):
        items.numbers["drew"][place :: len(DRAWING.pathways)] = pathway == "re-encode"
        items.numbers["restore"][place :: len(DRAWING.pathways)] = 1.0
    made = Tables(items, resamples=100, bins=5, seed=0)
    bound = 1.959964**2 / (20 + 1.959964**2)
    low, high = (0, bound) if right == 0 else (1 - bound, 1)
    for row_ in (*made.accuracy(), *made.kinds()):
        assert [row_["value"], row_["low"], row_["high"]] == pytest.approx([right, low, high])
    for row_ in made.accuracy():
        if row_["of"] != "clean":
            assert [row_["drop_low"], row_["drop_high"]] == pytest.approx([-bound, bound])
        assert row_["drop"] == 0 and not np.signbit(float(str(row_["drop"])))
        draws = [row_["triggered"], row_["triggered_low"], row_["triggered_high"]]
        if row_["pathway"] == "re-encode":
            assert draws == pytest.approx([1, 1 - bound, 1])
        elif row_["pathway"] == "in context":
            assert draws == pytest.approx([0, np.nan, np.nan], nan_ok=True), "it could not have drawn"


def test_figures_and_tables_show_what_results_hold(result: Result, direct: Result) -> None:
    held = figure.held([("", result)])
    assert set(held) == {BARS, SEVERITY, HEAT, TRIGGER, GAIN}
    assert set(figure.held([("", direct)])) == {BARS, SEVERITY, HEAT}
    for name, drawn in held.items():
        figure.paper(result, name)
        assert len(drawn.numbers()), name
        if name in (BARS, SEVERITY, TRIGGER):
            assert "clean" in set(drawn.numbers()["level"]), name
    many = [("one", result), ("other", direct)]
    assert set(figure.held(many)) >= {BARS, SEVERITY, TRIGGER}
    figure.paper(many)
    numbers = Heat([("", direct)]).numbers()
    here = numbers[(numbers["corruption"] == "gaussian_noise") & (numbers["level"] == "mid")]["drop"].iloc[0]
    assert here == pytest.approx(row(direct, corruption="gaussian_noise", level="mid")["drop"])
    with pytest.raises(Refusal, match="differ in steps"):
        Sweep([("", result)])
    with pytest.raises(Refusal, match="no pathway 'bridge'"):
        chart.bars([("", direct)], ["bridge"])
    few = Result(result.study, result.config | {"steps": 4}, {}, result.tables)
    assert sorted(set(Sweep([("a", few), ("b", result)]).numbers()["steps"])) == [4, 12]
    assert set(SHOWS) == {BARS, SEVERITY, HEAT, TRIGGER, GAIN, SWEEP} and set(TABLES)


def test_tables_for_reading_carry_intervals_and_n(result: Result, direct: Result) -> None:
    text = written.types([("", direct)], "high").markdown()
    assert "Darkness" in text and "[" in text and "80 answers, 40 images" in text and "160 answers" in text
    text = written.levels([("", result)]).markdown()
    assert "| clean |" in text and "re-encode" in text
    assert "p(restore)" in text and "calibration error" in text
    assert "PSNR dB" in written.gains([("", result)]).markdown()
    every = written.conditions([("", direct)])
    assert list(every.written.columns) == ["corruption", "mid ↑", "high ↑", "n"]
    shown = every.written.set_index("corruption")["high ↑"]["Darkness"]
    there = row(direct, corruption="dark_illumination", level="high")
    assert shown.startswith(f"{100 * there['value']:.1f} [")
    assert set(written.conditions([("", result)]).written["pathway"]) == set(DRAWING.pathways)
    assert [chart.points_of(x) for x in (-0.0004, 0.1234, -0.5)] == ["0.0", "12.3", "\N{MINUS SIGN}50.0"]
    with pytest.raises(Refusal, match="no level 'worst'"):
        written.types([("", direct)], "worst")
    with pytest.raises(Refusal, match="no drawings"):
        written.gains([("", direct)])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_screen_shows_the_same(result: Result, theme: str) -> None:
    from workbench.panels.robustness.screen import screen

    for name in figure.held([("", result)]):
        drawn = screen([("", result)], name, theme=theme, narrow=theme == "dark")  # type: ignore[arg-type]
        assert len(drawn.data)
    bars = screen([("", result)], BARS).data[0]
    assert bars.y[0] == row(result, corruption="none", pathway="direct")["value"]


@pytest.mark.parametrize("narrow", [False, True])
def test_long_names_have_lines_of_their_own_over_the_figure(result: Result, narrow: bool) -> None:
    from workbench.panels.robustness.screen import HEIGHT, LINE, screen

    both = [(f"scenes, {words}, pocket-bagel", result) for words in ("direct + drawn twice over", "direct")]
    drawn = screen(both, SEVERITY, narrow=narrow)
    names = [trace.name for trace in drawn.data if trace.showlegend is not False]
    assert names[0] == "direct + drawn twice over: direct" and len(names) == 6
    assert drawn.layout.legend.orientation == "v" and drawn.layout.margin.t == 60 + 5 * LINE
    few = screen([("", result)], SEVERITY)
    assert few.layout.legend.orientation == "h" and few.layout.margin.t == 60
    bars = screen(both, BARS, narrow=narrow)
    longest = max(len(line) for text in bars.layout.xaxis.ticktext for line in text.split("<br>"))
    assert longest <= (10 if narrow else 28) and bars.layout.height >= HEIGHT - 40 + LINE
