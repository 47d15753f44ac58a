"""BAGEL's and CLEAR's language layers in 8 or 4 bits, by bitsandbytes, as the weights come from the files.

What is replaced are the linear layers of both experts, which hold nine tenths of the numbers. Vision tower,
connector, autoencoder, embeddings, the head, norms, and what carries latents into the language model and out
of it stay as they are: they are small, and drawing passes through them once a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench.models.bagel.network import Bagel
from workbench.models.bits import NF4, in_bagel

OUTLIER = 6.0
"""Columns with an activation above this are multiplied in 16 bits (LLM.int8(), arXiv 2208.07339, 3.2)."""


class Quantising:
    """Puts a checkpoint's tensors into a network, those of the language layers in so many bits.

    network: on torch's meta device, before memory is given; from now on it has a place in each linear layer's
    stead, which takes no memory. devices: of each language layer. total: how many tensors there are.
    """

    def __init__(
        self, network: Bagel, devices: Sequence[torch.device], bits: str, dtype: torch.dtype
    ) -> None:
        self.network, self.bits, self.dtype = network, bits, dtype
        self.total = len(network.state_dict())
        self._places: dict[str, _Place] = {}
        matrices = [key for key in network.state_dict() if in_bagel(key)]
        for key in matrices:
            name = key.removesuffix(".weight")
            layer = int(name.split(".")[3])
            linear = network.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            self._places[name] = _Place(linear, devices[layer])
            network.set_submodule(name, self._places[name])

    def put(self, key: str, stored: Tensor) -> Tensor:
        """A tensor into its place; returns its numbers as they were before quantising."""
        name, _, kind = key.rpartition(".")
        place = self._places.get(name)
        if place is None:
            return self.network.get_parameter(key).copy_(stored)
        numbers = place.stored[kind] = stored.to(self.dtype)
        if place.whole:
            self.network.set_submodule(name, self._made(place))
            del self._places[name]
        return numbers

    def _made(self, place: _Place) -> nn.Module:
        """The layer of bitsandbytes with a place's numbers; moving the matrix to its device quantises it."""
        import bitsandbytes

        shape = (place.inputs, place.outputs, "bias" in place.stored)
        layer: Any
        if self.bits == "8bit":
            layer = bitsandbytes.nn.Linear8bitLt(
                *shape, has_fp16_weights=False, threshold=OUTLIER, device="meta"
            )
        else:
            layer = bitsandbytes.nn.Linear4bit(
                *shape, compute_dtype=self.dtype, compress_statistics=False, quant_type=NF4, device="meta"
            )
        # Elsewhere than on the meta device torch would first fill it with random numbers, for minutes in all.
        kind, settings = type(layer.weight), vars(layer.weight)
        layer.weight = kind(place.stored["weight"], requires_grad=False, **settings).to(place.device)
        if layer.bias is not None:
            layer.bias = nn.Parameter(place.stored["bias"].to(place.device), requires_grad=False)
        made: nn.Module = layer.eval()
        return made


class _Place(nn.Module):
    """Where a linear layer is to be; holds what is stored of it until that is whole."""

    def __init__(self, linear: nn.Linear, device: torch.device) -> None:
        super().__init__()
        self.inputs, self.outputs = linear.in_features, linear.out_features
        self.device = device
        self.stored: dict[str, Tensor] = {}
        self._kinds = {name for name, _ in linear.named_parameters()}

    @property
    def whole(self) -> bool:
        """Whether all of the layer's tensors are here."""
        return self.stored.keys() == self._kinds
