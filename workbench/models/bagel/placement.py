"""Where the parts of a network lie, on one device or, in the order in which they run, on several.

Embeddings, vision tower and autoencoder come first, then the language layers, then the final norms and the
heads. Keys and values stay where their layer is; `Decoder` carries the states over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from workbench.errors import Refusal
from workbench.models.bagel.autoencoder import Autoencoder
from workbench.models.bagel.network import Bagel
from workbench.models.bits import in_bagel
from workbench.models.memory import bytes_per_number, demand, free_on

FULLEST = 0.95
"""Share of a device's free memory that weights may take where they are spread: contexts need some, too."""


def spread(sizes: Sequence[int], free: Sequence[int]) -> list[int] | None:
    """The number of the device for each of the parts, in order and as evenly full as they can be.

    sizes: bytes of each part; free: bytes free on each device. None where they do not fit.
    """
    for percent in range(1, round(100 * FULLEST) + 1):
        if (found := _filled(sizes, [room * percent // 100 for room in free])) is not None:
            return found
    return None


def _filled(sizes: Sequence[int], rooms: Sequence[int]) -> list[int] | None:
    places: list[int] = []
    device = used = 0
    for size in sizes:
        while used + size > rooms[device]:
            device, used = device + 1, 0
            if device == len(rooms):
                return None
        places.append(device)
        used += size
    return places


def candidates(asked: str, device: torch.device) -> list[torch.device]:
    """The devices that may be used where `device` came of what was asked for: all GPUs of "auto"."""
    count = torch.cuda.device_count() if asked == "auto" and device.type == "cuda" else 1
    return [torch.device("cuda", index) for index in range(count)] if count > 1 else [device]


@dataclass(frozen=True)
class Placement:
    """The device of each part: `first` of what comes before the language layers, `last` of what follows."""

    first: torch.device
    layers: tuple[torch.device, ...]
    last: torch.device
    needed: int = 0
    """Bytes that the weights take, on all devices together."""

    @property
    def words(self) -> str:
        """The devices, each once, in the order in which they are used."""
        return ", ".join(dict.fromkeys(str(device) for device in (self.first, *self.layers, self.last)))

    def allocate(self, network: Bagel, autoencoder: Autoencoder) -> None:
        """Give every parameter its memory, unfilled. Raises what torch raises where there is too little."""
        devices = (self.first, *self.layers, self.last)
        for part, device in zip(_parts(network, autoencoder), devices, strict=True):
            for module in part:
                module.to_empty(device=device)


def _parts(network: Bagel, autoencoder: Autoencoder) -> list[list[nn.Module]]:
    """The modules in the order in which they run; together they hold every parameter once."""
    language = network.language_model
    last: list[nn.Module] = [
        language.model.norm,
        language.model.norm_moe_gen,
        language.lm_head,
        network.llm2vae,
    ]
    first: list[nn.Module] = [
        language.model.embed_tokens,
        *(part for part in network.children() if part is not language and part is not network.llm2vae),
        autoencoder,
    ]
    return [first, *([layer] for layer in language.model.layers), last]


def place(
    network: Bagel,
    autoencoder: Autoencoder,
    devices: Sequence[torch.device],
    name: str,
    dtype: torch.dtype,
    *,
    quantised: str = "",
) -> Placement:
    """Everything on the first device where it fits, else spread over all of them.

    `quantised`: "", or what the language layers' matrices are made small by. Raises Refusal where the devices
    together have too little memory free.
    """
    small = {id(p) for key, p in network.named_parameters() if quantised and in_bagel(key)}
    each = bytes_per_number(dtype, quantised)

    def size(parameter: nn.Parameter) -> int:
        return int(parameter.numel() * (each if id(parameter) in small else dtype.itemsize))

    sizes = [
        sum(size(p) for module in part for p in module.parameters()) for part in _parts(network, autoencoder)
    ]
    needed, kind = sum(sizes), quantised or str(dtype).removeprefix("torch.")
    free = [free_on(device) for device in devices]
    layers = len(sizes) - 2
    known = [room for room in free if room is not None]
    if len(devices) == 1 or len(known) < len(devices) or needed <= known[0]:
        demand(needed, free[0], name, str(devices[0]), kind)
        return Placement(devices[0], (devices[0],) * layers, devices[0], needed)
    together = " and ".join(str(device) for device in devices)
    demand(needed, sum(known), name, together, kind)
    numbers = spread(sizes, known)
    if numbers is None:
        raise Refusal(
            f"{name} cannot be spread over {together}: its layers do not fit into what is free there, and "
            "contexts need some of it. Close other programs, or open it on other devices."
        )
    chosen = [devices[number] for number in numbers]
    return Placement(chosen[0], tuple(chosen[1:-1]), chosen[-1], needed)
