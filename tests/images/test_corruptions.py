"""The corruptions against what the benchmark's own code makes of one picture, and by their properties."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS as ALL
from workbench.images.corruptions import LEVELS, MMD_BENCH, corrupt, filters

CORRUPTIONS = {name: ALL[name] for name in MMD_BENCH}
REFERENCE = Path(__file__).parents[1] / "data" / "corruptions"
EXACT = [name for name, corruption in CORRUPTIONS.items() if not corruption.random]
RANDOM = [name for name, corruption in CORRUPTIONS.items() if corruption.random]
RUNS = 60
# The words of graffiti as OpenCV 4 strokes them: the README beside the files says why.
STATISTICS = {
    key: value
    for file in ("statistics.json", "statistics_opencv4.json")
    for key, value in json.loads((REFERENCE / file).read_text()).items()
}


def picture(name: str = "input") -> np.ndarray:
    return np.array(Image.open(REFERENCE / f"{name}.png").convert("RGB"))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return picture()


@pytest.fixture(scope="module")
def small(image: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(image[:192, :192]).resize((96, 96), Image.Resampling.LANCZOS))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", EXACT)
def test_equals_the_reference_picture(name: str, level: str, image: np.ndarray) -> None:
    result = corrupt(image, name, LEVELS[level], pixels="native")
    difference = abs(result.astype(int) - picture(f"{name}.{level}"))
    assert difference.max() <= (2 if name == "jpeg_compression" else 1)
    assert difference.mean() < (0.5 if name == "jpeg_compression" else 0.01)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", RANDOM)
def test_lands_on_the_reference_statistics(name: str, level: str, image: np.ndarray) -> None:
    expected = STATISTICS[f"{name}.{level}"]
    results = [corrupt(image, name, LEVELS[level], seed=seed, pixels="native") for seed in range(RUNS)]
    measured = {
        "mean_bgr": (
            np.array([r.mean((0, 1))[::-1] for r in results]),
            expected["mean_bgr"],
            expected["sd_mean_bgr"],
        ),
        "psnr": (np.array([psnr(r, image) for r in results]), expected["psnr_mean"], expected["psnr_sd"]),
        "changed": (
            np.array([(r != image).any(2).mean() for r in results]),
            expected["changed_share_mean"],
            expected["changed_share_sd"],
        ),
    }
    for what, (values, mean, deviation) in measured.items():
        # Both sides are means of a finite number of runs; the file gives its own to two to four decimals.
        decimals = 5e-5 if what == "changed" else 5e-3
        error = np.sqrt((np.square(deviation) + values.var(axis=0, ddof=1)) / RUNS) + decimals
        assert np.all(abs(values.mean(axis=0) - mean) <= 3 * error), what


@pytest.mark.parametrize("pixels", ["relative", "native"])
@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(96, 96), (1, 1), (1, 40), (37, 5), (300, 700)])
def test_any_size_keeps_shape_and_type(name: str, shape: tuple[int, int], pixels: str) -> None:
    source = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = source.copy()
    for intensity in (0.0, 0.005, 0.5, 1.0):
        result = corrupt(source, name, intensity, pixels=pixels)  # type: ignore[arg-type]
        assert result.shape == source.shape and result.dtype == np.uint8
        assert result.flags.c_contiguous and not np.shares_memory(result, source)
    assert np.array_equal(source, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_seed_decides_the_draw(name: str, small: np.ndarray) -> None:
    again = [corrupt(small, name, 0.6, seed=seed) for seed in (3, 3, 4)]
    assert np.array_equal(again[0], again[1])
    assert np.array_equal(again[0], again[2]) != CORRUPTIONS[name].random


@pytest.mark.parametrize("pixels", ["relative", "native"])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_intensity_zero(name: str, pixels: str, small: np.ndarray) -> None:
    unchanged = np.array_equal(corrupt(small, name, 0, pixels=pixels), small)  # type: ignore[arg-type]
    assert unchanged == CORRUPTIONS[name].identity_at_zero


# Not monotone by definition: colour diffusion brightens again beyond 0.6, and sharpening saturates at once.
@pytest.mark.parametrize("name", [n for n in CORRUPTIONS if n not in ("color_diffusion", "sharpness_change")])
def test_more_intensity_takes_more_away(name: str, small: np.ndarray) -> None:
    grades = [
        np.mean([psnr(corrupt(small, name, i, seed=s), small) for s in range(8)])
        for i in (0.1, 0.23, 0.45, 0.9)
    ]
    assert all(before > after for before, after in zip(grades, grades[1:], strict=False)), grades


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_intensity_from_low_up_changes_the_image(name: str, small: np.ndarray) -> None:
    for intensity in np.linspace(LEVELS["low"], 1, 12):
        assert psnr(corrupt(small, name, float(intensity)), small) < 45


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_relative_equals_native_at_512(name: str, image: np.ndarray) -> None:
    wide = np.array(Image.fromarray(image).resize((512, 384), Image.Resampling.BICUBIC))
    for intensity in LEVELS.values():
        relative, native = (corrupt(wide, name, intensity, seed=2, pixels=p) for p in ("relative", "native"))
        assert np.array_equal(relative, native)


@pytest.mark.parametrize(
    "name",
    [
        *("lens_blur", "motion_blur", "scan_lines", "atmospheric_turbulence", "lens_flare", "dirty_lens"),
        *("block_exchange", "graffiti", "watermark_damage"),
    ],
)
def test_relative_sizes_follow_the_image(name: str, image: np.ndarray) -> None:
    """Shrinking then corrupting is near corrupting then shrinking; with the authors' own pixels it is not."""
    large = np.array(Image.fromarray(image).resize((512, 384), Image.Resampling.BICUBIC))

    def shrink(a: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(a).resize((128, 96), Image.Resampling.BOX))

    for intensity in (0.45, 0.9):
        wanted = shrink(corrupt(large, name, intensity, seed=1))
        relative, native = (
            psnr(corrupt(shrink(large), name, intensity, seed=1, pixels=p), wanted)
            for p in ("relative", "native")
        )
        assert relative > native + 6, (intensity, relative, native)


