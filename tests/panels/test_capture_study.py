"""A capture holds what one pass showed, and its layers are those of the open model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.capture.fake import FakeModel
from tests.models.hf.builders import saved as built
from workbench import models
from workbench.capture.attention import attention_rows
from workbench.capture.hidden import capture
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.hf.adapter import HFModel
from workbench.models.protocol import Capability, Model
from workbench.panels.atlas import study as atlas
from workbench.panels.atlas.config import AtlasConfig
from workbench.panels.atlas.saved import from_capture as atlas_of
from workbench.panels.capture import contents, study
from workbench.panels.capture.config import CaptureConfig
from workbench.panels.capture.contents import seen
from workbench.panels.layers import study as layers
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.saved import measure_saved
from workbench.panels.patches.saved import from_capture
from workbench.panels.perceptual.saved import from_capture as compared_of
from workbench.panels.specimen import find
from workbench.runs.result import Result
from workbench.runs.store import load, save

ASKED = "describe the image"
HALF = 2e-3
"""Relative: float16 has eleven binary digits, and every measure sums over many numbers."""


@pytest.fixture(scope="module", params=["pocket-bagel", "llava"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    if request.param == "pocket-bagel":
        return models.open("pocket-bagel", device="cpu")
    return models.open(built("llava", tmp_path_factory.mktemp("captured")), device="cpu")


@pytest.fixture(scope="module")
def config() -> CaptureConfig:
    return CaptureConfig(images=("scene:7",), prompt=ASKED, corruption="gaussian_noise", max_new_tokens=8)


@pytest.fixture(scope="module")
def captured(config: CaptureConfig, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("runs") / "run"
    save(study.run(config, model), folder)
    return load(folder)


def test_the_layers_of_a_capture_are_those_of_the_open_model(captured: Result, model: Model) -> None:
    (found,) = measure_saved(captured)
    alive = layers.run(LayersConfig(image="scene:7", question=ASKED, corruption="gaussian_noise"), model)
    assert found.config == alive.config and found.study == alive.study
    ours, theirs = found.tables["curves"], alive.tables["curves"]
    for column in ("measure", "stage", "band", "index", "n", "of"):
        assert ours[column].tolist() == theirs[column].tolist()
    scale = theirs.groupby("measure")["value"].transform(lambda values: values.abs().max()).to_numpy()
    for column in ("value", "chance", "chance_low", "chance_high", "delta"):
        a, b = ours[column].to_numpy(), theirs[column].to_numpy()
        ratio = (theirs["measure"] == "contrast ratio").to_numpy()  # Very large where coupling is nearly 0.
        assert np.array_equal(np.isnan(a), np.isnan(b))
        known = ~np.isnan(a) & ~ratio
        assert known.any()
        assert np.abs(a - b)[known].max() <= (HALF * np.maximum(scale, 1))[known].max()
    assert found.tables["stages"].equals(alive.tables["stages"])
    assert found.arrays.keys() == alive.arrays.keys()
    for name in alive.images:
        assert np.array_equal(found.images[name], alive.images[name])
    assert found.manifest["model"] == alive.manifest["model"]
    assert found.manifest["images"] == alive.manifest["images"]
    assert found.manifest["capture"]["config"] == captured.config


def test_states_in_single_precision_are_those_of_the_pass(config: CaptureConfig, model: Model) -> None:
    found = study.run(config.model_copy(update={"dtype_states": "float32"}), model)
    (one,) = seen(found)
    expected = capture(model, model.prepare([found.images["shown_0"]], ASKED))
    assert [stage.name for stage in one.captured.stages] == [stage.name for stage in expected.stages]
    for ours, theirs in zip(one.captured.states, expected.states, strict=True):
        assert ours.dtype == np.float32 and np.array_equal(ours, theirs)
    for mine, its in zip(one.captured.grids, expected.grids, strict=True):
        assert (mine is None) == (its is None)
        if mine is not None and its is not None:
            assert (mine.rows, mine.cols) == (its.rows, its.cols) and np.array_equal(mine.boxes, its.boxes)
    assert np.array_equal(
        found.arrays["positions_00"], model.prepare([found.images["shown_0"]], ASKED).visual
    )


def test_the_answer_is_kept_token_by_token(captured: Result, model: Model) -> None:
    (answer,) = model.answer(model.prepare([captured.images["shown_0"]], ASKED), max_new_tokens=8)
    tokens = captured.tables["tokens"]
    assert tokens["text"].tolist() == [token.text for token in answer.tokens]
    assert tokens["id"].tolist() == [token.id for token in answer.tokens]
    assert np.allclose(tokens["logprob"], [token.logprob for token in answer.tokens])
    whole = captured.tables["answer"].iloc[0]
    assert whole["answer"] == answer.text and whole["probability"] == pytest.approx(answer.probability)


def test_a_continued_prompt_says_what_the_model_scores(model: Model) -> None:
    prompt = model.prepare([find("scene:7").picture.pixels], ASKED)
    if isinstance(model, BagelModel):
        ids = [*model.pieces("a red star"), model.special.eos]
    else:
        assert isinstance(model, HFModel)
        ids = model.family.candidate("a red star")[0].tolist()
    total = 0.0
    for count, number in enumerate(ids):
        longer, places = model.continued(prompt, ids[:count])
        assert len(places) == count + 1 and bool((places.diff() == 1).all())
        total += float(model.forward(longer).float().log_softmax(-1)[0, number])
    assert len(ids) > 2
    assert total == pytest.approx(float(model.score(prompt, ["a red star"])[0, 0]), abs=1e-2)


def test_rows_of_attention_are_of_the_queries_that_say_the_answer(captured: Result, model: Model) -> None:
    rows, count = captured.tables["rows"], len(captured.tables["tokens"])
    assert rows["token"].tolist() == [*range(-1, count)]
    assert rows["says"].tolist() == [*range(count), -1]
    assert rows["place"].diff().dropna().eq(1).all()
    read = int(rows["place"].iloc[0]) + 1
    prompt = model.prepare([captured.images["shown_0"]], ASKED)
    # The first row sees the prompt alone: without the answer it is the same.
    alone = attention_rows(model, *model.continued(prompt, []))
    assert {f"attention_{stage.index:03d}" for stage in alone.stages} == {
        name for name in captured.arrays if name.startswith("attention_")
    }
    for stage, weights in zip(alone.stages, alone.weights, strict=True):
        kept = captured.arrays[f"attention_{stage.index:03d}"]
        assert kept.dtype == np.float16 and kept.shape == (weights.shape[1], count + 1, read)
        assert np.allclose(kept[:, 0], weights[0, :, 0], atol=1e-3)
        sums = kept.astype(np.float64).sum(-1)
        assert np.allclose(sums[:, 0], 1, atol=5e-3) and (sums[:, 1:] < 1 + 5e-3).all()


def test_without_rows_there_is_no_attention_and_without_words_no_answer(config: CaptureConfig) -> None:
    fake: Any = FakeModel(side=12, width=16)
    found = study.run(config, fake)
    assert set(found.tables) == {"states", "grids", "images", "vocabulary"}
    assert not [name for name in found.arrays if name.startswith("attention")]
    assert len(measure_saved(found)[0].tables["curves"])


def test_no_row_is_kept_where_none_is_wanted(config: CaptureConfig, model: Model) -> None:
    found = study.run(config.model_copy(update={"attention_rows": 0}), model)
    assert "rows" not in found.tables and "answer" in found.tables
    few = study.run(config.model_copy(update={"attention_rows": 1, "max_new_tokens": 3}), model)
    assert few.tables["rows"]["says"].tolist() == [0, -1]


def test_a_stage_beyond_half_precision_is_kept_in_single(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = FakeModel(side=12, width=16)
    taken = capture(fake, fake.prepare([find("scene:7").picture.pixels]))
    large = [np.full_like(x, 1e5) if k == 4 else x for k, x in enumerate(taken.states)]
    monkeypatch.setattr("workbench.capture.hidden.capture", lambda *a, **k: replace(taken, states=large))
    found = study.run(CaptureConfig(images=("scene:7",)), fake)
    kinds = found.tables["states"]["dtype"].tolist()
    assert kinds[4] == "float32" and set(kinds[:4] + kinds[5:]) == {"float16"}
    assert np.isfinite(found.arrays["states_004"]).all()


def test_numbers_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = FakeModel(side=12, width=16)
    with torch.no_grad():
        fake.net["project"].weight.fill_(float("inf"))
    with pytest.raises(Refusal, match="not finite at projector"):
        study.run(CaptureConfig(images=("scene:7",)), fake)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return models.open(built("llava", tmp_path_factory.mktemp("pair")), device="cpu")


def test_images_together_are_each_measured_at_their_own_tokens(llava: Model, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(path)
    config = CaptureConfig(images=("scene:7", str(path)), dtype_states="float32", max_new_tokens=2)
    save(study.run(config, llava), tmp_path / "run")
    both = seen(load(tmp_path / "run"))
    assert [one.source for one in both] == ["scene:7", str(path)]
    (alone,) = seen(study.run(CaptureConfig(images=(str(path),), dtype_states="float32"), llava))
    # What enters the language model of an image does not depend on the other one.
    entering = [
        next(
            x for stage, x in zip(s.captured.stages, s.captured.states, strict=True) if stage.name == "llm 0"
        )
        for s in (both[1], alone)
    ]
    assert np.allclose(*entering, atol=1e-5)
    assert np.array_equal(both[1].captured.grid.boxes, alone.captured.grid.boxes)
    first, second = measure_saved(load(tmp_path / "run"))
    assert first.config["image"] == "scene:7" and second.config["image"] == str(path)
    assert {"llm 0", "llm 3"} <= set(second.tables["stages"]["stage"])
    for one, image in zip(from_capture(load(tmp_path / "run")), both, strict=True):
        assert np.array_equal(one.arrays["boxes"], image.captured.grid.boxes)
        read = image.readings[-1]
        assert read is not None and np.array_equal(one.arrays["lens_ids"][-1], read.ids)
        assert image.attention and all(
            weights.shape[2] == len(image.captured.grid.boxes) for weights in image.attention.values()
        )
    assert second.images["shown"].shape == (60, 90, 3)


def test_a_model_of_one_image_says_so() -> None:
    pocket = models.open("pocket-bagel", device="cpu")
    with pytest.raises(Refusal, match="one image at a time"):
        study.run(CaptureConfig(images=("scene:7", "scene:8")), pocket)


def test_a_model_that_shows_nothing_is_refused() -> None:
    fake: Any = FakeModel()
    fake.card = replace(fake.card, capabilities=frozenset({Capability.ANSWERS}))
    with pytest.raises(Refusal, match="show its hidden states"):
        study.run(CaptureConfig(images=("scene:7",)), fake)


def test_a_stop_is_seen_between_the_passes(config: CaptureConfig) -> None:
    fake: Any = FakeModel(side=12, width=16)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(len(asked) > 0)
        return asked[-1]

    with pytest.raises(Cancelled):
        study.run(config, fake, stop=stop)
    assert fake.passes == 1


def test_the_atlas_of_a_capture_is_that_of_the_open_model(captured: Result, model: Model) -> None:
    (found,) = atlas_of(captured)
    asked = AtlasConfig(image="scene:7", question=ASKED, corruption="gaussian_noise", method="pca")
    alive = atlas.run(asked, model)
    assert found.config == alive.config and found.manifest["capture"] == captured.manifest
    ours, theirs = found.tables["points"], alive.tables["points"]
    known = ["stage", "image", "condition", "row", "col", "class", "object", "x0", "y1"]
    assert ours[known].equals(theirs[known]) and len(ours) > 12
    for _, points in theirs.groupby("stage"):
        a, b = (table.loc[points.index, ["pca_x", "pca_y"]].to_numpy() for table in (ours, theirs))
        assert np.abs(a - b).max() <= 10 * HALF * np.abs(b).max()
    assert np.array_equal(found.images["sheet"], alive.images["sheet"])


def test_the_damage_of_a_capture_is_measured(captured: Result) -> None:
    (found,) = compared_of(captured)
    scores = found.tables["scores"].set_index("measure")["value"]
    given, got = (captured.images[name].astype(np.float64) for name in ("original_0", "shown_0"))
    assert scores["psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean((given - got) ** 2)), rel=1e-6)
    assert found.tables["pictures"]["kind"].tolist() == ["original", "degraded"]


def test_without_damage_there_is_nothing_to_compare(config: CaptureConfig) -> None:
    fake: Any = FakeModel(side=12, width=16)
    assert compared_of(study.run(CaptureConfig(images=("scene:7",)), fake)) == []


@pytest.mark.parametrize("chosen", [("llm",), ("vision 1", "llm 0", "llm 3"), ("projector",)])
def test_only_the_chosen_stages_are_kept(chosen: tuple[str, ...], captured: Result, model: Model) -> None:
    few = study.run(CaptureConfig.model_validate(captured.config | {"stages": chosen}), model)
    whole = captured.tables["states"]
    kept = whole[whole["stage"].isin(chosen) | whole["band"].isin(chosen)]
    assert few.tables["states"]["stage"].tolist() == kept["stage"].tolist()
    for number, k in enumerate(kept.index):
        assert np.array_equal(few.arrays[f"states_{number:03d}"], captured.arrays[f"states_{k:03d}"])
        assert (f"lens_ids_{number:03d}" in few.arrays) == (kept["band"][k] == "llm")
    attended = {name for name in captured.arrays if name.startswith("attention")}
    assert {name for name in few.arrays if name.startswith("attention")} == {
        name for name in attended if int(name[-3:]) in set(kept["index"])
    }
    assert few.size < captured.size
    assert [len(made(few)) for made in (measure_saved, from_capture, atlas_of)] == [1, 1, 1]
    assert measure_saved(few)[0].tables["stages"]["stage"].tolist() == kept["stage"].tolist()


def test_a_stage_that_is_not_there_is_refused(config: CaptureConfig) -> None:
    fake: Any = FakeModel(side=12, width=16)
    with pytest.raises(Refusal, match="no stage 'llm 99'.*llm 0 … llm"):
        study.run(config.model_copy(update={"stages": ("llm 99",)}), fake)


def test_the_thumbnail_beside_the_tiles_is_a_view_of_its_own(tmp_path: Path) -> None:
    tiles = models.open(built("internvl", tmp_path / "model"), device="cpu")
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 130, 3), dtype=np.uint8)).save(path)
    run = study.run(CaptureConfig(images=(str(path),), max_new_tokens=2, dtype_states="float32"), tiles)
    prompt = tiles.prepare([run.images["shown_0"]])
    (other,) = prompt.others
    first, second = seen(run)
    assert (first.view, second.view) == ("tiles", "thumbnail")
    assert {stage.band for stage in second.captured.stages} == {"llm"}
    expected = capture(tiles, prompt, others=True)
    last = [
        states
        for stage, states in zip(expected.stages, expected.states, strict=True)
        if stage.name == "llm 3"
    ]
    for one, states, places in zip((first, second), last, (prompt.visual, other.positions), strict=True):
        assert np.array_equal(one.captured.states[-1], states)
        whole = run.arrays[f"attention_{one.captured.stages[-1].index:03d}"]
        assert np.array_equal(one.attention["llm 3"], whole[:, :, places.numpy()])
    for made in (measure_saved, from_capture, atlas_of):
        assert [each.manifest["view"] for each in made(run)] == ["tiles", "thumbnail"]


def test_more_than_can_be_measured_is_a_sentence(captured: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_TOKENS", 10)
    with pytest.raises(Refusal, match="visual tokens"):
        measure_saved(captured)


def test_the_lens_is_kept_at_every_language_stage_or_not_at_all(
    captured: Result, config: CaptureConfig, model: Model
) -> None:
    states = captured.tables["states"]
    named = set(captured.tables["vocabulary"]["id"])
    words = len(captured.tables["words"])
    for k, row in enumerate(states.to_dict("records")):
        kept = [name for name in captured.arrays if name.startswith("lens") and name.endswith(f"_{k:03d}")]
        assert len(kept) == (4 if row["band"] == "llm" else 0)
        if kept:
            ids, p = captured.arrays[f"lens_ids_{k:03d}"], captured.arrays[f"lens_probabilities_{k:03d}"]
            assert ids.shape == p.shape == (row["tokens"], 5) and (np.diff(p, axis=1) <= 0).all()
            assert set(ids.ravel().tolist()) <= named
            assert captured.arrays[f"lens_words_{k:03d}"].shape == (row["tokens"], words)
    without = study.run(config.model_copy(update={"lens_top": 0, "max_new_tokens": 1}), model)
    assert not [name for name in without.arrays if name.startswith("lens")]
    assert "vocabulary" not in without.tables and "words" not in without.tables
