"""The check at opening: what our hooks read must be what the model computed."""

from __future__ import annotations

import numpy as np

from workbench.errors import Refusal
from workbench.models.bagel.adapter import BagelModel


def verify(model: BagelModel, tolerance: float = 1e-3) -> None:
    """Raise Refusal unless the hooked last layer, normed and through the head, equals the model's logits.

    Also checks that the visual tokens number as many as the grid has cells. `tolerance` is relative to the largest
    logit, for float32; sixteen-bit types get a hundred times as much.
    """
    import torch

    side = max(model.config.vae_resize.shortest, 2 * model.config.pixels_per_latent)
    ramp = np.linspace(0, 255, side, dtype=np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], np.uint8(128)), axis=-1)
    prompt = model.prepare([image], "what is this?")
    if len(prompt.visual) != prompt.grid.rows * prompt.grid.cols:
        raise Refusal(
            f"{model.card.id} has {len(prompt.visual)} visual tokens for a grid of {prompt.grid.rows} by "
            f"{prompt.grid.cols}: its probes would point at the wrong patches."
        )
    kept: list[torch.Tensor] = []
    handle = model.taps(prompt)[-1].module.register_forward_hook(lambda _m, _i, out: kept.append(out[0][:, -1]))
    try:
        logits = model.forward(prompt)
    finally:
        handle.remove()
    with torch.inference_mode():
        again = model.network.logits(model.network.language_model.model.norm(kept[-1]))
    if not torch.isfinite(logits).all():
        raise Refusal(f"{model.card.id} computes numbers that are not finite in {model.card.dtype}: try float32.")
    allowed = tolerance * (1 if model.card.dtype == "float32" else 100) * float(logits.abs().max())
    if float((again - logits).abs().max()) > allowed:
        raise Refusal(f"{model.card.id}: the hooked last layer does not give the model's logits; refusing to measure it.")
