"""Every family, on tiny random checkpoints that were saved and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.hf.builders import BUILDERS, REACH, saved
from workbench.capture.hidden import capture
from workbench.models.hf.adapter import HFModel
from workbench.models.hf.load import load
from workbench.models.hf.speech import speak
from workbench.models.protocol import Grid, Prompt, never
from workbench.models.verify import verify

SIZES = [(70, 100), (130, 60), (96, 96)]
"""Height and width of the images shown: wide, tall, square."""
BLUR = 0.4
"""Share of a cell that resizing may smear a change over."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="session", params=sorted(BUILDERS))
def model(request: pytest.FixtureRequest, folder: Path) -> HFModel:
    path = saved(request.param, folder)
    return load(path, name=request.param, device=torch.device("cpu"), dtype=torch.float32)


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_it_passes_the_check_at_opening(model: HFModel) -> None:
    verify(model)


def test_every_stage_is_seen_and_finite(model: HFModel) -> None:
    seen = capture(model, model.prepare([noise(SIZES[0])], "what is this?"))
    assert [s.name for s in seen.stages][-1] == f"llm {model.card.llm_layers}"
    assert all(np.isfinite(states).all() for states in seen.states)
    assert seen.grids[-1] is not None


class Unmixed:
    """The model with no attention in its tower: what a visual token holds comes from its own pixels."""

    def __init__(self, model: HFModel) -> None:
        self.blocks = model.family.parts.blocks
        self.handles: list[Any] = []

    def __enter__(self) -> None:
        for block in self.blocks:
            attention = next(
                module
                for name, module in block.named_modules()
                if name.rpartition(".")[2] in ("self_attn", "attn", "attention")
            )
            self.handles.append(attention.register_forward_hook(self._silent))

    @staticmethod
    def _silent(module: torch.nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    def __exit__(self, *_: object) -> None:
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


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_a_token_changes_when_its_pixels_do(model: HFModel, size: tuple[int, int]) -> None:
    height, width = size
    image = noise(size)
    rng = np.random.default_rng(1)
    outside = BLUR + REACH.get(model.card.id, 0)
    with Unmixed(model):
        before = entering(model, model.prepare([image], "what?"))
        for _ in range(3):
            left, top = int(rng.integers(0, width * 2 // 3)), int(rng.integers(0, height * 2 // 3))
            rectangle = (left, top, left + width // 4, top + height // 4)
            painted = image.copy()
            painted[rectangle[1] : rectangle[3], rectangle[0] : rectangle[2]] ^= 255
            prompt = model.prepare([painted], "what?")
            after = entering(model, prompt)
            for grid, positions in views(prompt):
                moved = (after[positions] - before[positions]).norm(dim=-1)
                changed = (moved > 1e-3 * before[positions].norm(dim=-1)).numpy()
                assert not (changed & ~touched(grid, rectangle, outside)).any(), grid.part
                assert not (touched(grid, rectangle, -BLUR) & ~changed).any(), grid.part


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_the_grids_of_tower_and_projector_are_where_their_pixels_are(
    model: HFModel, size: tuple[int, int]
) -> None:
    height, width = size
    image = noise(size)
    rectangle = (width // 3, height // 2, width // 3 + width // 4, height // 2 + height // 4)
    painted = image.copy()
    painted[rectangle[1] : rectangle[3], rectangle[0] : rectangle[2]] ^= 255
    with Unmixed(model):
        before, after = (capture(model, model.prepare([shown], "what?")) for shown in (image, painted))
    for stage, grid, a, b in zip(before.stages, before.grids, before.states, after.states, strict=True):
        if stage.band == "llm" or grid is None:
            continue
        changed = np.linalg.norm(b[0] - a[0], axis=-1) > 1e-3 * np.linalg.norm(a[0], axis=-1)
        assert not (changed & ~touched(grid, rectangle, BLUR)).any(), stage.name
        assert not (touched(grid, rectangle, -BLUR) & ~changed).any(), stage.name


def test_no_word_depends_on_pixels_and_no_visual_token_is_forgotten(model: HFModel) -> None:
    one, two = (entering(model, model.prepare([noise(SIZES[0], seed)], "what?")) for seed in (0, 1))
    prompt = model.prepare([noise(SIZES[0])], "what?")
    known = torch.cat([positions for _, positions in views(prompt)]).sort().values
    changed = ((one - two).norm(dim=-1) > 1e-5).nonzero()[:, 0]
    assert changed.tolist() == known.tolist()


def test_images_shown_together_keep_their_places(model: HFModel) -> None:
    images = [noise(SIZES[0], 0), noise(SIZES[1], 1)]
    prompt = model.prepare(images, "which?", together=True)
    assert {grid.image for grid, _ in views(prompt)} == {0, 1}
    before = entering(model, prompt)
    after = entering(model, model.prepare([images[0], noise(SIZES[1], 2)], "which?", together=True))
    for grid, positions in views(prompt):
        moved = (after[positions] - before[positions]).norm(dim=-1) > 1e-5
        assert bool(moved.all()) == (grid.image == 1) and bool(moved.any()) == (grid.image == 1)


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
