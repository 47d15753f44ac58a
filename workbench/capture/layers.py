"""Every language layer's attention in turn, whole, for those who need more of it than a few rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.errors import Refusal
from workbench.models.protocol import Capability, Model, Prompt, Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.models.watch import Computed, Seen

    Call = Seen | Computed

OUTPUTS = ("o_proj", "out_proj", "proj", "dense", "wo", "c_proj")
"""What models call the map from all heads' values to the width, inside their attention."""


@contextmanager
def attending(model: Model, prompt: Prompt, look: Callable[[Stage, nn.Module, Call], None]) -> Iterator[None]:
    """While the body runs the prompt once, each language layer's attention is shown to `look`, whole.

    What is shown may be asked for any rows (`rows`), and is gone once `look` returns unless it keeps it.

    Raises:
        Refusal: where a layer's attention cannot be watched, or comes in several calls.
    """
    from workbench.models.watch import watching

    if Capability.ATTENTION not in model.card.capabilities:
        raise Refusal(
            f"The attention of {model.card.id} cannot be read. Open it with another kernel: sdpa or eager."
        )
    layers = [(stage, module) for stage, module in model.attending(prompt) if stage.band == "llm"]
    if not layers:
        raise Refusal(
            f"No language layer of {model.card.id} attends by softmax to all that it has read, so there is "
            "no attention to show. Open another model."
        )
    slots = {id(part): stage for stage, layer in layers for part in layer.modules()}
    seen: set[str] = set()

    def take(module: nn.Module, call: Call) -> None:
        stage = slots.get(id(module))
        if stage is None:
            return
        if stage.name in seen or call.entries != prompt.batch:
            raise Refusal(
                f"{model.card.id} computes the attention of {stage.name} in parts of which it is not known "
                "whose they are."
            )
        seen.add(stage.name)
        look(stage, module, call)

    with watching(take):
        yield
    if absent := [stage.name for stage, _ in layers if stage.name not in seen]:
        raise Refusal(
            f"{model.card.id} computes the attention of {', '.join(absent)} past the kernel that is watched. "
            "Open it with another kernel: sdpa or eager."
        )


def value_norms(module: nn.Module, call: Call) -> tuple[Tensor, bool]:
    """How long what each key would add to the output is, float32 (B, heads, K); whether W_O is in it.

    ‖v_j W_O‖ of a head's own part of the output map (Kobayashi et al., EMNLP 2020, section 3); ‖v_j‖ where
    the
    map cannot be told, as when its numbers are quantised. What a model does to the output afterwards (norms,
    gates) is not in it.

    Raises:
        Refusal: the values were not shown.
    """
    import torch

    if call.value is None:
        raise Refusal("This attention shows no values, so weights cannot be weighted by them.")
    value = call.value.float()
    heads = call.query.shape[1] if hasattr(call, "query") else call.weights.shape[1]
    groups = heads // value.shape[1]
    matrix = _output(module, heads * value.shape[-1])
    if matrix is None:
        return value.norm(dim=-1).repeat_interleave(groups, dim=1), False
    own = matrix.float().unflatten(1, (heads, -1)).transpose(0, 1)  # (heads, width, dv)
    gram = own.transpose(1, 2) @ own  # ‖W v‖² = v (WᵀW) v, without (keys, width) for each head
    each = value.repeat_interleave(groups, dim=1)
    squares = torch.einsum("bhkd,hde,bhke->bhk", each, gram, each)
    return squares.clamp(min=0).sqrt(), True


def _output(module: nn.Module, inputs: int) -> Tensor | None:
    """The output map's weights (width, inputs); None where there is no such map of plain numbers."""
    for name in OUTPUTS:
        weight = getattr(getattr(module, name, None), "weight", None)
        if weight is not None and weight.ndim == 2 and weight.is_floating_point():
            return weight if weight.shape[1] == inputs else None
    return None
