"""The study of drawings from words, on a model that draws without weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from tests.page.fake import CARD, FakeModel
from workbench.errors import Cancelled, Refusal
from workbench.models.protocol import Capability
from workbench.panels.drawing import chart, figure, study
from workbench.panels.drawing.config import DrawConfig
from workbench.panels.drawing.screen import screen
from workbench.panels.drawing.study import GRIDS, image_name, run
from workbench.panels.overlay import cividis
from workbench.runs.export import save_figure
from workbench.runs.result import Result
from workbench.runs.store import load, save

TOKENS = DrawConfig(prompt="a red star", seed=3)
FLOW = DrawConfig(prompt="a red star by flow", steps=5)


@pytest.fixture
def tokens() -> Result:
    return run(TOKENS, FakeModel())


@pytest.fixture
def flow() -> Result:
    return run(FLOW, FakeModel())


def test_tokens_are_kept_in_the_order_in_which_they_were_drawn(tokens: Result) -> None:
    table = tokens.tables["tokens"]
    assert table["order"].tolist() == list(range(12))
    for row in table.to_dict("records"):
        place = (row["row"], row["column"])
        assert place == divmod(row["order"], 4)
        for name, column in zip(GRIDS, ("token", "entropy", "unguided", "logprob"), strict=True):
            assert row[column] == tokens.arrays[name][place]


def test_a_state_has_a_picture_and_the_mean_entropy_until_then(tokens: Result) -> None:
    states = tokens.tables["states"]
    assert states["drawn"].tolist() == [4, 8, 12]
    entropy = tokens.arrays["entropy"].ravel()
    assert states["entropy"].tolist() == pytest.approx([entropy[:n].mean() for n in (4, 8, 12)])
    assert [(tokens.images[image_name(k)] == 200).mean() for k in range(3)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )


def test_flow_keeps_time_and_velocity(flow: Result) -> None:
    states = flow.tables["states"]
    assert states["t"].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert np.isnan(states["velocity_norm"][0]) and states["velocity_norm"].tolist()[1:] == [3, 4, 5, 6, 7]
    assert flow.arrays["latents"].shape == (6, 12, 2) and "tokens" not in flow.tables
    (curve,) = chart.curves(flow)
    assert curve.y.tolist() == [3, 4, 5, 6, 7] and curve.x[-1] == 100


def test_the_manifest_says_what_was_used_and_read(tokens: Result) -> None:
    drawing = tokens.manifest["drawing"]
    assert (drawing["by"], drawing["rows"], drawing["cols"], drawing["codes"]) == ("tokens", 3, 4, 64)
    assert drawing["read"] == "<user> a red star"
    assert drawing["settings"]["guidance"] == 5.0 and drawing["settings"]["seed"] == 3
    assert tokens.config["guidance"] is None


@pytest.mark.parametrize("config", [TOKENS, FLOW])
def test_it_comes_back_from_the_disk(config: DrawConfig, tmp_path: Path) -> None:
    result = run(config, FakeModel())
    save(result, tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.manifest == result.manifest and set(again.images) == set(result.images)
    one, other = (chart.curves(each) for each in (result, again))
    assert all(np.array_equal(a.y, b.y) for a, b in zip(one, other, strict=True))


def test_the_curve_of_a_row_is_its_mean(tokens: Result) -> None:
    fine, after, before = chart.curves(tokens)
    assert fine.fine and np.array_equal(fine.y, tokens.arrays["entropy"].ravel())
    assert np.allclose(after.y, tokens.arrays["entropy"].mean(axis=1))
    assert np.allclose(before.y, tokens.arrays["unguided"].mean(axis=1))
    assert after.x.tolist() == pytest.approx([100 / 6, 50, 500 / 6])


def test_the_map_has_one_scale_from_nought(tokens: Result) -> None:
    high = chart.top([tokens])
    most = max(tokens.arrays["entropy"].max(), tokens.arrays["unguided"].max())
    assert most <= high < most + chart.STEP and high % chart.STEP == 0
    tokens.arrays["entropy"] = np.zeros((3, 4), np.float32)
    tokens.arrays["entropy"][1, 2] = high
    drawn = chart.entropy_map(tokens, chart.AFTER, high).astype(float)
    ends = cividis()[[0, 255]]
    assert np.abs(drawn[8:16, 16:24] - ends[1]).max() <= 1
    assert np.abs(drawn[:8] - ends[0]).max() <= 1


def test_first_and_last_state_are_among_those_shown(flow: Result) -> None:
    assert [shot.name for shot in chart.shots(flow, 3)] == ["step 0", "step 2", "step 5"]
    assert len(chart.shots(flow, 50)) == 6


def test_paper_is_drawn_of_all_kinds_together_in_text_of_8_points(
    tokens: Result, flow: Result, tmp_path: Path
) -> None:
    drawn = figure.paper([tokens, flow])
    texts = [text for text in drawn.findobj(Text) if text.get_text() and text.get_visible()]
    assert texts and {text.get_fontsize() for text in texts} == {8.0}
    words = " ".join(text.get_text() for text in texts)
    assert "“a red star”" in words and "guidance 5" in words and "velocity norm" in words
    assert all(path.stat().st_size > 1000 for path in save_figure(drawn, tmp_path / "figure"))


def test_the_screen_names_each_of_several(tokens: Result) -> None:
    alone = screen([("one", tokens)])
    assert [trace.name for trace in alone.data] == [curve.name for curve in chart.curves(tokens)]
    both = screen([("one", tokens), ("two", tokens)], theme="dark")
    assert [trace.name.split(":")[0] for trace in both.data] == ["one", "one", "two", "two"]


def test_a_model_that_never_learned_it_is_spoken_of_so() -> None:
    assert "never to draw from words" in study.caution(replace(CARD, family="bagel", knows="drawn scenes"))
    assert study.caution(replace(CARD, family="janus", knows="")) == ""


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (DrawConfig(prompt="  "), "no words"),
        (DrawConfig(prompt="a " * 1500), "Shorten"),
        (DrawConfig(prompt="a", steps=0), "steps"),
        (DrawConfig(prompt="a", interval=(0.9, 0.1)), "interval"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_open(config: DrawConfig, match: str) -> None:
    with pytest.raises(Refusal, match=match):
        study.prepared(config)


def test_a_model_that_draws_nothing_is_refused() -> None:
    model = FakeModel()
    model.card = replace(CARD, capabilities=frozenset(Capability) - {Capability.GENERATES})
    with pytest.raises(Refusal, match="cannot draw an image"):
        run(TOKENS, model)


def test_it_can_be_stopped_and_tells_how_far_it_is() -> None:
    told: list[tuple[float, str]] = []
    run(TOKENS, FakeModel(), progress=lambda done, words: told.append((done, words)))
    assert told[0] == (0.0, "drawing 12 tokens") and told[-1] == (1.0, "12 of 12 tokens")
    with pytest.raises(Cancelled):
        run(TOKENS, FakeModel(), stop=lambda: True)
