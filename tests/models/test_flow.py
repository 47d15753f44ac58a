"""The sampler against fields whose solution is known, and against Euler steps written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from workbench.models.bagel.flow import Guidance, Velocity, combine, sample, shift_time, time_grid


def noise(batch: int = 2) -> Tensor:
    return torch.randn(batch, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_the_time_grid_is_the_formula(shift: float) -> None:
    grid = time_grid(13, shift)
    even = np.linspace(1, 0, 13)
    np.testing.assert_allclose(grid, shift * even / (1 + (shift - 1) * even), atol=1e-6)
    assert grid[0] == 1.0
    assert grid[-1] == 0.0
    assert all(a > b for a, b in zip(grid, grid[1:], strict=False))


def test_a_shift_above_one_takes_more_steps_near_the_noise() -> None:
    t = torch.tensor([0.25, 0.5, 0.75])
    assert (shift_time(t, 3.0) > t).all()
    torch.testing.assert_close(shift_time(t, 1.0), t)


@pytest.mark.parametrize(("points", "shift"), [(2, 1.0), (6, 3.0), (40, 0.7)])
def test_euler_is_exact_where_the_field_is_straight(points: int, shift: float) -> None:
    """dx/dt = x/t has the solution x(t) = t·x(1), which Euler steps hit whatever the grid."""
    start = noise()
    steps = list(sample(start, points, shift, Guidance(), lambda x, t: x / t))
    assert [s.index for s in steps] == list(range(1, points))
    assert steps[-1].t == 0.0
    for step in steps:
        torch.testing.assert_close(step.x, step.t * start, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(step.estimate, torch.zeros_like(start), atol=1e-6, rtol=0)
        torch.testing.assert_close(step.velocity, start, atol=1e-6, rtol=1e-5)


def test_a_constant_field_points_to_the_image_from_everywhere() -> None:
    start, image = noise(), torch.ones(2, 5, 4)
    for step in sample(start, 9, 3.0, Guidance(), lambda x, t: start - image):
        torch.testing.assert_close(step.estimate, image, atol=1e-5, rtol=0)
        torch.testing.assert_close(step.x, (1 - step.t) * image + step.t * start, atol=1e-5, rtol=0)


def test_steps_are_those_of_euler_by_hand() -> None:
    def field(x: Tensor, t: float) -> Tensor:
        return torch.sin(3 * x) + t * x.roll(1, dims=1)

    grid = [3 * u / (1 + 2 * u) for u in np.linspace(1, 0, 8)]
    x = noise().double().numpy()
    for step, t, after in zip(sample(noise(), 8, 3.0, Guidance(), field), grid, grid[1:], strict=False):
        v = np.sin(3 * x) + t * np.roll(x, 1, axis=1)
        np.testing.assert_allclose(step.estimate.numpy(), x - t * v, atol=1e-4)
        x = x - (t - after) * v
        np.testing.assert_allclose(step.x.numpy(), x, atol=1e-4)


def test_guidance_acts_inside_its_interval_only() -> None:
    asked: dict[str, list[float]] = {"full": [], "no_text": [], "no_image": []}

    def field(name: str, value: float) -> Velocity:
        def at(x: Tensor, t: float) -> Tensor:
            asked[name].append(t)
            return torch.full_like(x, value)

        return at

    guidance = Guidance(2.0, 3.0, (0.4, 0.8), renorm_min=1.0)
    fields = field("full", 1.0), field("no_text", 0.5), field("no_image", 0.25)
    steps = list(sample(noise(), 11, 1.0, guidance, *fields))
    inside = asked["no_text"]
    assert len(asked["full"]) == 10
    assert inside == pytest.approx([0.8, 0.7, 0.6, 0.5]) == asked["no_image"]
    # v_text = 0.5 + 2·(1 − 0.5) = 1.5; v = 0.25 + 3·(1.5 − 0.25) = 4.
    for t, step in zip(asked["full"], steps, strict=True):
        torch.testing.assert_close(step.velocity, torch.full((2, 5, 4), 4.0 if t in inside else 1.0))


def test_the_interval_holds_its_high_end_and_not_its_low() -> None:
    guidance = Guidance(2.0, interval=(0.4, 0.8))
    assert [guidance.active(t) for t in (0.4, 0.41, 0.8, 0.81)] == [False, True, True, False]
    # Where the grid has a time that an end names, in float32 neither is above the other.
    assert [guidance.active(t) for t in time_grid(6, 1.0)] == [False, True, True, False, False, False]


@pytest.mark.parametrize(("text", "image"), [(1.0, 1.0), (1.0, 4.0), (0.5, 4.0)])
def test_without_guidance_on_the_text_nothing_else_is_asked(text: float, image: float) -> None:
    def never(x: Tensor, t: float) -> Tensor:
        raise AssertionError("a field that nothing compares with")

    list(sample(noise(), 4, 3.0, Guidance(text, image, (0.0, 1.0)), lambda x, t: x, never, never))


@pytest.mark.parametrize("image_scale", [1.0, 2.0])
class TestRenorm:
    """The guided velocity never grows beyond the unguided one, in the norm that the kind names."""

    def velocities(self) -> tuple[Tensor, Tensor, Tensor]:
        full, no_text, no_image = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(1))
        return full, no_text, no_image

    def plain(self, image_scale: float) -> Tensor:
        full, no_text, no_image = self.velocities()
        v = no_text + 4.0 * (full - no_text)
        return no_image + image_scale * (v - no_image) if image_scale > 1 else v

    def combined(self, image_scale: float, renorm: str, least: float = 0.0) -> Tensor:
        return combine(*self.velocities(), Guidance(4.0, image_scale, (0.0, 1.0), renorm, least))

    def test_global(self, image_scale: float) -> None:
        full, v = self.velocities()[0], self.combined(image_scale, "global")
        plain = self.plain(image_scale)
        assert (plain.norm(dim=(1, 2)) > full.norm(dim=(1, 2))).all()
        torch.testing.assert_close(v.norm(dim=(1, 2)), full.norm(dim=(1, 2)))
        cosine = torch.cosine_similarity(v.flatten(1), plain.flatten(1))
        torch.testing.assert_close(cosine, torch.ones(2))

    def test_channel(self, image_scale: float) -> None:
        full, v = self.velocities()[0], self.combined(image_scale, "channel")
        plain = self.plain(image_scale)
        expected = torch.minimum(plain.norm(dim=-1), full.norm(dim=-1))
        torch.testing.assert_close(v.norm(dim=-1), expected)
        torch.testing.assert_close(torch.cosine_similarity(v, plain, dim=-1), torch.ones(2, 5))

    def test_text_channel_comes_before_the_image(self, image_scale: float) -> None:
        full, no_text, no_image = self.velocities()
        text = no_text + 4.0 * (full - no_text)
        text = text * (full.norm(dim=-1, keepdim=True) / text.norm(dim=-1, keepdim=True)).clamp(max=1)
        expected = no_image + image_scale * (text - no_image) if image_scale > 1 else text
        torch.testing.assert_close(self.combined(image_scale, "text_channel"), expected)

    @pytest.mark.parametrize("renorm", ["global", "channel", "text_channel"])
    def test_a_least_factor_of_one_switches_it_off(self, image_scale: float, renorm: str) -> None:
        torch.testing.assert_close(self.combined(image_scale, renorm, 1.0), self.plain(image_scale))
