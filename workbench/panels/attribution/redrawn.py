"""What a drawing rests on: parts of the image are taken away, and the model draws again from equal noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.attribution.regions import onto_cells
from workbench.errors import Refusal
from workbench.models.protocol import Capability, Grid, Model, Sampling, VisualState, never
from workbench.panels.attribution.case import Case, Floats, Image
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.halving import Halving
from workbench.panels.attribution.target import Spoken, Target
from workbench.panels.needs import missing

DRAWING = "the drawing"


class Redrawn(Case):
    """A case whose rows are no words: for each cell of the drawing how far it moved. Ours.

    A number is the negative mean squared difference to the drawing from the whole image, of channels 0 to 1.
    A row is a drawing: the model thinks and, whatever it would decide, draws, from the same noise.

    drawn: from the whole image, uint8 (H, W, 3). patch: the cell that has a map of its own; where none was
    chosen, the one that moves most with nothing of the image left.
    """

    drawn: Image
    patch: int

    def __init__(
        self,
        model: Model,
        image: Image,
        config: AttributionConfig,
        *,
        regions: NDArray[np.int64] | None = None,
        stop: Callable[[], bool] = never,
        whole: Redrawn | None = None,
    ) -> None:
        if reason := missing(model.card, frozenset({Capability.INTERLEAVES})):
            raise Refusal(reason)
        unspoken = Spoken(DRAWING, "", (), ())
        super().__init__(model, image, unspoken, config, regions=regions, stop=stop, batches=Halving(1))
        if whole is not None:
            self.drawn, self.patch = whole.drawn, whole.patch
            self.spoken = replace(whole.spoken, targets=whole.spoken.targets[:1])
            return
        self.drawn = self._draw(image)
        (emptied,) = self.rows([self.baseline])
        self.patch = _cell(config.patch, self.grid) if config.patch else int(emptied.argmin())
        self.spoken = replace(unspoken, targets=self._targets(emptied))

    def of(self, image: Image) -> Case:
        """The drawing from the whole image against those from another one of the same size."""
        other = Redrawn(self.model, image, self.config, regions=self.given, stop=self.stop, whole=self)
        other.heard = self.heard
        return other

    @property
    def pictures(self) -> dict[str, Image]:
        """The drawing, too."""
        return {**super().pictures, "drawing": self.drawn}

    @property
    def outlines(self) -> dict[str, NDArray[np.bool_]]:
        """Where on the drawing the patch lies."""
        left, top, right, bottom = np.rint(self._boxes()[self.patch]).astype(int)
        found = np.zeros(self.drawn.shape[:2], bool)
        found[top:bottom, left:right] = True
        return {"patch": found}

    def _asked(self, images: Sequence[Image]) -> Floats:
        return np.stack([self._moved(self._draw(image)) for image in images])

    def _draw(self, image: Image) -> Image:
        settings = Sampling(
            steps=self.config.drawing_steps,
            seed=self.config.seed,
            restore="always",
            max_new_tokens=self.config.max_new_tokens,
        )
        events = self.model.branched(image, self.question, settings, watched=False, stop=self.stop)
        for event in events:
            if isinstance(event, VisualState) and event.step == event.steps:
                return event.image
        raise Refusal("The model drew nothing here, so there is no drawing to explain.")

    def _moved(self, drawing: Image) -> Floats:
        if drawing.shape != self.drawn.shape:
            raise Refusal(f"{self.model.card.id} drew pictures of two sizes, which are not compared.")
        apart = ((drawing.astype(np.float64) - self.drawn) / 255) ** 2
        each = np.arange(apart.shape[0] * apart.shape[1]).reshape(apart.shape[:2])
        return -np.nan_to_num(onto_cells(each, apart.mean(axis=2).ravel(), self._boxes()))

    def _boxes(self) -> Floats:
        """The map's cells laid over the drawing, in its pixels."""
        down, across = np.divide(self.drawn.shape[:2], self.image.shape[:2])
        return np.asarray(self.grid.boxes, np.float64) * np.array([across, down, across, down])

    def _targets(self, emptied: Floats) -> tuple[Target, ...]:
        """All of the drawing, and the patch; each knows how far it moves with nothing of the image left."""
        row, column = divmod(self.patch, self.grid.cols)
        weights = {
            DRAWING: np.full(self.cells, 1 / self.cells),
            f"patch {row}, {column}": np.eye(self.cells)[self.patch],
        }
        found = [Target(text, weight, far=float(emptied @ weight)) for text, weight in weights.items()]
        if still := [target.text for target in found if target.far == 0]:
            raise Refusal(
                f"Of {still[0]} nothing moves where all of the image is taken away: it does not rest on it."
            )
        return tuple(found)


def _cell(patch: Sequence[int], grid: Grid) -> int:
    row, column = patch
    if row >= grid.rows or column >= grid.cols:
        raise Refusal(
            f"There is no patch {row}, {column}: rows are 0 to {grid.rows - 1}, columns 0 to {grid.cols - 1}."
        )
    return row * grid.cols + column
