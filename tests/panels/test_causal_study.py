"""Causal tracing on a tiny BAGEL: a picture, a collection that is killed and goes on, a drawing, refusals."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.models import tiny
from workbench.datasets.collection import Sample
from workbench.errors import Cancelled, Refusal
from workbench.models.bagel.adapter import BagelModel
from workbench.models.protocol import Sampling
from workbench.panels.causal.config import CausalConfig
from workbench.panels.causal.maps import maps_of
from workbench.panels.causal.pictures import maps, told
from workbench.panels.causal.study import prepared, run
from workbench.panels.causal.things import regions
from workbench.runs.result import Result
from workbench.runs.store import load, save

DARK = {"corruption": "dark_illumination", "intensity": 0.9}
QUICK = {**DARK, "n": 3, "resamples": 100, "parts": ("patching",), "tokens": ("all",), "every": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BagelModel:
    return tiny.opened(tiny.write(tmp_path_factory.mktemp("causal") / "tiny"))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def one(model: BagelModel) -> Result:
    config = CausalConfig(
        image="scene:10",
        question="what colour is the star?",
        map_stages=("llm 0", "vision 1"),
        purity=0.2,
        **DARK,
    )  # type: ignore[arg-type]
    return run(config, model)


def test_a_picture_has_curves_a_map_and_regions(one: Result, tmp_path: Path) -> None:
    items = one.tables["items"]
    assert len(items) == 1 and items["object tokens"].iloc[0] > 0
    recovery = one.tables["recovery"]
    rows = recovery[(recovery["measure"] == "log p") & (recovery["tokens"] == "all")]
    entered, last = rows[rows["stage"] == "llm 0"], rows[rows["stage"] == "llm 3"]
    assert entered["value"].to_numpy() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert last["value"].to_numpy() == pytest.approx([0.0, 0.0], abs=1e-3)
    assert set(recovery["tokens"]) == {"all", "object", "others"}
    assert not (rows["band"] == "vision").any(), "all tokens of a tower are all that is known of the image"
    found = maps_of(one)
    assert [(m.direction, m.stage) for m in found] == [
        (d, s) for d in ("restore", "damage") for s in ("llm 0", "vision 1")
    ]
    assert all(len(m.values) == len(m.boxes) for m in found)
    assert {"star", "square", "triangle"} <= set(one.tables["regions"]["region"])
    save(one, tmp_path / "run")
    assert "undoes" in maps(load(tmp_path / "run")) and "told" in told(one)


def test_a_map_is_of_patches_exchanged_alone(one: Result, model: BagelModel) -> None:
    """The patch with the largest share, exchanged by hand."""
    from workbench.panels.causal.tracing import Edit, Run
    from workbench.panels.specimen import degrade, find

    clean = find("scene:10").picture.pixels
    dark = degrade(clean, DARK["corruption"], 0.9, 0)  # type: ignore[arg-type]
    runs = [Run(model, model.prepare([image], "what colour is the star?")) for image in (clean, dark)]
    said = tuple(t.id for t in model.answer(runs[0].prompt, max_new_tokens=16)[0].tokens)
    (spot,) = [spot for spot in runs[0].spots() if spot.stage == "llm 0"]
    runs[0].watch([spot], said)
    chosen = np.arange(len(spot.boxes)) == int(np.nanargmax(maps_of(one)[0].values))
    found = runs[1].patched(runs[0].states, [Edit(spot, chosen)], [said])[0, 0]
    assert one.arrays["map_000"][chosen][0] == pytest.approx(found, abs=1e-4)


def test_a_clean_picture_is_traced_by_knockout_alone(model: BagelModel) -> None:
    config = CausalConfig(image="scene:10", question="what is there?", window=1)
    result = run(config, model)
    assert "recovery" not in result.tables and "maps" not in result.tables
    blocked = result.tables["blocked"]
    assert set(blocked["path"]) == {"image-answer", "image-question", "question-answer"}
    assert set(blocked["layer"]) == {0, 1, 2, 3} and (blocked["last"] >= blocked["first"]).all()
    assert "llm" not in told(result) and "The answer is" in told(result)


def test_a_collection_that_was_killed_goes_on_and_ends_the_same(
    model: BagelModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("workbench.panels.causal.collection.PUT_DOWN", 0.0)
    monkeypatch.setattr("workbench.runs.unfinished.SHARE", 0.0)
    config = CausalConfig(**QUICK)  # type: ignore[arg-type]
    asked: list[str] = []
    plain = model.answer

    def answer(*args: object, **more: object) -> object:
        asked.append("")
        return plain(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "answer", answer)
    with pytest.raises(Cancelled):
        run(config, model, stop=lambda: len(asked) >= 4)
    assert len(asked) == 4
    result = run(config, model)
    assert len(asked) == 8, "the first image was not asked about again"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    whole = run(config, model)
    assert len(asked) == 14
    for name in ("items", "patching", "recovery"):
        pd.testing.assert_frame_equal(result.tables[name], whole.tables[name])
    about = result.tables["data"].set_index("what")["value"]
    assert about["images"] == "3" and about["skipped"] == "0"
    assert set(result.tables["recovery"]["n"]) <= {0, 1, 2, 3}


def test_one_question_for_all_images(model: BagelModel, tmp_path: Path) -> None:
    from PIL import Image

    for k in range(12):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(tiny.picture(seed=k)).save(tmp_path / "pictures" / f"{k}.png")
    settings = {**QUICK, "data": str(tmp_path / "pictures"), "n": 2}
    with pytest.raises(Refusal, match="It comes with no question: give one for all with --question"):
        run(CausalConfig(**settings), model)  # type: ignore[arg-type]
    result = run(CausalConfig(**settings, question="what red is it?"), model)  # type: ignore[arg-type]
    assert set(result.tables["items"]["question"]) == {"what red is it?"}


def test_a_drawing_is_traced_against_the_degraded_image_in_its_place(
    model: BagelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a random model draws: all of the drawing's tokens are all that the two runs differ in."""
    few = partial(Sampling, steps=1, max_new_tokens=12)
    monkeypatch.setattr("workbench.panels.causal.pair.Sampling", few)
    config = CausalConfig(
        image="scene:10", question="what red is it?", drawing=True, parts=("knockout", "patching"),
        tokens=("all",), window=1, **DARK,  # type: ignore[arg-type]
    )  # fmt: skip
    result = run(config, model)
    rows = result.tables["recovery"]
    rows = rows[(rows["measure"] == "log p") & (rows["stage"] == "llm 0")]
    assert rows["value"].to_numpy() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert "drawn-answer" in set(result.tables["blocked"]["path"])
    assert {"clean", "degraded", "original"} <= set(result.images)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"drawing": True}, "A drawing is traced against the degraded image"),
        ({"parts": ("patching",)}, "Patching needs two runs that differ"),
        ({"parts": ("knockout",), "paths": ("drawn-answer",)}, "only where one is made: give --drawing"),
        ({"image": "scene:10"}, "There is no question"),
        ({"corruption": "fog of war"}, "There is no corruption"),
    ],
)
def test_what_cannot_be_traced_is_refused_first(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        prepared(CausalConfig(**settings))  # type: ignore[arg-type]


def test_an_unknown_stage_of_the_map_is_named(model: BagelModel) -> None:
    config = CausalConfig(image="scene:10", question="what?", parts=("map",), map_stages=("llm 9",), **DARK)  # type: ignore[arg-type]
    with pytest.raises(Refusal, match="There is no map at 'llm 9'"):
        run(config, model)


def test_regions_are_named_by_the_class_of_most_of_their_pixels() -> None:
    classes = np.zeros((4, 4), np.int16)
    classes[0], classes[1] = 1, 9
    regions_ = np.arange(4, dtype=np.int16)[:, None].repeat(4, axis=1)
    known = Sample("s", np.zeros((4, 4, 3), np.uint8), 0, classes=classes, regions=regions_)
    found = regions(known, ["ground", "star"])
    assert [(thing.name, int(thing.mask.sum())) for thing in found] == [
        ("star", 4),
        ("ground", 4),
        ("ground", 4),
    ]
    assert regions(None, []) == []
