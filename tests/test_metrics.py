"""Scores of estimates whose errors were put there."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from groundshift import metrics
from groundshift.synth.sample import wavy_fault


def planes(seed: int = 0, size: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
    truth = torch.nn.functional.interpolate(truth[None], (size, size), mode="bicubic")[0]
    noise = torch.randn(2, size, size, generator=generator, dtype=torch.float64)
    return truth, noise


def test_gaussian_errors_have_gaussian_scores() -> None:
    truth, noise = planes()
    sigma = torch.full_like(truth, 0.1)
    found = metrics.score(truth + 0.1 * noise + torch.tensor([0.02, -0.03])[:, None, None], truth)
    assert found.bias_dy == pytest.approx(0.02, abs=0.002)
    assert found.bias_dx == pytest.approx(-0.03, abs=0.002)
    found = metrics.score(truth + 0.1 * noise, truth, sigma)
    assert found.mae == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.02)
    assert found.median == pytest.approx(0.06745, rel=0.02)
    assert found.p95 == pytest.approx(0.196, rel=0.02)
    assert found.rmse_dy == pytest.approx(0.1, rel=0.02)
    assert found.within_68 == pytest.approx(0.68, abs=0.01)
    assert found.within_95 == pytest.approx(0.95, abs=0.01)
    assert found.slope_dy == pytest.approx(1, abs=0.01)
    assert found.density == 1
    assert found.over_half == found.over_one == 0


def test_a_sigma_that_ranks_errors_has_no_sparsification_error() -> None:
    truth, noise = planes(1)
    error = 0.1 * noise
    assert metrics.ause(error, error.abs()) == pytest.approx(0, abs=1e-9)
    useless = metrics.ause(error, torch.rand(truth.shape, generator=torch.Generator()))
    assert useless > 0.3


def test_shrinkage_shows_in_the_slope() -> None:
    truth, _ = planes(2)
    found = metrics.score(0.8 * truth, truth)
    assert found.slope_dy == pytest.approx(0.8)
    assert math.isnan(metrics.score(truth * 0 + 0.1, truth * 0).slope_dx)


def test_outliers_are_counted_once_and_steps_are_none() -> None:
    truth, noise = planes(3)
    truth[:, :, 100:] += 3  # a fault
    estimate = truth + 0.02 * noise
    assert metrics.score(estimate, truth).outliers < 0.001
    estimate[0, 10:190:20, 10:190:20] += 0.8
    estimate[1, 10:190:20, 10:190:20] += 1.5
    assert metrics.score(estimate, truth).outliers == pytest.approx(81 / 200**2, rel=0.05)


def test_what_is_not_measured_or_not_scored_is_left_out() -> None:
    truth, noise = planes(4)
    estimate = truth + 0.1 * noise
    estimate[:, :50] = torch.nan
    scored = torch.ones(200, 200, dtype=torch.bool)
    scored[150:] = False
    estimate[:, 150:] += 99
    found = metrics.score(estimate, truth, scored=scored)
    assert found.density == pytest.approx(100 / 150)
    assert found.mae == pytest.approx(0.08, rel=0.03)
    empty = metrics.score(estimate * torch.nan, truth)
    assert empty.density == 0
    assert math.isnan(empty.mae)


def test_errors_near_a_fault() -> None:
    truth, _ = planes(5)
    distance = (torch.arange(200.0) - 100).expand(200, 200)
    estimate = truth + torch.where(
        distance.abs() < 2, 1.0, torch.where(distance.abs() < 6, 0.5, 0.1)
    )
    found = metrics.score(estimate, truth, distance=distance)
    assert (found.near_2, found.near_6, found.near_20) == pytest.approx((1.0, 0.5, 0.1))


class TestRocAuc:
    def test_against_all_pairs(self) -> None:
        generator = torch.Generator().manual_seed(5)
        labels = torch.rand(300, generator=generator) < 0.3
        values = (torch.randn(300, generator=generator) + labels).round(decimals=1)
        one, other = values[labels][:, None], values[~labels]
        expected = (one > other).double() + 0.5 * (one == other).double()
        assert metrics.roc_auc(values, labels) == pytest.approx(float(expected.mean()))

    def test_of_what_is_separate_and_of_what_is_missing(self) -> None:
        values, labels = torch.arange(6.0), torch.arange(6) > 3
        assert metrics.roc_auc(values, labels) == 1
        assert metrics.roc_auc(-values, labels) == 0
        assert metrics.roc_auc(torch.zeros(6), labels) == 0.5
        assert math.isnan(metrics.roc_auc(values, labels | True))


def faulted(size: int = 240, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Waves and a rough fault: the motion of each pixel, and its distance from the trace."""
    at = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    motion = wavy_fault(seed, size)
    return torch.stack(motion(y, x)), motion.motions[1].distance(y, x)  # type: ignore[attr-defined]


def at_centres(plane: torch.Tensor, stride: int) -> torch.Tensor:
    """Values at the centres of cells: between two pixels, their mean."""
    first, second = (stride - 1) // 2, stride // 2
    rows = (plane[..., first::stride, :] + plane[..., second::stride, :]) / 2
    return (rows[..., first::stride] + rows[..., second::stride]) / 2


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("width", [4.0, 12.0])
def test_a_known_blur_is_the_rise(width: float, stride: int) -> None:
    truth, distance = faulted()
    blurred = torch.from_numpy(gaussian_filter(truth.numpy(), (0, width, width)))
    found = metrics.rise(at_centres(blurred, stride), truth, distance, stride)
    assert found == pytest.approx(2.5631 * width, rel=0.03)


@pytest.mark.parametrize("side", [17, 33])
def test_the_rise_of_a_mean_over_a_window(side: int) -> None:
    truth, distance = faulted()
    mean = torch.from_numpy(uniform_filter(truth.numpy(), (0, side, side)))
    assert metrics.rise(mean, truth, distance) == pytest.approx(0.8 * side, rel=0.08)


def test_noise_hardly_changes_the_rise() -> None:
    truth, distance = faulted()
    blurred = gaussian_filter(truth.numpy(), (0, 8, 8))
    noise = np.random.default_rng(1).normal(size=truth.shape)
    noise = gaussian_filter(noise, (0, 8, 8))  # windows share what they see
    noisy = torch.from_numpy(blurred + 0.1 * noise / noise.std())
    assert metrics.rise(noisy, truth, distance) == pytest.approx(2.5631 * 8, rel=0.1)


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_the_rise_of_a_sharp_estimate_is_less_than_a_cell(stride: int) -> None:
    truth, distance = faulted()
    cells = torch.nn.functional.avg_pool2d(truth, stride)
    for sharp in (cells, truth[:, stride // 2 :: stride, stride // 2 :: stride]):
        assert metrics.rise(sharp, truth, distance, stride) < stride


def test_without_a_jump_or_a_measurement_there_is_no_rise() -> None:
    truth, distance = faulted()
    assert math.isnan(metrics.rise(truth, truth, torch.full_like(distance, math.inf)))
    assert math.isnan(metrics.rise(0 * truth, 0 * truth, distance))
    blind = torch.where(distance.abs() < 8, torch.nan, truth)
    assert math.isnan(metrics.rise(blind, truth, distance))
    half = truth.clone()
    half[0, :100] = torch.nan
    assert metrics.rise(half, truth, distance) < 1
