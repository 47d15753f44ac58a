"""The convolutional parts of AlexNet, VGG16 and SqueezeNet 1.1, as torchvision publishes their weights.

Built here so that torchvision need not be importable. A trunk begins without numbers of its own: it is on
torch's meta device until published ones are laid in, so that no score can ever come from random weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from probes.perceptual.published import TRUNKS

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels in 0..1; what all three networks were trained on."""
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)


def trunk(name: str, state: Mapping[str, Tensor]) -> nn.Sequential:
    """A trunk with the weights of torchvision's state dict, in float32 and for reading only.

    Keys that do not begin with "features." (the classifier's) are left out.

    Raises:
        ValueError: the weights are not those of this network; the sentence says which is missing.
    """
    with torch.device("meta"):
        built = _LAYERS[name]()
    own = {
        key.removeprefix("features."): value.detach().to("cpu", torch.float32)
        for key, value in state.items()
        if key.startswith("features.")
    }
    try:
        built.load_state_dict(own, strict=True, assign=True)
    except RuntimeError as error:
        reason = str(error).partition("\n\t")[2].split("\n")[0] or str(error)
        raise ValueError(f"not the weights of {TRUNKS[name].name}: {reason.strip()}") from None
    for parameter in built.parameters():
        parameter.requires_grad_(False)
    return built.eval()


def outputs(layers: nn.Sequential, taps: tuple[int, ...], x: Tensor) -> list[Tensor]:
    """What the layers `taps` give for x."""
    found = []
    for number, layer in enumerate(layers):
        x = layer(x)
        if number in taps:
            found.append(x)
        if number == taps[-1]:
            break
    return found


def normalised(pictures: Tensor) -> Tensor:
    """Pictures in 0..255 as the networks take them, float32."""
    mean = torch.tensor(MEAN)[:, None, None]
    return (pictures.to(torch.float32) / 255 - mean) / torch.tensor(DEVIATION)[:, None, None]


def _alex() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def _vgg() -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for width in _VGG:
        if width:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        else:
            layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def _squeeze() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(64, 16, 64), _Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(128, 32, 128), _Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(_Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)),
    )


class _Fire(nn.Module):
    """A squeeze to few channels, then two expansions side by side."""

    def __init__(self, width: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        small = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(small).relu(), self.expand3x3(small).relu()], 1)


_LAYERS = {"alex": _alex, "vgg": _vgg, "squeeze": _squeeze}
