"""Measures without learned weights, against other people's code and by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from probes.perceptual import gradients, information, phase, structure, wavelets
from probes.perceptual.registry import MEASURES, score
from tests.probes.perceptual.pictures import damaged, tensor

PIQ = {
    # kind, height, width: GMSD, VIF, HaarPSI, FSIM
    ("noise", 96, 96): (0.14425931, 0.25962872, 0.64583618, 0.64372657),
    ("dark", 96, 112): (0.12146286, 0.56544912, 0.63183244, 0.88356799),
    ("noise", 177, 201): (0.10804490, 0.34305043, 0.73359714, 0.76961334),
    ("dark", 400, 390): (0.12072733, 0.65183002, 0.59573242, 0.81453065),
}
"""What piq 0.8.0 (`gmsd`, `vif_p`, `haarpsi`, `fsim`) gave in float64 for `damaged` pictures; it cannot be
imported without torchvision, so its numbers stand here.
"""
PLAIN = ("ssim", "ms-ssim", "gmsd", "fsim", "vif", "haarpsi")


@pytest.mark.parametrize("case", PIQ)
def test_four_measures_are_those_of_piq(case: tuple[str, int, int]) -> None:
    x, y = (tensor(each) for each in damaged(*case))
    measures = (gradients.gmsd, information.vif, wavelets.haarpsi, phase.fsim)
    ours = [measure(x, y).item() for measure in measures]
    assert ours == pytest.approx(PIQ[case], abs=1e-6)


@pytest.mark.parametrize("kind", ["noise", "dark"])
def test_ssim_is_that_of_scikit_image(kind: str) -> None:
    from skimage.metrics import structural_similarity

    x, y = damaged(kind, 61, 75)
    mean, whole = structural_similarity(
        *(x, y), data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert structure.ssim(tensor(x), tensor(y)).item() == pytest.approx(mean, abs=1e-9)
    ours = structure.ssim_map(tensor(x), tensor(y))[0].numpy()
    inside = np.s_[5:-5, 5:-5]
    assert ours.shape == x.shape[:2]
    np.testing.assert_allclose(ours[inside], whole.mean(2)[inside], atol=1e-9)
    assert ours[inside].mean() == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize(("kind", "wanted"), [("noise", 0.85641612), ("dark", 0.71674488)])
def test_ms_ssim_is_that_of_piq(kind: str, wanted: float) -> None:
    x, y = (tensor(each) for each in damaged(kind, 400, 384))
    assert structure.ms_ssim(x, y).item() == pytest.approx(wanted, abs=1e-6)


def test_torchmetrics_agrees() -> None:
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    from workbench.images import fidelity

    x, y = damaged("dark", 181, 203)
    a, b = tensor(x), tensor(y)
    # It counts windows that reach over the edge, which are in our map and not in our mean.
    theirs = float(structural_similarity_index_measure(a, b, data_range=255.0))
    assert structure.ssim_map(a, b).mean().item() == pytest.approx(theirs, abs=1e-6)
    assert structure.ssim(a, b).item() == pytest.approx(theirs, abs=5e-3)
    theirs = float(multiscale_structural_similarity_index_measure(a, b, data_range=255.0))
    assert structure.ms_ssim(a, b).item() == pytest.approx(theirs, abs=1e-2)
    theirs = float(peak_signal_noise_ratio(a, b, data_range=255.0))
    assert float(fidelity.psnr(x, y)) == pytest.approx(theirs, abs=1e-4)


def test_gmsd_by_its_definition() -> None:
    x, y = damaged("noise", 40, 52)
    found = []
    for picture in (x, y):
        grey = picture.astype(float) @ [0.299, 0.587, 0.114]
        half = grey.reshape(20, 2, 26, 2).mean((1, 3))
        kernel = np.array([[1, 0, -1]] * 3) / 3
        found.append(np.hypot(*(ndimage.convolve(half, k, mode="constant") for k in (kernel, kernel.T))))
    a, b = found
    similarity = (2 * a * b + 170) / (a**2 + b**2 + 170)
    assert gradients.gmsd(tensor(x), tensor(y)).item() == pytest.approx(similarity.std(), abs=1e-9)


@pytest.mark.parametrize("name", PLAIN)
def test_equal_pictures_are_at_the_good_end_and_damage_is_not(name: str) -> None:
    x, y = (tensor(each) for each in damaged("noise", 180, 190))
    best = 0.0 if MEASURES[name].better == "lower" else 1.0
    same, worse = score(name)(y, y).item(), score(name)(x, y).item()
    assert same == pytest.approx(best, abs=1e-6)
    assert (worse - same) * (1 if best == 0 else -1) > 0.05


@pytest.mark.parametrize("name", PLAIN)
def test_more_noise_is_worse_and_a_batch_is_its_pictures(name: str) -> None:
    clean = tensor(damaged("noise", 180, 180)[1])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pictures = torch.cat([(clean + noise * sigma).clamp(0, 255).round() for sigma in (5, 15, 40)])
    found = score(name)(pictures, clean.expand(3, -1, -1, -1))
    order = found if MEASURES[name].better == "lower" else -found
    assert order[0] < order[1] < order[2]
    assert found[1].item() == pytest.approx(score(name)(pictures[1:2], clean).item(), abs=1e-12)
    assert all(MEASURES[name].low <= each <= MEASURES[name].high for each in found)


@pytest.mark.parametrize("name", PLAIN)
def test_the_smallest_picture_is_measured_and_one_pixel_less_is_refused(name: str) -> None:
    least = MEASURES[name].least
    x, y = (tensor(each) for each in damaged("noise", least, least + 3))
    assert math.isfinite(score(name)(x, y).item())
    if name in ("ms-ssim", "vif", "haarpsi"):
        with pytest.raises(ValueError, match=str(least)):
            score(name)(x[..., 1:, :], y[..., 1:, :])


def test_a_picture_without_structure_has_no_phase_in_step() -> None:
    flat = torch.full((1, 40, 40), 80.0, dtype=torch.float64)
    assert phase.congruency(flat).max() == 0
    step = flat.clone()
    step[:, :, 20:] = 200
    found = phase.congruency(step)[0, 5:-5]
    # The transform takes the picture as repeated, so that its edge is a step too.
    assert set(found.argmax(1).tolist()) <= {0, 19, 20, 39}
    assert found[:, [19, 20]].min() > found[:, [5, 10, 30, 35]].max()
