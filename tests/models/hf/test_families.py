"""Every family, on tiny random checkpoints that were saved and opened again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.hf.builders import REACH
from tests.models.hf.tokenisers import Narrowed
from tests.models.hf.verified import verified
from workbench.capture.attention import attention_rows
from workbench.capture.hidden import capture
from workbench.errors import Refusal
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.speech import speak
from workbench.models.protocol import Capability, Grid, Prompt, never
from workbench.models.verify import verify

SIZES = [(70, 100), (130, 60), (96, 96)]
"""Height and width of the images shown: wide, tall, square."""
PAINTINGS = 6
"""Times that pixels are changed before a token that stays is said not to see them."""
BLUR = 0.4
"""Share of a cell that resizing may smear a change over."""


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_it_passes_the_check_at_opening(model: HFModel) -> None:
    verify(model)


def test_every_stage_is_seen_and_finite(model: HFModel) -> None:
    seen = capture(model, model.prepare([noise(SIZES[0])], "what is this?"))
    assert [s.name for s in seen.stages][-1] == f"llm {model.card.llm_layers}"
    assert all(np.isfinite(states).all() for states in seen.states)
    assert seen.grids[-1] is not None


def test_a_prompt_begins_once(model: HFModel) -> None:
    ids = model.prepare([noise(SIZES[0])], "what is this?").inputs["input_ids"][0].tolist()
    assert ids.count(model.processor.tokenizer.bos_token_id) <= 1


def test_no_question_holds_a_word_that_stands_for_an_image(model: HFModel) -> None:
    """Every special word is refused by its name, or leaves the visual tokens where they are."""
    words = model.processor.tokenizer
    plain = model.prepare([noise(SIZES[0])], "what is ?")
    special = {str(token) for token in words.added_tokens_decoder.values()}
    assert model.marks >= {words.convert_ids_to_tokens(model.family.image_token_id)}
    for mark in model.marks:
        for ask in (lambda text: model.prepare([noise(SIZES[0])], text), lambda t: model.score(plain, [t])):
            with pytest.raises(Refusal, match=re.escape(f"holds {mark}, which {model.card.id} reads as a")):
                ask(f"what is {mark}?")
    others = "".join(sorted(w for w in special if not any(mark in w for mark in model.marks))[:50])
    asked = model.prepare([noise(SIZES[0])], f"what is {others}?")
    assert asked.inputs["input_ids"].shape[1] > plain.inputs["input_ids"].shape[1]
    for (grid, before), (again, after) in zip(views(plain), views(asked), strict=True):
        assert (grid.rows, grid.cols) == (again.rows, again.cols) and torch.equal(before, after)
    assert torch.isfinite(model.forward(asked)).all()


class Unmixed:
    """The model with nothing in its tower that mixes patches: a visual token holds its own pixels alone."""

    def __init__(self, model: HFModel) -> None:
        blocks = model.family.parts.blocks
        tokeniser = None if blocks else model.network.base_model.vqmodel
        other = getattr(model.network.base_model, "high_res_vision_model", None)
        self.blocks = [*blocks, *(other.vision_encoder.layers if other is not None else [])]
        self.handles: list[Any] = []
        self.tokeniser = Narrowed(tokeniser) if tokeniser is not None else nullcontext()

    def __enter__(self) -> None:
        self.tokeniser.__enter__()
        for block in self.blocks:
            attention = next(
                module
                for name, module in block.named_modules()
                if name.rpartition(".")[2] in ("self_attn", "attn", "attention", "conv")
            )
            self.handles.append(attention.register_forward_hook(self._silent))

    @staticmethod
    def _silent(module: torch.nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    def __exit__(self, *_: object) -> None:
        self.tokeniser.__exit__()
        for handle in self.handles:
            handle.remove()


def entering(model: HFModel, prompt: Prompt) -> torch.Tensor:
    """What enters the language model, (tokens, width), of the first sequence."""
    found: list[torch.Tensor] = []

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        found.append((args[0] if args else kwargs["hidden_states"])[0].clone())

    handle = model.family.parts.layers[0].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        model.forward(prompt)
    finally:
        handle.remove()
    return found[0]


def views(prompt: Prompt) -> list[tuple[Grid, torch.Tensor]]:
    return [(prompt.grid, prompt.visual), *((view.grid, view.positions) for view in prompt.others)]


def touched(grid: Grid, rectangle: tuple[int, int, int, int], grow: float) -> np.ndarray:
    """Which cells, each grown or shrunk by a share of itself, meet the rectangle; bool (cells,)."""
    x0, y0, x1, y1 = grid.boxes.T
    dx, dy = grow * (x1 - x0), grow * (y1 - y0)
    left, top, right, bottom = rectangle
    return (x0 - dx < right) & (x1 + dx > left) & (y0 - dy < bottom) & (y1 + dy > top)


def must_see(model: HFModel, grid: Grid, rectangle: tuple[int, int, int, int]) -> np.ndarray:
    """Which cells have to change with the rectangle; bool (cells,).

    Those of a tokeniser only where they lie wholly in it: it may well keep a place's word when little of
    the place changes.
    """
    if model.family.parts.blocks:
        return touched(grid, rectangle, -BLUR)
    x0, y0, x1, y1 = grid.boxes.T
    left, top, right, bottom = rectangle
    return (x0 >= left) & (y0 >= top) & (x1 <= right) & (y1 <= bottom)


def paintings(image: np.ndarray, rectangle: tuple[int, int, int, int]) -> Iterator[np.ndarray]:
    """The image with the rectangle in one colour: several, as a tokeniser may make one word of two."""
    left, top, right, bottom = rectangle
    for seed in range(PAINTINGS):
        painted = image.copy()
        painted[top:bottom, left:right] = noise((1, 1), 100 + seed)
        yield painted


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_a_token_changes_when_its_pixels_do(model: HFModel, size: tuple[int, int]) -> None:
    height, width = size
    image = noise(size)
    rng = np.random.default_rng(1)
    outside = BLUR + REACH.get(model.card.id, 0)
    compared = 0
    with Unmixed(model):
        before = entering(model, model.prepare([image], "what?"))
        for _ in range(3):
            left, top = int(rng.integers(0, width * 2 // 3)), int(rng.integers(0, height * 2 // 3))
            rectangle = (left, top, left + width // 4, top + height // 4)
            changed = torch.zeros(len(before), dtype=torch.bool)
            for painted in paintings(image, rectangle):
                prompt = model.prepare([painted], "what?")
                after = entering(model, prompt)
                changed |= (after - before).norm(dim=-1) > 1e-3 * before.norm(dim=-1)
            for grid, positions in views(prompt):
                here = changed[positions].numpy()
                assert not (here & ~touched(grid, rectangle, outside)).any(), grid.part
                assert not (must_see(model, grid, rectangle) & ~here).any(), grid.part
                compared += len(here)
    verified(model, "places", compared)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_in_tower_and_projector_too_a_token_changes_when_its_pixels_do(
    model: HFModel, size: tuple[int, int]
) -> None:
    height, width = size
    image = noise(size)
    rectangle = (width // 3, height // 2, width // 3 + width // 4, height // 2 + height // 4)
    with Unmixed(model):
        before = capture(model, model.prepare([image], "what?"))
        after = [capture(model, model.prepare([p], "what?")) for p in paintings(image, rectangle)]
    compared = 0
    for k, (stage, grid) in enumerate(zip(before.stages, before.grids, strict=True)):
        if stage.band == "llm" or grid is None:
            continue
        a = before.states[k][0]
        moved = np.stack([np.linalg.norm(seen.states[k][0] - a, axis=-1) for seen in after])
        changed = (moved > 1e-3 * np.linalg.norm(a, axis=-1)).any(0)
        outside = BLUR + (REACH.get(model.card.id, 0) if stage.band == "projector" else 0)
        assert not (changed & ~touched(grid, rectangle, outside)).any(), stage.name
        assert not (must_see(model, grid, rectangle) & ~changed).any(), stage.name
        compared += len(changed)
    verified(model, "tower places", compared)


def test_the_last_stage_gives_the_logits_of_every_visual_token(model: HFModel) -> None:
    prompt = model.prepare([noise(SIZES[0])], "what is this?")
    states = capture(model, prompt).states[-1]
    with torch.inference_mode():
        logits = model.network(**prompt.inputs, use_cache=False).logits[:, prompt.visual]
    torch.testing.assert_close(model.readout(torch.from_numpy(states)), logits, atol=1e-3, rtol=1e-3)
    verified(model, "logits", logits.numel())


def test_no_word_depends_on_pixels_and_no_visual_token_is_forgotten(model: HFModel) -> None:
    one, *more = (
        entering(model, model.prepare([noise(SIZES[0], seed)], "what?")) for seed in range(1 + PAINTINGS)
    )
    prompt = model.prepare([noise(SIZES[0])], "what?")
    known = torch.cat([positions for _, positions in views(prompt)]).sort().values
    changed = torch.stack([(one - two).norm(dim=-1) > 1e-5 for two in more]).any(0).nonzero()[:, 0]
    assert changed.tolist() == known.tolist()


def test_images_shown_together_keep_their_places(model: HFModel) -> None:
    first, *seconds = noise(SIZES[0]), *(noise(SIZES[1], 1 + seed) for seed in range(1 + PAINTINGS))
    prompts = [model.prepare([first, second], "which?", together=True) for second in seconds]
    before, *after = (entering(model, prompt) for prompt in prompts)
    changed = torch.stack([(before - other).norm(dim=-1) > 1e-5 for other in after]).any(0)
    assert {grid.image for grid, _ in views(prompts[0])} == {0, 1}
    for grid, positions in views(prompts[0]):
        moved = changed[positions]
        assert bool(moved.all()) == (grid.image == 1) and bool(moved.any()) == (grid.image == 1)
    verified(model, "several", 2)


def test_a_batch_computes_what_each_image_alone_does(model: HFModel) -> None:
    images = [noise(SIZES[0], 0), noise(SIZES[0], 1)]
    together = capture(model, model.prepare(images, "what is this?"))
    for row, image in enumerate(images):
        alone = capture(model, model.prepare([image], "what is this?"))
        for a, b in zip(alone.states, together.states, strict=True):
            np.testing.assert_allclose(a[0], b[row], atol=1e-4, rtol=1e-4)


def test_an_answer_is_what_generate_gives_and_comes_word_by_word(model: HFModel) -> None:
    prompt = model.prepare([noise(SIZES[0])], "what is this?")
    steps = [said[0] for said in speak(model.family, prompt.inputs, 5, never)]
    with torch.inference_mode():
        made = model.network.generate(**prompt.inputs, do_sample=False, max_new_tokens=5)
    ids = made[0, prompt.inputs["input_ids"].shape[1] :].tolist()
    expected = [i for i in ids if i not in model.family.ends]
    assert [t.id for t in steps[-1].tokens] == expected
    assert [len(step.tokens) for step in steps][: len(expected)] == list(range(1, len(expected) + 1))
    assert model.answer(prompt, max_new_tokens=5)[0] == steps[-1]
    logits = model.forward(prompt)[0].float().log_softmax(-1)
    assert int(logits.argmax()) == ids[0]
    if expected:
        assert steps[0].tokens[0].logprob == pytest.approx(float(logits.max()), abs=1e-3)
    verified(model, "words", len(expected))


def test_scores_are_the_sums_of_each_tokens_log_probability(model: HFModel) -> None:
    prompt = model.prepare([noise(SIZES[0])], "what is this?")
    scored = model.score(prompt, ["red", "a blue ring"])[0]
    for value, text in zip(scored, ["red", "a blue ring"], strict=True):
        ids, total = model.family.candidate(text)[0].tolist(), 0.0
        said: list[int] = []
        for token in ids:
            inputs = (
                model.family.extended(prompt.inputs, torch.tensor([said], dtype=torch.long))
                if said
                else prompt.inputs
            )
            with torch.inference_mode():
                logits = model.network(**inputs).logits[0, -1]
            total += float(logits.float().log_softmax(-1)[token])
            said.append(token)
        assert value == pytest.approx(total, abs=1e-3)
    verified(model, "scores", len(scored))


def plain_calls(model: HFModel, prompt: Prompt) -> dict[int, list[torch.Tensor]]:
    """Weights (B, heads, N, K) of each call of every attention module, by its id, from a plain softmax."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    found: dict[int, list[torch.Tensor]] = {}

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
        groups = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        scores = query @ key.transpose(-1, -2) * (more.get("scaling") or query.shape[-1] ** -0.5)
        if (cap := more.get("softcap")) is not None:
            scores = cap * torch.tanh(scores / cap)
        if attention_mask is not None:
            scores = scores + attention_mask[..., : key.shape[2]]
        weights = scores.softmax(-1)
        found.setdefault(id(module), []).append(weights)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    AttentionInterface.register("plain", attend)
    AttentionMaskInterface.register("plain", eager_mask)
    model.network.set_attn_implementation("plain")
    try:
        model.forward(prompt)
    finally:
        model.network.set_attn_implementation(model.card.attention)
    return found


