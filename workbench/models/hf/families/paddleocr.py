"""PaddleOCR-VL: its tower keeps patches row by row; only its projector puts those side by side it merges."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from workbench.models.hf.family import Family


class PaddleOCR(Family):
    """Patches at the image's own resolution."""

    model_types: ClassVar[tuple[str, ...]] = ("paddleocr_vl",)

    def merged_order(self, rows: int, cols: int) -> Tensor:
        """Each patch at its own place."""
        return torch.arange(rows * cols)
