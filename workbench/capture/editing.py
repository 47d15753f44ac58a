"""Other states in place of what a stage shows at the visual tokens, with which the pass goes on."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.capture.hidden import tensor_of
from workbench.errors import Refusal
from workbench.models.protocol import Model, Prompt, Stage, Tap

if TYPE_CHECKING:
    from torch import Tensor

Change = Callable[["Tensor"], "Tensor"]
"""States (B, tokens, width) of one stage → what the pass goes on with, of the same shape."""


@contextmanager
def replacing(
    model: Model,
    prompt: Prompt,
    stage: Stage | str,
    change: Change,
    *,
    others: bool = False,
    places: Tensor | None = None,
) -> Iterator[None]:
    """While the body runs the prompt, what a stage shows at its visual tokens is what `change` makes of it.

    Gradients flow through: a change that returns what it is given only reads (and may keep) states that are
    part of the graph; one that returns other states carries gradients to them. Contexts nest, for several
    stages at once. Passes of other threads are left alone. "llm k" is what layer k reads, or layer k − 1
    writes, exactly as in `Model.taps`.

    Args:
        model: an open model.
        prompt: the one that runs: its batch and its places count.
        stage: of `Model.stages`, or its name.
        change: gets the tokens in the order of the stage's grid; with `others`, those of the prompt's other
            views after them, view by view.
        others: of a language stage, all views and not the first one alone.
        places: of a language stage, these places of the sequence, int64, instead of the visual tokens.

    Raises:
        Refusal: where the model has no such stage, or `others` or `places` are asked of a stage that is none
            of the language model's.
        RuntimeError: where what comes back has another shape.
    """
    import torch

    tap = _tap(model, prompt, stage)
    positions = tap.positions
    if others or places is not None:
        if tap.stage.band != "llm":
            raise Refusal(
                f"At {tap.stage.name} the visual tokens of one view are known, and no other places. Choose a "
                "stage of the language model."
            )
        if places is not None:
            positions = places
        elif prompt.others and positions is not None:
            device = positions.device
            own = [view.positions.to(device) for view in prompt.others]
            positions = torch.cat([positions, *own])
    thread, batch = threading.get_ident(), prompt.batch

    def changed(x: Tensor) -> Tensor:
        flat = x.reshape(batch, -1, x.shape[-1])
        at = positions if positions is None else positions.to(x.device)
        own = flat if at is None else flat[:, at]
        made = change(own)
        if made.shape != own.shape:
            raise RuntimeError(f"{tap.stage.name} shows {tuple(own.shape)}, got {tuple(made.shape)} instead")
        made = made.to(x)
        return (made if at is None else flat.index_copy(1, at, made)).view(x.shape)

    handle = _attach(tap, lambda x: changed(x) if threading.get_ident() == thread else x)
    try:
        yield
    finally:
        handle.remove()


def _tap(model: Model, prompt: Prompt, stage: Stage | str) -> Tap:
    name = stage if isinstance(stage, str) else stage.name
    taps = {tap.stage.name: tap for tap in model.taps(prompt)}
    if name not in taps:
        names = list(taps)
        raise Refusal(f"{model.card.id} has no stage {name}: it has {names[0]} to {names[-1]}.")
    return taps[name]


def _attach(tap: Tap, changed: Change) -> Any:
    if tap.when == "output":

        def after(module: Any, args: tuple[Any, ...], output: Any) -> Any:
            return _in_place_of(output, changed(tensor_of(output, tap.stage)))

        return tap.module.register_forward_hook(after)

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        if kwargs is None:  # Torch leaves them out of a hook that another thread is just removing.
            return None
        if args:
            return (changed(args[0]), *args[1:]), kwargs
        name = "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
        return args, kwargs | {name: changed(kwargs[name])}

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)


def _in_place_of(output: Any, state: Tensor) -> Any:
    """A module's output with another hidden state where `tensor_of` finds it."""
    if isinstance(output, (tuple, list)):
        return type(output)((_in_place_of(output[0], state), *output[1:]))
    if hasattr(output, "last_hidden_state"):
        other = copy.copy(output)
        other["last_hidden_state"] = state
        return other
    return state