@pytest.mark.parametrize("direction", ["down", "across"])
def test_blur_beyond_one_block_of_rows(direction: str) -> None:
    """The blocks in which a long axis is filtered leave no seam: an edge stays monotone."""
    source = np.zeros((600, 20, 3), np.uint8)
    source[300:] = 200
    if direction == "across":
        source = source.transpose(1, 0, 2)
    result = corrupt(source, "lens_blur", 0.5).astype(int)
    profile = result[:, 10, 0] if direction == "down" else result[10, :, 0]
    assert (
        np.all(np.diff(profile[150:450]) >= -1)
        and profile[0] == 0
        and profile[-1] == round(200 * (0.65 + 0.45))
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"name": "fog"}, "lens_blur"),
        ({"intensity": 1.2}, "between 0 and 1"),
        ({"intensity": float("nan")}, "between 0 and 1"),
        ({"seed": -1}, "seed"),
        ({"pixels": "big"}, "relative"),
        ({"image": np.zeros((4, 4), np.uint8)}, "(4, 4)"),
        ({"image": np.zeros((4, 4, 3), np.float32)}, "float32"),
        ({"image": np.zeros((0, 4, 3), np.uint8)}, "empty"),
        ({"image": None}, "NoneType"),
    ],
)
def test_refuses_in_a_sentence(arguments: dict[str, object], part: str) -> None:
    given: dict[str, object] = {"image": np.zeros((4, 4, 3), np.uint8), "name": "lens_blur", "intensity": 0.5}
    given |= arguments
    with pytest.raises(Refusal, match=re.escape(part)):
        corrupt(**given)  # type: ignore[arg-type]


def test_a_long_line_blurs_as_a_short_one_does(monkeypatch: pytest.MonkeyPatch, image: np.ndarray) -> None:
    """Beyond some number of taps the correlation goes through Fourier space: the pixels must not tell."""
    direct = corrupt(image, "motion_blur", 0.9, seed=1, pixels="native")
    monkeypatch.setattr(filters, "_TAPS_BEFORE_FOURIER", 0)
    transformed = corrupt(image, "motion_blur", 0.9, seed=1, pixels="native")
    assert abs(direct.astype(int) - transformed).max() <= 1
    assert (direct != transformed).mean() < 1e-3


def test_a_label_inside_a_sentence_keeps_names_as_they_are_written() -> None:
    found = {
        name: CORRUPTIONS[name].within for name in ("dark_illumination", "jpeg_compression", "gaussian_noise")
    }
    assert list(found.values()) == ["darkness", "JPEG compression", "Gaussian noise"]
