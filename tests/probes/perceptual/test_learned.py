"""LPIPS against the lpips package and DISTS against torchmetrics, on one set of random weights for both.

Neither runs without torchvision, so the tests lay a stand-in for it in their way that knows nothing but how
those three networks are built.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from probes.perceptual.dists import Dists, shrunk
from probes.perceptual.lpips import LEAST, Lpips
from probes.perceptual.published import TRUNKS
from probes.perceptual.trunks import trunk
from tests.probes.perceptual.pictures import NUMBERS, damaged, features, state, tensor

VERSION = "v0.1"


@pytest.fixture
def lpips() -> Iterator[Any]:
    """The lpips package, imported and used beside a stand-in for torchvision."""
    before = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "torchvision"
    }
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    for module in (package, models):
        module.__spec__ = ModuleSpec(module.__name__, None)
    names = {"alexnet": "alex", "vgg16": "vgg", "squeezenet1_1": "squeeze"}
    for called, name in names.items():
        setattr(models, called, lambda name=name, **how: SimpleNamespace(features=features(name)))
    package.models = models  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": package, "torchvision.models": models}
    yield importlib.import_module("lpips")
    for name in (
        "torchvision",
        "torchvision.models",
        *(m for m in sys.modules if m.split(".")[0] == "lpips"),
    ):
        sys.modules.pop(name, None)
    sys.modules |= before


def heads(name: str) -> dict[str, Tensor]:
    folder = Path(importlib.util.find_spec("lpips").submodule_search_locations[0])  # type: ignore[union-attr,index]
    found: dict[str, Tensor] = torch.load(
        folder / "weights" / VERSION / f"{name}.pth", map_location="cpu", weights_only=True
    )
    return found


def mixture() -> dict[str, Tensor]:
    folder = Path(importlib.util.find_spec("torchmetrics").submodule_search_locations[0])  # type: ignore[union-attr,index]
    path = folder / "functional/image/dists_models/weights.pt"
    found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return found


@pytest.mark.parametrize("name", TRUNKS)
def test_a_trunk_has_as_many_numbers_as_the_published_one(name: str) -> None:
    built = trunk(name, state(name))
    assert sum(parameter.numel() for parameter in built.parameters()) == NUMBERS[name]
    assert not any(parameter.requires_grad for parameter in built.parameters())


@pytest.mark.parametrize("name", TRUNKS)
def test_lpips_is_the_packages(lpips: Any, name: str) -> None:
    x, y = (tensor(each) for each in damaged("noise", 70, 96))
    theirs = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
    spatial = lpips.LPIPS(net=name, pnet_rand=True, spatial=True, verbose=False)
    ours = Lpips(name, state(name), heads(name))
    a, b = (each.float() / 127.5 - 1 for each in (x, y))
    maps = ours.maps(ours.features(x), ours.features(y))
    with torch.no_grad():
        wanted, wanted_map = float(theirs(a, b)), spatial(a, b)[0, 0]
    assert wanted > 1e-3
    assert float(ours.score(maps)[0]) == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(ours.spread(maps, (70, 96))[0], wanted_map, rtol=1e-4, atol=1e-6)


def test_dists_is_that_of_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("torchmetrics.functional.image.dists")
    monkeypatch.setattr(module, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(
        module, "vgg16", lambda weights: SimpleNamespace(features=features("vgg")), raising=False
    )
    monkeypatch.setattr(module, "VGG16_Weights", SimpleNamespace(DEFAULT=None), raising=False)
    x, y = (tensor(each) for each in damaged("noise", 64, 80))
    theirs = float(module.deep_image_structure_and_texture_similarity(x.float() / 255, y.float() / 255))
    ours = Dists(state("vgg"), mixture())
    assert theirs > 1e-3
    assert float(ours.score(ours.features(x), ours.features(y))[0]) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("name", TRUNKS)
def test_equal_pictures_are_at_no_distance_and_the_smallest_is_measured(name: str) -> None:
    x, y = (tensor(each) for each in damaged("noise", LEAST, LEAST))
    ours = Lpips(name, state(name), heads(name))
    assert float(ours.score(ours.maps(ours.features(y), ours.features(y)))[0]) == 0
    assert 0 < float(ours.score(ours.maps(ours.features(x), ours.features(y)))[0]) < 10


def test_other_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="not the weights of AlexNet"):
        Lpips("alex", state("squeeze"), heads("alex"))
    with pytest.raises(ValueError, match="not the weights of VGG16"):
        trunk("vgg", {})
    with pytest.raises(ValueError, match="heads"):
        Lpips("alex", state("alex"), heads("vgg"))
    with pytest.raises(ValueError, match="alpha and beta"):
        Dists(state("vgg"), heads("vgg"))


def test_only_large_pictures_are_shrunk_for_dists() -> None:
    assert shrunk(torch.zeros(1, 3, 256, 300)).shape[-2:] == (256, 300)
    assert shrunk(torch.zeros(1, 3, 300, 400)).shape[-2:] == (256, 341)
