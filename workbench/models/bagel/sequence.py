"""A whole past read in one pass, where `Context` reads it piece by piece.

A past is a list of segments: texts, images as the tower sees them, images as latents. Latent tokens stand
first in the pass, for the generation expert works on one slice (see `language.py`); positions and the mask
keep the order in which things were read. So all tokens are there at once, for gradients and for attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal
from workbench.models.bagel.network import Bagel, Context, SpecialTokens
from workbench.models.bagel.patches import origins_of_patches
from workbench.models.bagel.reader import BagelReader, Pictures
from workbench.models.grids import grid_over
from workbench.models.origins import Origins
from workbench.models.protocol import Prompt, View, repeated


@dataclass(frozen=True)
class Text:
    """Token ids (1, n) as they stand, frame included."""

    ids: Tensor


@dataclass(frozen=True)
class Sight:
    """An image through the vision tower: patches (B, rows · cols, p · p · 3); which of the prompt's it is."""

    patches: Tensor
    rows: int
    cols: int
    image: int = 0


@dataclass(frozen=True)
class Latent:
    """An image as latent tokens (1 or B, rows · cols, D), at flow time t; `image`: which of the prompt's."""

    tokens: Tensor
    rows: int
    cols: int
    image: int
    t: float = 0.0


Segment = Text | Sight | Latent


Spot = tuple[int, int, int]
"""When a token is read, the last that it may look at, and its rotary position."""


@dataclass(frozen=True)
class Laid:
    """Where everything stands in the pass: for each segment the places of its own tokens, frames left out.

    order: for each place, when it is read; reach: the last in that order that it may look at; rotary: its
    position. All int64.
    """

    places: list[Tensor]
    order: Tensor
    reach: Tensor
    rotary: Tensor
    latents: int

    @property
    def mask(self) -> Tensor | None:
        """Who may look at whom, bool (n, n); None where all may look at all."""
        seen = self.order[None] <= self.reach[:, None]
        return None if bool(seen.all()) else seen


def laid(segments: Sequence[Segment]) -> Laid:
    """The places of all tokens of the segments, each image between its two frame tokens."""
    latents = sum(s.rows * s.cols for s in segments if isinstance(s, Latent))
    first: list[Spot] = []
    rest: list[Spot] = []
    places: list[Tensor] = []
    read = position = 0
    for segment in segments:
        if isinstance(segment, Text):
            count = segment.ids.shape[1]
            places.append(torch.arange(count) + latents + len(rest))
            rest += [(read + i, read + i, position + i) for i in range(count)]
            read, position = read + count, position + count
            continue
        count = segment.rows * segment.cols
        last = read + count + 1
        opened, *inner, closed = [(i, last, position) for i in range(read, last + 1)]
        if isinstance(segment, Latent):
            places.append(torch.arange(count) + len(first))
            first += inner
            rest += [opened, closed]
        else:
            places.append(torch.arange(count) + latents + len(rest) + 1)
            rest += [opened, *inner, closed]
        read, position = last + 1, position + 1
    order, reach, rotary = torch.tensor([*first, *rest], dtype=torch.long).unbind(1)
    return Laid(places, order, reach, rotary, latents)


def states(network: Bagel, special: SpecialTokens, segments: Sequence[Segment], where: Laid) -> Tensor:
    """Normed states (B, tokens, width) of all tokens, in the places of `where`."""
    device = network.device
    sights = [s for s in segments if isinstance(s, Sight)]
    batch = len(sights[0].patches) if sights else 1
    seen = iter(_seen(network, sights))
    frame = network.embed_text(torch.tensor([[special.image_start, special.image_end]], device=device))
    first, rest = [], []
    for segment in segments:
        if isinstance(segment, Text):
            rest.append(network.embed_text(segment.ids).expand(batch, -1, -1))
            continue
        start, end = frame.expand(batch, -1, -1).split(1, dim=1)
        if isinstance(segment, Latent):
            times = torch.full((len(segment.tokens),), segment.t, device=device)
            made = network.embed_latent(segment.tokens.to(device), segment.rows, segment.cols, times)
            first.append(made.expand(batch, -1, -1))
            rest += [start, end]
        else:
            rest += [start, next(seen), end]
    x = torch.cat([*first, *rest], dim=1)
    mask = where.mask
    out: Tensor = network.language_model.model(
        x,
        where.rotary[None].to(device),
        gen=slice(0, where.latents) if where.latents else None,
        mask=None if mask is None else mask.to(device),
    )[0]
    return out


def _seen(network: Bagel, sights: Sequence[Sight]) -> list[Tensor]:
    """What the tower makes of each, (B, N, width), all in one pass: they are of one grid."""
    if not sights:
        return []
    together = torch.stack([s.patches for s in sights], dim=1).flatten(0, 1)
    made = network.embed_vision(together, sights[0].rows, sights[0].cols)
    return list(made.unflatten(0, (-1, len(sights))).unbind(1))


def context_of(network: Bagel, special: SpecialTokens, segments: Sequence[Segment]) -> Context:
    """The same past read piece by piece, to go on from."""
    context = Context()
    sights = [s for s in segments if isinstance(s, Sight)]
    batch = len(sights[0].patches) if sights else 1
    seen = iter(_seen(network, sights))
    for segment in segments:
        if isinstance(segment, Text):
            context, _ = network.add_text(context, segment.ids.expand(batch, -1))
        elif isinstance(segment, Sight):
            context = network.add_vision(context, next(seen), special)
        else:
            times = torch.full((len(segment.tokens),), segment.t, device=network.device)
            tokens = segment.tokens.to(network.device)
            made = network.embed_latent(tokens, segment.rows, segment.cols, times).expand(batch, -1, -1)
            context = network.add_latent(context, made, special)
    return context