def together(pieces: Iterable[torch.Tensor]) -> torch.Tensor:
    """(heads, N, K) of pieces of a sequence that do not see one another."""
    return torch.stack([torch.block_diag(*heads) for heads in zip(*pieces, strict=True)])


def eager(model: HFModel, prompt: Prompt) -> dict[int, torch.Tensor]:
    """All weights (heads, N, K) of every attention module, by its id, of the batch's first entry."""
    return {name: together(w[0] for w in calls) for name, calls in plain_calls(model, prompt).items()}


@pytest.mark.parametrize("band", ["llm", "vision"])
def test_rows_of_attention_are_those_of_a_plain_softmax(model: HFModel, band: str) -> None:
    prompt = model.prepare([noise(SIZES[0])], "what is this?")
    assert Capability.ATTENTION in model.card.capabilities
    layers = [layer for stage, layer in model.attending(prompt) if stage.band == band]
    assert layers or (band == "vision" and not model.family.parts.blocks)
    length = prompt.inputs["input_ids"].shape[1]
    rows = torch.tensor([0, 5, 11]) if band == "vision" else torch.tensor([0, length // 2, length - 1])
    before = model.forward(prompt)
    seen = attention_rows(model, prompt, rows, band=band)
    torch.testing.assert_close(model.forward(prompt), before, atol=0, rtol=0)
    everything, compared = eager(model, prompt), 0
    for layer, weights in zip(layers, seen.weights, strict=True):
        truth = next(everything[id(part)] for part in layer.modules() if id(part) in everything)
        np.testing.assert_allclose(weights[0], truth[:, rows], atol=1e-5)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        compared += weights[0, :, :, 0].size
    verified(model, f"{band} rows", compared)


def test_rows_of_a_tower_are_those_of_their_own_tile_in_every_image_of_a_batch(model: HFModel) -> None:
    tall = [np.random.default_rng(k).integers(0, 256, (200, 70, 3)).astype(np.uint8) for k in range(2)]
    prompt = model.prepare(tall, "what is this?")
    layers = [layer for stage, layer in model.attending(prompt) if stage.band == "vision"]
    if not layers:
        return
    places = next(tap.positions for tap in model.taps(prompt) if tap.stage.band == "vision")
    rows = torch.arange(3) if places is None else places[[-1, 0, len(places) // 2, len(places) // 2 + 1]]
    seen = attention_rows(model, prompt, rows, band="vision")
    everything = plain_calls(model, prompt)
    for layer, weights, first in zip(layers, seen.weights, seen.first, strict=True):
        calls = next(everything[id(part)] for part in layer.modules() if id(part) in everything)
        truth = together(entry for call in calls for entry in call)
        length = truth.shape[1] // 2
        assert weights.shape[:3] == (2, len(truth), len(rows))
        for image in range(2):
            for k, row in enumerate(rows.tolist()):
                start = image * length + int(first[k])
                own = truth[:, image * length + row, start : start + weights.shape[-1]]
                np.testing.assert_allclose(weights[image, :, k], own, atol=1e-5)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
