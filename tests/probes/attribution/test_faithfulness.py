"""Curves, infidelity and sensitivity against the authors' formulas and Captum's own results."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as of_captum

from probes.attribution.faithfulness import area, infidelity, ranked, removals, walk
from probes.attribution.sensitivity import sensitivity_max


def test_a_walk_takes_the_largest_cells_first_and_ends_with_none() -> None:
    shown = walk([0.1, 0.9, -0.4, 0.5], "deletion", 4)
    assert shown.astype(int).tolist() == [[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0], [0] * 4]
    assert (walk([0.1, 0.9, -0.4, 0.5], "insertion", 4) == ~shown).all()


def test_a_walk_has_no_more_steps_than_cells_and_needs_both() -> None:
    assert walk(np.arange(3), "insertion", 50).shape == (4, 3)
    with pytest.raises(ValueError, match="steps"):
        walk(np.arange(3), "insertion", 0)


def test_cells_of_one_value_come_in_a_drawn_order_and_nan_last() -> None:
    first = {int(ranked(np.zeros(16), seed=seed)[0]) for seed in range(40)}
    assert len(first) > 8
    assert ranked([1.0, np.nan, 2.0]).tolist() == [2, 0, 1]


def test_the_area_is_the_published_one() -> None:
    curve = np.array([0.9, 0.5, 0.4, 0.1])
    authors = (curve.sum() - curve[0] / 2 - curve[-1] / 2) / (curve.shape[0] - 1)
    assert area(curve) == pytest.approx(authors)
    assert area(curve) == pytest.approx(np.trapezoid(curve, np.linspace(0, 1, 4)))


@pytest.fixture
def plain() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(9, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()


def test_infidelity_is_captums_on_a_plain_module(plain: torch.nn.Module) -> None:
    x, phi = torch.ones(1, 9).double(), torch.randn(1, 9).double()
    taken = removals(9, 50, seed=3)

    def forward(given: torch.Tensor) -> torch.Tensor:
        return plain(given)[:, 0]

    def perturb(given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = torch.from_numpy(taken).double()
        return moved, given - moved

    theirs = of_captum(forward, perturb, x, phi, n_perturb_samples=50, normalize=True)
    with torch.no_grad():
        lost = (forward(x) - forward(x - torch.from_numpy(taken).double())).numpy()
    ours = infidelity(phi.numpy(), taken, lost)
    assert ours.value == pytest.approx(float(theirs[0]), rel=1e-9)
    assert 0 < ours.relative <= 1


def test_a_map_that_foretells_every_change_has_no_infidelity_in_any_unit() -> None:
    weights = np.array([3.0, -1.0, 0.5, 2.0])
    taken = removals(4, 30)
    assert infidelity(100 * weights, taken, taken @ weights).value == pytest.approx(0, abs=1e-20)
    assert infidelity(np.zeros(4), taken, taken @ weights).relative == pytest.approx(1)
    assert np.isnan(infidelity(weights, taken, np.zeros(30)).relative)


def test_removals_take_some_cells_and_never_all() -> None:
    taken = removals(12, 400, least=0.0, most=1.0)
    assert taken.sum(axis=1).min() == 1 and taken.sum(axis=1).max() == 11
    assert np.abs(taken.mean(axis=0) - 0.5).max() < 0.1


def test_sensitivity_is_the_largest_change_by_the_length_of_the_map() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    seen: list[np.ndarray] = []

    def explain(picture: np.ndarray) -> np.ndarray:
        seen.append(picture)
        return picture[..., 0].ravel().astype(float)

    found = sensitivity_max(explain, image, radius=3, samples=5, seed=1)
    whole = image[..., 0].ravel().astype(float)
    far = [np.linalg.norm(p[..., 0].ravel() - whole) / np.linalg.norm(whole) for p in seen]
    assert found == pytest.approx(max(far)) and found > 0
    assert max(np.abs(p.astype(int) - 100).max() for p in seen) <= 3
    assert sensitivity_max(explain, image, radius=3, samples=5, seed=1) == found


def test_a_map_of_nothing_has_no_sensitivity() -> None:
    assert np.isnan(sensitivity_max(lambda picture: np.zeros(4), np.zeros((2, 2, 3), np.uint8)))
