"""The check at opening: what our hooks read must be what the model computed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Refusal

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.models.protocol import Model, Tap

HEIGHT, WIDTH = 64, 96
"""Pixels of the picture that is shown: not square, so that rows taken for columns are found out."""


def verify(model: Model, tolerance: float = 1e-3) -> None:
    """Show the model a picture and compare what its taps read with what it computed.

    Every stage must be seen exactly once; from the projector on with as many visual tokens as the grid has
    cells; and the last stage, through the final norm and the head, must give the model's own logits.
    `tolerance` is relative to the largest logit, for float32; 16-bit types get a hundred times as much.

    Raises Refusal with what does not hold.
    """
    import torch

    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
    prompt = model.prepare([np.stack([2 * across, 3 * down, across + down], axis=-1)], "what is this?")
    cells, name = prompt.grid.rows * prompt.grid.cols, model.card.id
    if len(prompt.visual) != cells:
        raise Refusal(
            f"{name} has {len(prompt.visual)} visual tokens for a grid of {prompt.grid.rows} by "
            f"{prompt.grid.cols}: its probes would point at the wrong patches, so it is not opened."
        )
    taps, seen = model.taps(prompt), _Seen()
    if [tap.stage for tap in taps] != model.stages():
        raise Refusal(f"{name} does not tap the stages that it names, so it is not opened.")
    try:
        for tap in taps:
            seen.attach(tap)
        logits = model.forward(prompt)
    finally:
        seen.detach()
    for tap in taps:
        states = seen.states.get(tap.stage.name, [])
        if len(states) != 1:
            raise Refusal(f"{name} shows its stage {tap.stage.name} {len(states)} times in a pass, not once.")
        tokens = states[0].flatten(0, -2).shape[0] if tap.positions is None else len(tap.positions)
        if tap.grid is not None and tokens != tap.grid.rows * tap.grid.cols:
            raise Refusal(
                f"{name} shows {tokens} tokens at {tap.stage.name}; its grid is {tap.grid.rows} by "
                f"{tap.grid.cols}."
            )
    if not torch.isfinite(logits).all():
        instead = "Fetch the weights again" if model.card.dtype == "float32" else "Try float32"
        raise Refusal(f"{name} computes numbers that are not finite in {model.card.dtype}. {instead}.")
    again = model.readout(seen.states[taps[-1].stage.name][0][:, -1])
    # Words that a model forbids itself have the lowest number there is; they are no measure for the others.
    said = logits > torch.finfo(logits.dtype).min / 2
    allowed = tolerance * (1 if model.card.dtype == "float32" else 100) * float(logits[said].abs().max())
    if float((again - logits)[said].abs().max()) > allowed:
        raise Refusal(
            f"{name}: the last layer that the hooks read does not give the model's logits, so what would be "
            "measured is not what the model computes. It is not opened."
        )


class _Seen:
    """The tensors that the taps showed, by stage."""

    def __init__(self) -> None:
        self.states: dict[str, list[Tensor]] = {}
        self._handles: list[Any] = []

    def attach(self, tap: Tap) -> None:
        keep = partial(self._keep, tap.stage.name)
        if tap.when == "output":
            handle = tap.module.register_forward_hook(lambda module, args, output: keep(output))
        else:
            handle = tap.module.register_forward_pre_hook(
                lambda module, args, kwargs: keep(args or next(iter(kwargs.values()))), with_kwargs=True
            )
        self._handles.append(handle)

    def _keep(self, stage: str, value: Any) -> None:
        while isinstance(value, (tuple, list)):
            value = value[0]
        self.states.setdefault(stage, []).append(getattr(value, "last_hidden_state", value))

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
