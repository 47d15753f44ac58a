"""What scenes are made of: photographic texture, handwritten digits and colours.

Photographs come from scikit-image and scikit-learn, digits from scikit-learn's copy of the UCI handwritten
digits; only files that those packages install are read, nothing is downloaded.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal

Array = NDArray[np.float32]

PAINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.11, 0.13),
    "green": (0.13, 0.60, 0.20),
    "blue": (0.13, 0.29, 0.88),
    "yellow": (0.98, 0.86, 0.12),
    "purple": (0.53, 0.16, 0.72),
    "orange": (0.98, 0.49, 0.05),
    "cyan": (0.12, 0.80, 0.86),
    "white": (0.96, 0.96, 0.95),
}
"""The colours of objects, sRGB in 0..1, chosen to stay apart under shading and haze."""

LIGHT_PAINTS = ("yellow", "orange", "cyan", "white")
"""Colours whose stripes, dots and digits are dark; the others carry pale ones."""

PHOTOGRAPHS = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "moon", "rocket")
"""Pictures that scikit-image installs with itself, by file name without ending."""

SAMPLE_IMAGES = ("china.jpg", "flower.jpg")
"""Pictures that scikit-learn installs with itself."""

_DIGIT_SHARES = {"train": (0.0, 0.65), "validation": (0.65, 0.8), "test": (0.8, 1.0)}


def _read_photographs() -> list[NDArray[np.uint8]]:
    import skimage
    import sklearn
    from PIL import Image

    shipped = Path(skimage.__file__).parent / "data"
    samples = Path(sklearn.__file__).parent / "datasets" / "images"
    paths = [next(iter(sorted(shipped.glob(f"{name}.*"))), shipped / name) for name in PHOTOGRAPHS]
    paths += [samples / name for name in SAMPLE_IMAGES]
    pictures = []
    for path in paths:
        if not path.is_file():
            raise Refusal(
                f"Scenes need the picture {path.name!r} that scikit-image or scikit-learn installs, and it "
                "is missing. Reinstall both packages with: make install"
            )
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    return pictures


@lru_cache(maxsize=4)
def photographs(size: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The photographs as texture for pictures of `size` pixels: upright, and flattened to lie on the ground.

    Each is resized so that its short side is 1.7 times the size (flattened: heights times 0.6, never under
    the size), softened, and given as its difference from its own mean colour, float32 (height, width, 3), in
    its own standard deviations, at most two of them.
    """
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    upright: list[Array] = []
    flattened: list[Array] = []
    for pixels in _read_photographs():
        height, width = pixels.shape[:2]
        scale = 1.7 * size / min(height, width)
        for bank, squeeze in ((upright, 1.0), (flattened, 0.6)):
            wanted = (max(size + 1, round(width * scale)), max(size + 1, round(height * scale * squeeze)))
            small = np.asarray(Image.fromarray(pixels).resize(wanted, Image.Resampling.BOX), np.float32) / 255
            # Softened: fine grain would cost an autoencoder more than the objects do.
            small = gaussian_filter(small, (0.022 * size * squeeze, 0.022 * size, 0))
            small = small - small.mean(axis=(0, 1))
            bank.append(np.ascontiguousarray(np.clip(small / small.std(), -2.0, 2.0), np.float32))
    return tuple(upright), tuple(flattened)


@lru_cache(maxsize=1)
def _digits() -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(7).permutation(len(data.target))
    return (data.images / 16).astype(np.float32), data.target, order


@lru_cache(maxsize=3)
def digit_pool(split: str) -> tuple[NDArray[np.int64], ...]:
    """For each digit 0..9 the indices of the images that `split` may use. No image serves two splits."""
    _, target, order = _digits()
    low, high = _DIGIT_SHARES[split]
    mine = order[int(low * len(order)) : int(high * len(order))]
    return tuple(np.sort(mine[target[mine] == digit]) for digit in range(10))


def digit_images(indices: NDArray[np.int64]) -> Array:
    """The 8x8 digit images at these indices, float32 (len, 8, 8), ink 1, paper 0."""
    return _digits()[0][indices]
