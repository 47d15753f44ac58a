"""Drawing by rectified flow: the walk itself, and drawing an image from words alone.

From words alone as in BAGEL's public inference code: the context holds the words and nothing else, and
guidance compares with an empty one; there is no image for guidance on the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from workbench.errors import Refusal, go_on
from workbench.models.bagel import flow
from workbench.models.bagel.network import Context
from workbench.models.bagel.reader import BagelReader, Pictures
from workbench.models.drawing import Canvas, DrawEvent, DrawSettings
from workbench.models.protocol import VisualState

GUIDANCE = 4.0
"""On the words: the default of BAGEL's public inference code."""


@torch.inference_mode()
def draw(
    model: BagelReader, words: str, settings: DrawSettings, stop: Callable[[], bool]
) -> Iterator[DrawEvent]:
    """Yield the canvas, then every state from noise to image.

    Raises Refusal where the words are empty or too long or the size is none that the model draws, and
    Cancelled once `stop` says so.
    """
    if not words.strip():
        raise Refusal("There are no words to draw from. Write what the image shall show.")
    cell = model.config.pixels_per_latent
    longest = model.config.vae_resize.longest
    settings = replace(
        settings,
        guidance=GUIDANCE if settings.guidance is None else settings.guidance,
        height=settings.height or longest,
        width=settings.width or longest,
    )
    height, width = int(settings.height or 0), int(settings.width or 0)
    for name, side in (("height", height), ("width", width)):
        if side % cell or side > longest:
            raise Refusal(
                f"{model.card.id} draws images whose sides are multiples of {cell} and at most {longest} "
                f"pixels; the {name} is {side}."
            )
    ids = model.segment(model.typed(words))
    pictures = Pictures([], 0, 0, height // cell, width // cell)
    read = str(model.tokenizer.decode(ids[0].tolist(), skip_special_tokens=False))
    yield Canvas("flow", pictures.latent_rows, pictures.latent_cols, height, width, 0, read, settings)
    go_on(stop)
    guidance = flow.Guidance(
        float(settings.guidance or 0), 1.0, settings.interval, settings.renorm, settings.renorm_min
    )
    full, _ = model.network.add_text(Context(), ids)
    contexts = (full, Context() if guidance.on_text else None, None)
    generator = torch.Generator().manual_seed(settings.seed)
    for state, _ in walk(
        model, contexts, pictures, settings.steps, settings.shift, guidance, generator, stop
    ):
        yield state


def walk(
    model: BagelReader,
    contexts: tuple[Context, Context | None, Context | None],
    pictures: Pictures,
    steps: int,
    shift: float,
    guidance: flow.Guidance,
    generator: torch.Generator,
    stop: Callable[[], bool],
    *,
    watched: bool = True,
) -> Iterator[tuple[VisualState, Tensor]]:
    """The walk from noise to image, each state with its latent tokens (1, N, D); its end alone if unwatched.

    `contexts`: the full one, the one without the thought and the one without the image, None where guidance
    does not compare with them.
    """
    size = (1, pictures.latent_rows * pictures.latent_cols, model.config.latent_dim)
    noise = torch.randn(size, generator=generator).to(model.network.device)

    def velocity(context: Context | None) -> flow.Velocity | None:
        if context is None:
            return None

        def at(x: Tensor, t: float) -> Tensor:
            go_on(stop)
            return model.network.velocity(
                context, x, pictures.latent_rows, pictures.latent_cols, t, model.special
            )

        return at

    def latent(x: Tensor) -> np.ndarray:
        return x[0].cpu().numpy().astype(np.float32)

    if watched:
        yield VisualState(0, steps, 1.0, model.decoded(noise, pictures)[0], latent(noise), 0.0), noise
    full, no_text, no_image = (velocity(context) for context in contexts)
    assert full is not None
    for step in flow.sample(noise, steps + 1, shift, guidance, full, no_text, no_image):
        go_on(stop)
        if not watched and step.index < steps:
            continue
        image, estimate = model.decoded(torch.cat([step.x, step.estimate]), pictures)
        norm = float(step.velocity.norm())
        yield VisualState(step.index, steps, step.t, image, latent(step.x), norm, estimate), step.x
