"""Fusion of windows: averages noise away where nothing moves, keeps a step where it does."""

import torch

from groundshift.boxes import box_sum
from groundshift.matchers.fuse import Agreement, expected_error_fusion
from groundshift.matchers.windows import Window
from groundshift.types import Estimate

WINDOWS = (Window(4), Window(12), Window(36))


def estimates(truth: torch.Tensor, noise: float) -> list[Estimate]:
    """What windows of 1, 3 and 9 cells of 4 px would measure of a field."""
    size = len(truth) - 8
    field = truth + noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    result = []
    for side in (1, 3, 9):
        mean = box_sum(field, side) / side**2
        edge = (len(mean) - size) // 2
        mean = mean[edge : edge + size, edge : edge + size]
        sigma = torch.full_like(mean, noise / side)
        result.append(Estimate(mean, torch.zeros_like(mean), sigma, sigma, torch.ones_like(mean)))
    return result


def fused(truth: torch.Tensor, noise: float) -> tuple[Estimate, list[Estimate]]:
    parts = estimates(truth, noise)
    return expected_error_fusion(parts, WINDOWS, 4, 4, Agreement.of(28, 4)), parts


def test_still_ground_takes_the_largest_window() -> None:
    result, parts = fused(torch.zeros(72, 72), 0.3)
    assert result.dy.std() < 1.4 * parts[2].dy.std()
    assert abs(float((result.dy / result.sigma_dy).std()) - 1) < 0.4


def test_a_step_stays_sharp() -> None:
    truth = torch.zeros(72, 72)
    truth[:, 36:] = 2.0
    result, parts = fused(truth, 0.05)
    error, blurred = ((e.dy - truth[4:-4, 4:-4]).abs() for e in (result, parts[2]))
    assert error[:, 28:36].mean() < 0.25 * blurred[:, 28:36].mean()
    assert error[:, :16].mean() < 0.02


def test_what_no_window_knows_stays_unknown() -> None:
    parts = estimates(torch.zeros(40, 40), 0.1)
    parts = [e._replace(dy=e.dy.clone(), sigma_dy=e.sigma_dy.clone()) for e in parts]
    for part in parts:
        part.dy[5, 5], part.sigma_dy[5, 5] = torch.nan, torch.nan
    parts[0].dy[9, 9], parts[0].sigma_dy[9, 9] = torch.nan, torch.nan
    result = expected_error_fusion(parts, WINDOWS, 4, 4, Agreement.of(28, 4))
    assert torch.isnan(result.dy[5, 5])
    assert not torch.isnan(result.dy[9, 9])
