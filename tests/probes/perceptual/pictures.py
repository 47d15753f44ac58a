"""Photographs with damage to measure, and published layouts of the networks, written down a second time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

LAYOUT = {
    "alex": "64,11,4,2 r m3 192,5,1,2 r m3 384,3,1,1 r 256,3,1,1 r 256,3,1,1 r m3",
    "vgg": "64 r 64 r m2 128 r 128 r m2 256 r 256 r 256 r m2 512 r 512 r 512 r m2 512 r 512 r 512 r m2",
    "squeeze": "64,3,2,0 r c3 f16,64 f16,64 c3 f32,128 f32,128 c3 f48,192 f48,192 f64,256 f64,256",
}
"""torchvision's `features`, layer by layer: a convolution (channels, side, stride, padding; VGG's 3, 1, 1),
ReLU, a maximum over 3 or 2 with stride 2 (c: rounding up), and SqueezeNet's Fire (squeezed, each expanded).
"""
NUMBERS = {"alex": 2_469_696, "vgg": 14_714_688, "squeeze": 722_496}
"""Numbers in the convolutional part of each, as torchvision's models have them."""


class Fire(nn.Module):
    def __init__(self, width: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, squeezed, kernel_size=1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, kernel_size=1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, kernel_size=3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.squeeze(x))
        return torch.cat([self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))], 1)


def features(name: str, seed: int = 0) -> nn.Sequential:
    """A network's convolutional part with random weights, of the size that keeps signals alive."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    width = 3
    for word in LAYOUT[name].split():
        if word == "r":
            layers.append(nn.ReLU(inplace=True))
        elif word[0] in "mc":
            layers.append(nn.MaxPool2d(int(word[1:]), stride=2, ceil_mode=word[0] == "c"))
        elif word[0] == "f":
            squeezed, expanded = (int(number) for number in word[1:].split(","))
            layers.append(Fire(width, squeezed, expanded))
            width = 2 * expanded
        else:
            channels, side, stride, padding = (*(int(n) for n in word.split(",")), 3, 1, 1)[:4]
            layers.append(nn.Conv2d(width, channels, side, stride=stride, padding=padding))
            width = channels
    for layer in nn.Sequential(*layers).modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.normal_(layer.bias, std=0.1)
    return nn.Sequential(*layers)


def state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """The same as torchvision's state dict has it, with a key of the classifier."""
    found = {f"features.{key}": value.clone() for key, value in features(name, seed).state_dict().items()}
    return found | {"classifier.1.weight": torch.zeros(2, 2)}


def damaged(kind: str, height: int = 512, width: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """A corner of scikit-image's astronaut, damaged and as it is: uint8 (height, width, 3)."""
    from skimage import data

    clean = np.asarray(data.astronaut())[100 : 100 + height, 50 : 50 + width]
    if kind == "dark":
        return (clean * 0.4).astype(np.uint8), clean
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    return np.clip(clean + noise, 0, 255).astype(np.uint8), clean


def tensor(picture: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) as float64 (1, 3, H, W) in 0..255."""
    return torch.from_numpy(picture.astype(np.float64)).permute(2, 0, 1)[None]