def sight(model: BagelReader, pictures: Pictures, image: int = 0) -> Sight:
    """A batch of images for the tower."""
    return Sight(model.vision_patches(pictures), pictures.rows, pictures.cols, image)


def as_latent(tokens: Tensor, pictures: Pictures, image: int, t: float = 0.0) -> Latent:
    """An image's latent tokens on the latent grid of `pictures`."""
    return Latent(tokens, pictures.latent_rows, pictures.latent_cols, image, t)


@dataclass(frozen=True)
class Past:
    """What one response has read so far: its segments, the images in them in order, and the question."""

    segments: tuple[Segment, ...]
    images: tuple[np.ndarray, ...]
    question: str

    def with_text(self, ids: Tensor) -> Past:
        """After a text, frame included."""
        return replace(self, segments=(*self.segments, Text(ids)))

    def with_drawing(
        self, model: BagelReader, latent: Tensor, image: np.ndarray, pictures: Pictures, route: str
    ) -> Past:
        """After a drawing, latent (1, N, D), that came back by a route, as `interleave.taken_in` reads it."""
        number, more = len(self.images), list[Segment]()
        if route in ("bridge", "both"):
            more.append(as_latent(latent, pictures, number))
        if route in ("re-encode", "both"):
            more.append(sight(model, replace(pictures, pixels=[image]), number))
        return Past((*self.segments, *more), (*self.images, image), self.question)

    def prompt(self, begun: Sequence[int] = ()) -> Prompt:
        """All of it, and a text that was begun, as one prompt."""
        return prompt_of(self.segments, self.images, self.question, begun=begun, together=True)


def prompt_of(
    segments: Sequence[Segment],
    images: Sequence[np.ndarray],
    text: str,
    *,
    begun: Sequence[int] = (),
    together: bool = False,
) -> Prompt:
    """A prompt of these segments: of a batch of images or, `together`, of images that follow one another.

    begun: ids of a text that was begun, its frame's first token included, and that the answer goes on with;
    () where the answer begins a text of its own.
    """
    pieces: list[Segment] = list(segments)
    if begun:
        pieces.append(Text(torch.tensor([list(begun)])))
    where = laid(pieces)
    device = next(s.patches.device for s in pieces if isinstance(s, Sight))
    sights: list[View] = []
    latents: list[View] = []
    for segment, places in zip(pieces, where.places, strict=True):
        if isinstance(segment, Text):
            continue
        seen = isinstance(segment, Sight)
        height, width = images[segment.image].shape[:2]
        part = grid_over(
            segment.rows,
            segment.cols,
            (0, 0, width, height),
            image=segment.image,
            name="image" if seen else "latent",
        )
        (sights if seen else latents).append(View(part, places.to(device)))
    first, *others = [*sights, *latents]
    inputs = {"segments": pieces, "where": where, "begun": list(begun)}
    return Prompt(list(images), text, first.grid, inputs, first.positions, tuple(others), together)


def continued(prompt: Prompt, tokens: Sequence[int], bos: int) -> tuple[Prompt, Tensor]:
    """The prompt with an answer's first tokens, and where the queries stand that say them, (tokens + 1,)."""
    segments, begun = prompt.inputs["segments"], prompt.inputs["begun"]
    said = Text(torch.tensor([[*(begun or [bos]), *tokens]]))
    pieces = [*(segments[:-1] if begun else segments), said]
    where = laid(pieces)
    inputs = prompt.inputs | {"segments": pieces, "where": where}
    return replace(prompt, inputs=inputs), where.places[-1][-len(tokens) - 1 :]


def seeing(prompt: Prompt, pixels: Tensor) -> Prompt:
    """The prompt with other patches (B, images · patches, p · p · 3), as often as they have rows."""
    sights = [s for s in prompt.inputs["segments"] if isinstance(s, Sight)]
    times, rest = divmod(len(pixels), prompt.batch)
    if rest or not times:
        raise Refusal(f"{len(pixels)} rows of pixels are no multiple of the prompt's {prompt.batch}.")
    parts = iter(pixels.to(sights[0].patches).chunk(len(sights), dim=1))
    pieces = [
        replace(s, patches=next(parts)) if isinstance(s, Sight) else s for s in prompt.inputs["segments"]
    ]
    return repeated(replace(prompt, inputs=prompt.inputs | {"segments": pieces}), times)


def patches_of(prompt: Prompt) -> Tensor:
    """The patches of all images that the tower sees, (B, images · patches, p · p · 3)."""
    return torch.cat([s.patches for s in prompt.inputs["segments"] if isinstance(s, Sight)], dim=1)


def origins(prompt: Prompt, patch: int) -> Origins:
    """Where on the images the numbers of `patches_of` lie, of one sequence."""
    each = [
        origins_of_patches(s.rows, s.cols, patch, prompt.images[s.image].shape[:2], s.image)
        for s in prompt.inputs["segments"]
        if isinstance(s, Sight)
    ]
    columns = zip(*((o.image, o.x, o.y) for o in each), strict=True)
    return Origins(*(np.concatenate(column) for column in columns))
