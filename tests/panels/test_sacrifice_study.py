"""Answers are marked as they were given; points and coefficients are those of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import stats

from tests.capture.fake import FakeModel
from workbench.datasets import open_collection
from workbench.datasets.collection import Asked
from workbench.errors import Cancelled, Refusal
from workbench.models.protocol import Capability, Prompt
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.study import run as layers
from workbench.panels.sacrifice.config import SacrificeConfig
from workbench.panels.sacrifice.figure import Scatter, coefficients, paper
from workbench.panels.sacrifice.study import run
from workbench.panels.sacrifice.task import Marked, marked, task_rows
from workbench.runs.result import Result

SMALL = SacrificeConfig(n_train=20, n_validation=10, n_test=12, resamples=100, n_asked=12, batch=4)


class Answering(FakeModel):
    """Says the answer that `says` gives for pixels and question; remembers what it was shown together."""

    def __init__(self, says: Any) -> None:
        super().__init__(side=12, width=16)
        self.says, self.passed = says, list[tuple[str, int]]()
        self.card = replace(self.card, capabilities=self.card.capabilities | {Capability.SCORES})

    def score(self, prompt: Prompt, candidates: Sequence[str]) -> np.ndarray:
        self.passed.append((prompt.text, len(prompt.images)))
        said = [self.says(image, prompt.text) for image in prompt.images]
        return np.array([[0.0 if candidate == word else -5.0 for candidate in candidates] for word in said])


def truth() -> dict[tuple[bytes, str], str]:
    samples = [sample for sample in open_collection("scenes").read("test", 0, SMALL.n_asked)]
    return {(s.pixels.tobytes(), q.text): q.answer for s in samples for q in s.asked}  # type: ignore[union-attr]


def test_whoever_knows_the_answers_is_always_right_and_is_asked_in_batches() -> None:
    known = truth()
    model = Answering(lambda image, text: known[image.tobytes(), text])
    answers = marked(model, open_collection("scenes"), SMALL, lambda share, words: None, lambda: False)
    assert len(answers) == SMALL.n_asked * SMALL.each and all(each.right for each in answers)
    assert {each.image for each in answers} == set(range(SMALL.n_asked))
    assert max(count for _, count in model.passed) <= SMALL.batch
    assert sum(count for _, count in model.passed) == len(answers)
    again = marked(model, open_collection("scenes"), SMALL, lambda share, words: None, lambda: False)
    assert again == answers
    for image in range(SMALL.n_asked):
        asked = [each.question.text for each in answers if each.image == image]
        assert len(set(asked)) == SMALL.each


def test_no_image_is_asked_about_that_readers_are_not_scored_on() -> None:
    model, config = Answering(lambda image, text: "yes"), SMALL.model_copy(update={"n_test": 10, "each": 1})
    answers = marked(model, open_collection("scenes"), config, lambda share, words: None, lambda: False)
    assert config.n_asked > 10 and {each.image for each in answers} == set(range(10))


def test_whoever_says_one_word_is_right_as_often_as_it_is_true() -> None:
    model = Answering(lambda image, text: "yes")
    answers = marked(model, open_collection("scenes"), SMALL, lambda share, words: None, lambda: False)
    # Where "yes" is no candidate all are equally likely, and the first is taken.
    for each in answers:
        said = "yes" if "yes" in each.question.candidates else each.question.candidates[0]
        assert each.right == (said == each.question.answer)


def test_images_and_not_questions_are_what_counts() -> None:
    def each(image: int, right: bool, kind: str, choices: int) -> Marked:
        return Marked(image, Asked("?", "a", ("a", "b", "c", "d")[:choices], kind), right)

    rows = task_rows(
        [each(0, True, "x", 2), each(0, True, "x", 2), each(0, False, "y", 4), each(1, False, "y", 4)],
        resamples=100,
        seed=0,
    )
    table = {row["kind"]: row for row in rows}
    assert table["all"]["value"] == pytest.approx((2 / 3 + 0) / 2) and table["all"]["n"] == 2
    assert table["all"]["chance"] == pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / 4)
    assert table["x"]["value"] == 1 and table["x"]["n"] == 1 and np.isnan(table["x"]["low"])
    assert table["y"]["questions"] == 2 and table["y"]["value"] == 0


def test_readers_are_those_of_a_layers_study() -> None:
    model = Answering(lambda image, text: "red")
    found = run(SMALL, model)
    config = LayersConfig(
        n_train=20,
        n_validation=10,
        n_test=12,
        resamples=100,
        batch=4,
        measures=("linear reader", "segmentation"),
    )
    pd.testing.assert_frame_equal(found.tables["curves"], layers(config, model).tables["curves"])
    assert found.study == "sacrifice" and found.manifest["config"]["n_asked"] == 12
    assert found.tables["task"]["kind"].iloc[0] == "all"


def test_what_cannot_be_done_is_refused_or_stops() -> None:
    with pytest.raises(Refusal, match="score answers"):
        run(SMALL, FakeModel(side=12, width=16))
    data = open_collection("scenes")
    with pytest.raises(Cancelled):
        marked(Answering(None), data, SMALL, lambda share, words: None, lambda: True)

    class Silent:
        title = "silent pictures"

        def count(self, split: str) -> int:
            return 3

        def read(self, split: str, start: int, stop: int) -> Any:
            for sample in data.read("test", start, stop):
                yield replace(sample, asked=(Asked("what is it?", "a star"),))  # type: ignore[type-var]

    with pytest.raises(Refusal, match="silent pictures brings no questions with answers to choose from"):
        marked(Answering(None), Silent(), SMALL, lambda share, words: None, lambda: False)  # type: ignore[arg-type]


def checkpoint(task: float, readers: Sequence[float]) -> Result:
    """A checkpoint's result with given numbers at llm 0, 1, 2 …"""
    curves = [
        {"measure": "accuracy, shape", "stage": f"llm {k}", "band": "llm", "index": k + 3}
        | {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 40}
        for k, value in enumerate(readers)
    ]
    row = {"kind": "all", "value": task, "low": task - 0.1, "high": task + 0.1, "chance": 0.25, "n": 20}
    return Result("sacrifice", {}, {}, {"curves": pd.DataFrame(curves), "task": pd.DataFrame([row])})


