"""Stage *autoencoder*: images ↔ latents.

The encoder is not learned by gradient but fitted in closed form: principal components of 8×8 patches, written
into the convolutions of the FLUX layout. A linear map passes unchanged through the final norm and swish when
every component travels as a pair (x, −x), since swish(x) − swish(−x) = x, beside a large constant pair that
fixes the norm's scale. So latents are known from the first minute and never move under the flow model that
learns on them. The decoder is trained: latents of random crops → pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.images.scenes import generate
from workbench.models.bagel.autoencoder import Autoencoder, Downsample, Encoder
from workbench.training.data import images_to_unit, mildly_corrupted
from workbench.training.loop import Metrics, Schedule

CONSTANT = 60.0
"""Size of the constant pair of every norm group, far above the components it travels with."""
FLATTEN = 0.5
"""Latent channels have the standard deviation of their component to this power: 1 keeps it, 0 whitens."""


def _components(x: Tensor, keep: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of rows: mean (d,), basis (keep, d), standard deviations (keep,)."""
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh((x - mean).T.double() @ (x - mean).double() / len(x))
    order = values.argsort(descending=True)[:keep]
    return mean, vectors[:, order].T.float(), values[order].clamp_min(1e-12).sqrt().float()


def _blocks(x: Tensor) -> Tensor:
    """(B, C, H, W) → rows (B·H/2·W/2, C·4) of 2×2 neighbourhoods, ordered (channel, row, column)."""
    return F.unfold(x, 2, stride=2).transpose(1, 2).flatten(0, 1)


def _clear(conv: nn.Conv2d) -> Tensor:
    """Zero a convolution; returns its bias."""
    assert conv.bias is not None
    conv.weight.zero_()
    return conv.bias.zero_()


def _set_down(down: Downsample, basis: Tensor, bias: Tensor) -> None:
    """Make a strided convolution compute basis @ neighbourhood + bias in its first rows."""
    rows, taps = basis.shape
    offset = _clear(down.conv)
    down.conv.weight[:rows, : taps // 4, :2, :2] = basis.view(rows, taps // 4, 2, 2)
    offset[:rows] = bias


def _step(encoder: Encoder, level: int) -> Downsample:
    """The strided convolution at the end of a level."""
    step = encoder.down[level].downsample
    assert isinstance(step, Downsample)
    return step


@torch.no_grad()
def fit_encoder(model: Autoencoder, images: Tensor) -> None:
    """Write the principal components of `images` (N, 3, H, W), −1 … 1, into a three-step encoder.

    Needs channels for 12, 32 and 2·z components with a constant pair in every norm group; raises ValueError
    where they are missing.
    """
    encoder, config = model.encoder, model.config
    z, groups = config.z_channels, config.norm_groups
    widths = [config.ch * m for m in config.ch_mult]
    per_group = widths[3] // groups
    carried = groups * (per_group // 2 - 1)
    if len(widths) != 4 or widths[0] < 12 or widths[1] < 32 or carried < z:
        raise ValueError("This shape of autoencoder cannot hold the components.")
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d) and name.endswith(
            ("conv2", "proj_out", "nin_shortcut", "conv_in", "conv_out")
        ):
            _clear(module)
            if name.endswith(("nin_shortcut", "conv_in")):
                middle, passed = module.kernel_size[0] // 2, range(module.in_channels)
                module.weight[passed, passed, middle, middle] = 1.0
    x = images
    for level, keep in ((0, 12), (1, 32), (2, carried)):
        rows = _blocks(x)
        mean, basis, spread = _components(rows, keep)
        if level < 2:
            _set_down(_step(encoder, level), basis, -basis @ mean)
            height, width = x.shape[2] // 2, x.shape[3] // 2
            x = ((rows - mean) @ basis.T).view(len(x), height, width, keep).permute(0, 3, 1, 2)
            continue
        unit = basis / spread[0]
        paired, offsets = torch.zeros(widths[3], unit.shape[1]), torch.zeros(widths[3])
        read = torch.zeros(z, widths[3])
        for k in range(carried):
            start = (k % groups) * per_group + 2 * (k // groups)
            paired[start], paired[start + 1] = unit[k], -unit[k]
            offsets[start], offsets[start + 1] = -(unit[k] @ mean), unit[k] @ mean
            if k < z:
                read[k, start], read[k, start + 1] = 1.0, -1.0
        for g in range(groups):
            offsets[(g + 1) * per_group - 2], offsets[(g + 1) * per_group - 1] = CONSTANT, -CONSTANT
        _set_down(_step(encoder, level), paired, offsets)
    encoder.norm_out.weight.fill_(CONSTANT * (2 / per_group) ** 0.5)
    encoder.norm_out.bias.zero_()
    relative = spread[:z] / spread[0]
    gain = relative**FLATTEN / relative
    gain = gain / (gain * relative).square().mean().sqrt()
    encoder.conv_out.weight[:z, :, 1, 1] = gain[:, None] * read
    assert encoder.conv_out.bias is not None
    encoder.conv_out.bias[z:] = -10.0


class AutoencoderStage:
    """Train the decoder on latents of random crops."""

    name = "autoencoder"

    def __init__(self, model: Autoencoder, schedule: Schedule, seed: int, fitted_on: int = 2000) -> None:
        self.model, self.schedule, self.seed = model, schedule, seed
        sample = mildly_corrupted(
            generate(np.arange(fitted_on), "train").images, np.random.default_rng(seed), 0.3, 1.0
        )
        fit_encoder(model, images_to_unit(sample))

    def modules(self) -> dict[str, nn.Module]:
        """The whole autoencoder: the fitted encoder is saved with the decoder."""
        return {"ae": self.model}

    def trainable(self) -> Iterator[tuple[str, Tensor]]:
        """The decoder's parameters."""
        return self.model.decoder.named_parameters()

    def loss(self, step: int) -> tuple[Tensor, Metrics]:
        """Squared error with a little absolute error on crops of 48 pixels; PSNR in dB."""
        rng = np.random.default_rng((self.seed, 3, step))
        count = self.schedule.batch // 2
        scenes = generate(np.arange(step * count, (step + 1) * count), "train").images
        images = images_to_unit(mildly_corrupted(scenes, rng, 0.2, 0.9))
        crops = []
        for image in images:
            for top, left in rng.integers(0, 7, (2, 2)) * 8:
                crops.append(image[:, top : top + 48, left : left + 48])
        pixels = torch.stack(crops)
        with torch.no_grad():
            latent = self.model.encode(pixels)
        made = self.model.decode(latent)
        mse = F.mse_loss(made, pixels)
        return mse + 0.1 * F.l1_loss(made, pixels), {"psnr": -10 * float(torch.log10(mse.detach() / 4))}

    @torch.no_grad()
    def check(self) -> Metrics:
        """PSNR in dB of whole held-out scenes through the latent."""
        pixels = images_to_unit(generate(np.arange(64), "validation").images)
        made = self.model.decode(self.model.encode(pixels)).clamp(-1, 1)
        mse = (made - pixels).square().mean((1, 2, 3))
        return {"psnr": float((-10 * torch.log10(mse / 4)).mean())}
