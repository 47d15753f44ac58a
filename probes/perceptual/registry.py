"""The measures by name: what each says, in which direction and range, and where it is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    Score = Callable[[Tensor, Tensor], Tensor]

NATIVE = "at the size given"


@dataclass(frozen=True)
class Measure:
    """One measure of how near a picture is to another.

    name: as a command calls it; title: as a table does. better: which direction is. low, high: ends of the
    values it can take. channels: what of the colours it reads; resize: what it does to the size by itself.
    source: paper and section. least: pixels of the shortest side it is defined for. structure: whether it is
    undefined against a reference of one colour. trunk: of `trunks.TRUNKS`, whose weights it needs, or none.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    low: float
    high: float
    channels: str
    resize: str
    source: str
    least: int = 1
    unit: str = ""
    structure: bool = False
    trunk: str = ""

    @property
    def arrow(self) -> str:
        """The direction in one character."""
        return "↑" if self.better == "higher" else "↓"


INFINITY = float("inf")
SSIM = Measure(
    "ssim",
    "SSIM",
    "higher",
    -1,
    1,
    "red, green and blue, averaged",
    NATIVE,
    "Wang et al., IEEE TIP 13(4), 2004, eq. 13",
    least=11,
)
MEASURES = {
    each.name: each
    for each in (
        Measure(
            "psnr",
            "PSNR",
            "higher",
            0,
            INFINITY,
            "red, green and blue together",
            NATIVE,
            "10 log10(255² / mean squared error)",
            unit="dB",
        ),
        SSIM,
        Measure(
            "ms-ssim",
            "MS-SSIM",
            "higher",
            0,
            1,
            "red, green and blue, averaged",
            "five scales from the size given, each half the last",
            "Wang et al., Asilomar 2003, eq. 7",
            least=176,
        ),
        Measure(
            "gmsd",
            "GMSD",
            "lower",
            0,
            0.5,
            "brightness (Rec. 601)",
            "means of 2 × 2 pixels",
            "Xue et al., IEEE TIP 23(2), 2014, eq. 4-6",
            least=16,
        ),
        Measure(
            "fsim",
            "FSIMc",
            "higher",
            0,
            1,
            "brightness and two colour planes (YIQ)",
            "averaged down to a shorter side of about 256 pixels where it is longer",
            "Zhang et al., IEEE TIP 20(8), 2011, eq. 4-9",
            least=16,
            structure=True,
        ),
        Measure(
            "vif",
            "VIFp",
            "higher",
            0,
            INFINITY,
            "brightness (Rec. 601)",
            "four scales from the size given, each half the last",
            "Sheikh and Bovik, IEEE TIP 15(2), 2006, in pixels",
            least=41,
            structure=True,
        ),
        Measure(
            "haarpsi",
            "HaarPSI",
            "higher",
            0,
            1,
            "brightness and two colour planes (YIQ)",
            "means of 2 × 2 pixels",
            "Reisenhofer et al., Signal Processing: Image Communication 61, 2018, eq. 10-12",
            least=16,
            structure=True,
        ),
        *(
            Measure(
                f"lpips-{trunk}",
                f"LPIPS ({label})",
                "lower",
                0,
                INFINITY,
                "red, green and blue",
                NATIVE,
                "Zhang et al., CVPR 2018, eq. 1, version 0.1",
                least=32,
                trunk=trunk,
            )
            for trunk, label in (("alex", "AlexNet"), ("vgg", "VGG16"), ("squeeze", "SqueezeNet"))
        ),
        Measure(
            "dists",
            "DISTS",
            "lower",
            0,
            1,
            "red, green and blue",
            "the shorter side made 256 pixels, bilinear, where it is longer",
            "Ding et al., IEEE TPAMI 44(5), 2022, eq. 5-8",
            least=32,
            trunk="vgg",
        ),
    )
}


def score(name: str) -> Score:
    """The function of a measure without learned weights: (pictures, references) to (N,); not of PSNR.

    Raises:
        KeyError: it is none of those.
    """
    from probes.perceptual import gradients, information, phase, structure, wavelets

    return {
        "ssim": structure.ssim,
        "ms-ssim": structure.ms_ssim,
        "gmsd": gradients.gmsd,
        "fsim": phase.fsim,
        "vif": information.vif,
        "haarpsi": wavelets.haarpsi,
    }[name]
