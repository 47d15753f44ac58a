"""Tiles put together, images that are not cut, and counts that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hf.builders import saved
from workbench.errors import Refusal
from workbench.models.grids import edges, grid_over, pooled
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.load import load
from workbench.models.hf.tiles import assembled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiles")


def opened(model_type: str, folder: Path) -> HFModel:
    path = saved(model_type, folder)
    return load(path, name=model_type, device=torch.device("cpu"), dtype=torch.float32)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_tiles_are_put_together_row_by_row() -> None:
    # Two tiles side by side over two more, each of one row of two cells and with a class token first.
    places = assembled(2, 2, 1, 2, tokens=3, first=1)
    assert places.view(2, 4).tolist() == [[1, 2, 4, 5], [7, 8, 10, 11]]


def test_cells_of_tiles_leave_out_what_patches_do() -> None:
    assert edges(0, 20, 2, tiles=2, seen=0.8).tolist() == [[0, 4], [4, 8], [10, 14], [14, 18]]


def test_pooled_cells_share_the_length_of_the_cells_they_are_made_of() -> None:
    assert pooled(edges(0, 6, 6), 4).tolist() == [[0, 1.5], [1.5, 3], [3, 4.5], [4.5, 6]]
    # A gap between tiles stays where it is.
    assert pooled(edges(0, 20, 2, tiles=2, seen=0.8), 2).tolist() == [[0, 8], [10, 18]]


def test_a_grid_covers_its_part_of_the_image() -> None:
    grid = grid_over(2, 3, (3, 1, 9, 5), image=1, name="thumbnail")
    assert (grid.rows, grid.cols, grid.image, grid.part) == (2, 3, 1, "thumbnail")
    assert grid.boxes.dtype == np.float32
    assert grid.boxes.tolist() == [[x, y, x + 2, y + 2] for y in (1, 3) for x in (3, 5, 7)]


@pytest.mark.parametrize("model_type", ["internvl", "aya_vision", "cohere2_vision", "llama4", "idefics3"])
def test_an_image_that_is_not_cut_has_one_grid(model_type: str, folder: Path) -> None:
    model = opened(model_type, folder)
    if model_type == "idefics3":
        model.processor.image_processor.do_image_splitting = False
    prompt = model.prepare([noise(20, 24)], "what?")
    assert prompt.others == () and prompt.grid.part == "image"
    assert (prompt.grid.rows, prompt.grid.cols) == (2, 2)
    assert len(prompt.visual) == 4


@pytest.mark.parametrize("model_type", ["internvl", "cohere2_vision", "llama4", "llava_next", "smolvlm"])
def test_tokens_that_do_not_fit_the_tiles_are_refused(model_type: str, folder: Path) -> None:
    model = opened(model_type, folder)
    inputs = dict(model.prepare([noise(70, 100)], "what?").inputs)
    model.family.views(inputs, [(70, 100)])
    first = int(model.family.visual_positions(inputs)[0])
    inputs["input_ids"] = inputs["input_ids"].clone()
    inputs["input_ids"][0, first] = 1
    with pytest.raises(Refusal, match="where they stand is not known"):
        model.family.views(inputs, [(70, 100)])
