"""Pairs of a stack that agree."""

from itertools import combinations

import torch

from groundshift.inversion.agreement import agree
from groundshift.types import Estimate

TIMES = (0.0, 0.1, 0.2, 0.3, 0.4)


def stack(noise: float) -> tuple[dict[tuple[int, int], Estimate], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    truth = torch.randn(len(TIMES), 2, 20, 30, generator=generator)
    found = {}
    for i, j in combinations(range(len(TIMES)), 2):
        sigma = torch.full((20, 30), noise * (j - i))
        error = torch.randn(2, 20, 30, generator=generator) * sigma
        dy, dx = truth[j] - truth[i] + error
        found[i, j] = Estimate(dy, dx, sigma, sigma.clone(), torch.full((20, 30), 0.5))
    return found, truth


def test_agreeing_pairs_close_and_err_less_and_say_by_how_much() -> None:
    found, truth = stack(0.1)
    agreed = agree(found, TIMES)
    torch.testing.assert_close(
        agreed[0, 2].dx + agreed[2, 4].dx, agreed[0, 4].dx, rtol=0, atol=1e-5
    )
    before = found[0, 4].dx - (truth[4, 1] - truth[0, 1])
    after = agreed[0, 4].dx - (truth[4, 1] - truth[0, 1])
    assert float(after.std()) < 0.6 * float(before.std())
    ratio = after / agreed[0, 4].sigma_dx
    assert 0.8 < float(ratio.std()) < 1.15
    assert torch.equal(agreed[0, 4].score, found[0, 4].score)


def test_a_pair_that_was_not_measured_follows_from_the_others() -> None:
    found, truth = stack(0.01)
    for plane in found[0, 4]:
        plane[3, 4] = torch.nan
    for pair in found:
        if 2 in pair:
            for plane in found[pair]:
                plane[7, 8] = torch.nan
    agreed = agree(found, TIMES)
    error = agreed[0, 4].dy[3, 4] - (truth[4, 0, 3, 4] - truth[0, 0, 3, 4])
    assert abs(float(error)) < 0.1
    assert bool(agreed[0, 4].score[3, 4].isnan())
    assert bool(agreed[1, 2].dy[7, 8].isnan())
    assert bool(agreed[1, 2].sigma_dy[7, 8].isnan())
    assert bool(agreed[1, 3].dy[7, 8].isfinite())
