"""Hidden states at the visual tokens of every stage, from one pass, by hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import Refusal
from workbench.models.protocol import Grid, Model, ModelCard, Prompt, Stage, Tap

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Keep = Callable[[Stage, "Tensor"], "Tensor"]
Group = tuple[str, int | None]
"""Stages that share a buffer: their band, and how many tokens are picked of each (None: all)."""


@dataclass(frozen=True)
class Captured:
    """What one pass showed.

    stages: in order; of the prompt's other views, where they were asked for, the language model's again.
    states: one float32 array for each stage, (B, tokens, width), tokens in the row-major order of the stage's
        grid, or what a `keep` function made of it. Widths may differ between bands. Read back from a file
        they may be float16.
    grid: of the prompt. grids: of each stage, None where its tokens stand on no known grid.
    """

    stages: list[Stage]
    states: Sequence[NDArray[np.floating[Any]]]
    grid: Grid
    grids: list[Grid | None]


def capture(
    model: Model,
    prompt: Prompt,
    *,
    keep: Keep | None = None,
    others: bool = False,
    stages: Collection[str] | None = None,
) -> Captured:
    """Run the prompt once and return the visual tokens' states at every stage.

    Hooks copy the visual positions on the model's device into one buffer for each band, which goes to the
    host once at the end, so no hook waits for the device. What a call gathers lives in an object of its own
    and is filled by the calling thread only: two sessions that use one model at once never see each other's
    states. The hooks are removed also when the pass fails.

    Args:
        model: an open model.
        prompt: from `model.prepare`, a batch of B images.
        keep: reduces a stage's states (B, tokens, width) on the device, e.g. to their mean; default: all.
        others: capture the language model's stages at the prompt's other views (thumbnails, further images)
            too; they follow after the last stage, view by view.
        stages: the names of those that are kept; None for all. The others cost nothing.

    Raises:
        RuntimeError: when the pass does not show a stage exactly once, or a stage has not as many tokens as
            the grid: an error of the adapter, never of the person at the screen.
    """
    import torch

    taps = [tap for tap in model.taps(prompt) if stages is None or tap.stage.name in stages]
    if others:
        taps += [
            replace(tap, positions=view.positions, grid=view.grid)
            for view in prompt.others
            for tap in taps
            if tap.stage.band == "llm"
        ]
    gathering = _Gathering(taps, prompt.batch, keep)
    handles: list[Any] = []
    with torch.inference_mode():
        try:
            for slot, tap in enumerate(taps):
                handles.append(_attach(tap, gathering, slot))
            model.forward(prompt)
        finally:
            for handle in handles:
                handle.remove()
        states = gathering.on_host()
    for tap, shape in zip(taps, gathering.shapes, strict=True):
        grid = tap.grid
        if grid is not None and shape[1] != grid.rows * grid.cols:
            raise RuntimeError(
                f"stage {tap.stage.name} shows {shape[1]} visual tokens, but its grid is "
                f"{grid.rows} x {grid.cols}"
            )
    return Captured([tap.stage for tap in taps], states, prompt.grid, [tap.grid for tap in taps])


def finite(captured: Captured, card: ModelCard) -> Captured:
    """What was captured, as it is.

    Raises Refusal where the model computed numbers that are not finite, as 16-bit ones can overflow: every
    measure of them would be void.
    """
    for stage, states in zip(captured.stages, captured.states, strict=True):
        if not np.isfinite(states).all():
            raise Refusal(
                f"{card.id} computes numbers that are not finite at {stage.name} in {card.dtype}. "
                "Open it with --dtype float32."
            )
    return captured


def _attach(tap: Tap, gathering: _Gathering, slot: int) -> Any:
    if tap.when == "output":

        def after(module: Any, args: tuple[Any, ...], output: Any) -> None:
            gathering.take(slot, output)

        return tap.module.register_forward_hook(after)

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        if kwargs is None:  # Torch leaves them out of a hook that another thread is just removing.
            return
        first = next(iter(kwargs.values()), None)
        gathering.take(slot, args[0] if args else kwargs.get("hidden_states", first))

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)


@dataclass
class _Gathering:
    """What one call of `capture` has seen so far."""

    taps: list[Tap]
    batch: int
    keep: Keep | None
    thread: int = field(default_factory=threading.get_ident)
    buffers: dict[tuple[Group, tuple[int, ...]], Tensor] = field(default_factory=dict)
    kept: dict[int, Tensor] = field(default_factory=dict)
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shapes = [()] * len(self.taps)
        self._groups: list[Group] = [
            (tap.stage.band, None if tap.positions is None else len(tap.positions)) for tap in self.taps
        ]
        self._place = [self._groups[:slot].count(group) for slot, group in enumerate(self._groups)]
        self._size = {group: self._groups.count(group) for group in self._groups}
        # A slice where the positions allow it (they nearly always do): gathering by index costs a copy more.
        self._select = [_selection(tap.positions) for tap in self.taps]

    def take(self, slot: int, value: Any) -> None:
        """Store what slot `slot` showed; called from its hook."""
        if threading.get_ident() != self.thread:
            return
        stage = self.taps[slot].stage
        if self.shapes[slot]:
            raise RuntimeError(f"stage {stage.name} was shown twice in one pass")
        x = tensor_of(value, stage)
        x = x.reshape(self.batch, -1, x.shape[-1])
        select = self._select[slot]
        if isinstance(select, slice):
            x = x[:, select]
        elif select is not None:
            x = x.index_select(1, select.to(x.device))
        self.shapes[slot] = tuple(x.shape)
        if self.keep is not None:
            small = self.keep(stage, x)
            # A view would keep the module's whole output alive, and change with it.
            shared = small.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
            self.kept[slot] = small.clone() if shared else small
            return
        key = (self._groups[slot], tuple(x.shape))
        if key not in self.buffers:
            self.buffers[key] = x.new_empty((self._size[self._groups[slot]], *x.shape))
        buffer = self.buffers[key][self._place[slot]]
        buffer.copy_(x)
        self.kept[slot] = buffer

    def on_host(self) -> list[NDArray[np.float32]]:
        """Every stage's states as float32 numpy arrays."""
        missing = [tap.stage.name for slot, tap in enumerate(self.taps) if slot not in self.kept]
        if missing:
            raise RuntimeError(f"the pass did not show {', '.join(missing)}")
        if self.keep is not None:
            return [_numpy(self.kept[slot]) for slot in range(len(self.taps))]
        host = {key: _numpy(buffer) for key, buffer in self.buffers.items()}
        return [
            host[group, shape][place]
            for group, shape, place in zip(self._groups, self.shapes, self._place, strict=True)
        ]


def _selection(positions: torch.Tensor | None) -> slice | torch.Tensor | None:
    if positions is None or not len(positions):
        return positions
    first, last = int(positions[0]), int(positions[-1])
    if last - first == len(positions) - 1 and bool((positions.diff() == 1).all()):
        return slice(first, last + 1)
    return positions


def tensor_of(value: Any, stage: Stage) -> Tensor:
    """The hidden state in a module's output: itself, the first of a tuple, or `last_hidden_state`."""
    import torch

    if isinstance(value, (tuple, list)) and value:
        value = value[0]
    value = getattr(value, "last_hidden_state", value)
    if not isinstance(value, torch.Tensor):
        raise RuntimeError(f"stage {stage.name} shows a {type(value).__name__}, not a tensor")
    return value


def _numpy(x: Tensor) -> NDArray[np.float32]:
    import torch

    return x.detach().to("cpu").to(torch.float32).numpy()
