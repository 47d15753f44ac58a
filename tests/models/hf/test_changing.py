"""What a person may change in a pass (pixels, states, attention), over every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.hf.test_families import BLUR, noise, touched
from workbench.capture.attention import attention_rows
from workbench.capture.editing import replacing
from workbench.capture.hidden import capture
from workbench.errors import Refusal
from workbench.models.grids import grid_over
from workbench.models.hf.adapter import HFModel
from workbench.models.meddle import blocking, weighing
from workbench.models.protocol import Capability, Prompt

SIZE = (70, 100)
TALL = (200, 70)
MORE_ENTERS = {
    "cohere_compass",
    "cosmos3_omni",
    "gemma4",
    "qwen3_omni_moe_thinker",
    "qwen3_vl",
    "qwen3_vl_moe",
}
"""Models that add features of the tower between layers (DeepStack), or make inputs for each layer of them."""
TWO_TOWERS = {"deepseek_vl_hybrid"}


def asked(model: HFModel, seed: int = 0, size: tuple[int, int] = SIZE) -> Prompt:
    return model.prepare([noise(size, seed)], "what is this?")


def attending(model: HFModel, prompt: Prompt) -> list[torch.nn.Module]:
    """The language layers that attend by softmax: none where all of them choose among keys by an index."""
    return [layer for stage, layer in model.attending(prompt) if stage.band == "llm"]


def words(model: HFModel) -> list[int]:
    return [int(token) for token in model.family.candidate("a blue ring")[0]]


@torch.inference_mode()
def said(model: HFModel, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
    return model.said(prompt, tokens)


def check_slope(at: Callable[[Tensor], Tensor], gradient: Tensor, state: Tensor) -> None:
    """The change of a sum along its own gradient is the gradient's norm: a central difference says the same.

    The step moves the sum by a hundredth, but the state by no more than a hundredth of itself. Where a router
    chooses other experts on the way, the sum jumps: then the difference on the other side says it.
    """
    length = float(gradient.norm())
    assert length > 0
    step = min(0.01 / length, 0.01 * float(state.norm()))
    way = step * gradient / length
    before, here, after = (float(at(k * way).double().sum()) for k in (-1, 0, 1))
    found = [(after - before) / 2 / step, (after - here) / step, (here - before) / step]
    nearest = min(found, key=lambda slope: abs(slope - length))
    assert nearest == pytest.approx(length, rel=0.02, abs=4e-6 / step)


def test_what_is_said_adds_up_to_the_score(model: HFModel) -> None:
    prompt = model.prepare([noise(SIZE, 0), noise(SIZE, 1)], "what is this?")
    told = said(model, prompt, words(model))
    assert told.dtype == torch.float32 and told.shape == (2, len(words(model)))
    np.testing.assert_allclose(told.sum(1), model.score(prompt, ["a blue ring"])[:, 0], atol=1e-4)


def test_gradients_reach_the_pixels(model: HFModel) -> None:
    if Capability.PIXEL_GRADIENTS not in model.card.capabilities:
        assert not model.family.parts.blocks or model.card.id in TWO_TOWERS
        return
    prompt, tokens = asked(model), words(model)
    pixels = model.pixels(prompt).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.said(model.seeing(prompt, pixels), tokens).sum(), pixels)
    plain = pixels.detach()
    check_slope(lambda way: said(model, model.seeing(prompt, plain + way), tokens), gradient, plain)


def test_rows_of_pixels_are_sequences_of_their_own(model: HFModel) -> None:
    if model.card.id in TWO_TOWERS:
        with pytest.raises(Refusal, match="reads an image by two towers"):
            model.pixels(asked(model))
        return
    one, other, tokens = asked(model, 0), asked(model, 1), words(model)
    both = model.seeing(one, torch.cat([model.pixels(one), model.pixels(other)]))
    assert both.batch == 2
    want = torch.cat([said(model, one, tokens), said(model, other, tokens)])
    torch.testing.assert_close(said(model, both, tokens), want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [SIZE, TALL], ids=str)
def test_cells_hold_the_numbers_that_were_read_there(model: HFModel, size: tuple[int, int]) -> None:
    if model.card.id in TWO_TOWERS:
        return
    image = noise(size)
    prompt = model.prepare([image], "what is this?")
    left, top = size[1] // 3, size[0] // 2
    rectangle = (left, top, left + size[1] // 4, top + size[0] // 4)
    painted = image.copy()
    painted[top : rectangle[3], left : rectangle[2]] ^= 255
    change = (model.pixels(model.prepare([painted], "what is this?")) - model.pixels(prompt)).abs()
    ((grid, sums),) = model.cells(prompt, change)
    sums = sums / sums.max()
    assert (grid.rows, grid.cols) == (prompt.grid.rows, prompt.grid.cols) and sums.shape[0] == 1
    assert not (sums[0][~touched(grid, rectangle, BLUR)] > 0.02).any()
    assert (sums[0][touched(grid, rectangle, -BLUR)] > 0.02).all()
    everything = grid_over(1, 1, (-1e6, -1e6, 1e6, 1e6))
    ((_, total),) = model.cells(prompt, change, [everything])
    assert total.item() == pytest.approx(float(change.double().sum()), rel=1e-6)


def test_blocked_attention_is_that_of_a_masked_pass(model: HFModel) -> None:
    prompt, tokens = asked(model), words(model)
    longer, rows = model.continued(prompt, tokens)
    layers = attending(model, prompt)
    layers = layers[len(layers) // 2 :]
    if not layers:
        return
    before = said(model, prompt, tokens)
    with blocking(layers, rows, prompt.visual):
        blocked = said(model, prompt, tokens)
        seen = attention_rows(model, longer, rows)
    torch.testing.assert_close(said(model, prompt, tokens), before, atol=0, rtol=0)
    assert not torch.allclose(blocked, before, atol=1e-6)
    torch.testing.assert_close(blocked, masked(model, longer, layers, rows, tokens), atol=1e-5, rtol=1e-5)
    for weights in seen.weights[-len(layers) :]:
        assert weights[..., prompt.visual.numpy()].max() == 0
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def masked(
    model: HFModel, longer: Prompt, layers: Sequence[Any], rows: Tensor, tokens: Sequence[int]
) -> Tensor:
    """What is said when all weights are computed plainly and the blocked ones are left out."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    cut = {id(part) for layer in layers for part in layer.modules()}

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
        groups = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        scores = query @ key.transpose(-1, -2) * (more.get("scaling") or query.shape[-1] ** -0.5)
        if (cap := more.get("softcap")) is not None:
            scores = cap * torch.tanh(scores / cap)
        if attention_mask is not None:
            scores = scores + attention_mask[..., : key.shape[2]]
        if id(module) in cut:
            for row in rows.tolist():
                scores[:, :, row, longer.visual] = -torch.inf
        return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None

    AttentionInterface.register("cut", attend)
    AttentionMaskInterface.register("cut", eager_mask)
    model.network.set_attn_implementation("cut")
    try:
        with torch.inference_mode():
            logits = model.network(**longer.inputs, use_cache=False).logits[:, rows[:-1]]
    finally:
        model.network.set_attn_implementation(model.card.attention)
    return logits.float().log_softmax(-1).gather(-1, torch.tensor(tokens)[None, :, None])[..., 0]


