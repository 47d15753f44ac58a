"""The networks whose published weights learned measures rest on. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trunk:
    """One network. taps: the layers whose output is read, counted as torchvision counts `features`."""

    name: str
    paper: str
    taps: tuple[int, ...]
    channels: tuple[int, ...]


TRUNKS = {
    "alex": Trunk("AlexNet", "Krizhevsky et al., 2012", (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
    "vgg": Trunk("VGG16", "Simonyan and Zisserman, 2015", (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
    "squeeze": Trunk(
        "SqueezeNet 1.1",
        "Iandola et al., 2016",
        (1, 4, 7, 9, 10, 11, 12),
        (64, 128, 256, 384, 384, 512, 512),
    ),
}
