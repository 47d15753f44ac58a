"""The atlas against what a plain pass shows, scikit-learn's PCA, and brute force over the sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from tests.capture.fake import FakeModel
from workbench.capture.hidden import capture
from workbench.datasets import open_collection
from workbench.datasets.batches import Batch
from workbench.datasets.scenes import DrawnScenes
from workbench.errors import Cancelled, Refusal
from workbench.images.read import read
from workbench.images.scenes import CLASSES
from workbench.panels.atlas import figure, ways
from workbench.panels.atlas.colours import choices, groups, members
from workbench.panels.atlas.config import AtlasConfig, Way
from workbench.panels.atlas.facets import facets
from workbench.panels.atlas.sample import Sample
from workbench.panels.atlas.sheet import Sheet
from workbench.panels.atlas.study import prepared, run
from workbench.panels.specimen import degrade
from workbench.runs.export import save_figure
from workbench.runs.result import Result
from workbench.runs.store import load, save

DARK: dict[str, Any] = {"corruption": "dark_illumination", "intensity": 0.9}


@pytest.fixture(scope="module")
def model() -> FakeModel:
    return FakeModel(side=12, width=16)


@pytest.fixture(scope="module")
def probed(model: FakeModel) -> Result:
    config = AtlasConfig(method="pca", images=3, batch=2, tokens=360, with_clean=True, **DARK)
    return run(config, model)


def test_points_are_the_tokens_that_a_plain_pass_shows(model: FakeModel, probed: Result) -> None:
    points = probed.tables["points"]
    assert len(points) == 360 and list(points["stage"].unique()) == ["llm 0", "llm 2", "llm 4"]
    samples = tuple(DrawnScenes().read("test", 0, 3))
    scenes = Batch(samples, len(CLASSES))  # type: ignore[arg-type]
    for condition in ("clean", "darkness 0.90"):
        shown = [
            each.pixels if condition == "clean" else degrade(each.pixels, "dark_illumination", 0.9, each.seed)
            for each in scenes.samples
        ]
        captured = capture(model, model.prepare(shown))
        classes = scenes.patch_classes(captured.grid.boxes, 0.6)
        assert classes is not None
        mine = points[(points["stage"] == "llm 4") & (points["condition"] == condition)]
        image = [[each.name for each in scenes.samples].index(name) for name in mine["image"]]
        token = ((mine["row"] - 1) * 12 + mine["col"] - 1).to_numpy()
        assert [CLASSES.index(name) if isinstance(name, str) else -1 for name in mine["class"]] == classes[
            image, token
        ].tolist()
        np.testing.assert_allclose(mine[["x0", "y0", "x1", "y1"]], captured.grid.boxes[token])
        if condition == "clean":
            clean = captured.states[8][image, token]
        else:
            both = np.concatenate([clean, captured.states[8][image, token]])
            there = PCA(2, svd_solver="full").fit_transform(both)
    places = points.loc[points["stage"] == "llm 4", ["pca_x", "pca_y"]].to_numpy()
    np.testing.assert_allclose(np.abs(places), np.abs(there), atol=1e-4)


def test_the_same_patches_at_every_stage_and_in_every_condition(probed: Result) -> None:
    points = probed.tables["points"]
    sets = {
        key: set(zip(rows["image"], rows["row"], rows["col"], strict=True))
        for key, rows in points.groupby(["stage", "condition"])
    }
    assert len(sets) == 6 and all(len(found) == 60 for found in sets.values())
    assert len(set(map(frozenset, sets.values()))) == 1


def test_a_sample_is_what_brute_force_takes_whatever_the_order() -> None:
    tokens = {image: np.arange(100 * image, 100 * image + 40) for image in range(5)}
    keys = {image: np.random.default_rng([7, image, 40]).random(40) for image in tokens}
    flat = sorted((keys[i][k], tokens[i][k]) for i in tokens for k in range(40))
    for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
        sample = Sample(50, 7)
        for image in order:
            sample.add(image, token=tokens[image])
        assert set(sample.columns["token"].tolist()) == {token for _, token in flat[:50]}
        assert sample.seen == 200


def test_components_and_shares_are_scikit_learns(probed: Result) -> None:
    planes, axes = probed.tables["planes"], probed.tables["axes"]
    assert planes["plane"].tolist() == ["llm 0", "llm 2", "llm 4", "all stages"]
    assert planes["of"].tolist() == [864, 864, 864, 2592]
    for _, row in planes.iterrows():
        kept = probed.arrays[row["features"]]
        shares = axes.loc[axes["plane"] == row["plane"], "share"].to_numpy()
        reference = PCA(svd_solver="full").fit(kept)
        np.testing.assert_allclose(shares, reference.explained_variance_ratio_ * row["kept"], atol=1e-5)
        assert row["kept"] == pytest.approx(1, abs=1e-5)  # 16 dimensions fit into 50


def test_another_layout_asks_no_model_and_is_what_the_study_would_have_made(
    model: FakeModel, probed: Result
) -> None:
    passes = model.passes
    way = Way(method="tsne", neighbours=5, planes="joint")
    anew = ways.laid(probed, way, ways.projected(probed, way))
    assert model.passes == passes
    whole = run(
        AtlasConfig(images=3, batch=2, tokens=360, with_clean=True, **DARK, **way.model_dump()), model
    )
    assert anew.tables["points"].equals(whole.tables["points"]) and anew.config == whole.config
    assert set(anew.tables["points"]["plane"]) == {"all stages"}
    back = ways.laid(anew, Way(method="pca"), ways.projected(anew, Way(method="pca")))
    assert back.tables["points"].equals(probed.tables["points"])
    assert ways.identity(anew, way) == ways.identity(probed, way) != ways.identity(probed, Way())


def test_the_same_seed_gives_the_same_umap(model: FakeModel) -> None:
    config = AtlasConfig(image="scene:10", tokens=120, stages=("llm 4",), seed=3)
    one, other = run(config, model).tables["points"], run(config, model).tables["points"]
    assert one.equals(other) and np.ptp(one["umap_x"]) > 0
    another = run(config.model_copy(update={"seed": 4}), model).tables["points"]
    assert not np.array_equal(one["umap_x"], another["umap_x"])


def test_one_picture_brings_its_objects_and_a_photograph_none(model: FakeModel) -> None:
    config = AtlasConfig(image="scene:10", method="pca", unit=True)
    result = run(config, model)
    points = result.tables["points"]
    assert len(points) == 3 * 144 and points["object"].max() >= 1
    assert choices([result])[:3] == ["class", "object", "stage"]
    picture = read(np.random.default_rng(0).integers(0, 256, (48, 72, 3), dtype=np.uint8), name="photo.png")
    photograph = run(AtlasConfig(image="photo.png", method="pca"), model, picture=picture)
    assert photograph.tables["points"]["class"].isna().all() and choices([photograph]) == [
        "stage",
        "row",
        "col",
    ]
    assert set(photograph.tables["points"]["image"]) == {"photo.png"}
    assert photograph.manifest["images"] == {"picture": picture.sha256}


def test_directions_alone_count_where_tokens_are_scaled(model: FakeModel) -> None:
    config = AtlasConfig(image="scene:10", method="pca", stages=("llm 2",), unit=True)
    found = run(config, model).arrays["features_006"]
    picture = prepared(config)
    assert picture is not None
    states = capture(model, model.prepare([picture.pixels])).states[6][0]
    there = PCA(svd_solver="full").fit_transform(states / np.linalg.norm(states, axis=1, keepdims=True))
    np.testing.assert_allclose(np.abs(found[:, :2]), np.abs(there[:, :2]), atol=1e-5)


def test_every_picture_is_found_on_the_sheet() -> None:
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (size, size + 6, 3), dtype=np.uint8) for size in (30, 24, 30, 18, 30)]
    sheet = Sheet(len(made))
    numbers = [sheet.add(pixels) for pixels in made]
    drawn, places = sheet.drawn()
    for number, pixels in zip(numbers, made, strict=True):
        left, top, width, height = places[number]
        assert np.array_equal(drawn[top : top + height, left : left + width], pixels)
    large = Sheet(60)
    large.add(np.zeros((1024, 768, 3), np.uint8))
    assert max(large.drawn()[0].shape) <= large.side < 200


class Other(FakeModel):
    """Shows what a test wants of its tokens."""

    how = "same"

    def cells(self, prompt: Any) -> Any:
        found = super().cells(prompt)
        return found * 0 if self.how == "same" else found / 0


@pytest.mark.parametrize(
    ("given", "side", "sentence"),
    [
        ({"stages": ("llm 40",)}, 12, "no stage 'llm 40'. Choose a stage out of vision 1 … vision 3"),
        ({"stages": ("vision 1", "llm 0"), "planes": "joint"}, 12, "different widths"),
        ({"image": "scene:10"}, 1, "has 1 token, and a plane wants 4"),
        ({"image": "scene:10", "method": "umap", "neighbours": 200}, 12, "at most 143 neighbours, not 200"),
        ({"image": "scene:10", "method": "tsne", "neighbours": 60}, 12, "at most 47 neighbours, not 60"),
        ({"with_clean": True}, 12, "nothing to act on"),
        ({"corruption": "rain"}, 12, "no corruption 'rain'"),
    ],
)
def test_what_cannot_be_laid_out_is_said_in_a_sentence(given: Any, side: int, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        run(AtlasConfig(**({"images": 2, "method": "pca"} | given)), FakeModel(side=side))


def test_states_that_are_all_the_same_or_not_finite_are_refused() -> None:
    config = AtlasConfig(image="scene:10", method="pca", stages=("llm 2",))
    with pytest.raises(Refusal, match="All 144 tokens at llm 2 are the same"):
        run(config, Other(side=12))
    broken = Other(side=12)
    broken.how = "broken"
    with pytest.raises(Refusal, match="not finite at llm 2"):
        run(config, broken)
    blind = FakeModel()
    blind.card = replace(blind.card, capabilities=frozenset())
    with pytest.raises(Refusal, match="hidden states"):
        run(config, blind)


def test_fewer_tokens_than_dimensions_are_laid_out() -> None:
    result = run(AtlasConfig(image="scene:10", method="umap", neighbours=5), FakeModel(side=4, width=64))
    assert np.isfinite(result.tables["points"][["umap_x", "umap_y"]].to_numpy()).all()
    assert result.arrays["features_004"].shape[1] <= 16


def test_a_folder_of_images_of_any_size_is_a_subject_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        place = tmp_path / "data" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (24 + 12 * (number % 3 == 0), 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (tmp_path / "data" / "cat" / "broken.png").write_bytes(b"nothing of the kind")
    given = {"data": str(tmp_path / "data"), "method": "pca", "images": 20, "stages": ("llm 0",)}
    model = FakeModel(side=12)
    result = run(AtlasConfig(**given), model)
    points = result.tables["points"]
    count = open_collection(given["data"]).count("test")
    skipped = result.manifest["skipped"]
    assert points["image"].nunique() + len(skipped) == count and points["class"].isna().all()
    assert all("broken.png" in each["name"] and each["reason"] for each in skipped)
    square = run(AtlasConfig(**given, square=24), model).tables["pictures"]
    assert set(square["image_width"]) == set(square["image_height"]) == {24}


def test_stopping_between_passes(model: FakeModel) -> None:
    with pytest.raises(Cancelled):
        run(AtlasConfig(images=4, batch=1, method="pca"), model, stop=lambda: True)


def test_a_result_comes_back_from_disk_and_is_drawn(tmp_path: Path, probed: Result) -> None:
    save(probed, tmp_path / "run")
    back = load(tmp_path / "run")
    way = Way(method="tsne", neighbours=5)
    assert ways.identity(back, way) == ways.identity(probed, way)
    for column in ("class", "row"):
        drawn = figure.paper([("one", back), ("other", probed)], column)
        letters = [text.get_text() for text in drawn.texts if len(text.get_text()) == 1]
        assert letters == list("abcdef") and drawn.get_figwidth() == 6.75
    assert all(path.stat().st_size for path in save_figure(drawn, tmp_path / "figure"))
    joint = ways.laid(
        back, Way(method="pca", planes="joint"), ways.projected(back, Way(method="pca", planes="joint"))
    )
    assert figure.paper(joint).get_figwidth() == 3.25


def test_screen_and_paper_draw_every_point_in_its_colour(probed: Result) -> None:
    every = groups([probed], "class")
    for facet in facets([("", probed)]):
        found = members(facet.points, "class", every)
        assert sum(inside.sum() for _, inside in found) == len(facet.points)
        assert len({(group.colour("light"), group.shape) for group, _ in found}) == len(found)
    screen = figure.screen([("", probed)], "class")
    assert sum(len(trace.x) for trace in screen.data) == 360
    about = screen.data[0].customdata[0]
    row = probed.tables["points"].iloc[
        np.flatnonzero((probed.tables["points"]["pca_x"] == screen.data[0].x[0]).to_numpy())[0]
    ]
    assert about[1] == row["picture"] and list(about[2:6]) == list(row[["x0", "y0", "x1", "y1"]])
    assert f"row {row['row']}, column {row['col']}" in about[6] and row["image"] in about[6]
    narrow = figure.screen([("", probed)], "row", narrow=True)
    assert narrow.layout.height > 2 * screen.layout.height
    assert {trace.marker.cmin for trace in narrow.data} == {1.0}


def test_what_a_picture_does_not_show_is_said_with_its_numbers(probed: Result) -> None:
    assert "360 of 2,592 tokens, sampled with seed 0" in figure.caveat(probed)
    way = Way(method="umap", neighbours=9, min_dist=0.25)
    said = figure.caveat(replace(probed, config=probed.config | way.model_dump()))
    assert "9 neighbours, min_dist 0.25, seed 0" in said and "Distances between clusters" in said
    assert "places do not compare between planes" in said
