"""Ways to read one pass: each runs it once and returns what it kept.

What is asked for is the same in all: the visual tokens' states at every layer of the language model, and at
every layer what the answer's tokens attend to; states and nnsight leave that out. Ours and the script of
hooks keep the tower's states, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.subject import Subject
from workbench.capture.attention import keeping_rows
from workbench.capture.hidden import capture

Kept = list[np.ndarray]
Way = Callable[[Subject], Kept]


def plain(subject: Subject) -> Kept:
    """The forward pass alone."""
    subject.model.forward(subject.prompt)
    return []


def states(subject: Subject) -> Kept:
    """`workbench.capture` of the states alone."""
    return list(capture(subject.model, subject.prompt).states)


def ours(subject: Subject) -> Kept:
    """`workbench.capture`: states and attention from one pass under the model's own kernel."""
    with keeping_rows(subject.model, subject.prompt, subject.rows) as attended:
        states = capture(subject.model, subject.prompt).states
    return [*states, *attended().weights]


@torch.inference_mode()
def eager(subject: Subject) -> Kept:
    """What transformers offers: every layer's whole states and whole attention, of which the asked is kept.

    The tower stays with its fast kernel: it returns no attention, and eagerly its matrices alone would not
    fit.
    """
    network = subject.model.network
    network.set_attn_implementation({"text_config": "eager"})
    try:
        out = network(
            **subject.prompt.inputs,
            use_cache=False,
            logits_to_keep=1,
            output_hidden_states=True,
            output_attentions=True,
        )
    finally:
        network.set_attn_implementation({"text_config": "sdpa"})
    return on_host(
        [
            *(states[:, subject.prompt.visual] for states in out.hidden_states),
            *(weights[:, :, subject.rows] for weights in out.attentions),
        ]
    )


@torch.inference_mode()
def hooks(subject: Subject) -> Kept:
    """A script of hooks such as one writes for one model, with rotary positions applied by hand."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import rotate_half

    parts, visual, rows = subject.model.family.parts, subject.prompt.visual, subject.rows
    kept: list[Tensor] = []

    def block(module: Any, args: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output).clone())

    def layer(module: Any, args: Any, output: Any) -> None:
        kept.append((output[0] if isinstance(output, tuple) else output)[:, visual].clone())

    def attention(module: Any, args: Any, kwargs: Any) -> None:
        x, (cos, sin) = kwargs["hidden_states"], kwargs["position_embeddings"]
        q = module.q_proj(x[:, rows]).unflatten(-1, (-1, module.head_dim)).transpose(1, 2)
        k = module.k_proj(x).unflatten(-1, (-1, module.head_dim)).transpose(1, 2)
        q = q * cos[:, None, rows] + rotate_half(q) * sin[:, None, rows]
        k = k * cos[:, None] + rotate_half(k) * sin[:, None]
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(module.head_dim)
        later = torch.arange(k.shape[2], device=k.device)[None] > rows[:, None]
        kept.append(scores.masked_fill(later, -torch.inf).softmax(-1))

    handles = [b.register_forward_hook(block) for b in parts.blocks]
    for one in parts.layers:
        handles.append(one.register_forward_hook(layer))
        handles.append(one.self_attn.register_forward_pre_hook(attention, with_kwargs=True))
    try:
        subject.model.forward(subject.prompt)
    finally:
        for handle in handles:
            handle.remove()
    return on_host(kept)


@torch.inference_mode()
def nnsight(subject: Subject) -> Kept:
    """The package nnsight, states alone: under a fast kernel it shows no attention."""
    from nnsight import NNsight

    network, visual = NNsight(subject.model.network), subject.prompt.visual
    kept: list[Tensor] = []
    with network.trace(**subject.prompt.inputs, use_cache=False, logits_to_keep=1):
        for layer in network.model.language_model.layers:
            kept.append(layer.output[:, visual].save())
    return on_host(kept)


def on_host(kept: Iterable[Tensor]) -> Kept:
    """Tensors as float32 arrays in the host's memory."""
    return [tensor.to("cpu", torch.float32).numpy() for tensor in kept]


WAYS: dict[str, Way] = {
    "plain": plain,
    "states": states,
    "capture": ours,
    "eager": eager,
    "hooks": hooks,
    "nnsight": nnsight,
}


def installed() -> list[str]:
    """The ways that can be taken here."""
    return [name for name in WAYS if name != "nnsight" or find_spec("nnsight")]
