"""The measures ready to be taken: what needs weights has them, and the rest says why it is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from probes.perceptual.published import TRUNKS
from probes.perceptual.registry import MEASURES, Measure, score
from workbench.errors import Refusal
from workbench.images import fidelity
from workbench.models.protocol import never
from workbench.panels.perceptual import weights
from workbench.panels.perceptual.config import PLAIN, PerceptualConfig
from workbench.panels.perceptual.without import LICENCE, WITHOUT, opened, version
from workbench.panels.perceptual.without import score as alone

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[float, str], None]
FLAT = "the reference is of one colour, against which it is undefined"


class Taker(Protocol):
    """Takes one measure of a picture against a reference, uint8 (H, W, 3) of one size."""

    def taken(self, picture: np.ndarray, reference: np.ndarray) -> tuple[float, np.ndarray | None]:
        """The value, and its map float32 (H, W) where the measure has one."""
        ...


@dataclass(frozen=True)
class Ready:
    """A measure with what it takes to repeat it.

    backbone: the network, with where it is from; digest: sha256 of its weights, and of what is fitted on top.
    """

    about: Measure
    taker: Taker
    backbone: str = ""
    digest: str = ""
    fitted: str = ""


@dataclass
class Measuring:
    """All measures of a comparison: those with a reference, those without, and what is left out, why."""

    ready: list[Ready] = field(default_factory=list)
    alone: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def prepared(
    config: PerceptualConfig,
    progress: Progress = lambda share, words: None,
    stop: Callable[[], bool] = never,
) -> Measuring:
    """Everything that the config names, as far as it can be had here.

    Raises:
        Refusal: nothing of it can.
        Cancelled: once ``stop`` says so.
    """
    found = Measuring()
    for name in named(config):
        try:
            if name in WITHOUT:
                found.alone[name] = opened(name)
            elif (about := MEASURES[name]).trunk:
                found.ready.append(_learned(about, config, progress, stop))
            else:
                found.ready.append(Ready(about, _Plain(name)))
        except Refusal as refusal:
            found.left_out[name] = str(refusal)
    if not found.ready and not found.alone:
        plain = ", ".join(MEASURES[name].title for name in PLAIN)
        raise Refusal(f"{next(iter(found.left_out.values()))} Without weights there are {plain}.")
    return found


def named(config: PerceptualConfig) -> list[str]:
    """The measures that the config names; for "all" those whose weights are on this machine."""
    if "all" not in config.measures:
        return list(config.measures)
    here = [
        name
        for name, about in MEASURES.items()
        if not about.trunk or weights.found(about.trunk, config.backbones)
    ]
    return here + [name for name in config.measures if name not in ("all", *here)]


def stamps(config: PerceptualConfig) -> dict[str, str]:
    """What stands for the weights of the named measures: sha256 of each file there is, by measure."""
    found: dict[str, str] = {}
    for name in named(config):
        if name in MEASURES and (trunk := MEASURES[name].trunk):
            try:
                path = weights.found(trunk, config.backbones)
                fitted = weights.digest(weights.heads(name, config.backbones))
                found[name] = f"{weights.digest(path)} {fitted}" if path else "none"
            except Refusal:
                found[name] = "none"
        elif name in WITHOUT:
            found[name] = version()
    return found


def tensor(picture: np.ndarray) -> Tensor:
    """A picture uint8 (H, W, 3) as float64 (1, 3, H, W) in 0..255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(picture).copy()).permute(2, 0, 1)[None].double()


def undefined(about: Measure, reference: np.ndarray) -> str:
    """Why this measure has no value against such a reference; empty where it has."""
    height, width = reference.shape[:2]
    if min(height, width) < about.least:
        return f"defined from {about.least} pixels a side; these are {width} × {height}"
    if about.structure and (reference == reference[0, 0]).all():
        return FLAT
    return ""


def licence(name: str) -> str:
    """The licence of a measure that is not the workbench's own; empty otherwise."""
    return LICENCE if name in WITHOUT else ""


def _learned(about: Measure, config: PerceptualConfig, progress: Progress, stop: Callable[[], bool]) -> Ready:
    """A measure on a trunk. Raises Refusal where its weights cannot be had, or are others."""
    from probes.perceptual.dists import Dists
    from probes.perceptual.lpips import Lpips

    trunk = TRUNKS[about.trunk]
    on_top = weights.heads(about.name, config.backbones)
    path = weights.fetched(
        about.trunk, config.backbones, download=config.download, progress=progress, stop=stop
    )
    digest, fitted = weights.digest(path), weights.digest(on_top)
    progress(0.0, f"reading {trunk.name}")
    try:
        made: Taker
        if about.name == "dists":
            made = _OfDists(Dists(weights.state(path), weights.state(on_top)))
        else:
            made = _OfLpips(Lpips(about.trunk, weights.state(path), weights.state(on_top)))
    except ValueError as error:
        raise Refusal(f"“{path.name}” or “{on_top.name}” cannot serve {about.title}: {error}.") from error
    return Ready(about, made, f"{trunk.name}, {_origin(path, about.trunk)}", digest, fitted)


def _origin(path: Path, trunk: str) -> str:
    published = path.name == weights.FILES[trunk].name
    return (
        "ImageNet weights as torchvision published them"
        if published
        else f"weights of {path.name}, not checked"
    )


class _Plain:
    """A measure without learned weights; SSIM with its map."""

    def __init__(self, name: str) -> None:
        self.name = name

    def taken(self, picture: np.ndarray, reference: np.ndarray) -> tuple[float, np.ndarray | None]:
        if self.name == "psnr":
            return float(fidelity.psnr(picture, reference)), None
        x, y = tensor(picture), tensor(reference)
        value = float(score(self.name)(x, y)[0])
        if self.name != "ssim":
            return value, None
        from probes.perceptual.structure import ssim_map

        return value, ssim_map(x, y)[0].float().numpy()


class _OfLpips:
    """LPIPS with its map; what the last reference looks like to the trunk is kept."""

    def __init__(self, lpips: Any) -> None:
        self.lpips = lpips
        self.last: tuple[np.ndarray, Any] | None = None

    def taken(self, picture: np.ndarray, reference: np.ndarray) -> tuple[float, np.ndarray | None]:
        if self.last is None or self.last[0] is not reference:
            self.last = (reference, self.lpips.features(tensor(reference)))
        maps = self.lpips.maps(self.lpips.features(tensor(picture)), self.last[1])
        spread = self.lpips.spread(maps, picture.shape[:2])[0].numpy()
        return float(self.lpips.score(maps)[0]), spread


class _OfDists:
    def __init__(self, dists: Any) -> None:
        self.dists = dists

    def taken(self, picture: np.ndarray, reference: np.ndarray) -> tuple[float, np.ndarray | None]:
        from probes.perceptual.dists import shrunk

        x, y = (self.dists.features(shrunk(tensor(each))) for each in (picture, reference))
        return float(self.dists.score(x, y)[0]), None


__all__ = ["Measuring", "Ready", "alone", "licence", "named", "prepared", "stamps", "tensor", "undefined"]
