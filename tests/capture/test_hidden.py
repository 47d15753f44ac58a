"""Captured states equal what the modules really passed on, and hooks leave no trace."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.capture.fake import FakeModel
from workbench.capture.hidden import capture
from workbench.models.protocol import Prompt, Stage

IMAGES = [np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8) for i in range(5)]


def reference(model: FakeModel, prompt: Prompt) -> list[np.ndarray]:
    seen: list[Tensor] = []
    with torch.no_grad():
        model.run(prompt, seen)
    return [x.numpy() for x in seen]


def hooks(model: FakeModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.net.modules())


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_states_equal_the_pass(scattered: bool, batch: int) -> None:
    model = FakeModel(scattered=scattered)
    prompt = model.prepare(IMAGES[:batch])
    expected = reference(model, prompt)
    found = capture(model, prompt)
    assert [s.name for s in found.stages] == [s.name for s in model.stages()]
    assert found.grid is prompt.grid
    for stage, have, want in zip(found.stages, found.states, expected, strict=True):
        assert have.dtype == np.float32
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-6, err_msg=stage.name)
    assert model.passes == 2
    assert hooks(model) == 0


def test_keep_reduces_on_the_device_and_does_not_hold_a_view() -> None:
    model = FakeModel()
    prompt = model.prepare(IMAGES[:2])
    expected = reference(model, prompt)
    pooled = capture(model, prompt, keep=lambda stage, x: x.mean(dim=1))
    first = capture(model, prompt, keep=lambda stage, x: x[:, :3])
    for have, part, want in zip(pooled.states, first.states, expected, strict=True):
        np.testing.assert_allclose(have, want.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(part, want[:, :3], atol=1e-6)


def test_half_precision_comes_out_as_float32() -> None:
    model = FakeModel()
    prompt = model.prepare(IMAGES[:1])
    found = capture(model, prompt, keep=lambda stage, x: x.to(torch.bfloat16))
    assert all(x.dtype == np.float32 for x in found.states)


def test_hooks_go_and_nothing_stays_alive_when_the_pass_fails() -> None:
    model = FakeModel()
    prompt = model.prepare(IMAGES[:1])
    held: list[weakref.ref[Tensor]] = []

    def failing(stage: Stage, x: Tensor) -> Tensor:
        held.append(weakref.ref(x))
        if stage.name == "llm 2":
            raise KeyError("midway")
        return x.sum(dim=1)

    with pytest.raises(KeyError, match="midway"):
        capture(model, prompt, keep=failing)
    assert hooks(model) == 0
    assert len(held) == 7 and all(ref() is None for ref in held)
    np.testing.assert_array_equal(capture(model, prompt).states[-1], capture(model, prompt).states[-1])


def test_hooks_go_when_attaching_fails() -> None:
    model = FakeModel()
    prompt = model.prepare(IMAGES[:1])
    taps = model.taps(prompt)
    model.taps = lambda prompt: [*taps[:-1], replace(taps[-1], module=object())]  # type: ignore[method-assign, arg-type]
    with pytest.raises(AttributeError):
        capture(model, prompt)
    assert hooks(model) == 0


def test_two_threads_on_one_model_do_not_see_each_other() -> None:
    model = FakeModel(side=8)
    prompts = [model.prepare([image]) for image in IMAGES[:4]]
    expected = [reference(model, prompt) for prompt in prompts]
    errors: list[str] = []
    together = threading.Barrier(4)

    def work(i: int) -> None:
        together.wait()
        for _ in range(15):
            try:
                for have, want in zip(capture(model, prompts[i]).states, expected[i], strict=True):
                    if not np.allclose(have, want, atol=1e-5):
                        errors.append(f"thread {i}")
            except Exception as error:
                errors.append(f"thread {i}: {error!r}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert hooks(model) == 0


def test_a_second_result_does_not_change_the_first() -> None:
    model = FakeModel()
    first = capture(model, model.prepare(IMAGES[:1]))
    copies = [x.copy() for x in first.states]
    capture(model, model.prepare(IMAGES[1:2]))
    for have, want in zip(first.states, copies, strict=True):
        np.testing.assert_array_equal(have, want)


FAULTS = {"twice": "shown twice", "never": "did not show", "grid": "grid is"}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_adapter_that_lies_is_found_out(fault: str) -> None:
    model = FakeModel()
    prompt = model.prepare(IMAGES[:1])
    once = model.forward

    def forward(prompt: Prompt) -> None:
        if fault != "never":
            once(prompt)
        if fault == "twice":
            once(prompt)

    model.forward = forward  # type: ignore[method-assign]
    if fault == "grid":
        prompt.grid = replace(prompt.grid, rows=5)
    with pytest.raises(RuntimeError, match=FAULTS[fault]):
        capture(model, prompt)
    assert hooks(model) == 0
