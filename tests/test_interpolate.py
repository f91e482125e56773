"""Interpolation against waves and polynomials, whose values between pixels are known."""

import math

import numpy as np
import pytest
import torch

from groundshift.interpolate import kernel, sample, warp_cells


def wave(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * math.pi * (0.17 * x + 0.11 * y))


@pytest.fixture
def grid() -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.arange(96.0)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    return y, x


@pytest.mark.parametrize("taps", [6, 8, 12, 16])
def test_polynomials_are_exact(taps: int) -> None:
    fractions = np.linspace(0, 1, 11)
    positions = np.arange(taps) - taps // 2 + 1
    for degree in range(taps - 2):
        values = kernel(fractions, taps) @ positions.astype(float) ** degree
        np.testing.assert_allclose(values, fractions**degree, atol=1e-6 * taps**degree)


def test_slope_is_the_same_from_both_sides_of_a_pixel() -> None:
    step = 1e-5
    after = (kernel(np.array([step]), 8) - kernel(np.array([0.0]), 8))[0] / step
    before = (kernel(np.array([1.0]), 8) - kernel(np.array([1 - step]), 8))[0] / step
    np.testing.assert_allclose(after[:-1], before[1:], atol=1e-3)
    np.testing.assert_allclose([after[-1], before[0]], 0, atol=1e-3)


@pytest.mark.parametrize(("taps", "tolerance"), [(8, 0.03), (12, 0.003), (16, 3e-4)])
def test_sample_follows_a_wave(grid, taps: int, tolerance: float) -> None:
    y, x = (axis[20:-20, 20:-20] for axis in grid)
    y, x = y + 0.37, x - 0.61
    assert (sample(wave(*grid), y, x, taps) - wave(y, x)).abs().max() < tolerance


def test_whole_pixels_are_untouched(grid) -> None:
    image = wave(*grid)
    torch.testing.assert_close(sample(image, *grid), image, rtol=0, atol=1e-6)


def test_missing_pixels_reach_their_neighbours_only(grid) -> None:
    image = wave(*grid)
    image[40, 50] = torch.nan
    unknown = torch.isnan(sample(image, grid[0] + 0.5, grid[1] + 0.5))
    expected = torch.zeros_like(unknown)
    expected[39:41, 49:51] = True
    expected[-1], expected[:, -1] = True, True
    assert torch.equal(unknown, expected)


def test_complex_images(grid) -> None:
    phase = 2 * math.pi * 0.1 * grid[1]
    image = torch.polar(torch.ones_like(phase), phase)
    y, x = (axis[20:-20, 20:-20] for axis in grid)
    found = sample(image, y, x + 0.25)
    expected = torch.polar(torch.ones_like(y), 2 * math.pi * 0.1 * (x + 0.25))
    assert (found - expected).abs().max() < 1e-4


def test_cells_see_through_their_own_displacement(grid) -> None:
    generator = torch.Generator().manual_seed(1)
    dy, dx = torch.rand(2, 12, 12, generator=generator) * 6 - 3
    seen = warp_cells(wave(*grid), dy, dx, cell=4, margin=24, taps=12)
    y, x = (
        axis[24:-24, 24:-24] + d.repeat_interleave(4, 0).repeat_interleave(4, 1)
        for axis, d in zip(grid, (dy, dx), strict=True)
    )
    slope = 2 * math.pi * torch.cos(2 * math.pi * (0.17 * x + 0.11 * y))
    assert (seen.value - wave(y, x)).abs().max() < 0.003
    assert (seen.dx - 0.17 * slope).abs().max() < 0.02
    assert (seen.dy - 0.11 * slope).abs().max() < 0.02


def test_a_batch_is_warped_like_its_members():
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(3, 40, 48, generator=generator)
    shifts = torch.rand(2, 3, 4, 6, generator=generator) * 6 - 3
    together = warp_cells(images, *shifts, cell=4, margin=12)
    for i, image in enumerate(images):
        alone = warp_cells(image, *shifts[:, i], cell=4, margin=12)
        for one, all_ in zip(alone, together, strict=True):
            assert torch.allclose(one, all_[i], atol=1e-6)
