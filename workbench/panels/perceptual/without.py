"""Measures that need no reference: those of pyiqa, for people who have installed it themselves.

pyiqa is under the PolyForm Noncommercial licence 1.0.0 and, in parts, the NTU S-Lab licence 1.0, both for
non-commercial use only. So it is no part of the workbench and is imported only where one of these is asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, util
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import Refusal

if TYPE_CHECKING:
    import numpy as np

LICENCE = "pyiqa: PolyForm Noncommercial 1.0.0 and S-Lab 1.0, for non-commercial use only"


@dataclass(frozen=True)
class Unreferenced:
    """One measure of a picture alone; low and high: ends of its values, as pyiqa states them."""

    name: str
    title: str
    better: Literal["higher", "lower"]
    low: float
    high: float
    source: str

    @property
    def arrow(self) -> str:
        """The direction in one character."""
        return "↑" if self.better == "higher" else "↓"


WITHOUT = {
    each.name: each
    for each in (
        Unreferenced("brisque", "BRISQUE", "lower", 0, 150, "Mittal et al., IEEE TIP 21(12), 2012"),
        Unreferenced("niqe", "NIQE", "lower", 0, 100, "Mittal et al., IEEE SPL 20(3), 2013"),
        Unreferenced("musiq", "MUSIQ", "higher", 0, 100, "Ke et al., ICCV 2021"),
    )
}


def installed() -> bool:
    """Whether pyiqa is there; imports nothing."""
    return util.find_spec("pyiqa") is not None


def version() -> str:
    """Of pyiqa, which decides its weights."""
    try:
        return f"pyiqa {metadata.version('pyiqa')}"
    except metadata.PackageNotFoundError:
        return "pyiqa"


def opened(name: str) -> Any:
    """The measure as pyiqa makes it; some of its measures fetch weights of their own.

    Raises:
        Refusal: pyiqa is not installed, or cannot make it.
    """
    title = WITHOUT[name].title
    if not installed():
        raise Refusal(
            f"{title} needs pyiqa, which is not part of the workbench: its licence allows non-commercial use "
            "only. Where that suits you, pip install pyiqa."
        )
    try:
        import pyiqa

        return pyiqa.create_metric(name, device="cpu")
    except Exception as error:  # It imports much and fetches weights; whatever fails there is not ours.
        said = str(error).partition("\n")[0]
        raise Refusal(f"pyiqa cannot make {title} here ({type(error).__name__}: {said}).") from error


def score(metric: Any, pixels: np.ndarray) -> float:
    """The measure of one picture, uint8 (H, W, 3)."""
    import torch

    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(torch.float32) / 255
    with torch.inference_mode():
        return float(metric(picture).reshape(-1)[0])
