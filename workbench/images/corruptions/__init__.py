"""MMD-Bench's corruptions, with the intensity as a number in 0..1.

Source of the definitions: CLEAR (arXiv 2604.04780), Table 7 and appendix B, and the parameters of the
authors' public code (kernel sizes, weights, counts, roundings), re-implemented without OpenCV: 16 kinds in
four categories, a file each. The benchmark's three severities are the intensities in ``LEVELS``.

Pixel sizes. ``pixels="native"`` takes kernel sizes, standard deviations, radii, amplitudes and periods in
pixels as the authors do, whatever the size of the image. ``pixels="relative"`` multiplies them by (long side
of the image) / 512, so that a picture of 96 pixels loses as much of what it shows as the same picture at 512
would. What then falls below one pixel acts by the share of a pixel that it covers: a motion kernel shorter
than a pixel mixes in the neighbours by its overlap with them, a scan line thinner than a row darkens that row
partly, a drawn line tints what it covers, a Gaussian keeps an odd kernel of at least 3 taps and its small
standard deviation. Noise, darkness, saturation, sharpening (a stencil of one pixel) and JPEG (the format's
blocks of 8 pixels) have no pixel size to scale.

Intensity 0. The formulas give the image back unchanged for all but motion_blur (the shortest line has 5
pixels), jpeg_compression (quality 100 still rounds), mean_shift (the coarse level is rounded), hsv_saturation
(a round trip through 8-bit HSV), scan_lines (a line every 200 rows), sharpness_change (0.7 of the image and
nothing added). ``Corruption.identity_at_zero`` says which.

Where the authors' code fails and hands back the clean image, ours goes on: a rectangle of watermark_damage
stands at the edge of an image smaller than it, and blocks of block_exchange are at most half of the long
side. What draws nothing by the formula (graffiti below 0.1, block_exchange below 0.03) leaves the image as it
is; a word of graffiti stands only in an image that is high enough for it.

Arrays are uint8 (H, W, 3) in RGB. Rounding follows the authors' code step by step: filters, noise and layers
are truncated to whole levels, OpenCV's weighted sums go to the nearest (halves to even), all saturate.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.images.corruptions import capture, environment, imagenet_c, postprocessing, transmission
from workbench.images.corruptions.filters import Bytes

Pixels = Literal["relative", "native"]
Category = Literal["capture", "transmission", "environment", "post-processing", "ImageNet-C"]

LEVELS: dict[str, float] = {"low": 0.23, "mid": 0.45, "high": 0.9}
REFERENCE_SIDE = 512


@dataclass(frozen=True)
class Corruption:
    """One corruption.

    ``function(image, intensity, generator, scale)`` returns a new uint8 image of the same shape; ``scale``
    multiplies pixel sizes (1 = the authors'). ``random`` tells whether the generator is used.
    """

    name: str
    label: str
    category: Category
    random: bool
    function: Callable[[Bytes, float, np.random.Generator, float], Bytes]
    identity_at_zero: bool

    @property
    def within(self) -> str:
        """The label inside a sentence: "darkness", but "JPEG compression"."""
        named = self.label.startswith(("JPEG", "Gaussian"))
        return self.label if named else self.label[0].lower() + self.label[1:]


def corrupt(
    image: NDArray[np.uint8], name: str, intensity: float, *, seed: int = 0, pixels: Pixels = "relative"
) -> NDArray[np.uint8]:
    """Corrupt an image; the same arguments always give the same pixels.

    Args:
        image: uint8 (H, W, 3), RGB.
        name: a key of ``CORRUPTIONS``.
        intensity: 0..1; ``LEVELS`` has MMD-Bench's three.
        seed: 0 or more; with the name it fixes the random draw of those that draw.
        pixels: see the module's text.

    Raises:
        Refusal: unknown name, intensity outside 0..1, negative seed or an array that is not an image. The
            clean image never comes back in place of a corrupted one.
    """
    corruption = CORRUPTIONS.get(name)
    if corruption is None:
        raise Refusal(f"There is no corruption called “{name}”. Choose one of {', '.join(CORRUPTIONS)}.")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise Refusal(f"A corruption needs a uint8 array of shape (height, width, 3), but got {found}.")
    if min(image.shape) == 0:
        raise Refusal("A corruption needs an image of at least one pixel, but this one is empty.")
    intensity = float(intensity)
    if not 0.0 <= intensity <= 1.0:
        raise Refusal(f"The intensity of a corruption lies between 0 and 1, but {intensity} was given.")
    if seed < 0:
        raise Refusal(f"The seed must be 0 or more, but {seed} was given.")
    if pixels not in ("relative", "native"):
        raise Refusal(f"Pixel sizes are “relative” or “native”, but “{pixels}” was given.")
    scale = max(image.shape[:2]) / REFERENCE_SIDE if pixels == "relative" else 1.0
    generator = np.random.default_rng((int(seed), zlib.crc32(name.encode())))
    return corruption.function(image, intensity, generator, scale)


CORRUPTIONS: dict[str, Corruption] = {
    entry.name: entry
    for entry in (
        Corruption("lens_blur", "Lens blur", "capture", False, capture.lens_blur, True),
        Corruption("motion_blur", "Motion blur", "capture", True, capture.motion_blur, False),
        Corruption("lens_flare", "Lens flare", "capture", True, capture.lens_flare, True),
        Corruption("dirty_lens", "Dirty lens", "capture", True, capture.dirty_lens, True),
        Corruption("hsv_saturation", "Saturation loss", "capture", False, capture.hsv_saturation, False),
        Corruption(
            "jpeg_compression",
            "JPEG compression",
            "transmission",
            False,
            transmission.jpeg_compression,
            False,
        ),
        Corruption(
            "block_exchange", "Exchanged blocks", "transmission", True, transmission.block_exchange, True
        ),
        Corruption("mean_shift", "Mean shift", "transmission", False, transmission.mean_shift, False),
        Corruption("scan_lines", "Scan lines", "transmission", False, transmission.scan_lines, False),
        Corruption(
            "dark_illumination", "Darkness", "environment", False, environment.dark_illumination, True
        ),
        Corruption(
            "atmospheric_turbulence", "Turbulence", "environment", False, environment.turbulence, True
        ),
        Corruption("gaussian_noise", "Gaussian noise", "environment", True, environment.gaussian_noise, True),
        Corruption(
            "color_diffusion", "Colour diffusion", "environment", False, environment.color_diffusion, True
        ),
        Corruption(
            "sharpness_change", "Sharpening", "post-processing", False, postprocessing.sharpness_change, False
        ),
        Corruption("graffiti", "Graffiti", "post-processing", True, postprocessing.graffiti, True),
        Corruption(
            "watermark_damage",
            "Watermark damage",
            "post-processing",
            True,
            postprocessing.watermark_damage,
            True,
        ),
    )
}
MMD_BENCH = tuple(CORRUPTIONS)
"""The sixteen of the benchmark. ImageNet-C's follow in ``CORRUPTIONS`` where their library is installed."""
if imagenet_c.installed():
    CORRUPTIONS |= {
        f"imagenet_c_{name}": Corruption(
            f"imagenet_c_{name}",
            f"{name.replace('_', ' ').capitalize().replace('Jpeg', 'JPEG')}, ImageNet-C",
            "ImageNet-C",
            name in imagenet_c.DRAWS,
            imagenet_c.function(name),
            True,
        )
        for name in imagenet_c.NAMES
    }
