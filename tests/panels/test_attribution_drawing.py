"""A drawing explained: parts of the image are taken away and the embedded model draws again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.page.fake import FakeModel
from workbench import models
from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, Sampling, VisualState
from workbench.panels.attribution import study
from workbench.panels.attribution.chart import verdict
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.figure import paper
from workbench.panels.attribution.redrawn import Redrawn
from workbench.panels.attribution.screen import cards
from workbench.panels.specimen import degrade, find, truth
from workbench.runs.result import Result
from workbench.runs.store import load, save

GIVEN = {
    "image": "scene:10",
    "question": "what colour is the star?",
    "corruption": "gaussian_noise",
    "explains": "drawing",
    "drawing_steps": 2,
    "regions": "masks",
    "methods": ("saliency", "ablation", "random"),
    "curve_steps": 2,
    "removals": 2,
    "sensitivity": 0,
}


@pytest.fixture(scope="module")
def model() -> Model:
    return models.open("pocket-bagel")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return degrade(find("scene:10").picture.pixels, "gaussian_noise", 0.45, 0)


@pytest.fixture(scope="module")
def result(model: Model) -> Result:
    return study.run(AttributionConfig(**GIVEN, patch=(3, 3)), model)


def drawn(model: Model, image: np.ndarray) -> np.ndarray:
    settings = Sampling(steps=2, seed=0, restore="always", max_new_tokens=32)
    for event in model.respond(image, GIVEN["question"], settings):
        if isinstance(event, VisualState) and event.step == 2:
            return event.image
    raise AssertionError


def test_what_a_region_counts_is_how_far_the_drawing_moves_without_it(
    model: Model, image: np.ndarray, result: Result
) -> None:
    labels = truth("scene:10", find("scene:10").picture.pixels)
    assert labels is not None
    regions = labels.samples[0].regions
    whole = drawn(model, image)
    expected = np.zeros((2, 12, 12))
    for region in np.unique(regions):
        without = np.where((regions == region)[..., None], result.images["baseline"], image)
        apart = ((drawn(model, without) / 255.0 - whole / 255.0) ** 2).mean(axis=2)
        cells = apart.reshape(12, 8, 12, 8).mean(axis=(1, 3))
        share = (regions == region).reshape(12, 8, 12, 8).mean(axis=(1, 3))
        expected += np.array([cells.mean(), cells[3, 3]])[:, None, None] * share
    table = result.tables["maps"]
    maps = result.arrays["maps"][(table["method"] == "ablation").to_numpy()]
    np.testing.assert_allclose(maps, expected.reshape(2, 144), atol=1e-7)
    np.testing.assert_array_equal(result.images["drawing"], whole)
    emptied = np.broadcast_to(result.images["baseline"], image.shape)
    far = -((drawn(model, emptied) / 255.0 - whole / 255.0) ** 2).mean()
    assert result.tables["targets"]["far"][0] == pytest.approx(far)


def test_curves_go_from_the_same_drawing_to_that_of_nothing(result: Result) -> None:
    curves = result.tables["curves"]
    assert set(curves["method"]) == {"ablation", "random"}
    for (_, _, way), part in curves.groupby(["method", "target", "way"]):
        ends = (1, 0) if way == "deletion" else (0, 1)
        np.testing.assert_allclose(part["probability"].iloc[[0, -1]], ends, atol=1e-9)


def test_it_is_told_shown_kept_and_printed(result: Result, tmp_path: Path) -> None:
    assert list(result.tables["targets"]["text"]) == ["the drawing", "patch 3, 3"]
    assert list(result.tables["methods"]["method"]) == ["ablation", "random"]
    patch = result.arrays["patch"]
    assert patch.sum() == 64 and patch[24:32, 24:32].all()
    assert any("patch 3, 3 by" in sentence for sentence in verdict(result))
    shown = cards(result, target=1)
    assert shown.count("<figure>") == 4 and "the drawing" in shown
    save(result, tmp_path / "run")
    figure = paper(load(tmp_path / "run"), target=1)
    assert "patch 3, 3" in " ".join(text.get_text() for text in figure.texts)


def test_without_a_choice_the_patch_is_the_one_that_rests_on_the_image_most(
    model: Model, image: np.ndarray
) -> None:
    config = AttributionConfig(**GIVEN)
    case = Redrawn(model, image, config)
    (emptied,) = case.rows([case.baseline])
    assert case.patch == emptied.argmin() and len(emptied) == 144
    assert np.all(case.rows([image]) == 0) and np.all(emptied <= 0)
    other = case.of(np.roll(image, 8, axis=1))
    assert isinstance(other, Redrawn) and other.drawn is case.drawn and len(other.spoken.targets) == 1
    assert other.value[0] < 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"answer": "red"}, "no answer to choose"),
        ({"source": "drawing"}, "no answer to choose"),
        ({"methods": ("saliency", "attention")}, "occlusion, ablation"),
        ({"image": "", "question": "", "regions": "slic"}, "one image"),
        ({"patch": (12, 0)}, "rows are 0 to 11"),
        ({"explains": "answer", "patch": (1, 1)}, "one of a drawing"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model: Model, given: dict[str, object], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        study.run(AttributionConfig(**(GIVEN | given)), model)


@pytest.mark.parametrize("patch", [(1,), (1, 2, 3), (-1, 0)])
def test_a_patch_is_a_row_and_a_column(patch: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a row and a column"):
        AttributionConfig(**GIVEN, patch=patch)


def test_a_model_that_does_not_draw_is_refused() -> None:
    speaker = FakeModel()
    speaker.card = replace(
        speaker.card, capabilities=speaker.card.capabilities - {Capability.INTERLEAVES} | study.NEEDS
    )
    with pytest.raises(Refusal, match="draw on its way"):
        study.run(AttributionConfig(**GIVEN), speaker)