SERIES = [
    (f"step-{k}", checkpoint(task, readers))
    for k, (task, readers) in enumerate(
        [
            (0.30, (0.80, 0.70, 0.60)),
            (0.35, (0.82, 0.66, 0.61)),
            (0.50, (0.81, 0.60, 0.50)),
            (0.55, (0.79, 0.52, 0.45)),
            (0.71, (0.83, 0.50, 0.47)),
            (0.80, (0.80, 0.41, 0.30)),
        ]
    )
]


def test_coefficients_are_those_of_scipy() -> None:
    table = coefficients(SERIES)
    task = [0.30, 0.35, 0.50, 0.55, 0.71, 0.80]
    middle = table.numbers[table.numbers["stage"] == "llm 1"].iloc[0]
    readers = [0.70, 0.66, 0.60, 0.52, 0.50, 0.41]
    assert middle["pearson value"] == pytest.approx(stats.pearsonr(task, readers).statistic)
    assert middle["spearman value"] == pytest.approx(-1) and middle["n"] == 6
    assert middle["pearson low"] <= middle["pearson value"] <= middle["pearson high"] < -0.8
    assert list(table.written["stage"]) == ["llm 0", "llm 1", "llm 2"]


def texts(results: Sequence[tuple[str, Result]]) -> list[str]:
    return [text.get_text() for text in paper(results).findobj(Text) if text.get_text()]


def test_the_scatter_says_what_it_rests_on() -> None:
    said = texts(SERIES)
    assert {"llm 0", "llm 1", "llm 2", "n = 6"} <= set(said)
    assert any(text.startswith("r \N{MINUS SIGN}0.9") for text in said)
    few = texts(SERIES[:3])
    assert "n = 3, too few" in few and "for an interval" in few
    assert not any("[" in text for text in few)
    assert "no correlation" in texts(SERIES[:1])
    points = Scatter(SERIES).numbers()
    assert len(points) == 18 and points[points["checkpoint"] == "step-5"]["task"].tolist() == [0.8] * 3


def test_what_the_results_lack_is_refused() -> None:
    with pytest.raises(Refusal, match="no 'patch mIoU'"):
        Scatter(SERIES, "patch mIoU")
    with pytest.raises(Refusal, match="Not every checkpoint has a stage 'llm 7'"):
        Scatter(SERIES, stages=["llm 7"])
    with pytest.raises(Refusal, match="Not every checkpoint has a stage 'llm 3'"):
        Scatter([*SERIES, ("deeper", checkpoint(0.5, (0.1, 0.2, 0.3, 0.4)))], stages=["llm 3"])
    with pytest.raises(Refusal, match="up to 3 stages"):
        Scatter(SERIES, stages=["llm 0"] * 4)