def test_weights_that_are_handed_out_make_the_output_and_carry_gradient(model: HFModel) -> None:
    prompt, tokens = asked(model), words(model)
    longer, rows = model.continued(prompt, tokens)
    layers = attending(model, prompt)
    if not layers:
        return
    kept: dict[int, Tensor] = {}

    def take(k: int, weights: Tensor) -> None:
        kept[k] = weights if weights.requires_grad else weights.requires_grad_()

    plain = said(model, prompt, tokens)
    with weighing(layers, take):
        told = model.said(prompt, tokens)
    torch.testing.assert_close(told.detach(), plain, atol=1e-5, rtol=1e-5)
    for k, weights in enumerate(attention_rows(model, longer, rows).weights):
        np.testing.assert_allclose(kept[k].detach()[:, :, rows].numpy(), weights, atol=1e-5)
    middle = len(layers) // 2
    gradients = torch.autograd.grad(told.sum(), [kept[middle], kept[0]])

    def moved(way: Tensor) -> Tensor:
        with weighing([layers[middle]], lambda k, weights: weights + way):
            return said(model, prompt, tokens)

    check_slope(moved, gradients[0], kept[middle].detach())
    assert gradients[1].norm() > 0


def test_states_in_place_of_others(model: HFModel) -> None:
    prompt, tokens = asked(model), words(model)
    before = said(model, prompt, tokens)
    found = capture(model, prompt)
    names = [s.name for s in found.stages]
    for name in (names[0], "projector" if "projector" in names else "llm 0", "llm 1", names[-2]):
        shown: list[Tensor] = []
        with replacing(model, prompt, name, lambda x: shown.append(x.detach()) or x):  # noqa: B023
            same = said(model, prompt, tokens)
        torch.testing.assert_close(same, before, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(shown[0].numpy(), found.states[names.index(name)], atol=1e-5)


def test_gradients_reach_the_states(model: HFModel) -> None:
    prompt, tokens = asked(model), words(model)
    own: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        own.append(x.detach().clone().requires_grad_())
        return own[0]

    with replacing(model, prompt, "llm 1", keep):
        told = model.said(prompt, tokens)
    (gradient,) = torch.autograd.grad(told.sum(), own)

    def moved(way: Tensor) -> Tensor:
        with replacing(model, prompt, "llm 1", lambda x: x + way):
            return said(model, prompt, tokens)

    check_slope(moved, gradient, own[0].detach())


def test_all_that_is_seen_enters_at_the_first_layer(model: HFModel) -> None:
    """With another image's tokens in all views, what is said is what is said of that image.

    But for models that hand their layers more of the image than the tokens that enter.
    """
    one, other, tokens = asked(model, 0), asked(model, 1), words(model)
    states: list[Tensor] = []
    with replacing(model, other, "llm 0", lambda x: states.append(x) or x, others=True):
        want = said(model, other, tokens)
    with replacing(model, one, "llm 0", lambda x: states[0], others=True):
        got = said(model, one, tokens)
    assert torch.allclose(got, want, atol=3e-4, rtol=1e-4) == (model.card.id not in MORE_ENTERS)
