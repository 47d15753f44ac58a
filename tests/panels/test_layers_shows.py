"""Read pictures on paper: what they draw is what the result holds."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

from tests.capture.fake import FakeModel
from workbench.errors import Refusal
from workbench.panels.layers import shows
from workbench.panels.layers.axis import plain
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.read_paper import ReadPictures
from workbench.panels.layers.study import run
from workbench.runs.export import PAGE
from workbench.runs.parts import composed
from workbench.runs.result import Result

SMALL = {"n_train": 20, "n_validation": 10, "n_test": 12, "resamples": 100}


@pytest.fixture(scope="module")
def result() -> Result:
    config = LayersConfig(measures=("content", "likeness"), **SMALL)  # type: ignore[arg-type]
    return run(config, FakeModel(side=12, width=16))


def words(figure: object) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]  # type: ignore[attr-defined]


def test_pictures_stand_under_their_stages_with_the_readers_score(result: Result) -> None:
    part = ReadPictures([("", result)], ["llm 0", "llm 4"], pictures=3)
    drawn = composed([part], PAGE)
    shown = [axes.images[0].get_array() for axes in drawn.axes]
    table = result.tables["stages"].set_index("stage")["index"]
    for column, name in enumerate(["read_truth", f"read_{table['llm 0']:03d}", f"read_{table['llm 4']:03d}"]):
        for row in range(3):
            np.testing.assert_array_equal(shown[column * 3 + row], result.arrays[name][row])
    numbers = part.numbers()
    assert numbers["stage"].tolist() == ["llm 0", "llm 4"] and set(numbers["measure"]) == {"pixels R²"}
    assert {"as it was", "llm 0", f"R² {plain(numbers['value'].iloc[0])}"} <= set(words(drawn))


def test_two_results_stand_under_each_other_by_name(result: Result) -> None:
    one, two = ReadPictures([("a", result)]), ReadPictures([("a", result), ("b", result)])
    assert two.height(PAGE) > 2 * one.height(PAGE)
    assert {"a", "b"} <= set(words(composed([two], PAGE)))
    assert two.numbers()["run"].unique().tolist() == ["a", "b"]


def test_what_is_not_there_is_refused(result: Result) -> None:
    picture = run(LayersConfig(image="scene:7", permutations=20), FakeModel(side=12, width=16))
    with pytest.raises(Refusal, match="dark holds no read pictures"):
        ReadPictures([("dark", picture)])
    with pytest.raises(Refusal, match="no picture of 'llm 9'"):
        ReadPictures([("", result)], ["llm 9"])
    chosen = shows.OfPictures()
    assert "one picture" in shows.lacks(LayersConfig(image="scene:7"), "read pictures", chosen)
    without = LayersConfig(measures=("structure",))
    assert "leave out 'content'" in shows.lacks(without, "read pictures", chosen)
    assert "leave out 'likeness'" in shows.lacks(without, "stages alike", chosen)
    assert shows.lacks(LayersConfig(), "read pictures", chosen) == ""
