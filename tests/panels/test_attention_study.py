"""Attention: what is shown of a finished result is what the model's own weights say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from probes.attribution.flow import flow
from probes.attribution.rollout import rollout
from probes.attribution.sinks import standing_out
from tests.models.hf.builders import saved as built
from workbench import models
from workbench.capture.attention import Attended, attention_rows
from workbench.errors import Cancelled, Refusal
from workbench.models.protocol import Branch, Model, Sampling
from workbench.panels.attention import chart, reading, study
from workbench.panels.attention.config import AttentionConfig
from workbench.panels.attention.figure import numbers, paper, screen
from workbench.panels.attention.maps import map_image, said
from workbench.panels.attention.reading import DRAWING, MOST, Asked, values
from workbench.panels.attention.screen import blocks
from workbench.panels.attention.shows import (
    BLOCKS,
    MAPS,
    SHARE,
    OfBlocks,
    OfMaps,
    OfShare,
    lacks,
    part,
)
from workbench.panels.specimen import find
from workbench.runs.export import PAGE
from workbench.runs.parts import composed
from workbench.runs.result import Result
from workbench.runs.store import load, save

ASKED = "what colour is the star?"
CONFIG = AttentionConfig(image="scene:10", question=ASKED, max_new_tokens=4, tokens=3, flow=True)


@pytest.fixture(scope="module")
def pocket() -> Model:
    return models.open("pocket-bagel", device="cpu")


@pytest.fixture(scope="module", params=["pocket-bagel", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pocket: Model) -> Model:
    if request.param == "pocket-bagel":
        return pocket
    return models.open(built("qwen2_5_vl", tmp_path_factory.mktemp("attention")), device="cpu")


@pytest.fixture(scope="module")
def result(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("kept") / "run"
    save(study.run(CONFIG, model), folder)
    return load(folder)


@pytest.fixture(scope="module")
def drawn(pocket: Model) -> Result:
    return study.run(CONFIG.model_copy(update={"restore": "always", "steps": 2, "flow": False}), pocket)


@pytest.fixture(scope="module")
def whole(model: Model) -> Attended:
    """All weights of the same pass."""
    prompt = model.prepare([find("scene:10").picture.pixels], ASKED)
    answer = model.answer(prompt, max_new_tokens=4)[0]
    longer, places = model.continued(prompt, [token.id for token in answer.tokens][:3])
    return attention_rows(model, longer, torch.arange(int(places[-1]) + 1))


def queries(result: Result, whole: Attended) -> np.ndarray:
    count = len(reading.tokens_of(result))
    length = whole.weights[0].shape[-1]
    return np.arange(length - count - 1, length - 1)


def test_a_map_is_the_heads_weights_on_the_image(model: Model, result: Result, whole: Attended) -> None:
    places, rows = result.arrays["places_00"], queries(result, whole)
    assert reading.stages_of(result) == [stage.name for stage in whole.stages]
    for k, stage in enumerate(reading.stages_of(result)):
        own = whole.weights[k][0][:, rows]
        for head, fused in ((-1, own.mean(0)), (MOST, own.max(0)), (1, own[1])):
            found = values(result, stage, Asked(head=head))
            np.testing.assert_allclose(found, 100 * fused.mean(0)[places], atol=2e-2)
        found = values(result, stage, Asked(tokens=(0,)))
        np.testing.assert_allclose(found, 100 * own[:, 0].mean(0)[places], atol=2e-2)


def test_a_token_is_seen_from_the_query_that_says_it(model: Model, result: Result) -> None:
    """The first token's query is the prompt's last place: its row is in a pass without any answer."""
    prompt = model.prepare([find("scene:10").picture.pixels], ASKED)
    longer, places = model.continued(prompt, [])
    alone = attention_rows(model, longer, places)
    stage = reading.stages_of(result)[-1]
    want = 100 * alone.weights[-1][0, :, 0].mean(0)[prompt.visual.numpy()]
    np.testing.assert_allclose(values(result, stage, Asked(tokens=(0,))), want, atol=2e-2)


def test_rollout_and_flow_are_those_of_the_whole_matrices(result: Result, whole: Attended) -> None:
    layers = [weights[0].mean(0) for weights in whole.weights]
    rows, places = queries(result, whole), result.arrays["places_00"]
    through = rollout(layers)
    for k, stage in enumerate(reading.stages_of(result)):
        found = values(result, stage, Asked(way="rollout"))
        np.testing.assert_allclose(found, 100 * through[k][rows].mean(0)[places], atol=2e-2)
    some = places[:3]
    want = 100 * flow(layers, int(rows[0]), some)
    found = values(result, reading.stages_of(result)[-1], Asked(tokens=(0,), way="flow"))
    np.testing.assert_allclose(found[:3], want, atol=1e-3)


def test_shares_and_blocks_add_up(result: Result, whole: Attended) -> None:
    kinds, which = reading.kinds_of(result), result.arrays["kinds"]
    rows = queries(result, whole)
    table = reading.share_table(result, Asked())
    for k, stage in enumerate(reading.stages_of(result)):
        found = reading.block_of(result, stage)
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
        mean = whole.weights[k][0].mean(0)
        for i in range(len(kinds)):
            for j in range(len(kinds)):
                own = mean[np.ix_(which == i, which == j)].sum(1).mean()
                assert found[i, j] == pytest.approx(own, abs=1e-5)
        here = table[table["stage"] == stage].set_index("kind")
        assert here["value"].sum() == pytest.approx(1, abs=2e-3)
        image = mean[np.ix_(rows, np.flatnonzero(which == kinds.index("image")))].sum(1).mean()
        assert here.loc["image", "value"] == pytest.approx(image, abs=2e-3)
        assert (here["low"] <= here["value"] + 1e-9).all() and (here["high"] >= here["value"] - 1e-9).all()


def test_sinks_are_flagged_by_the_numbers_that_are_kept_and_taken_out(
    result: Result, whole: Attended
) -> None:
    result = replace(result, arrays=dict(result.arrays))
    stage, places = reading.stages_of(result)[0], result.arrays["places_00"]
    received = result.arrays["received"].copy()
    mean = whole.weights[0][0].mean(0)
    for token in (0, int(places[3])):
        seeing = mean[:, token] > 0
        assert received[0, token] == pytest.approx(mean[seeing, token].mean(), rel=1e-4)
    received[0, places[5]] = 50 * received[0, places].max()
    result.arrays["received"] = received
    asked = Asked(sinks="received")
    flagged = reading.flagged(result, stage, asked)
    assert flagged[5] and (flagged == standing_out(received[0, places])).all()
    before, after = (
        values(result, stage, Asked(tokens=(0,))),
        values(result, stage, replace(asked, tokens=(0,))),
    )
    assert (after[flagged] == 0).all() and before[5] > 0
    kept = ~reading.sinks(result, stage, "received")
    own = result.arrays["rows_000"][:, 0].astype(float)
    want = 100 * (own * kept * (own.sum(1) / (own * kept).sum(1))[:, None]).mean(0)[places]
    np.testing.assert_allclose(after, want, atol=1e-9)
    assert "crossed out" in said(result, stage, asked)
    assert not reading.sinks(result, stage, "keep").any()


def test_massive_activations_and_norms_are_of_what_the_layer_writes(model: Model, result: Result) -> None:
    from workbench.capture.hidden import capture

    prompt = model.prepare([find("scene:10").picture.pixels], ASKED)
    names = [stage.name for stage in model.stages()]
    states = capture(model, prompt).states
    places = result.arrays["places_00"]
    for k, stage in enumerate(reading.stages_of(result)):
        x = states[names.index(stage)][0]
        np.testing.assert_allclose(result.arrays["lengths"][k, places], np.linalg.norm(x, axis=-1), rtol=1e-3)
    assert result.arrays["massive"].shape == result.arrays["lengths"].shape


def test_a_run_with_a_drawing_has_it_as_a_source_and_as_a_target(pocket: Model, drawn: Result) -> None:
    assert reading.views_of(drawn) == ["image", "drawn image", "image, latent"]
    *_, branch = pocket.branched(
        find("scene:10").picture.pixels,
        ASKED,
        Sampling(steps=2, restore="always"),
        watched=False,
    )
    assert isinstance(branch, Branch)
    np.testing.assert_array_equal(drawn.images["drawn"], branch.image)
    assert drawn.tables["answer"]["answer"].iloc[0] == branch.own.answer.text
    stage = reading.stages_of(drawn)[3]
    on_both = [values(drawn, stage, Asked(view=view)) for view in (0, 1)]
    table = reading.share_table(drawn, Asked())
    here = table[table["stage"] == stage].set_index("kind")["value"]
    assert on_both[0].sum() == pytest.approx(100 * here["image"], abs=0.1)
    assert on_both[1].sum() == pytest.approx(100 * here["drawn image"], abs=0.1)
    prompt = branch.drawing(0.5)
    own = prompt.others[-1].positions
    seen = attention_rows(pocket, prompt, own)
    want = 100 * seen.weights[3][0].mean((0, 1))[prompt.visual.numpy()]
    asked = Asked(tokens=(DRAWING,))
    np.testing.assert_allclose(values(drawn, stage, asked), want, atol=2e-2)
    assert reading.fitting(drawn, Asked(tokens=(DRAWING,), view=1, way="rollout")) == asked
    assert "the drawing at t 0.50" in said(drawn, stage, asked)


def test_what_a_result_does_not_hold_is_refused(result: Result) -> None:
    stage = reading.stages_of(result)[0]
    count = len(reading.tokens_of(result))
    bad: list[Callable[[], object]] = [
        lambda: values(result, "llm 99", Asked()),
        lambda: values(result, stage, Asked(head=99)),
        lambda: values(result, stage, Asked(tokens=(count,))),
        lambda: values(result, stage, Asked(tokens=(DRAWING,))),
    ]
    for ask in bad:
        with pytest.raises(Refusal):
            ask()
    without = replace(result, arrays={k: v for k, v in result.arrays.items() if k != "flow"})
    with pytest.raises(Refusal, match="holds no flow"):
        values(without, stage, Asked(way="flow"))
    assert reading.fitting(without, Asked((7, 0), 9, "flow", 9)) == Asked((0,))


def test_maps_curves_and_blocks_are_drawn(result: Result, drawn: Result) -> None:
    stage = reading.stages_of(result)[0]
    for asked in (
        Asked(),
        Asked(weighted=True, sinks="norm", head=MOST),
        Asked(way="rollout"),
        Asked(way="flow"),
    ):
        image = map_image(result, stage, asked, (0, 10))
        assert image.ndim == 3 and image.dtype == np.uint8
        assert said(result, stage, asked)
    figure = paper([("a", result), ("b", result)], stage=stage)
    assert figure.get_figwidth() == PAGE
    assert len(screen([("", result)]).data) == 2 * len(reading.kinds_of(result))
    assert len(screen([("", drawn), ("again", drawn)]).data) == 4
    assert blocks(drawn, reading.stages_of(drawn)[0]).count("<tr>") == 1 + len(reading.kinds_of(drawn))
    table = numbers(result)
    cells = len(result.arrays["places_00"])
    assert len(table) == cells * len(reading.stages_of(result))
    assert {"stage", "row", "column", "percent"} <= set(table.columns)


def test_in_a_recipe(result: Result, drawn: Result) -> None:
    named = [("one", result)]
    parts = [
        part(named, MAPS, OfMaps(head="max", tokens=(1,))),
        part(named, SHARE, OfShare()),
        part(named, SHARE, OfShare(kind="text", weighted=True)),
        part([("d", drawn)], MAPS, OfMaps(view="drawn image", way="rollout")),
        part([("d", drawn)], BLOCKS, OfBlocks()),
    ]
    composed(parts, PAGE)
    assert all(len(each.numbers()) for each in parts)
    with pytest.raises(Refusal, match="has no drawn image; it has"):
        part(named, MAPS, OfMaps(view="drawn image"))
    with pytest.raises(Refusal, match="keeps . tokens"):
        part(named, MAPS, OfMaps(tokens=(30,)))
    assert lacks(CONFIG.model_copy(update={"flow": False}), MAPS, OfMaps(way="flow")) == "its flow is off."
    assert "nothing is drawn" in lacks(CONFIG, MAPS, OfMaps(view="drawn image"))
    assert "first 3 tokens" in lacks(CONFIG, MAPS, OfMaps(tokens=(4,)))
    assert "only shares are kept" in lacks(AttentionConfig(), BLOCKS, OfBlocks())
    assert "chosen of one image" in lacks(AttentionConfig(), SHARE, OfShare(weighted=True))
    assert lacks(AttentionConfig(), SHARE, OfShare(kind="text")) == ""


def test_what_cannot_be_looked_at(pocket: Model, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="belong to one image"):
        study.prepared(AttentionConfig(flow=True))
    plain = models.open(built("qwen2_5_vl", tmp_path), device="cpu")
    with pytest.raises(Refusal, match="draws nothing on its way"):
        study.run(CONFIG.model_copy(update={"restore": "always", "flow": False}), plain)
    with pytest.raises(Cancelled):
        study.run(CONFIG, pocket, stop=lambda: True)


class TestOverACollection:
    @pytest.fixture(scope="class")
    def shares(self, pocket: Model) -> Result:
        return study.run(AttentionConfig(n=4, resamples=200), pocket)

    def test_it_is_the_mean_over_images(self, pocket: Model, shares: Result) -> None:
        from workbench.datasets import SCENES, open_collection

        table = shares.tables["share"]
        assert set(table["kind"]) == {"text", "image", "answer"} and (table["n"] == 4).all()
        told = []
        for sample in open_collection(SCENES).read("test", 0, 4):
            prompt = pocket.prepare([sample.pixels], sample.asked[0].text)
            answer = pocket.answer(prompt, max_new_tokens=32)[0]
            longer, places = pocket.continued(prompt, [token.id for token in answer.tokens][:8])
            seen = attention_rows(pocket, longer, places[:-1])
            told.append([w[0][..., prompt.visual.numpy()].sum(-1).mean() for w in seen.weights])
        image = table[table["kind"] == "image"]
        np.testing.assert_allclose(image["value"], np.mean(told, axis=0), rtol=1e-4)
        assert (image["low"] <= image["value"]).all() and (image["value"] <= image["high"]).all()
        sums = table.groupby("stage")["value"].sum()
        np.testing.assert_allclose(sums, 1, atol=1e-4)

    def test_it_goes_on_where_it_was_ended(
        self, pocket: Model, shares: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr("workbench.runs.unfinished.EVERY", 0.0)
        monkeypatch.setattr("workbench.runs.unfinished.SHARE", 0.0)
        asked = [0]

        def ends() -> bool:
            asked[0] += 1
            return asked[0] > 9

        config = AttentionConfig(n=4, resamples=200)
        with pytest.raises(Cancelled):
            study.run(config, pocket, stop=ends)
        said: list[str] = []
        again = study.run(config, pocket, progress=lambda done, text: said.append(text))
        assert not any("image 1 of" in text for text in said) and any("image 4 of" in text for text in said)
        assert again.tables["share"].equals(shares.tables["share"])

    def test_it_has_curves_and_no_maps(self, shares: Result, drawn: Result) -> None:
        assert not reading.of_image(shares)
        assert "95 % interval; n = 4 images" in chart.chart([("", shares)]).band
        paper([("", shares)])
        with pytest.raises(Refusal, match="no maps are kept"):
            part([("s", shares)], MAPS, OfMaps())
        with pytest.raises(Refusal, match="Compare results of one sort"):
            chart.chart([("a", shares), ("b", drawn)])
        with pytest.raises(Refusal, match="has no 'drawn image' to attend to"):
            chart.chart([("a", shares)], kind="drawn image")
