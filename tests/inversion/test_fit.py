"""Motion of a few terms from pairs, against exact truth."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from groundshift.errors import GroundshiftError
from groundshift.inversion import Network
from groundshift.inversion.fit import fit
from groundshift.inversion.terms import (
    Acceleration,
    Afterslip,
    Relaxation,
    Seasonal,
    Step,
    Term,
    Velocity,
    names_of,
)

YEARS = torch.arange(40).double() * 0.1
NETWORK = Network(40, tuple((i, i + k) for k in (1, 2, 9, 13) for i in range(40 - k)))
PIXELS = 400
TERMS: dict[str, tuple[Term, ...]] = {
    "steady": (Velocity(),),
    "seasonal": (Velocity(), Seasonal()),
    "two seasons": (Velocity(), Seasonal(), Seasonal(0.5)),
    "earthquake": (Velocity(), Step(1.55), Relaxation(1.55, 0.5)),
    "afterslip": (Velocity(), Seasonal(), Step(1.55), Afterslip(1.55, 0.1)),
    "speeding up": (Velocity(), Acceleration(2.0)),
}


def made(terms: tuple[Term, ...], noise: float) -> tuple[Tensor, Tensor]:
    """Return numbers, and what pairs measured of them."""
    generator = torch.Generator().manual_seed(1)
    count = len(names_of(terms))
    numbers = torch.randn(count, 2, PIXELS, generator=generator).double()
    motion = torch.cat([term(YEARS) for term in terms], 1)
    position = torch.einsum("tp,pcx->tcx", motion, numbers)
    i, j = torch.tensor(NETWORK.pairs).T
    errors = torch.randn(len(i), 2, PIXELS, generator=generator).double()
    return numbers, position[j] - position[i] + noise * errors


@pytest.mark.parametrize("name", TERMS)
def test_terms_are_found_and_sigma_holds(name: str) -> None:
    terms = TERMS[name]
    numbers, observed = made(terms, 0.2)
    found = fit(NETWORK, YEARS, terms, observed, torch.full_like(observed, 0.2))
    ratio = (found.value - numbers) / found.sigma
    assert float((ratio.abs() < 0.9945).double().mean()) == pytest.approx(0.68, abs=0.05)
    assert float((ratio.abs() < 1.96).double().mean()) == pytest.approx(0.95, abs=0.03)
    assert float(found.misfit.median()) == pytest.approx(1, abs=0.05)


def test_without_outliers_it_is_weighted_least_squares() -> None:
    terms = TERMS["seasonal"]
    _, observed = made(terms, 0.5)
    generator = torch.Generator().manual_seed(2)
    sigma = 0.1 + torch.rand(observed.shape, generator=generator).double()
    observed[
        torch.rand(len(observed), PIXELS, generator=generator)[:, None].expand_as(observed) < 0.3
    ] = torch.nan
    found = fit(NETWORK, YEARS, terms, observed, sigma, outliers=False)
    motion = torch.cat([term(YEARS) for term in terms], 1)
    i, j = torch.tensor(NETWORK.pairs).T
    for p in (0, 7, 31):
        for c in range(2):
            known = observed[:, c, p].isfinite()
            rows = (motion[j] - motion[i])[known] / sigma[known, c, p, None]
            right = observed[known, c, p] / sigma[known, c, p]
            expected = torch.linalg.lstsq(rows, right).solution
            torch.testing.assert_close(found.value[:, c, p], expected, rtol=1e-9, atol=1e-10)
            spread = torch.linalg.inv(rows.T @ rows).diagonal().sqrt()
            scale = found.misfit[p].clamp(min=1)
            torch.testing.assert_close(found.sigma[:, c, p], spread * scale, rtol=1e-9, atol=1e-10)


def test_mismatches_do_no_harm() -> None:
    terms = TERMS["seasonal"]
    numbers, observed = made(terms, 0.2)
    generator = torch.Generator().manual_seed(3)
    wrong = torch.rand(len(observed), 1, PIXELS, generator=generator) < 0.2
    spoiled = observed + wrong * (20 * torch.rand(observed.shape, generator=generator) - 10)
    sigma = torch.full_like(observed, 0.2)
    clean = fit(NETWORK, YEARS, terms, observed, sigma).value - numbers
    robust = fit(NETWORK, YEARS, terms, spoiled, sigma).value - numbers
    plain = fit(NETWORK, YEARS, terms, spoiled, sigma, outliers=False).value - numbers
    assert float(robust.std()) < 1.3 * float(clean.std())
    assert float(robust.std()) < 0.2 * float(plain.std())


def test_a_long_pair_shows_its_share_of_the_season() -> None:
    """Pairs of half a year alone still tell the amplitude, which mean velocities would smear."""
    pairs = tuple((i, i + 5) for i in range(35))
    network = Network(40, pairs)
    motion = (
        torch.cat([Seasonal()(YEARS), Velocity()(YEARS)], 1) @ torch.tensor([2.0, 0, 1]).double()
    )
    i, j = torch.tensor(pairs).T
    observed = (motion[j] - motion[i])[:, None, None]
    terms = (Seasonal(), Velocity())
    found = fit(network, YEARS, terms, observed, torch.ones_like(observed))
    assert found.value[:, 0, 0].tolist() == pytest.approx([2, 0, 1])


def test_pixels_that_do_not_tell_are_nan() -> None:
    terms = TERMS["seasonal"]
    _, observed = made(terms, 0.1)
    observed[2:, :, 4] = torch.nan
    observed[:, :, 5] = torch.nan
    found = fit(NETWORK, YEARS, terms, observed, torch.full_like(observed, 0.1))
    assert bool(found.value[:, :, 4:6].isnan().all())
    assert bool(found.sigma[:, :, 4:6].isnan().all())
    assert bool(found.misfit[4:6].isnan().all())
    assert bool(found.value[:, :, [0, 6]].isfinite().all())


@pytest.mark.parametrize(
    "terms", [(Velocity(), Velocity()), (Velocity(), Step(-1.0)), (Step(0.51), Step(0.55))]
)
def test_terms_that_no_pair_tells_apart_are_refused(terms: tuple[Term, ...]) -> None:
    observed = torch.zeros(len(NETWORK.pairs), 1, 2).double()
    with pytest.raises(GroundshiftError, match="fewer terms"):
        fit(NETWORK, YEARS, terms, observed, torch.ones_like(observed))


def test_terms_begin_where_they_should() -> None:
    years = torch.tensor([0.0, 1.0, 1.5, 3.0]).double()
    assert Step(1.0)(years)[:, 0].tolist() == [0, 1, 1, 1]
    assert Relaxation(1.0, 0.5)(years)[:, 0].tolist() == pytest.approx(
        [0, 0, 1 - math.exp(-1), 1 - math.exp(-4)]
    )
    assert Afterslip(1.0, 0.5)(years)[:, 0].tolist() == pytest.approx(
        [0, 0, math.log(2), math.log(5)]
    )
    with pytest.raises(GroundshiftError, match="above 0"):
        Relaxation(1.0, 0.0)


def test_names_differ() -> None:
    terms = (Velocity(), Seasonal(), Seasonal(0.5), Step(1.0), Step(2.0), Step(3.0))
    names = names_of(terms)
    assert names == (
        "velocity", "cosine", "sine", "cosine_0.5", "sine_0.5", "step", "step2", "step3"
    )  # fmt: skip
    assert all(a != b for a, b in combinations(names, 2))
