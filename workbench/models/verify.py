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
    cells; with one state for each token at every language layer; what enters the tower's blocks must change
    where the picture does; and the last stage, through the final norm and the head, must give the model's own
    logits.
    `tolerance` is relative to the largest logit, for float32; 16-bit types get a hundred times as much.

    Raises Refusal with what does not hold.
    """
    import torch

    down, across = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
    picture = np.stack([2 * across, 3 * down, across + down], axis=-1)
    prompt = model.prepare([picture], "what is this?")
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
    language = {tap.stage.name: seen.states[tap.stage.name][0] for tap in taps if tap.stage.band == "llm"}
    if len({states.flatten(0, -2).shape[0] for states in language.values()}) > 1:
        shapes = ", ".join(f"{tuple(states.shape)} at {stage}" for stage, states in language.items())
        raise Refusal(
            f"{name} keeps not one state for each token between its language layers ({shapes}), so what is "
            "read there would be of other tokens. It is not opened."
        )
    entering = next((tap for tap in taps if tap.stage.band == "vision" and tap.grid is not None), None)
    if entering is not None and not _in_place(model, entering, picture):
        raise Refusal(
            f"{name} keeps the patches of its tower in another order than is known here: maps of the tower "
            "would point at the wrong ones, so it is not opened."
        )
    if not torch.isfinite(logits).all():
        instead = "Fetch the weights again" if model.card.dtype == "float32" else "Try float32"
        raise Refusal(f"{name} computes numbers that are not finite in {model.card.dtype}. {instead}.")
    # A model that is shared out among devices gives its logits on another one than its head's.
    again = model.readout(seen.states[taps[-1].stage.name][0][:, -1]).to(logits.device)
    # Words that a model forbids itself have the lowest number there is; they are no measure for the others.
    said = logits > torch.finfo(logits.dtype).min / 2
    allowed = tolerance * (1 if model.card.dtype == "float32" else 100) * float(logits[said].abs().max())
    if float((again - logits)[said].abs().max()) > allowed:
        raise Refusal(
            f"{name}: the last layer that the hooks read does not give the model's logits, so what would be "
            "measured is not what the model computes. It is not opened."
        )


def _in_place(model: Model, tap: Tap, picture: np.ndarray) -> bool:
    """Whether the tokens of the first stage, which no attention has mixed yet, change where pixels do."""
    assert tap.grid is not None
    right, bottom = WIDTH // 3, HEIGHT // 2
    painted = picture.copy()
    painted[:bottom, :right] = 255 - painted[:bottom, :right]
    before, after = (_entering(model, tap, image) for image in (picture, painted))
    moved = ((after - before).norm(dim=-1) / before.norm(dim=-1).clamp(min=1e-12)).cpu().numpy()
    x0, y0, x1, y1 = tap.grid.boxes.T
    # Resizing smears an edge over its neighbours.
    x, y = 4 + x1 - x0, 4 + y1 - y0
    inside = (x0 >= 0) & (y0 >= 0) & (x1 <= right - x) & (y1 <= bottom - y)
    outside = (x0 >= right + x) | (y0 >= bottom + y)
    # How much a patch has to move nobody knows; that others stay is told with room for rounding.
    return bool((moved[inside] > 0).all()) and not bool((moved[outside] > 1e-2).any())


class _Enough(Exception):
    """What was to be seen of a pass was seen."""


def _entering(model: Model, tap: Tap, image: np.ndarray) -> Tensor:
    """The states of a tap, float32 (tokens, width), from as much of a pass as it takes."""
    prompt = model.prepare([image], "what is this?")
    seen = _Seen()
    seen.attach(tap, stop=True)
    try:
        model.forward(prompt)
    except _Enough:
        pass
    finally:
        seen.detach()
    states = seen.states[tap.stage.name][0].flatten(0, -2).float()
    return states if tap.positions is None else states[tap.positions.to(states.device)]


class _Seen:
    """The tensors that the taps showed, by stage."""

    def __init__(self) -> None:
        self.states: dict[str, list[Tensor]] = {}
        self._handles: list[Any] = []

    def attach(self, tap: Tap, *, stop: bool = False) -> None:
        """Keep what a tap shows; `stop`: and end the pass there."""
        keep = partial(self._keep, tap.stage.name, stop)
        if tap.when == "output":
            handle = tap.module.register_forward_hook(lambda module, args, output: keep(output))
        else:
            handle = tap.module.register_forward_pre_hook(
                lambda module, args, kwargs: keep(args or next(iter(kwargs.values()))), with_kwargs=True
            )
        self._handles.append(handle)

    def _keep(self, stage: str, stop: bool, value: Any) -> None:
        while isinstance(value, (tuple, list)):
            value = value[0]
        self.states.setdefault(stage, []).append(getattr(value, "last_hidden_state", value))
        if stop:
            raise _Enough

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
