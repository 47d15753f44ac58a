"""Two results of the same images beside one another, against CKA of the states themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from probes.alignment import LinearCKA
from tests.capture.fake import FakeModel
from workbench.capture.hidden import capture
from workbench.datasets.collection import Sample
from workbench.datasets.scenes import DrawnScenes
from workbench.errors import Cancelled, Refusal
from workbench.images.corruptions import corrupt
from workbench.panels.layers import shows
from workbench.panels.layers.axis import chart, groups_in, taking_part
from workbench.panels.layers.between import alike, comparable, matrix, matrix_table
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.figure import paper, screen
from workbench.panels.layers.measures import BETWEEN, WITH_FIRST
from workbench.panels.layers.parts.kept_grams import POOLED, TOKENS, chosen
from workbench.panels.layers.study import run
from workbench.panels.studies import Nothing
from workbench.runs.export import COLUMN
from workbench.runs.parts import composed
from workbench.runs.result import Result
from workbench.runs.store import load, save

N = 100
SMALL = LayersConfig(
    n_train=20, n_validation=10, n_test=N, batch=16, resamples=100, measures=("likeness",), seed=2
)
NOISE = {"corruption": "gaussian_noise", "intensity": 0.9}


@pytest.fixture(scope="module")
def model() -> FakeModel:
    return FakeModel(side=6, width=16)


@pytest.fixture(scope="module")
def clean(model: FakeModel) -> Result:
    return run(SMALL, model)


@pytest.fixture(scope="module")
def noisy(model: FakeModel) -> Result:
    return run(SMALL.model_copy(update=NOISE), model)


@pytest.fixture(scope="module")
def coarser() -> Result:
    """Of a model that cuts a coarser grid and has fewer layers."""

    class Shallow(FakeModel):
        def stages(self):  # type: ignore[no-untyped-def]
            return super().stages()[:-1]

        def taps(self, prompt):  # type: ignore[no-untyped-def]
            self.net["llm"] = self.net["llm"][:3]
            return super().taps(prompt)

    return run(SMALL, Shallow(side=4, width=8))


def scenes() -> list[Sample]:
    return [each for each in DrawnScenes().read("test", 0, N) if isinstance(each, Sample)]


def test_conditions_are_compared_token_by_token(model: FakeModel, clean: Result, noisy: Result) -> None:
    stages = len(model.stages())
    by_definition = LinearCKA(stages, stages)
    samples = scenes()
    for start in range(0, N - TOKENS.images + 1, TOKENS.images):
        blocks: list[list[np.ndarray]] = [[], []]
        some = samples[start : start + TOKENS.images]
        damaged = [corrupt(each.pixels, "gaussian_noise", 0.9, seed=2 + each.seed) for each in some]
        for rows, images in zip(blocks, ([each.pixels for each in some], damaged), strict=True):
            captured = capture(model, model.prepare(images))
            taken = [chosen(start + k, 36, TOKENS.rows) for k in range(len(images))]
            rows += [
                np.concatenate([image[where] for image, where in zip(states, taken, strict=True)])
                for states in captured.states
            ]
        by_definition.update(*blocks)
    left = N % TOKENS.images
    assert left == 4, "the last block has half its rows"
    found = alike(clean, noisy)
    assert (found.level, found.images) == ("tokens", N)
    np.testing.assert_allclose(found.cka.value, by_definition.value, atol=0.02)
    whole = slice(0, N // TOKENS.images)
    sums = (found.cka.between[whole].sum(0), found.cka.first[whole].sum(0), found.cka.second[whole].sum(0))
    np.testing.assert_allclose(sums[0] / np.sqrt(np.outer(sums[1], sums[2])), by_definition.value, atol=1e-4)


def test_curves_go_stage_by_stage_with_intervals(clean: Result, noisy: Result) -> None:
    drawn = chart([("clean", clean), ("noise", noisy), ("again", clean)], BETWEEN)
    noise, again = drawn.curves
    assert (noise.label, again.label) == ("noise", "again")
    np.testing.assert_allclose(again.value, 1.0, atol=1e-6)
    found = alike(clean, noisy).cka.value
    np.testing.assert_allclose(noise.value, np.diag(found))
    assert (noise.low < noise.value).all() and (noise.value < noise.high).all()
    assert (noise.high < again.low).all(), "noise changes every stage of this model"
    assert f"n = {N} images, by tokens" in noise.hover[0]
    assert BETWEEN in groups_in([("clean", clean), ("noise", noisy)])
    assert BETWEEN not in groups_in(clean)


def test_other_grids_and_depths_are_compared_by_means(clean: Result, coarser: Result) -> None:
    found = alike(clean, coarser)
    assert (found.level, found.images) == ("images", N)
    assert len(found.first) == len(found.second) + 1 and found.cka.value.shape == (9, 8)
    assert len(found.cka.between) == N // POOLED.images + 1
    drawn = chart([("", clean), ("other", coarser)], BETWEEN)
    assert [curve.label for curve in drawn.curves] == ["other"] and len(drawn.curves[0].x) == 8
    models = FakeModel(side=6, width=16), FakeModel(side=4, width=8)
    some = [each.pixels for each in scenes()[:16]]
    last = LinearCKA(1, 1)
    last.update(*([capture(m, m.prepare(some)).states[4].mean(axis=1)] for m in models))
    first_block = found.cka.between[0, 4, 4] / np.sqrt(found.cka.first[0, 4] * found.cka.second[0, 4])
    assert first_block == pytest.approx(float(last.value[0, 0]), abs=1e-4)


def test_the_batch_and_the_number_of_images_may_differ(model: FakeModel, clean: Result) -> None:
    fewer = run(SMALL.model_copy(update={"batch": 7, "n_test": 50}), model)
    found = alike(fewer, clean)
    assert found.images == 50
    np.testing.assert_allclose(np.diag(found.cka.value), 1.0, atol=1e-5)


def test_a_killed_run_keeps_the_same_grams(
    model: FakeModel, clean: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("workbench.runs.unfinished.Unfinished.due", True)
    before = model.passes
    config = SMALL.model_copy(update={"batch": 3})
    with pytest.raises(Cancelled):
        run(config, model, stop=lambda: model.passes - before >= 20)
    whole = model.passes
    resumed = run(config, model)
    assert model.passes - whole < 30, "it went on where it was"
    for name, values in clean.arrays.items():
        np.testing.assert_allclose(resumed.arrays[name], values, rtol=1e-3, atol=1e-4)


def test_a_picture_is_compared_with_itself_in_another_condition(model: FakeModel, tmp_path: Path) -> None:
    picture = LayersConfig(image="scene:7", permutations=20)
    clean, noisy = run(picture, model), run(picture.model_copy(update=NOISE), model)
    save(clean, tmp_path / "clean")
    found = alike(load(tmp_path / "clean"), noisy)
    assert (found.level, found.images) == ("tokens", 1)
    (curve,) = chart([("clean", clean), ("noise", noisy)], BETWEEN).curves
    assert np.isfinite(curve.value).all() and np.isnan(curve.low).all()
    states = [
        capture(model, model.prepare([image])).states[5][0]
        for image in (noisy.images["original"], noisy.images["shown"])
    ]
    rows = chosen(0, 36, 256)
    direct = LinearCKA(1, 1)
    direct.update([states[0][rows]], [states[1][rows]])
    assert curve.value[5] == pytest.approx(float(direct.value[0, 0]), abs=1e-4)
    other = run(LayersConfig(image="scene:8", permutations=20), model)
    assert not comparable(clean, other)
    with pytest.raises(Refusal, match="not of the same images"):
        chart([("a", clean), ("b", other)], BETWEEN)


def test_what_cannot_be_compared_is_said(model: FakeModel, clean: Result, noisy: Result) -> None:
    with pytest.raises(Refusal, match="ask for two results"):
        chart(clean, BETWEEN)
    silent = replace(clean, tables={k: v for k, v in clean.tables.items() if k != "compared"})
    with pytest.raises(Refusal, match="kept nothing to be compared with"):
        alike(silent, clean)
    picture = run(LayersConfig(image="scene:7", permutations=20), model)
    with pytest.raises(Refusal, match="One picture and a collection"):
        alike(picture, clean)
    assert taking_part([("a", clean), ("b", picture), ("c", noisy)], BETWEEN) == [("a", clean), ("c", noisy)]
    assert taking_part([("a", clean), ("b", picture)], BETWEEN) == []


def test_screen_paper_and_table_say_the_same(clean: Result, coarser: Result) -> None:
    many = [("clean", clean), ("coarser", coarser)]
    lines = [trace for trace in screen(many, BETWEEN).data if trace.mode == "lines+markers"]
    drawn = paper(many, [BETWEEN]).axes[0]
    assert drawn.get_ylabel() == "linear CKA, stage by stage"
    np.testing.assert_allclose(lines[0].y, chart(many, BETWEEN).curves[0].value)
    first, second, found = matrix(many)
    assert (first, second) == ("clean", "coarser")
    table = matrix_table(found)
    assert len(table) == 9 * 8 and set(table["of"]) == {"images, by mean tokens"}
    assert table.set_index(["stage", "other"])["cka"]["llm 1", "llm 1"] == pytest.approx(lines[0].y[5])
    assert set(chart(many, BETWEEN).group.measures) == {WITH_FIRST}


def test_a_recipe_draws_the_curves_and_the_map(clean: Result, noisy: Result, coarser: Result) -> None:
    many = [("clean", clean), ("noise", noisy), ("coarser", coarser)]
    curves = shows.part(many, BETWEEN, Nothing()).numbers()
    assert list(dict.fromkeys(curves["run"])) == ["noise", "coarser"]
    stages = shows.part([many[0], many[2]], shows.STAGES, Nothing())
    drawn = composed([stages], COLUMN)
    assert drawn.axes[0].images[0].get_array().shape == (9, 8)
    numbers = stages.numbers()
    assert len(numbers) == 72 and set(numbers["second"]) == {"coarser"}
    itself = shows.part([many[0]], shows.STAGES, Nothing()).numbers()
    assert itself.set_index(["stage", "other"])["cka"]["llm 2", "llm 2"] == pytest.approx(1.0)


def test_a_recipe_is_told_before_it_runs_what_will_not_be_compared() -> None:
    for show in (BETWEEN, shows.STAGES):
        assert shows.lacks(SMALL, show, Nothing()) == ""
        assert shows.lacks(LayersConfig(image="scene:7"), show, Nothing()) == ""
        without = SMALL.model_copy(update={"measures": ("geometry",)})
        assert "leave out 'likeness'" in shows.lacks(without, show, Nothing())
