"""Real models behind the page: nothing of a look keeps one alive that was closed or had to make room."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.models.hf.builders import saved
from workbench.app import Page, build
from workbench.models import Opening
from workbench.page.chooser import Chooser
from workbench.page.host import Chosen
from workbench.page.session import Sessions

VISITOR: Any = SimpleNamespace(session_hash="visitor")
DRAWING = Chosen("pocket-bagel", Opening(device="cpu", dtype="float32"))
"""The embedded checkpoint once more: under another choice it is another model."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    sessions = Sessions(tmp_path / "sessions")
    yield build(sessions=sessions, opening=Opening(device="cpu"))
    sessions.close_all()


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(saved("llava", tmp_path_factory.mktemp("llava")))


def opened(chooser: Chooser, chosen: Chosen) -> dict[Any, Any]:
    *how, _ = asdict(chosen.opening).values()
    *_, last = chooser.open_model(VISITOR, chosen.name, *how, chooser.host.first, "", [])
    return dict(last)


def looked(page: Page, study: str, chosen: Chosen) -> str:
    bench, panel = page.bench, page.panels[study]
    quick: dict[str, Any] = {"permutations": 20}
    if study == "states":
        quick = {"steps": 1, "max_new_tokens": 8, "restore": "always"}
    values = [chosen if part is bench.model else part.value for part in bench.inputs]
    settings = {name: part.value for name, part in panel.settings.items()} | quick
    *_, last = panel.look(bench.session(VISITOR), *values, *settings.values(), None)
    return str(last[panel.status])


def alive(model: weakref.ref[Any], network: weakref.ref[Any]) -> list[str]:
    """What is left of a model, and what refers to it."""
    found = [each for each in (model(), network()) if each is not None]
    return [f"{type(each).__name__} < {[type(r) for r in gc.get_referrers(each)]}" for each in found]


def tensors() -> int:
    """Weights and states that are there: large tensors of floating point."""
    gc.collect()
    found = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    return sum(each.is_floating_point() and each.numel() > 1000 for each in found)


@pytest.mark.slow
def test_a_third_model_frees_the_second_after_looks_with_both_panels(page: Page, llava: str) -> None:
    chooser, host = page.bench.chooser, page.models
    host.model(host.first)
    before = tensors()
    assert opened(chooser, DRAWING)[chooser.model] == DRAWING
    for study in ("states", "layers"):
        assert "Measured" in looked(page, study, DRAWING)
    second: Any = host.opened(DRAWING)
    assert second is not None and second is not host.opened(host.first)
    watched = weakref.ref(second), weakref.ref(second.network)
    del second
    opened(chooser, Chosen(llava))
    assert not alive(*watched)

    third: Any = host.opened(Chosen(llava))
    assert "Measured" in looked(page, "layers", Chosen(llava))
    watched = weakref.ref(third), weakref.ref(third.network)
    del third
    chooser.close_model(Chosen(llava), VISITOR)
    assert not alive(*watched)
    assert tensors() <= before
