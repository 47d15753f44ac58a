"""Every method of attribution on every family: dynamic grids, tiles, thumbnails, discrete tokens."""

from __future__ import annotations

import numpy as np
import pytest

from probes.attribution.regions import cells, onto_cells
from tests.models.hf.test_families import noise
from workbench.errors import Refusal
from workbench.models.hf.adapter import HFModel
from workbench.models.protocol import Capability
from workbench.panels.attribution.case import Case
from workbench.panels.attribution.config import METHODS, AttributionConfig
from workbench.panels.attribution.methods import METHODS as KNOWN
from workbench.panels.attribution.parts import parts
from workbench.panels.attribution.target import spoken

SIZE = (70, 100)
TAKING_AWAY = ("occlusion", "ablation", "kernel-shap", "lime")
QUICK = AttributionConfig(
    question="what is this?", steps=2, draws=1, samples=8, regions="masks", window=16, batch=8
)


@pytest.fixture
def case(model: HFModel) -> Case:
    image = noise(SIZE, 0)
    said = spoken(model, model.prepare([image], QUICK.question), answer="a blue ring")
    quarters = np.add.outer(2 * (np.arange(SIZE[0]) // 35), np.arange(SIZE[1]) // 50)
    return Case(model, image, said, QUICK, regions=quarters)


def test_every_method_makes_a_map_or_says_why_not(case: Case) -> None:
    card = case.model.card
    for name in METHODS:
        if name == "occlusion" and case.cells > 36:
            continue  # The same code as on the others, a pass for each cell.
        try:
            found = KNOWN[name].explain(case)
        except Refusal as refusal:
            assert name == "deeplift" or name not in (*TAKING_AWAY, "random"), refusal
            if name in ("saliency", "input-x-gradient", "integrated-gradients"):
                towers = "two towers" in str(refusal)
                assert towers or Capability.PIXEL_GRADIENTS not in card.capabilities, refusal
            assert str(refusal).endswith("."), name
            continue
        assert found.maps.shape == (1, len(found.layers), case.cells) and np.isfinite(found.maps).all(), name
        if name not in ("deeplift", "lime"):  # The lasso may leave nothing of what random weights do.
            assert found.maps.any(), name


def test_ablation_is_what_a_loop_over_regions_finds(case: Case) -> None:
    regions, target = parts(case), case.spoken.targets[0]
    found = KNOWN["ablation"].explain(case).maps[0, 0]
    whole = float(target.value(case.rows([case.image]))[0])
    lost = []
    for region in range(regions.max() + 1):
        image = np.where((regions == region)[..., None], case.baseline, case.image)
        prompt = case.model.prepare([image], case.question)
        lost.append(whole - float(case.model.said(prompt, case.spoken.sequences[0]).sum().detach()))
    want = np.nan_to_num(onto_cells(regions, lost, case.grid.boxes))
    np.testing.assert_allclose(found, want, atol=2e-4)


def test_cells_are_taken_away_where_they_lie(case: Case) -> None:
    shown = np.ones((2, case.cells), bool)
    shown[1, 0] = False
    whole, without = case.without(shown)
    assert np.array_equal(whole, case.image)
    changed = (without != case.image).any(axis=2)
    assert not (changed & (cells(case.grid.boxes, *SIZE) != 0)).any()
