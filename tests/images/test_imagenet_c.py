"""ImageNet-C's corruptions, where their library is installed."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import Refusal
from workbench.images.corruptions import CORRUPTIONS, MMD_BENCH, corrupt, imagenet_c

library = pytest.importorskip("imagecorruptions")
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)


def test_all_of_the_library_is_there_but_for_what_cannot_be_seeded() -> None:
    assert set(library.get_corruption_names("all")) - set(imagenet_c.NAMES) == {"impulse_noise"}
    assert set(CORRUPTIONS) == {*MMD_BENCH, *(f"imagenet_c_{name}" for name in imagenet_c.NAMES)}


@pytest.mark.parametrize("name", imagenet_c.NAMES)
def test_the_seed_decides_and_the_global_state_stays(name: str) -> None:
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    one, same, other = (corrupt(IMAGE, f"imagenet_c_{name}", 0.6, seed=seed) for seed in (1, 1, 2))
    assert one.shape == IMAGE.shape and one.dtype == np.uint8 and not np.array_equal(one, IMAGE)
    assert np.array_equal(one, same)
    assert np.array_equal(one, other) != (name in imagenet_c.DRAWS)
    assert np.array_equal(np.random.get_state()[1], before)
    assert np.array_equal(corrupt(IMAGE, f"imagenet_c_{name}", 0.0), IMAGE)


def test_an_intensity_is_one_of_five_severities() -> None:
    for intensity, severity in ((0.01, 1), (0.2, 1), (0.21, 2), (0.9, 5), (1.0, 5)):
        wanted = library.corrupt(IMAGE, corruption_name="contrast", severity=severity)
        assert np.array_equal(corrupt(IMAGE, "imagenet_c_contrast", intensity), wanted)


def test_what_is_too_small_is_refused() -> None:
    with pytest.raises(Refusal, match="32 pixels"):
        corrupt(IMAGE[:20], "imagenet_c_fog", 0.5)
