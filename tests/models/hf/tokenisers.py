"""Convolutional tokenisers of images that see no further than one code's own pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Narrowed:
    """A tokeniser without what lets a place see another one: norms over the image, attention, wide kernels.

    A kernel of 3 by 3 keeps its middle, and where it halves the image the 2 by 2 pixels that become one.
    """

    def __init__(self, tokeniser: nn.Module) -> None:
        self.encoder = tokeniser.get_submodule("encoder")
        self.kept = {name: value.clone() for name, value in self.encoder.state_dict().items()}
        self.handles: list[Any] = []

    @torch.no_grad()
    def __enter__(self) -> None:
        for name, module in self.encoder.named_modules():
            if isinstance(module, nn.GroupNorm):
                self.handles.append(
                    module.register_forward_hook(lambda module, args, output: args[0].clone())
                )
            elif name.endswith(("proj_out", "out_proj")):
                for p in module.parameters():
                    p.zero_()
            elif isinstance(module, (nn.Conv2d, nn.Conv3d)) and module.kernel_size[-1] == 3:
                seen = slice(0, 2) if module.stride[-1] == 2 else slice(1, 2)
                narrow = torch.zeros_like(module.weight)
                narrow[..., seen, seen] = module.weight[..., seen, seen]
                module.weight.copy_(narrow)

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
        self.encoder.load_state_dict(self.kept)
