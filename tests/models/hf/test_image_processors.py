"""Our image processors on PIL cut images as transformers' own, which need torchvision, would."""

from __future__ import annotations

import ast
import importlib.util
import math
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.models.hf.image_processors import lfm2_vl
from workbench.models.hf.image_processors.cohere2_vision import Cohere2VisionImageProcessor, arrangement
from workbench.models.hf.image_processors.llama4 import Llama4ImageProcessor, fit

SIZES = [(70, 100), (130, 60), (96, 96), (20, 24), (1000, 300), (333, 1001), (512, 512), (5, 900), (672, 336)]


def functions(model_type: str) -> dict[str, Any]:
    """The functions and methods of transformers' image processor, from its source.

    Importing it needs torchvision. A method takes what stands for its object first.
    """
    found = importlib.util.find_spec(f"transformers.models.{model_type}.image_processing_{model_type}")
    assert found is not None and found.origin is not None
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    methods = [node for kind in tree.body if isinstance(kind, ast.ClassDef) for node in kind.body]
    tree.body = [node for node in [*tree.body, *methods] if isinstance(node, ast.FunctionDef)]
    for node in tree.body:
        assert isinstance(node, ast.FunctionDef)
        node.returns = None
        node.decorator_list = [d for d in node.decorator_list if "lru_cache" in ast.unparse(d)]
        for argument in node.args.args:
            argument.annotation = None
    names: dict[str, Any] = {
        "np": np, "torch": torch, "math": math, "lru_cache": lru_cache, "defaultdict": defaultdict
    }  # fmt: skip
    exec(compile(tree, found.origin, "exec"), names)
    return names


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize("most", [1, 6, 12])
def test_command_a_vision_arranges_tiles_as_published(size: tuple[int, int], most: int) -> None:
    theirs = functions("cohere2_vision")["get_optimal_tiled_canvas"]
    cols, rows = theirs(size, (64, 64), 1, most)
    assert arrangement(size, (64, 64), most) == (rows, cols)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("most", [1, 6, 16])
def test_llama_4_fits_images_as_published(size: tuple[int, int], most: int, largest: bool) -> None:
    theirs, tile = functions("llama4"), 64
    square = SimpleNamespace(height=tile, width=tile)
    theirs["find_supported_resolutions"] = theirs["find_supported_resolutions"].__wrapped__
    canvases = torch.tensor(theirs["find_supported_resolutions"](most, square))
    frame = theirs["get_best_fit"](size, canvases, resize_to_max_canvas=largest).tolist()
    limit = frame if largest else [min(max(side, tile), end) for side, end in zip(size, frame, strict=True)]
    height, width = theirs["get_max_res_without_distortion"](size, limit)
    assert fit(size, tile, most, largest) == (
        (frame[0] // tile, frame[1] // tile),
        (max(height, 1), max(width, 1)),
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize(("fewest", "most"), [(2, 10), (1, 4), (1, 1)])
def test_lfm2_arranges_tiles_as_published(size: tuple[int, int], fewest: int, most: int) -> None:
    theirs = functions("lfm2_vl")
    ratios = theirs["_target_ratios"](None, fewest, most)
    cols, rows = theirs["find_closest_aspect_ratio"](size[1] / size[0], ratios, size[1], size[0], 64)
    assert lfm2_vl.arrangement(size, 64, fewest, most) == (rows, cols)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
@pytest.mark.parametrize(("fewest", "most"), [(64, 256), (4, 6)])
def test_lfm2_sizes_images_as_published(size: tuple[int, int], fewest: int, most: int) -> None:
    theirs = functions("lfm2_vl")
    width, height = theirs["smart_resize"](None, *size, 2, fewest, most, 16)
    assert lfm2_vl.whole(size, 32, fewest, most) == (height, width)
    large = theirs["_is_image_too_large"](None, *size, most, 16, 2, 2.0)
    assert lfm2_vl.is_large(size, 32, 16, most, 2.0) == large


def test_the_patches_of_lfm2_are_those_of_the_image_and_its_tiles() -> None:
    picture = shades(64, 96)
    made = lfm2_vl.Lfm2VlImageProcessor(
        encoder_patch_size=16, tile_size=32, min_image_tokens=1, max_image_tokens=2, max_tiles=6
    )(Image.fromarray(picture), return_tensors="pt", return_row_col_info=True)
    assert (made["image_rows"].tolist(), made["image_cols"].tolist()) == ([2], [3])
    assert made["spatial_shapes"].tolist() == [[2, 2]] * 6 + [[2, 2]]
    assert made["pixel_values"].shape == (7, 8, 768)
    assert made["pixel_attention_mask"].sum(1).tolist() == [4] * 7
    pixels = ((made["pixel_values"][:6, :4] + 1) * 127.5).round().to(torch.uint8)
    tiles = pixels.view(2, 3, 2, 2, 16, 16, 3).permute(0, 2, 4, 1, 3, 5, 6).reshape(64, 96, 3).numpy()
    np.testing.assert_array_equal(tiles, picture)
    assert not made["pixel_values"][:, 4:].any()


def shades(height: int, width: int) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    return np.stack([across, down, across // 2 + down // 2], axis=-1).astype(np.uint8)


def test_the_tiles_of_command_a_vision_are_the_image_and_its_thumbnail() -> None:
    picture = shades(64, 128)
    made = Cohere2VisionImageProcessor(
        size={"height": 64, "width": 64}, image_mean=[0.0] * 3, image_std=[1.0] * 3
    )(Image.fromarray(picture), return_tensors="pt")
    pixels = (made["pixel_values"] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert made["num_patches"].tolist() == [3] and pixels.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(np.concatenate(pixels[:2], axis=1), picture)
    small = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(pixels[2], small)


def test_the_tiles_of_llama_4_are_the_image_with_black_beside_it_and_all_of_it() -> None:
    picture = shades(128, 100)
    made = Llama4ImageProcessor(size={"height": 64, "width": 64})(
        Image.fromarray(picture), return_tensors="pt"
    )
    assert made["aspect_ratios"].tolist() == [[2, 2]] and made["pixel_values"].shape == (5, 3, 64, 64)
    assert made["pixel_values"].dtype == torch.bfloat16
    pixels = ((made["pixel_values"].float() + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    canvas = np.concatenate([np.concatenate(pixels[:2], axis=1), np.concatenate(pixels[2:4], axis=1)])
    # bfloat16 keeps eight bits.
    np.testing.assert_allclose(canvas[:, :100], picture, atol=1.5)
    assert canvas[:, 100:].max() == 0
    whole = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(pixels[4], whole, atol=1.5)
