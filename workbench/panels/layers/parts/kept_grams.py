"""What a result keeps so that it can be compared with another: Gram matrices of rows that both show.

Results of two checkpoints, or of one in two conditions, are compared without a model (`between.py`). Of
states their products are kept, a block of rows at a time: that is all linear CKA asks for, and it does not
grow with the width. Which rows, and how many, is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from probes.alignment import packed_gram
from workbench.capture.hidden import Captured
from workbench.datasets.collection import Split
from workbench.panels.layers.parts.part import Arrays, Grown, Part, Seen, Subject
from workbench.panels.layers.table import Row
from workbench.panels.layers.tokens_in_cells import tokens_in_cells

NOBODY = -1
"""In place of a row's image where there is none."""


@dataclass(frozen=True)
class Layout:
    """How rows lie in blocks.

    images: in a block. rows: of each image. most: images of which rows are kept.
    """

    images: int
    rows: int
    most: int

    @property
    def size(self) -> int:
        """Rows of a block."""
        return self.images * self.rows

    def of(self, blocks: int) -> np.ndarray:
        """The image of each row, (blocks, size)."""
        return np.repeat(np.arange(blocks * self.images), self.rows).reshape(blocks, self.size)


POOLED = Layout(images=16, rows=1, most=512)
"""Mean-pooled tokens."""
TOKENS = Layout(images=8, rows=8, most=256)
"""Single tokens, the same cells of an image wherever its grid is the same."""
PICTURE = 4
"""Blocks of tokens of a picture that is measured alone."""
COMPARED = ("place", "image", "rows", "cols")
"""Columns of the table "compared"."""
LAYOUTS = {"images": POOLED, "tokens": TOKENS}


class KeptGrams(Part):
    """Gram matrices of the first test images at every stage, of their pooled tokens and of single ones."""

    splits = ("test",)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        count = min(self.config.n_test, self.collection.count("test"))
        self.grams: Arrays = {}
        for level, layout in LAYOUTS.items():
            blocks = -(-min(count, layout.most) // layout.images)
            shape = (len(self.axis), blocks, layout.size * (layout.size - 1) // 2)
            self.grams[level] = np.full(shape, np.nan, np.float32)
        self.waiting: dict[str, np.ndarray] = {}
        """Rows of blocks that are not whole yet, (size, width) by level, stage and block."""
        self.about = Grown()

    def take(self, split: Split, seen: Seen) -> None:
        """Keep rows of the test images; a block's rows go once their products are taken."""
        grid = seen.captured.grid
        for sample in seen.batch.samples:
            row = [sample.place, number_of(sample.pixels), grid.rows, grid.cols]
            self.about.add("about", np.array([row], dtype=np.int64))
        places = [sample.place for sample in seen.batch.samples]
        for i, states in enumerate(seen.captured.states):
            for place, pooled in zip(places, states.mean(axis=1, dtype=np.float32), strict=True):
                self._add("images", i, place, pooled[None])
        for i, cells in seen.cells.items():
            for place, tokens in zip(places, cells, strict=True):
                self._add("tokens", i, place, tokens[chosen(place, len(tokens), TOKENS.rows)])

    def bytes_of(self, split: Split) -> int:
        """A row of the table "compared"; products are of the first images alone."""
        return 8 * len(COMPARED)

    def _add(self, level: str, stage: int, place: int, rows: np.ndarray) -> None:
        layout = LAYOUTS[level]
        block, within = divmod(place, layout.images)
        if block >= self.grams[level].shape[1]:
            return
        key = f"{level}/{stage}/{block}"
        if key not in self.waiting:
            self.waiting[key] = np.full((layout.size, rows.shape[1]), np.nan, np.float32)
        at = within * layout.rows
        self.waiting[key][at : at + len(rows)] = rows
        if np.isfinite(self.waiting[key][:, 0]).all():
            self._close(key)

    def _close(self, key: str) -> None:
        level, stage, block = key.split("/")
        self.grams[level][int(stage), int(block)] = packed_gram(self.waiting.pop(key))

    def end(self, split: Split) -> None:
        """Blocks that stay with fewer rows, where images were skipped."""
        for key in list(self.waiting):
            self._close(key)

    def held(self) -> Arrays:
        """The products, and the rows that wait."""
        waiting = {f"waiting/{key}": rows for key, rows in self.waiting.items()}
        grams = {f"grams/{level}": grams for level, grams in self.grams.items()}
        return {**grams, **waiting, **self.about.held()}

    def restore(self, held: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self.grams = {level: np.array(held[f"grams/{level}"]) for level in LAYOUTS}
        self.waiting = {
            key.removeprefix("waiting/"): np.array(rows)
            for key, rows in held.items()
            if key.startswith("waiting/")
        }
        if "about" in held:
            self.about.restore({"about": held["about"]})

    def tables(self) -> dict[str, list[Row]]:
        """The images of the rows."""
        return {"compared": _rows(self.about.whole("about"))}

    def arrays(self) -> Arrays:
        """The products and whose they are."""
        found: Arrays = {}
        for level, grams in self.grams.items():
            found |= _named(level, grams, LAYOUTS[level].of(grams.shape[1]))
        return found


def kept_of(captured: Captured, pixels: np.ndarray) -> tuple[list[Row], Arrays]:
    """The same of a picture that is measured alone: the table "compared" and the arrays."""
    size = TOKENS.size
    cells = {i: tokens[0] for i, tokens in tokens_in_cells(captured).items()}
    count = max((len(tokens) for tokens in cells.values()), default=0)
    taken = chosen(0, count, PICTURE * size)
    blocks = -(-len(taken) // size)
    grams = np.full((len(captured.stages), blocks, size * (size - 1) // 2), np.nan, np.float32)
    whose = np.full((blocks, size), NOBODY)
    whose.ravel()[: len(taken)] = 0
    for i, tokens in cells.items():
        rows = np.full((blocks * size, tokens.shape[1]), np.nan, np.float32)
        rows[: len(taken)] = tokens[taken]
        grams[i] = [packed_gram(block) for block in rows.reshape(blocks, size, -1)]
    about = np.array([[0, number_of(pixels), captured.grid.rows, captured.grid.cols]])
    return _rows(about), _named("tokens", grams, whose)


def chosen(place: int, count: int, most: int) -> np.ndarray:
    """Up to `most` of an image's cells, the same ones for every model that cuts it into as many."""
    mixed = np.random.default_rng([place, count]).permutation(count)
    return np.asarray(mixed[:most])


def number_of(pixels: np.ndarray) -> int:
    """A whole number that differs where an image does."""
    digest = hashlib.sha256(f"{pixels.shape}\0".encode() + np.ascontiguousarray(pixels).tobytes())
    return int.from_bytes(digest.digest()[:7], "big")


def _rows(about: np.ndarray) -> list[Row]:
    return [dict(zip(COMPARED, row, strict=True)) for row in about[np.argsort(about[:, 0])].tolist()]


def _named(level: str, grams: np.ndarray, whose: np.ndarray) -> Arrays:
    return {f"gram_{level}": grams, f"gram_{level}_of": whose}
