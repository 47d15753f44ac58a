"""One image, one question, one answer: everything that a method may ask about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import go_on
from workbench.models.origins import whole
from workbench.models.protocol import Grid, Model, Prompt, View, never
from workbench.panels.attribution.baselines import baseline
from workbench.panels.attribution.config import AttributionConfig
from workbench.panels.attribution.halving import Halving
from workbench.panels.attribution.target import Spoken

if TYPE_CHECKING:
    from torch import Tensor

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Inside:
    """A prompt in which the image that is explained stands among others: after a drawing, the drawing.

    prompt: one sequence. image: which of its images. at: where its pixels begin among those of all, along the
    axis after the batch's.
    """

    prompt: Prompt
    image: int
    at: int

    def placed(self, pixels: Tensor, among: Tensor) -> Tensor:
        """All images' pixels, (1, …), with these (B, …) in the image's place: (B, …)."""
        import torch

        all_ = among.expand(len(pixels), *among.shape[1:])
        own = pixels.to(all_)
        return torch.cat([all_[:, : self.at], own, all_[:, self.at + own.shape[1] :]], dim=1)

    def seeing(self, model: Model, pixels: Tensor) -> Prompt:
        """The prompt with these pixels in the image's place, once for each of their rows."""
        return model.seeing(self.prompt, self.placed(pixels, model.pixels(self.prompt)))


def unheard(passes: int) -> None:
    """Progress that nobody hears."""


class Case:
    """What is explained, and how the model is asked about it.

    passes: how many images the model has looked at. heard: told each time how many it just looked at.
    """

    def __init__(
        self,
        model: Model,
        image: Image,
        spoken: Spoken,
        config: AttributionConfig,
        *,
        question: str = "",
        regions: NDArray[np.int64] | None = None,
        inside: Inside | None = None,
        stop: Callable[[], bool] = never,
        batches: Halving | None = None,
    ) -> None:
        self.model, self.image, self.spoken, self.config = model, image, spoken, config
        self.question = question or config.question
        self.given, self.stop = regions, stop
        self.batches = batches or Halving(config.batch)
        self.inside = inside
        if inside is None:
            self.prompt = model.prepare([image], self.question)
        else:
            self.prompt = inside.seeing(model, self.read(image))
        self.baseline = baseline(image, config.baseline)
        self.passes = 0
        self.heard: Callable[[int], None] = unheard
        self._rows: dict[bytes, Floats] = {}

    def of(self, image: Image) -> Case:
        """The same question and whole answer about another image of the same size."""
        other = Case(
            self.model,
            image,
            replace(self.spoken, targets=self.spoken.targets[:1]),
            self.config,
            question=self.question,
            regions=self.given,
            inside=self.inside,
            stop=self.stop,
            batches=self.batches,
        )
        other.heard = self.heard
        return other

    # Places

    @cached_property
    def grid(self) -> Grid:
        """The cells of the maps: where the visual tokens stand on the image, tiles put together."""
        number = 0 if self.inside is None else self.inside.image
        return next(grid for grid in whole([view.grid for view in self.views]) if grid.image == number)

    @property
    def views(self) -> tuple[View, ...]:
        """All that the language model has of the prompt's images."""
        return (View(self.prompt.grid, self.prompt.visual), *self.prompt.others)

    @property
    def pictures(self) -> dict[str, Image]:
        """What a result shows of the case: the image as it goes in, and what stands where it is taken."""
        return {"shown": self.image, "baseline": self.baseline}

    @property
    def outlines(self) -> dict[str, NDArray[np.bool_]]:
        """Parts of those pictures that are explained, bool (H, W): of an answer none."""
        return {}

    @property
    def cells(self) -> int:
        """How many there are."""
        return self.grid.rows * self.grid.cols

    # Asking

    def rows(self, images: Sequence[Image]) -> Floats:
        """Log-probabilities in nats, float64 (images, tokens), of the answer's tokens before each image.

        Each image is asked about once, however often it comes: the words of an answer share their images.
        """
        keys = [blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._rows}
        waiting = list(new.items())
        while waiting:

            def some(count: int, waiting: list[tuple[bytes, Image]] = waiting) -> int:
                go_on(self.stop)
                batch = waiting[:count]
                found = self._asked([image for _, image in batch])
                self._rows.update(zip((key for key, _ in batch), found, strict=True))
                return len(batch)

            done = self.batches.run(some)
            self.looked(done)
            waiting = waiting[done:]
        return np.stack([self._rows[key] for key in keys])

    def _asked(self, images: Sequence[Image]) -> Floats:
        import torch

        with torch.inference_mode():
            return self._said(self._showing(images)).double().cpu().numpy()

    def of_pixels(self, pixels: Tensor) -> Tensor:
        """The same, float32 (B, tokens), of what the tower reads (B, …); gradients reach the pixels."""
        go_on(self.stop)
        found = self._said(self._with(pixels))
        self.looked(len(pixels))
        return found

    def read(self, image: Image) -> Tensor:
        """What the tower reads of an image of the case's size, float32 (1, …)."""
        return self.model.pixels(self.model.prepare([image], self.question)).detach().float()

    def summed(self, attributions: Tensor) -> Floats:
        """Numbers shaped like what `read` gives, summed over the map's cells: float64 (1, cells)."""
        if self.inside is not None:
            attributions = self.inside.placed(attributions.detach(), self.model.pixels(self.prompt) * 0)
        ((_, found),) = self.model.cells(self.prompt, attributions.detach(), [self.grid])
        return found

    def _showing(self, images: Sequence[Image]) -> Prompt:
        """The prompt with each of these images in the image's place."""
        made = self.model.prepare(list(images), self.question)
        return made if self.inside is None else self.inside.seeing(self.model, self.model.pixels(made))

    def _with(self, pixels: Tensor) -> Prompt:
        if self.inside is None:
            return self.model.seeing(self.prompt, pixels.contiguous())
        return self.inside.seeing(self.model, pixels)

    def repeated(self, times: int) -> Prompt:
        """The prompt with its image so many times."""
        own = self.model.pixels(self.prompt)
        return self.model.seeing(self.prompt, own.repeat(times, *[1] * (own.ndim - 1)))

    def said(self, prompt: Prompt) -> Tensor:
        """The same, of a prompt under whatever is changed about it now."""
        go_on(self.stop)
        found = self._said(prompt)
        self.looked(len(found))
        return found

    def _said(self, prompt: Prompt) -> Tensor:
        import torch

        return torch.cat([self.model.said(prompt, tokens) for tokens in self.spoken.sequences], dim=1)

    def looked(self, count: int) -> None:
        """The model has looked at so many images more."""
        self.passes += count
        self.heard(count)

    def weights(self, target: int) -> Tensor:
        """The weights of a target as float32 on the CPU, (tokens,)."""
        import torch

        return torch.from_numpy(self.spoken.targets[target].weights).float()

    @cached_property
    def value(self) -> Floats:
        """What each target is of the image itself, in nats, (targets,)."""
        rows = self.rows([self.image])
        return np.array([float(target.value(rows)[0]) for target in self.spoken.targets])

    def without(self, shown: NDArray[np.bool_]) -> list[Image]:
        """The image with cells taken away, one for each row of `shown`, bool (images, cells)."""
        from probes.attribution.regions import cells

        where = cells(self.grid.boxes, *self.image.shape[:2])
        return [np.where(row[where][..., None], self.image, self.baseline) for row in shown]
