"""Logarithmic total variation against a slow minimiser, and what it is for."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from groundshift.errors import MatcherError
from groundshift.matchers import NCC
from groundshift.matchers.logtv import LogTV, _divergence, _slopes, _total_variation

PLAIN = NCC(window=16, search=2, stride=8)


def noisy_step(height: float, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A step of the first component along the middle column, and the same with noise."""
    truth = torch.zeros(2, 64, 64)
    truth[0, :, 32:] = height
    generator = torch.Generator().manual_seed(4)
    return truth, truth + noise * torch.randn(truth.shape, generator=generator)


def test_divergence_is_minus_the_transpose():
    generator = torch.Generator().manual_seed(1)
    flow = torch.randn(2, 7, 9, generator=generator, dtype=torch.float64)
    force = torch.randn(2, 2, 7, 9, generator=generator, dtype=torch.float64)
    assert float((_slopes(flow) * force).sum() + (flow * _divergence(force)).sum()) == (
        pytest.approx(0, abs=1e-12)
    )


def test_total_variation_equals_a_slow_minimiser():
    generator = torch.Generator().manual_seed(2)
    fixed = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    allowed = 0.1 + 0.4 * torch.rand(5, 6, generator=generator, dtype=torch.float64)
    beside = torch.ones(2, 1, 5, 6, dtype=torch.float64)
    start = torch.zeros(2, 2, 5, 6, dtype=torch.float64)
    found = fixed + _divergence(_total_variation(fixed, start, beside, allowed, 3000))

    def cost(values: np.ndarray) -> float:
        flow = values.reshape(2, 5, 6)
        squares = np.zeros((5, 6))
        squares[:-1] += ((flow[:, 1:] - flow[:, :-1]) ** 2).sum(0)
        squares[:, :-1] += ((flow[:, :, 1:] - flow[:, :, :-1]) ** 2).sum(0)
        variation = (allowed.numpy() * np.sqrt(squares + 1e-9)).sum()
        return 0.5 * ((flow - fixed.numpy()) ** 2).sum() + variation

    slow = minimize(cost, fixed.numpy().ravel(), method="L-BFGS-B", options={"maxfun": 10**6})
    assert cost(found.numpy().ravel()) == pytest.approx(slow.fun, abs=2e-4)
    assert np.abs(found.numpy().ravel() - slow.x).max() < 0.02


def test_noise_goes_and_a_step_stays():
    truth, noisy = noisy_step(1.0, 0.05)
    found = LogTV(PLAIN).smoothed(noisy)
    before, after = ((each - truth).square().mean().sqrt() for each in (noisy, found))
    assert float(after) < 0.4 * float(before)
    step = found[0, :, 32].mean() - found[0, :, 31].mean()
    assert float(step) == pytest.approx(1.0, abs=0.02)
    # Plain total variation lowers it on both sides.
    assert float(found[0, :, 40:].mean() - found[0, :, :24].mean()) == pytest.approx(1.0, abs=0.01)


def test_nothing_passes_through_what_is_not_known():
    _, noisy = noisy_step(0.0, 0.05)
    noisy[:, :, 30:34] = torch.nan
    other = noisy.clone()
    other[:, :, 34:] += 5
    one, two = (LogTV(PLAIN).smoothed(each) for each in (noisy, other))
    assert torch.equal(torch.isnan(one), torch.isnan(noisy))
    assert torch.equal(one[:, :, :30], two[:, :, :30])
    assert torch.allclose(one[:, :, 34:] + 5, two[:, :, 34:], atol=1e-5)


def test_what_is_level_stays():
    flow = torch.full((2, 20, 20), 3.25)
    assert torch.equal(LogTV(PLAIN).smoothed(flow), flow)


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"floor": -1.0}, {"rounds": 0}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(MatcherError, match="above 0"):
        LogTV(PLAIN, **wrong)
