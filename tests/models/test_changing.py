"""What a person may change in a pass of BAGEL: pixels, states, attention."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.models.tiny import Script, picture
from workbench.capture.attention import attention_rows
from workbench.capture.editing import replacing
from workbench.capture.hidden import capture
from workbench.errors import Refusal
from workbench.models import meddle
from workbench.models.bagel.adapter import BagelModel
from workbench.models.bagel.intervene import BagelBranch
from workbench.models.bagel.sequence import context_of
from workbench.models.grids import grid_over
from workbench.models.meddle import blocking, weighing
from workbench.models.protocol import ROUTES, Capability, Prompt, Sampling


def asked(model: BagelModel, seed: int = 0) -> Prompt:
    return model.prepare([picture(32, 48, seed)], "what red is it?")


def words(model: BagelModel) -> list[int]:
    return [*model.typed("seven red"), model.special.eos]


@torch.inference_mode()
def said(model: BagelModel, prompt: Prompt) -> Tensor:
    return model.said(prompt, words(model))


def slope(at: Callable[[float], Tensor], step: float) -> float:
    return float((at(step).double().sum() - at(-step).double().sum()) / (2 * step))


def llm(model: BagelModel, prompt: Prompt) -> list[torch.nn.Module]:
    return [layer for stage, layer in model.attending(prompt) if stage.band == "llm"]


def test_what_is_said_adds_up_to_the_score(model: BagelModel) -> None:
    prompt = model.prepare([picture(seed=0), picture(seed=1)], "what red is it?")
    with torch.inference_mode():
        told = model.said(prompt, words(model))
    np.testing.assert_allclose(told.sum(1), model.score(prompt, ["seven red"])[:, 0], atol=1e-3)
    assert model.said(prompt, []).shape == (2, 0)


def test_gradients_reach_the_pixels(model: BagelModel) -> None:
    assert Capability.PIXEL_GRADIENTS in model.card.capabilities
    prompt = asked(model)
    pixels = model.pixels(prompt).clone().requires_grad_()
    told = model.said(model.seeing(prompt, pixels), words(model))
    (gradient,) = torch.autograd.grad(told.sum(), pixels)
    way = gradient / gradient.norm()
    found = slope(lambda e: said(model, model.seeing(prompt, pixels.detach() + e * way)), 0.003)
    assert found == pytest.approx(float(gradient.norm()), rel=0.03)


def test_rows_of_pixels_are_sequences_of_their_own(model: BagelModel) -> None:
    one, other = asked(model, 0), asked(model, 1)
    both = model.seeing(one, torch.cat([model.pixels(one), model.pixels(other)]))
    want = torch.cat([said(model, one), said(model, other)])
    torch.testing.assert_close(said(model, both), want, atol=1e-4, rtol=1e-4)
    with pytest.raises(Refusal, match="1 rows of pixels are no multiple of the prompt's 2"):
        model.seeing(both, model.pixels(one))


def test_cells_are_sums_over_patches_and_pixels(model: BagelModel) -> None:
    prompt = asked(model)
    values = torch.rand(2, *model.pixels(prompt).shape[1:], generator=torch.Generator().manual_seed(0))
    ((grid, sums),) = model.cells(prompt, values)
    assert (grid.rows, grid.cols) == (prompt.grid.rows, prompt.grid.cols)
    np.testing.assert_allclose(sums, values.double().sum(-1), rtol=1e-6)
    patch = model.config.vision.patch_size
    ((_, fine),) = model.cells(prompt, values, [grid_over(32, 48, (0, 0, 48, 32))])
    block = values.double().view(2, 32 // patch, 48 // patch, patch, patch, 3).sum(-1)
    np.testing.assert_allclose(fine.reshape(2, 32, 48), block.permute(0, 1, 3, 2, 4).reshape(2, 32, 48))


def test_blocked_attention_is_that_of_a_masked_pass(
    model: BagelModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = asked(model)
    longer, rows = model.continued(prompt, words(model))
    before, layers = said(model, prompt), llm(model, prompt)[1:]
    with blocking(layers, rows, prompt.visual):
        blocked = said(model, prompt)
    torch.testing.assert_close(said(model, prompt), before, atol=0, rtol=0)
    assert not torch.allclose(blocked, before, atol=1e-4)

    chosen = {id(layer.self_attn) for layer in layers}

    def attend(module: torch.nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, _: bool) -> Tensor:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
        if id(module) in chosen:
            for row in rows.tolist():
                scores[:, :, row, prompt.visual] = -torch.inf
        return F.softmax(scores, -1) @ v

    monkeypatch.setattr("workbench.models.bagel.language.attend", attend)
    torch.testing.assert_close(said(model, prompt), blocked, atol=1e-5, rtol=1e-5)


def test_blocking_counts_places_from_the_beginning_where_keys_are_kept(model: BagelModel) -> None:
    """Word by word with kept keys, the blocked answer is that of one pass."""
    prompt = asked(model)
    later = torch.arange(len(prompt.visual) + 2, 60)
    with blocking(llm(model, prompt), later, prompt.visual):
        answer = model.answer(prompt, max_new_tokens=3)[0]
        with torch.inference_mode():
            told = model.said(prompt, [token.id for token in answer.tokens])
    np.testing.assert_allclose(told[0], [token.logprob for token in answer.tokens], atol=1e-3)


def test_a_token_must_have_something_left_to_attend_to(model: BagelModel) -> None:
    prompt = asked(model)
    with (
        pytest.raises(Refusal, match="nothing left to attend to"),
        blocking(llm(model, prompt), torch.tensor([0]), torch.arange(200)),
    ):
        said(model, prompt)
    assert not meddle.meddled()


def test_weights_that_are_handed_out_make_the_output_and_carry_gradient(model: BagelModel) -> None:
    prompt, kept = asked(model), {}
    longer, rows = model.continued(prompt, words(model))
    layers = llm(model, prompt)

    def take(k: int, weights: Tensor) -> None:
        kept[k] = weights if weights.requires_grad else weights.requires_grad_()

    plain = said(model, prompt)
    with weighing(layers, take):
        told = model.said(prompt, words(model))
    torch.testing.assert_close(told.detach(), plain, atol=1e-4, rtol=1e-5)
    for k, weights in enumerate(attention_rows(model, longer, rows).weights):
        np.testing.assert_allclose(kept[k].detach()[:, :, rows].numpy(), weights, atol=1e-5)
    (gradient,) = torch.autograd.grad(told.sum(), [kept[1]])
    way = gradient / gradient.norm()

    def moved(step: float) -> Tensor:
        with weighing([layers[1]], lambda k, weights: weights + step * way):
            return said(model, prompt)

    assert slope(moved, 0.003) == pytest.approx(float(gradient.norm()), rel=0.03)


@pytest.mark.parametrize("name", ["vision 1", "projector", "llm 0", "llm 1", "llm 3"])
def test_gradients_reach_the_states(model: BagelModel, name: str) -> None:
    prompt, own = asked(model), []

    def keep(x: Tensor) -> Tensor:
        own.append(x.detach().clone().requires_grad_())
        return own[0]

    with replacing(model, prompt, name, keep):
        told = model.said(prompt, words(model))
    found = capture(model, prompt)
    stage = [s.name for s in found.stages].index(name)
    np.testing.assert_allclose(own[0].detach(), found.states[stage], atol=1e-5)
    (gradient,) = torch.autograd.grad(told.sum(), own, allow_unused=True)
    if name == "llm 3":
        # What the last layer writes at the visual tokens is read by nobody.
        assert gradient is None or not gradient.any()
        return
    way = gradient / gradient.norm()

    def moved(step: float) -> Tensor:
        with replacing(model, prompt, name, lambda x: x + step * way):
            return said(model, prompt)

    assert slope(moved, 0.01) == pytest.approx(float(gradient.norm()), rel=0.03)


def test_several_stages_and_other_places(model: BagelModel) -> None:
    prompt, other = asked(model, 0), asked(model, 1)
    states = capture(model, other).states
    names = [stage.name for stage in model.stages()]
    entered, middle = (torch.from_numpy(states[names.index(n)].copy()) for n in ("llm 0", "llm 1"))
    with replacing(model, prompt, "llm 0", lambda x: entered):
        swapped = said(model, prompt)
        with replacing(model, prompt, "llm 1", lambda x: x + 0 * middle):
            torch.testing.assert_close(said(model, prompt), swapped, atol=0, rtol=0)
    torch.testing.assert_close(swapped, said(model, other), atol=1e-4, rtol=1e-4)
    with replacing(model, prompt, "llm 0", lambda x: 0 * x, places=torch.tensor([len(prompt.visual) + 3])):
        assert not torch.allclose(said(model, prompt), said(model, other))
    with pytest.raises(Refusal, match="has no stage llm 9"), replacing(model, prompt, "llm 9", lambda x: x):
        pass
    with (
        pytest.raises(Refusal, match="Choose a stage of the language model"),
        replacing(model, prompt, "vision 1", lambda x: x, others=True),
    ):
        pass


class TestInsideAResponse:
    """The prompt that stands where an answer after a drawing begins."""

    @pytest.mark.parametrize("route", ROUTES)
    def test_one_pass_says_the_answer_as_the_response_did(self, model: BagelModel, route: str) -> None:
        branch = drawn(model, route)
        for reply in (branch.own, branch.without(), *branch.replies([picture(seed=7), None], "both")):
            tokens = reply.answer.tokens
            assert tokens
            with torch.inference_mode():
                told = model.said(reply.prompt(), [token.id for token in tokens])
            np.testing.assert_allclose(told[0], [token.logprob for token in tokens], atol=2e-3)

    @pytest.mark.parametrize("route", ROUTES)
    def test_after_two_drawings_too_it_is_what_was_read(self, fresh: BagelModel, route: str) -> None:
        Script(fresh, lambda _: "<think>dark</think><image_restore>")
        *_, branch = fresh.branched(picture(), "what dark is it?", Sampling(steps=1, route=route))
        assert isinstance(branch, BagelBranch)
        for past, context in (
            (branch.drawn.past, branch.drawn.before),
            (branch.drawn.asking, branch.drawn.after),
        ):
            assert len(past.images) == 2
            again = context_of(fresh.network, fresh.special, past.segments)
            assert (again.length, again.position) == (context.length, context.position)
            for (k, v), (key, value) in zip(again.past, context.past, strict=True):
                torch.testing.assert_close(k, key, atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(v, value, atol=1e-4, rtol=1e-4)

    def test_its_views_are_the_images_and_their_latents(self, model: BagelModel) -> None:
        prompt = drawn(model, "both").own.prompt()
        views = [(prompt.grid, prompt.visual), *((view.grid, view.positions) for view in prompt.others)]
        assert [(grid.image, grid.part) for grid, _ in views] == [
            (0, "image"),
            (1, "image"),
            (0, "latent"),
            (1, "latent"),
        ]
        assert prompt.batch == 1 and len(prompt.images) == 2
        places = torch.cat([places for _, places in views])
        assert len(places.unique()) == len(places) == sum(grid.rows * grid.cols for grid, _ in views)
        states = capture(model, prompt).states
        entered = dict(zip((s.name for s in model.stages()), states, strict=True))["llm 0"]
        seen = model.embedded_vision(model.pictures([prompt.images[0]]))
        np.testing.assert_allclose(entered, seen, atol=1e-5)

    def test_pixels_of_both_images_carry_gradient_to_cells_of_their_own(self, model: BagelModel) -> None:
        reply = drawn(model, "re-encode").own
        prompt, tokens = reply.prompt(), [token.id for token in reply.answer.tokens]
        pixels = model.pixels(prompt).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.said(model.seeing(prompt, pixels), tokens).sum(), pixels)
        (own, of_own), (other, of_other) = model.cells(prompt, gradient.abs())
        assert (own.image, other.image) == (0, 1)
        assert of_own.sum() > 0 and of_other.sum() > 0
        assert of_own.sum() + of_other.sum() == pytest.approx(float(gradient.abs().double().sum()))
        both = model.seeing(prompt, torch.cat([pixels, 0 * pixels]).detach())
        assert both.batch == 2
        with torch.inference_mode():
            told = model.said(both, tokens)
        assert told.shape == (2, len(tokens)) and not torch.allclose(told[0], told[1])

    def test_its_answer_is_the_responses_own(self, model: BagelModel) -> None:
        prompt = drawn(model, "bridge").own.prompt()
        for ask in (lambda: model.answer(prompt), lambda: model.score(prompt, ["red"])):
            with pytest.raises(Refusal, match="stands inside a response"):
                ask()

    def test_a_drawing_points_where_its_velocity_does(self, model: BagelModel) -> None:
        branch = drawn(model, "bridge")
        kept, t = branch.drawn, 0.6
        prompt = branch.drawing(t, seed=5)
        noise = torch.randn(kept.latent.shape, generator=torch.Generator().manual_seed(5))
        x = (1 - t) * kept.latent + t * noise
        grid = (kept.pictures.latent_rows, kept.pictures.latent_cols)
        with torch.inference_mode():
            want = x - t * model.network.velocity(kept.after, x, *grid, t, model.special)
            got = model.pointed(prompt)
        torch.testing.assert_close(got, want, atol=2e-3, rtol=1e-3)
        view = prompt.others[-1]
        assert (view.grid.image, view.grid.part) == (1, "latent") and len(view.positions) == got.shape[1]
        pixels = model.pixels(prompt).clone().requires_grad_()
        target = model.pointed(model.seeing(prompt, pixels))[:, :4].square().sum()
        assert torch.autograd.grad(target, pixels)[0].abs().sum() > 0
        with pytest.raises(Refusal, match="Nothing is drawn at the end"):
            model.pointed(asked(model))


def drawn(model: BagelModel, route: str) -> BagelBranch:
    settings = Sampling(steps=2, max_new_tokens=12, restore="always", route=route)
    *_, branch = model.branched(picture(seed=3), "what dark is it?", settings)
    assert isinstance(branch, BagelBranch)
    return branch
