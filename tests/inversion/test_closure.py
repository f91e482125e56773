"""Triangles of pairs."""

import math
from itertools import combinations

import pytest
import torch

from groundshift.inversion import Network
from groundshift.inversion.closure import closing, closure, triangles, ways_around

FOUR = Network(4, tuple(combinations(range(4), 2)))


def stack(network: Network, noise: float, pixels: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    position = torch.randn(network.dates, 2, pixels, generator=generator).double()
    i, j = torch.tensor(network.pairs).T
    errors = torch.randn(len(network.pairs), 2, pixels, generator=generator).double()
    return position[j] - position[i] + noise * errors, torch.full_like(errors, noise)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (FOUR, 4),
        (Network(4, ((0, 1), (1, 2), (2, 3))), 0),
        (Network(3, ((2, 1), (0, 1), (2, 0))), 1),
        (Network(9, tuple((i, i + k) for k in (1, 2) for i in range(9 - k))), 7),
    ],
)
def test_each_triangle_is_there_once_and_is_closed(network: Network, count: int) -> None:
    found = triangles(network)
    assert len(found) == len(set(map(frozenset, found))) == count
    exact, _ = stack(network, 0.0, 3)
    for sides in found:
        total = sum(exact[m] * sign for m, sign in sides)
        torch.testing.assert_close(total, torch.zeros(2, 3).double(), atol=1e-12, rtol=0)


def test_misfits_are_what_sigma_promises() -> None:
    observed, sigma = stack(FOUR, 0.2)
    found = closure(FOUR, observed, sigma)
    assert float(found.misfit.pow(2).mean()) == pytest.approx(1, abs=0.03)
    assert found.pairs.tolist() == pytest.approx([0.6745] * 6, abs=0.03)
    assert float(found.lean.abs().max()) < 0.02
    half = closure(FOUR, observed, sigma / 2)
    assert float(half.misfit.pow(2).mean()) == pytest.approx(4, abs=0.12)


def test_a_bad_pair_and_a_leaning_one_are_seen() -> None:
    observed, sigma = stack(FOUR, 0.2)
    observed[3] += 0.5  # dates 1 and 2
    found = closure(FOUR, observed, sigma)
    assert int(found.pairs.argmax()) == 3
    shares = [any(m == 3 for m, _ in sides) for sides in triangles(FOUR)]
    for share, lean in zip(shares, found.lean.abs().mean(1).tolist(), strict=True):
        assert lean == pytest.approx(0.5 if share else 0.0, abs=0.03)


def test_what_was_not_measured_closes_nothing() -> None:
    observed, sigma = stack(FOUR, 0.2, 5)
    observed[:3, :, 2] = torch.nan
    found = closure(FOUR, observed, sigma)
    assert not bool(found.misfit[2].isnan())
    observed[5, 0, 2] = torch.nan
    assert bool(closure(FOUR, observed, sigma).misfit[2].isnan())
    chain = Network(3, ((0, 1), (1, 2)))
    assert math.isnan(float(closure(chain, observed[:2], sigma[:2]).pairs[0]))


def test_each_pair_is_led_around_once_by_the_date_near_its_middle() -> None:
    network = Network(6, tuple(combinations(range(6), 2)))
    found = ways_around(network)
    assert len(found) == len(network.pairs) - 5
    for first, second, long in found:
        i, j = network.pairs[first[0]]
        assert (j, network.pairs[second[0]][1], i) == (
            network.pairs[second[0]][0],
            network.pairs[long[0]][1],
            network.pairs[long[0]][0],
        )
        assert abs(j - sum(network.pairs[long[0]]) / 2) <= 0.5


def test_what_pixels_close_to_is_what_sigma_promises() -> None:
    around = ways_around(FOUR)
    observed, sigma = stack(FOUR, 0.2, 20_000)
    found = closing(around, observed, sigma)
    assert float(found.pow(2).mean()) == pytest.approx(1, abs=0.01)
    twice = closing(around, observed, 2 * sigma)
    assert float(twice.pow(2).mean()) == pytest.approx(0.25 / 0.995, abs=0.01)
    wild = observed.clone()
    wild[:, :, :100] += 50 * torch.randn(6, 2, 100, generator=torch.Generator().manual_seed(2))
    assert float(closing(around, wild, sigma)[:100].min()) > 2
    assert torch.equal(closing(around, wild, sigma)[100:], found[100:])


def test_pixels_without_a_triangle_do_not_tell() -> None:
    observed, sigma = stack(FOUR, 0.2, 3)
    observed[[1, 2, 4], :, 0] = torch.nan  # what is left is a chain
    found = closing(ways_around(FOUR), observed, sigma)
    assert math.isnan(found[0])
    assert bool(torch.isfinite(found[1:]).all())
    assert bool(closing([], observed, sigma).isnan().all())
