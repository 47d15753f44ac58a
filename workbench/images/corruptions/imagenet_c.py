"""ImageNet-C's common corruptions, through ``imagecorruptions-imaug`` where a person has installed it.

D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019. An intensity above 0 is one of the five severities, ``ceil(5 i)``; 0 leaves the
image as it is. Sizes are in pixels, made for images of 224, and are never scaled. The library draws from
numpy's global random state, which is seeded for the call and put back after it; ``impulse_noise`` is left
out, since the library gives no way to seed it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from workbench.errors import Refusal
from workbench.images.corruptions.filters import Bytes

NAMES = (
    *(
        "gaussian_noise",
        "shot_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
    ),
    *("fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise"),
    *("gaussian_blur", "spatter", "saturate"),
)
DRAWS = frozenset(
    ("gaussian_noise", "shot_noise", "glass_blur", "motion_blur", "snow", "frost", "fog", "elastic_transform")
    + ("speckle_noise", "spatter")
)
"""Those that draw at random."""
SMALLEST = 32
"""Pixels of a side that the library takes at least."""
_SEEDING = threading.Lock()


def installed() -> bool:
    """Whether the library is there; it is not imported."""
    return find_spec("imagecorruptions") is not None


def function(name: str) -> Callable[[Bytes, float, np.random.Generator, float], Bytes]:
    """One of NAMES as a corruption's function."""

    def corrupted(image: Bytes, intensity: float, generator: np.random.Generator, _: float) -> Bytes:
        if min(image.shape[:2]) < SMALLEST:
            raise Refusal(f"ImageNet-C's corruptions need images of at least {SMALLEST} pixels a side.")
        if intensity == 0:
            return image.copy()
        from imagecorruptions import corrupt

        severity, seed = math.ceil(5 * intensity), int(generator.integers(2**31))
        with _SEEDING:
            before = np.random.get_state()  # noqa: NPY002 - the library knows no other
            np.random.seed(seed)  # noqa: NPY002
            try:
                own = {"seed": seed} if name == "glass_blur" else {}
                found = corrupt(image, corruption_name=name, severity=severity, **own)
            finally:
                np.random.set_state(before)  # noqa: NPY002
        return np.ascontiguousarray(found, dtype=np.uint8)

    return corrupted
