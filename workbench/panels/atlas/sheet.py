"""All pictures of an atlas on one sheet, from which the page cuts the patch that a point stands for."""

from __future__ import annotations

import math

import numpy as np

ROOM = 1_500_000
"""Pixels of a sheet, about: what a browser gets at once."""


class Sheet:
    """A sheet for so many pictures, smaller ones as they are and larger ones reduced to their share of it."""

    def __init__(self, count: int) -> None:
        self.side = max(8, math.isqrt(ROOM // count))
        self.columns = math.ceil(math.sqrt(count))
        self.cells: list[np.ndarray] = []

    def add(self, pixels: np.ndarray) -> int:
        """Lay a picture, uint8 (H, W, 3), on the sheet; its number."""
        height, width = pixels.shape[:2]
        if (longest := max(height, width)) > self.side:
            from PIL import Image

            size = (max(1, width * self.side // longest), max(1, height * self.side // longest))
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
        self.cells.append(np.array(pixels))
        return len(self.cells) - 1

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """The sheet, uint8 (H, W, 3), and where each picture lies on it: left, top, width, height."""
        side = max(max(cell.shape[:2]) for cell in self.cells)
        across = min(self.columns, len(self.cells))
        down = -(-len(self.cells) // across)
        if len(self.cells) == 1:
            return self.cells[0], np.array([[0, 0, self.cells[0].shape[1], self.cells[0].shape[0]]])
        sheet = np.zeros((down * side, across * side, 3), np.uint8)
        places = []
        for number, cell in enumerate(self.cells):
            top, left = (side * place for place in divmod(number, across))
            height, width = cell.shape[:2]
            sheet[top : top + height, left : left + width] = cell
            places.append((left, top, width, height))
        return sheet, np.array(places)
