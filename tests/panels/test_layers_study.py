"""The layers study against direct computation, with a model that is known to forget."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from probes.content import residuals
from probes.labels import token_labels
from probes.linear import INVERSE_PENALTIES, logistic
from probes.neighbours import COUNTS as NEIGHBOURS
from probes.patches import structure, surroundings
from probes.ridge import RIDGE_PENALTIES, LabelMoments
from probes.segmentation import tallies
from tests.capture.fake import FakeModel
from workbench.capture.hidden import capture
from workbench.datasets.batches import Batch, batches
from workbench.datasets.collection import Sample, Split
from workbench.datasets.scenes import TARGETS, DrawnScenes, labelled
from workbench.errors import Cancelled, Refusal
from workbench.images.corruptions import corrupt
from workbench.images.read import read
from workbench.images.scenes import CLASSES, generate
from workbench.models.protocol import Grid, Prompt, Tap
from workbench.panels.layers.config import LayersConfig
from workbench.panels.layers.edges import edges
from workbench.panels.layers.parts.content import PatchContent, targets
from workbench.panels.layers.parts.memory import COPIES
from workbench.panels.layers.parts.part import Axis, Part, Seen, Subject
from workbench.panels.layers.parts.streamed import Streamed
from workbench.panels.layers.probe_set import PARTS
from workbench.panels.layers.study import run
from workbench.runs.result import Result
from workbench.runs.store import load, save

SMALL = LayersConfig(n_train=80, n_validation=30, n_test=60, batch=16, resamples=200)
PLAIN = np.zeros((96, 96, 3), np.uint8)
COUNTS: dict[Split, int] = {"train": 80, "validation": 30, "test": 60}


def drawn(split: Split, count: int) -> Batch:
    """The first scenes of a split, all in one batch."""
    samples = [each for each in DrawnScenes().read(split, 0, count) if isinstance(each, Sample)]
    return batches(samples, count, len(CLASSES))[0]


def scene_regions(boxes: np.ndarray) -> np.ndarray:
    """The regions of the patches of test scene 7."""
    return token_labels(labelled(generate([7], "test"), 0).regions, boxes, purity=0.6).labels


class Forgetful(FakeModel):
    """It sees the true class of each patch of the probe set; its last two layers let through noise only."""

    channels = len(CLASSES)

    def __init__(self) -> None:
        super().__init__(side=12, width=16)
        self.known: dict[bytes, np.ndarray] = {}
        boxes = self.prepare([np.zeros((96, 96, 3), np.uint8)]).grid.boxes
        for split, count in COUNTS.items():
            batch = drawn(split, count)
            classes = batch.patch_classes(boxes, 0.0)
            assert classes is not None
            for image, named in zip(batch.images, classes, strict=True):
                self.known[image.tobytes()] = np.eye(self.channels)[named]
        noise = torch.Generator().manual_seed(1)

        def forget(module: object, args: object, output: tuple[Tensor, str]) -> tuple[Tensor, str]:
            return torch.randn(output[0].shape, generator=noise), output[1]

        self.net["llm"][2].register_forward_hook(forget)

    def cells(self, prompt: Prompt) -> Tensor:
        seen = np.concatenate([self.known[image.tobytes()] for image in prompt.images])
        return torch.tensor(seen + 0.2 * np.random.default_rng(0).normal(size=seen.shape)).float()


@pytest.fixture(scope="module")
def model() -> FakeModel:
    return FakeModel(side=12, width=16)


@pytest.fixture(scope="module")
def probed() -> Result:
    return run(SMALL, Forgetful())


@pytest.fixture(scope="module")
def pictured(model: FakeModel) -> Result:
    return run(LayersConfig(image="scene:7", permutations=50), model)


def rows(result: Result, measure: str):  # type: ignore[no-untyped-def]
    table = result.tables["curves"]
    return table[table["measure"] == measure].set_index("stage")


# One picture


def test_a_scene_is_measured_with_its_mask(model: FakeModel, pictured: Result) -> None:
    scenes = generate([7], "test")
    captured = capture(model, model.prepare([scenes.images[0]]))
    regions = scene_regions(captured.grid.boxes)
    for stage, states in zip(captured.stages, captured.states, strict=True):
        direct = structure(states[0], regions)
        around = surroundings(states[0], 12, 12)
        expected = {
            "cohesion": direct.cohesion,
            "coupling": direct.coupling,
            "contrast difference": direct.difference,
            "contrast ratio": direct.ratio,
            "neighbour - far": around.gap,
            "Moran's I": around.moran,
        }
        for measure, value in expected.items():
            row = rows(pictured, measure).loc[stage.name]
            np.testing.assert_allclose(row["value"], value[0], atol=1e-6)
            assert np.isnan(row["low"]) or measure == "contrast ratio"
    cohesion = rows(pictured, "cohesion")
    assert cohesion.loc["llm 0", "delta"] == 0
    assert cohesion.loc["llm 4", "delta"] == pytest.approx(
        cohesion.loc["llm 4", "value"] - cohesion.loc["llm 0", "value"]
    )
    assert (cohesion["chance_low"] < cohesion["chance"]).all()
    assert (cohesion["n"] == (regions >= 0).sum()).all() and (cohesion["of"] == "patches").all()


def test_a_photograph_needs_no_mask(model: FakeModel) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    result = run(LayersConfig(permutations=20), model, picture=read(pixels))
    measured = set(result.tables["curves"]["measure"])
    assert "cohesion" not in measured
    assert {"neighbour - far", "Moran's I", "effective dimension", "token norm"} <= measured
    # Pixels without order: no neighbour is like its neighbour, so the gap lies inside its permutation band.
    first = rows(result, "neighbour - far").loc["projector"]
    assert first["chance_low"] - 0.05 < first["value"] < first["chance_high"] + 0.05


def test_a_changed_scene_has_no_mask(model: FakeModel) -> None:
    pixels = generate([7], "test").images[0].copy()
    pixels[0, 0] ^= 255
    result = run(LayersConfig(image="scene:7", permutations=20), model, picture=read(pixels))
    assert "cohesion" not in set(result.tables["curves"]["measure"])


def test_the_corrupted_picture_is_what_the_model_gets(model: FakeModel) -> None:
    config = LayersConfig(
        image="scene:7", corruption="gaussian_noise", intensity=0.9, seed=5, permutations=20
    )
    result = run(config, model)
    clean = generate([7], "test").images[0]
    np.testing.assert_array_equal(result.images["original"], clean)
    np.testing.assert_array_equal(result.images["shown"], corrupt(clean, "gaussian_noise", 0.9, seed=5))
    assert result.manifest["images"]["picture"] == read(clean).sha256


def test_stages_off_the_grid_have_no_patch_structure(model: FakeModel) -> None:
    class Coarser(FakeModel):
        """Its tower shows every other patch only."""

        def taps(self, prompt: Prompt) -> list[Tap]:
            positions = torch.arange(self.side**2)[::2]
            return [
                replace(tap, positions=positions, grid=None) if tap.stage.band == "vision" else tap
                for tap in super().taps(prompt)
            ]

    result = run(LayersConfig(image="scene:7", permutations=20), Coarser(side=12, width=16))
    assert "vision 1" not in rows(result, "cohesion").index
    assert "vision 1" in rows(result, "token norm").index
    probed = run(SMALL, Coarser(side=12, width=16))
    assert "vision 1" not in rows(probed, "patch mIoU").index
    assert "vision 1" in rows(probed, "accuracy, colour").index


class Finer(FakeModel):
    """Its tower cuts four patches where the language model reads one, as towers do that merge them."""

    def tower(self, prompt: Prompt) -> Grid:
        return FakeModel(side=2 * self.side).prepare(prompt.images).grid

    def taps(self, prompt: Prompt) -> list[Tap]:
        fine = self.tower(prompt)
        return [replace(t, grid=fine) if t.stage.band == "vision" else t for t in super().taps(prompt)]

    def run(self, prompt: Prompt, seen: list[Tensor]) -> None:
        side, b = 2 * self.side, len(prompt.images)
        fine = FakeModel(side=side).cells(prompt)
        x = self.net["embed"](fine)
        for block in self.net["vision"]:
            x = block(x)
        merged = x.reshape(b, self.side, 2, self.side, 2, -1).mean(dim=(2, 4))
        projected = self.net["project"](merged.reshape(-1, merged.shape[-1])).reshape(b, self.side**2, -1)
        sequence = torch.zeros(b, self.before + 2 * self.side**2 + 2, self.width) + 0.1
        sequence[:, prompt.visual] = projected
        for block in self.net["llm"]:
            sequence = block(hidden_states=sequence)[0]


def test_a_tower_of_finer_patches_is_measured_on_them() -> None:
    finer = Finer(side=12, width=16)
    result = run(LayersConfig(image="scene:7", permutations=20), finer)
    scenes = generate([7], "test")
    prompt = finer.prepare([scenes.images[0]])
    captured, fine = capture(finer, prompt), finer.tower(prompt)
    states = captured.states[1][0]
    assert states.shape[0] == 24 * 24
    regions = scene_regions(fine.boxes)
    expected = {
        "cohesion": structure(states, regions).cohesion,
        "contrast difference": structure(states, regions).difference,
        "neighbour - far": surroundings(states, 24, 24).gap,
        "Moran's I": surroundings(states, 24, 24).moran,
    }
    for measure, value in expected.items():
        assert rows(result, measure).loc["vision 2", "value"] == pytest.approx(value[0], abs=1e-6)
    assert rows(result, "cohesion").loc["vision 2", "n"] == (regions >= 0).sum()
    assert rows(result, "cohesion").loc["llm 1", "n"] < (regions >= 0).sum()


def test_readers_of_finer_patches_are_scored_on_them() -> None:
    result = run(SMALL, Finer(side=12, width=16))
    reader, classes = rows(result, "patch mIoU"), result.tables["classes"]
    assert list(reader.index) == [stage.name for stage in Finer(side=12, width=16).stages()]
    assert reader.loc["vision 1", "value"] > reader.loc["vision 1", "chance_high"]
    assert np.isfinite(reader["majority"]).all()
    patches = classes.groupby("stage")["patches"].sum()
    assert 3 * patches["llm 0"] < patches["vision 1"] < 6 * patches["llm 0"]


def test_the_majority_of_patches_is_that_of_the_training_split() -> None:
    from types import SimpleNamespace

    from workbench.panels.layers.parts.part import Grown
    from workbench.panels.layers.parts.segmentation import PatchClasses

    part = object.__new__(PatchClasses)
    part.axis, part.count = [0], 2  # type: ignore[assignment]
    part.config = SimpleNamespace(resamples=20, seed=0)  # type: ignore[assignment]
    train = LabelMoments(1, 2, 0)
    train.update(np.zeros((5, 1)), np.array([0, 0, 0, 1, 1]))
    part.sums, part.told = {0: train}, Grown()
    test = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
    part.told.add("true 0", tallies(test, test, 2))
    (always,) = part._commonest()
    assert always is not None and always.accuracy.value == 3 / 8


# The probe set


def test_readers_find_what_is_there_and_nothing_where_it_is_forgotten(probed: Result) -> None:
    for measure in ("patch accuracy", "patch mIoU"):
        table = rows(probed, measure)
        assert table.loc["llm 0", "low"] > table.loc["llm 0", "chance_high"]
        assert table.loc["llm 0", "value"] > table.loc["llm 0", "majority"]
        # llm 4 sees noise only: the drop's interval excludes zero, and what is read is chance.
        assert table.loc["llm 4", "delta_high"] < 0
        assert abs(table.loc["llm 4", "value"] - table.loc["llm 4", "chance"]) < 0.02
        assert table.loc["llm 0", "delta"] == table.loc["llm 0", "delta_low"] == 0
    shape = rows(probed, "accuracy, shape")
    difference = rows(probed, "contrast difference")
    assert difference.loc["llm 0", "low"] > 0 > difference.loc["llm 4", "delta_high"]
    assert abs(difference.loc["llm 4", "value"]) < 0.02
    assert (shape["n"] == 60).all() and (shape["of"] == "images").all()


def test_numbers_are_those_of_the_probes(model: FakeModel) -> None:
    config = SMALL.model_copy(update={"targets": ("texture",)})
    result = run(config, model)
    splits = []
    for split, count in COUNTS.items():
        batch = drawn(split, count)
        states = capture(model, model.prepare(list(batch.images))).states[5]
        splits.append((states.mean(axis=1), batch.labels("texture")))
    expected = logistic(splits[0], splits[1], splits[2], resamples=200, seed=0)
    found = rows(result, "accuracy, texture").iloc[5]
    assert found["value"] == pytest.approx(expected.accuracy.value, abs=0.02)
    assert found["chance"] == pytest.approx(expected.control.value, abs=0.02)
    assert found["majority"] == pytest.approx(expected.majority)


def test_the_ridge_reader_is_ridge_of_pooled_states_and_holds_none(model: FakeModel) -> None:
    config = SMALL.model_copy(update={"measures": ("ridge reader",), "targets": ("colour", "count")})
    found = rows(run(config, model), "ridge accuracy, count")
    pooled = {
        split: capture(model, model.prepare(list(drawn(split, n).images))).states[5].mean(axis=1)
        for split, n in COUNTS.items()
    }
    truth = {split: drawn(split, n).labels("count") for split, n in COUNTS.items()}
    scaler = StandardScaler().fit(pooled["train"])
    x = {split: scaler.transform(states) for split, states in pooled.items()}
    right = []
    for penalty in RIDGE_PENALTIES:
        reader = Ridge(alpha=penalty * len(x["train"])).fit(x["train"], np.eye(4)[truth["train"]])
        right.append([(reader.predict(x[s]).argmax(1) == truth[s]).mean() for s in ("validation", "test")])
    best = int(np.argmax([validation for validation, _ in right]))
    assert found.loc["llm 1", "chosen"] == f"λ / n = {RIDGE_PENALTIES[best]:g}"
    assert found.loc["llm 1", "value"] == pytest.approx(right[best][1])
    assert found.loc["llm 1", "low"] < found.loc["llm 1", "value"] < found.loc["llm 1", "high"]
    commonest = np.bincount(truth["train"]).argmax()
    assert found.loc["llm 1", "majority"] == pytest.approx((truth["test"] == commonest).mean())


def test_what_the_ridge_reader_holds_does_not_grow_by_states(model: FakeModel) -> None:
    axis = Axis.of(capture(model, model.prepare(list(drawn("train", 16).images))))
    part = Streamed(Subject(SMALL, DrawnScenes(), axis, model))
    sizes = []
    for _ in range(2):
        batch = drawn("train", 16)
        part.take("train", Seen(batch, capture(model, model.prepare(list(batch.images))), 0.6))
        sizes.append(sum(values.nbytes for values in part.held().values()))
    labels = len(part.targets) * 16 * 8
    pool = len(axis) * 16 * sum(len(TARGETS[target]) for target in part.targets) * 8
    assert sizes[1] - sizes[0] == labels + pool, "the pool of the control is full at 4,096 rows"


def test_states_that_will_not_fit_are_refused_before_the_passes(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.memory.free_on", lambda device: 100_000)
    both = "“linear reader” and “neighbours”"
    for measures, said in (
        (
            ("linear reader", "neighbours", "geometry"),
            rf"of it for {both}, .* free: ask for “ridge reader” in",
        ),
        (
            ("content", "structure"),
            "of 170 images at 9 stages .* of it for “content”, .* free: leave that out",
        ),
    ):
        before = model.passes
        with pytest.raises(Refusal, match=said):
            run(SMALL.model_copy(update={"measures": measures}), model)
        assert model.passes - before == 1
    run(SMALL.model_copy(update={"measures": ("ridge reader",)}), model)


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kinds in PARTS.values() for kind in kinds))
def test_an_image_leaves_no_more_than_its_part_says(model: FakeModel, kind: type[Part]) -> None:
    def held() -> int:
        return sum(values.nbytes for name, values in part.held().items() if "pool" not in name)

    axis = Axis.of(capture(model, model.prepare(list(drawn("train", 16).images))))
    part = kind(Subject(SMALL, DrawnScenes(), axis, model))
    for split in part.splits:
        for start in (0, 16):  # What does not grow is there after the first batch; pools have an end.
            before = held()
            samples = [s for s in DrawnScenes().read(split, start, start + 16) if isinstance(s, Sample)]
            samples = [replace(s, place=start + k) for k, s in enumerate(samples)]
            (batch,) = batches(samples, 16, len(CLASSES))
            part.take(split, Seen(batch, capture(model, model.prepare(list(batch.images))), 0.6))
        grown, said = held() - before, 16 * part.bytes_of(split)
        assert said / 5 <= grown <= said, "more is said: scoring takes float64, and some stages have none"
        part.end(split)


def test_work_that_is_taken_up_again_is_not_refused_for_what_it_holds(
    model: FakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.runs import unfinished

    config = SMALL.model_copy(update={"measures": ("neighbours",)})
    needed = COPIES * 170 * (4 * sum(Axis.of(capture(model, model.prepare([PLAIN]))).widths) + 8 * 4)
    free = [needed]
    monkeypatch.setattr("workbench.models.memory.free_on", lambda device: free[0])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0.0)
    before = model.passes
    with pytest.raises(Cancelled):
        run(config, model, stop=lambda: model.passes - before >= 5)
    free[0] -= needed * 5 * 16 // 170 // COPIES
    run(config, model)


@pytest.mark.parametrize(
    ("measures", "passes", "splits"),
    [
        (("structure", "likeness", "lens"), 4, ["test"]),
        (("geometry", "structure"), 9, ["train", "test"]),
        (("content", "likeness"), 11, ["train", "validation", "test"]),
    ],
)
def test_only_the_splits_that_a_measure_needs_are_read(
    model: FakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measures: tuple[str, ...],
    passes: int,
    splits: list[str],
) -> None:
    from workbench.runs import unfinished

    config = SMALL.model_copy(update={"measures": measures})
    told: list[str] = []
    before = model.passes
    result = run(config, model, progress=lambda fraction, text: told.append(text))
    assert model.passes - before == passes
    total = sum(COUNTS[split] for split in splits)  # type: ignore[index]
    assert told[1] == f"reading images, 0 of {total}"
    data = result.tables["data"].set_index("what")["value"]
    assert [name for name in data.index if name.startswith("images")] == [f"images, {s}" for s in splits]
    # Killed in the last split, it goes on there, and ends with the same numbers.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0.0)
    before = model.passes
    with pytest.raises(Cancelled):
        run(config, model, stop=lambda: model.passes - before >= passes - 1)
    again = run(config, model)
    assert model.passes - before == passes
    assert again.tables["curves"].equals(result.tables["curves"])


def test_a_measure_has_the_numbers_that_it_has_beside_others(model: FakeModel) -> None:
    every = run(SMALL, model)
    for measures in (("likeness",), ("structure", "geometry")):
        alone = run(SMALL.model_copy(update={"measures": measures}), model)
        for name in alone.tables["curves"]["measure"].unique():
            pd.testing.assert_frame_equal(rows(alone, name), rows(every, name))
        if "likeness" in measures:
            pd.testing.assert_frame_equal(alone.tables["cka"], every.tables["cka"])
            for name, array in alone.arrays.items():
                np.testing.assert_array_equal(array, every.arrays[name])


def test_what_validation_says_of_content_is_the_sum_over_its_images(model: FakeModel) -> None:
    def seen(split: Split, count: int, images: slice = slice(None)) -> Seen:
        samples = [s for s in DrawnScenes().read(split, 0, count) if isinstance(s, Sample)][images]
        (batch,) = batches(samples, count, len(CLASSES))
        return Seen(batch, capture(model, model.prepare(list(batch.images))), 0.6)

    axis = Axis.of(capture(model, model.prepare([PLAIN])))
    part = PatchContent(Subject(SMALL, DrawnScenes(), axis, model))
    part.take("train", seen("train", 80))
    part.end("train")
    for images in (slice(0, 16), slice(16, 30)):
        part.take("validation", seen("validation", 30, images))
    whole = seen("validation", 30)
    captured = whole.captured
    for i in (0, 5):
        truth = targets(whole.batch, captured.grids[i].boxes)  # type: ignore[union-attr]
        read = part.paths[i].values(captured.states[i].reshape(-1, axis.widths[i]))
        for k, each in enumerate(read):
            expected = residuals(truth, each.reshape(truth.shape)).sum(axis=0)
            np.testing.assert_allclose(part.tried[i][k], expected, rtol=1e-3)
    again = PatchContent(Subject(SMALL, DrawnScenes(), axis, model))
    again.restore(part.held())
    assert again.tried.keys() == part.tried.keys() == set(range(len(axis)))
    assert again._best(5) == part._best(5)


def test_tallies_lie_in_the_smallest_integer_and_are_summed_in_a_larger_one(model: FakeModel) -> None:
    from workbench.panels.layers.parts.segmentation import small

    assert small(np.array([0, 255])).dtype == np.uint8 and small(np.array([256])).dtype == np.uint16
    big = FakeModel(side=24, width=16)  # 576 patches: those of all classes together do not fit in 8 bits.
    found = rows(run(SMALL.model_copy(update={"measures": ("segmentation",)}), big), "patch accuracy")
    batch = drawn("test", 60)
    truth = batch.patch_classes(big.prepare([batch.images[0]]).grid.boxes, 0.6)
    train = drawn("train", 80).patch_classes(big.prepare([batch.images[0]]).grid.boxes, 0.6)
    assert truth is not None and train is not None
    commonest = np.bincount(train[train >= 0]).argmax()
    assert found.loc["llm 0", "majority"] == pytest.approx((truth[truth >= 0] == commonest).mean())


def test_the_batch_does_not_matter_and_the_seed_decides(model: FakeModel) -> None:
    first, second = run(SMALL, model), run(SMALL.model_copy(update={"batch": 7}), model)
    a, b = first.tables["curves"], second.tables["curves"]
    assert a["measure"].tolist() == b["measure"].tolist()
    for measure in ("patch accuracy", "cohesion", "effective dimension"):
        np.testing.assert_allclose(rows(first, measure)["value"], rows(second, measure)["value"], atol=2e-3)
    for measure in ("CKA with llm 0", "effective dimension, all tokens", "feature correlation"):
        for number in ("value", "low", "high", "delta_low"):
            here, there = rows(first, measure)[number], rows(second, measure)[number]
            np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-4)
    assert first.manifest["images"] == second.manifest["images"]
    again = run(SMALL, model)
    np.testing.assert_array_equal(a["value"], again.tables["curves"]["value"])


def test_classes_add_up(probed: Result) -> None:
    table = probed.tables["classes"]
    at = table[table["stage"] == "llm 0"]
    known = rows(probed, "patch mIoU").loc["llm 0", "value"]
    assert at["iou"].mean() == pytest.approx(known)
    batch = drawn("test", 60)
    labels = batch.patch_classes(FakeModel(side=12).prepare([batch.images[0]]).grid.boxes, 0.6)
    assert labels is not None and at["patches"].sum() == (labels >= 0).sum()


def test_progress_goes_forward_in_words_and_stop_stops(model: FakeModel) -> None:
    told: list[tuple[float, str]] = []
    run(SMALL, model, progress=lambda fraction, text: told.append((fraction, text)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and 0 <= fractions[0] and fractions[-1] <= 1
    assert told[2][1] == "reading images, 16 of 170"
    assert any("fitting linear readers, 18 of 18" == text for _, text in told)
    before = model.passes
    with pytest.raises(Cancelled):
        run(SMALL, model, stop=lambda: model.passes - before >= 2)
    assert model.passes - before == 2
    with pytest.raises(Cancelled):
        run(LayersConfig(image="scene:1"), model, stop=lambda: True)


def test_results_are_kept_whole(tmp_path: Path, probed: Result) -> None:
    save(probed, tmp_path / "kept")
    kept = load(tmp_path / "kept")
    assert kept.config == probed.config == SMALL.model_dump(mode="json")
    for name, table in probed.tables.items():
        assert kept.tables[name].equals(table) or np.array_equal(
            kept.tables[name].select_dtypes("number"), table.select_dtypes("number"), equal_nan=True
        )


# What a person can get wrong


@pytest.mark.parametrize(
    "fault", [{"n_test": 1}, {"intensity": 2.0}, {"purity": 0.0}, {"measures": ()}, {"unknown": 1}]
)
def test_settings_have_limits(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LayersConfig(**fault)  # type: ignore[arg-type]


class Overflowing(FakeModel):
    """Its last layer shows a number that is not finite, as 16-bit numbers do when they run over."""

    def __init__(self) -> None:
        super().__init__(side=12, width=16)
        self.card = replace(self.card, dtype="float16")

        def overflow(module: object, args: object, output: tuple[Tensor, str]) -> tuple[Tensor, str]:
            output[0][:, 5, 0] = torch.inf
            return output

        self.net["llm"][3].register_forward_hook(overflow)


@pytest.mark.parametrize("config", [SMALL, LayersConfig(image="scene:7", permutations=20)])
def test_states_that_are_not_finite_are_refused_with_their_stage(config: LayersConfig) -> None:
    with pytest.raises(Refusal, match="not finite at llm 4 in float16.*--dtype float32"):
        run(config, Overflowing())


def test_a_strip_of_patches_is_measured_as_a_line() -> None:
    class Strip(FakeModel):
        """It says that its sixteen patches stand in one row."""

        def prepare(self, images: Sequence[np.ndarray], text: str = "") -> Prompt:
            height, width = images[0].shape[:2]
            x = np.linspace(0, width, self.side**2 + 1, dtype=np.float32)
            down = np.full(self.side**2, height, np.float32)
            boxes = np.stack([x[:-1], 0 * down, x[1:], down], axis=1)
            return replace(super().prepare(images, text), grid=Grid(1, self.side**2, boxes))

    model = Strip(side=4, width=16)
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    result = run(LayersConfig(permutations=20), model, picture=read(pixels))
    states = capture(model, model.prepare([pixels])).states[-1][0]
    found = rows(result, "Moran's I").loc["llm 4", "value"]
    assert found == pytest.approx(surroundings(states, 1, 16).moran[0], abs=1e-6)


def test_refusals_are_sentences(model: FakeModel) -> None:
    with pytest.raises(Refusal, match="rainbow"):
        run(SMALL.model_copy(update={"corruption": "rainbow"}), model)
    with pytest.raises(Refusal):
        run(LayersConfig(image="nowhere.png"), model)
    blind = FakeModel()
    blind.card = replace(blind.card, capabilities=frozenset())
    with pytest.raises(Refusal, match="hidden states"):
        run(SMALL, blind)


# Other collections, and work that is ended


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of two classes, of two sizes; one file is damaged."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(60):
        place = tmp_path / "data" / ("dark" if k % 2 else "light")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 128, (96, 96 if k % 3 else 72, 3)) + (0 if k % 2 else 127)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{k:02d}.png")
    (tmp_path / "data/dark/01.png").write_bytes(b"nothing")
    return tmp_path / "data"


def test_a_folder_of_images_is_probed_and_what_was_skipped_is_named(folder: Path, model: FakeModel) -> None:
    result = run(SMALL.model_copy(update={"data": str(folder)}), model)
    accuracy = rows(result, "accuracy, class")
    assert accuracy.loc["llm 0", "low"] > 0.6 > accuracy.loc["llm 0", "chance"]
    assert rows(result, "k-NN, class").loc["llm 0", "value"] > 0.8
    assert "patch mIoU" not in set(result.tables["curves"]["measure"]), "it has no masks"
    assert {"pixels R²", "Moran's I", "cosine to llm 0", "CKA with llm 0"} <= set(
        result.tables["curves"]["measure"]
    )
    skipped = result.tables["skipped"]
    assert skipped["name"].tolist() == ["dark/01.png"]
    data = result.tables["data"].set_index("what")["value"]
    assert data["skipped"] == "1" and data["collection"] == "data"
    assert sum(int(data[f"images, {split}"]) for split in COUNTS) == 59


def test_square_cuts_make_one_grid(folder: Path, model: FakeModel) -> None:
    result = run(
        SMALL.model_copy(update={"data": str(folder), "square": 48, "measures": ("content",)}), model
    )
    assert result.arrays["read_truth"].shape == (4, 48, 48, 3)
    assert set(result.tables["curves"]["measure"]) == {"pixels R²", "colour R²"}


def test_a_linear_reader_of_pixels_sees_what_its_states_hold(model: FakeModel) -> None:
    result = run(SMALL.model_copy(update={"measures": ("content",)}), model)
    pixels = rows(result, "pixels R²")
    assert pixels.loc["llm 0", "low"] > pixels.loc["llm 0", "chance_high"]
    assert {"read_truth", "read_000"} <= set(result.arrays)
    np.testing.assert_array_equal(result.arrays["read_truth"], drawn("test", 4).images)
    assert result.arrays["read_000"].shape == (4, 48, 48, 3)


def test_likeness_is_one_to_itself_and_symmetric(probed: Result) -> None:
    assert rows(probed, "cosine to llm 0").loc["llm 0", "value"] == pytest.approx(1)
    cka = probed.tables["cka"].pivot(index="stage", columns="other", values="cka")
    np.testing.assert_allclose(cka, cka.T, atol=1e-9)
    np.testing.assert_allclose(np.diag(cka), 1, atol=1e-9)
    near = rows(probed, "CKA with llm 0")
    assert near.loc["llm 4", "high"] < 0.2 < near.loc["llm 2", "low"], "llm 4 sees noise only"
    assert (near["n"] == 60).all()


@pytest.mark.parametrize("chunk", [1, 8])
def test_a_study_that_is_killed_after_every_batch_computes_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, model: FakeModel, chunk: int
) -> None:
    """The data: pictures of two sizes and a damaged file, whose chunk is read again in each of the runs."""
    from workbench.panels.layers import probe_set
    from workbench.runs import unfinished

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(unfinished, "EVERY", 0.0)
    monkeypatch.setattr(unfinished, "SHARE", 0.0)
    monkeypatch.setattr(probe_set, "CHUNK", chunk)
    config = SMALL.model_copy(update={"data": str(folder), "batch": 8})
    before = model.passes
    whole = run(config, model)
    needed = model.passes - before
    for left in unfinished.place().iterdir():
        shutil.rmtree(left)  # What is done is kept for an hour.
    before = model.passes
    for runs in range(1, needed):
        with pytest.raises(Cancelled):
            run(config, model, stop=lambda runs=runs: model.passes - before >= runs)
        assert model.passes - before == runs
    ended = run(config, model)
    assert model.passes - before == needed, "nothing is computed twice"
    assert ended.manifest["images"] == whole.manifest["images"]
    assert len(whole.tables["skipped"]) == 1
    for name, table in whole.tables.items():
        for column in table:
            assert table[column].equals(ended.tables[name][column]), (name, column)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, ended.arrays[name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": ("mood",)}, "no label “mood”: it has shape, colour"),
        ({"data": "nowhere"}, "no data at nowhere"),
    ],
)
def test_collections_that_cannot_answer_are_refused(
    model: FakeModel, change: dict[str, object], said: str
) -> None:
    before = model.passes
    with pytest.raises(Refusal, match=said):
        run(SMALL.model_copy(update=change), model)
    assert model.passes == before


def test_the_lens_over_a_collection_is_the_models_own_head(model: FakeModel) -> None:
    result = run(SMALL.model_copy(update={"measures": ("lens",)}), model)
    entropy = rows(result, "lens entropy")
    assert list(entropy.index) == [stage.name for stage in model.stages() if stage.band == "llm"]
    states = capture(model, model.prepare(list(drawn("test", 60).images))).states[-1]
    logits = model.readout(torch.from_numpy(states)).double()
    logprobs = logits.log_softmax(-1)
    expected = -(logprobs.exp() * logprobs).sum(-1).mean()
    assert entropy.loc["llm 4", "value"] == pytest.approx(float(expected), rel=1e-4)
    words = rows(result, "tokens that read as words")["value"]
    assert ((words >= 0) & (words <= 1)).all()


def test_a_picture_that_makes_numbers_overflow_is_skipped_by_name(model: FakeModel, folder: Path) -> None:
    class Sometimes(FakeModel):
        """It overflows at one picture."""

        def __init__(self) -> None:
            super().__init__(side=12, width=16)

            def overflow(module: object, args: object, output: tuple[Tensor, str]) -> tuple[Tensor, str]:
                output[0][self.bad, 5, 0] = torch.inf
                return output

            self.bad = torch.zeros(1, dtype=torch.bool)
            self.net["llm"][3].register_forward_hook(overflow)

        def cells(self, prompt: Prompt) -> Tensor:
            self.bad = torch.tensor([int(image.sum()) == self.marked for image in prompt.images])
            return super().cells(prompt)

        marked = 0

    from workbench.datasets import open_collection

    first = next(iter(open_collection(str(folder)).read("test", 0, 1)))
    assert isinstance(first, Sample)
    sometimes = Sometimes()
    sometimes.marked = int(first.pixels.sum())
    result = run(SMALL.model_copy(update={"data": str(folder), "measures": ("geometry",)}), sometimes)
    named = result.tables["skipped"].set_index("name")["reason"]
    assert "not finite at llm 4" in named[first.name] and len(named) == 2


def test_a_collection_that_is_mostly_broken_is_refused(tmp_path: Path, model: FakeModel) -> None:
    for k in range(100):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[k % 2] / f"{k}.png").write_bytes(b"nothing")
    with pytest.raises(Refusal, match=r"33 images could not be used, and 0 could; the first"):
        run(SMALL.model_copy(update={"data": str(tmp_path)}), model)


def test_what_validation_chose_stands_in_the_table(probed: Result) -> None:
    chosen = probed.tables["curves"].groupby("measure")["chosen"].first()
    assert chosen["accuracy, shape"].startswith("C = ") and chosen["k-NN, shape"].startswith("k = ")
    assert chosen["patch mIoU"].startswith("λ / n = ") and chosen["depth R²"].startswith("λ / n = ")
    assert chosen["cohesion"] == ""


def test_a_choice_at_the_end_of_its_grid_is_marked(probed: Result) -> None:
    table = probed.tables["curves"]
    ends = {f"C = {c:g}" for c in (INVERSE_PENALTIES[0], INVERSE_PENALTIES[-1])}
    ends |= {f"λ / n = {c:g}" for c in (RIDGE_PENALTIES[0], RIDGE_PENALTIES[-1])}
    ends |= {f"k = {NEIGHBOURS[-1]}"}  # Fewer than one neighbour there cannot be.
    assert table["edge"].tolist() == table["chosen"].isin(ends).tolist() and table["edge"].any()


def test_what_was_chosen_at_an_end_is_said_of_what_is_drawn() -> None:
    held = [
        ("patch mIoU", "llm 0", 5, "λ / n = 0.1", False),
        ("patch mIoU", "llm 1", 6, "λ / n = 1e-06", True),
        ("depth R²", "llm 1", 6, "λ / n = 1", True),
    ]
    table = pd.DataFrame(held, columns=["measure", "stage", "index", "chosen", "edge"])
    made = Result("layers", {}, {}, {"curves": table})
    assert "more: patch mIoU at llm 1 (λ / n = 1e-06)." in edges([("a", made)], "segmentation reader")
    assert edges([("a", made)], "global reader") == ""
    older = Result("layers", {}, {}, {"curves": table.drop(columns="edge")})
    both = edges([("a", made), ("b", older)], "content reader")
    assert "more: a, depth R² at llm 1 (λ / n = 1)." in both and "b, " not in both


def test_selectivity_is_the_paired_difference_from_the_control(probed: Result) -> None:
    table = probed.tables["curves"]
    read = table[table["measure"].str.startswith(("accuracy", "patch", "pixels"))]
    np.testing.assert_allclose(read["selectivity"], read["value"] - read["chance"])
    assert (read["selectivity_low"] <= read["selectivity"]).all()
    assert (read["selectivity"] <= read["selectivity_high"]).all()
    patch = rows(probed, "patch accuracy")
    assert patch.loc["llm 0", "selectivity_low"] > 0.1, "it is read because it is there"
    assert patch.loc["llm 4", "selectivity_low"] < 0.02 and abs(patch.loc["llm 4", "selectivity"]) < 0.02
    # In pairs: resampled together, the two vary less than by themselves.
    apart = (patch["high"] - patch["low"]) + (patch["chance_high"] - patch["chance_low"])
    assert ((patch["selectivity_high"] - patch["selectivity_low"]) < apart).all()
    assert rows(probed, "cohesion")["selectivity"].isna().all(), "it has no reader"
    assert rows(probed, "k-NN, shape")["selectivity"].isna().all(), "it has no control"
