"""Histories from pairs, against dense least squares and exact truth."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from groundshift.errors import GroundshiftError
from groundshift.inversion import History, Inversion, Network, expectation, invert

PLAIN = Inversion("none")
DATES = 14
YEARS = torch.cumsum(torch.rand(DATES, generator=torch.Generator().manual_seed(3)) + 0.2, 0) / 10
YEARS = YEARS.double()
PAIRS = (*((i, i + k) for k in (1, 2, 3) for i in range(DATES - k)), (9, 2), (13, 0))


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def uniform(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).double()


def truth_of(years: Tensor, components: int, pixels: int) -> Tensor:
    """Steady and seasonal, ``(dates, components, pixels)``; 0 at the first date."""
    speed, season = normal(2, 1, components, pixels, seed=4)
    at = years[:, None, None]
    found = 5 * speed * at + season * torch.sin(6.28 * at)
    return found - found[:1]


def pairs_of(network: Network, position: Tensor) -> Tensor:
    i, j = torch.tensor(network.pairs).T
    return position[j] - position[i]


def dense(
    network: Network, observed: Tensor, sigma: Tensor, reference: int
) -> tuple[Tensor, Tensor]:
    """Solve one component of one pixel; NaN where the reference is out of reach."""
    known = torch.isfinite(observed) & torch.isfinite(sigma)
    design = torch.zeros(len(network.pairs), network.dates, dtype=torch.float64)
    for m, (i, j) in enumerate(network.pairs):
        design[m, i], design[m, j] = -1.0, 1.0
    group = {reference}
    for _ in range(network.dates):
        for m, pair in enumerate(network.pairs):
            if known[m] and group & set(pair):
                group |= set(pair)
    dates = sorted(group - {reference})
    rows = (design[known] / sigma[known, None])[:, dates]
    position = torch.full((2, network.dates), torch.nan, dtype=torch.float64)
    position[:, reference] = 0.0
    if dates:
        position[0, dates] = torch.linalg.lstsq(rows, observed[known] / sigma[known]).solution
        position[1, dates] = torch.linalg.inv(rows.T @ rows).diagonal().sqrt()
    return position[0], position[1]


@pytest.mark.parametrize("reference", [0, 6, DATES - 1])
@pytest.mark.parametrize("components", [1, 2])
def test_it_is_weighted_least_squares_on_what_was_measured(reference: int, components: int) -> None:
    """To 1e-9; with gaps that cut off dates, other weights for each pixel, and other dates."""
    network = Network(DATES, PAIRS)
    pixels = 40
    observed = normal(len(PAIRS), components, pixels, seed=5)
    sigma = 0.1 + uniform(len(PAIRS), components, pixels, seed=6)
    gaps = uniform(len(PAIRS), pixels, seed=7) < torch.linspace(0, 0.9, pixels)
    observed = observed.where(~gaps[:, None], torch.nan)
    sigma[3, :, 5] = torch.nan
    found = invert(network, YEARS, observed, sigma, reference=reference, how=PLAIN)
    cut_off = 0
    for p in range(pixels):
        for c in range(components):
            known = observed[:, :, p].isfinite().all(1) & sigma[:, :, p].isfinite().all(1)
            values = observed[:, c, p].where(known, torch.nan)
            position, spread = dense(network, values, sigma[:, c, p], reference)
            close = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}
            torch.testing.assert_close(found.position[:, c, p], position, **close)
            scale = found.misfit[p].nan_to_num(1.0).clamp(min=1)
            torch.testing.assert_close(found.sigma[:, c, p], spread * scale, **close)
            cut_off += int(position.isnan().any())
    assert cut_off > 5


def test_sigma_of_a_pair_is_that_of_its_first_date_as_the_reference() -> None:
    network = Network(DATES, PAIRS)
    observed = normal(len(PAIRS), 2, 20, seed=22)
    observed[4, :, 3] = torch.nan
    sigma = 0.2 + uniform(len(PAIRS), 1, 20, seed=23)
    between = invert(network, YEARS, observed, sigma, how=PLAIN, between=True).between
    for m in (0, 5, 20, len(PAIRS) - 1):
        first, second = PAIRS[m]
        moved = invert(network, YEARS, observed, sigma, how=PLAIN, reference=first)
        torch.testing.assert_close(between[m], moved.sigma[second])


def test_sigma_that_both_components_share_is_that_of_each() -> None:
    network = Network(DATES, PAIRS)
    observed = normal(len(PAIRS), 2, 30, seed=8)
    sigma = 0.2 + uniform(len(PAIRS), 1, 30, seed=9)
    for how in (PLAIN, Inversion()):
        shared = invert(network, YEARS, observed, sigma, how=how)
        each = invert(network, YEARS, observed, sigma.expand(-1, 2, -1), how=how)
        for one, other in zip(shared, each, strict=True):
            torch.testing.assert_close(one, other, equal_nan=True)


def within(found: History, truth: Tensor) -> tuple[float, float]:
    """Share of the dates but the first inside both intervals."""
    ratio = ((found.position - truth) / found.sigma)[1:].abs()
    ratio = ratio[torch.isfinite(ratio)]
    return float((ratio < 0.9945).double().mean()), float((ratio < 1.96).double().mean())


def rmse(found: History, truth: Tensor) -> float:
    error = found.position - truth
    return float(error[torch.isfinite(error)].pow(2).mean().sqrt())


def long_network(dates: int = 60) -> tuple[Network, Tensor]:
    pairs = tuple((i, i + k) for k in (1, 2, 3) for i in range(dates - k))
    return Network(dates, pairs), torch.arange(dates).double() * (12 / 365.25)


@pytest.mark.parametrize("given_sigma", [True, False])
def test_mismatches_do_no_harm(given_sigma: bool) -> None:
    """A tenth of them, and a tenth of gaps: near what the good pairs alone would give."""
    network, years = long_network()
    pixels, noise = 500, 0.3
    truth = truth_of(years, 2, pixels)
    observed = pairs_of(network, truth) + noise * normal(len(network.pairs), 2, pixels, seed=10)
    wrong = uniform(len(network.pairs), pixels, seed=11) < 0.1
    far = 20 * uniform(*observed.shape, seed=12) - 10
    gap = uniform(len(network.pairs), pixels, seed=13) < 0.1
    spoiled = (observed + far * wrong[:, None]).where(~gap[:, None], torch.nan)
    sigma = torch.full_like(observed[:, :1], noise)
    found = invert(network, years, spoiled, sigma if given_sigma else None)
    cleaned = spoiled.where(~wrong[:, None], torch.nan)
    best = invert(network, years, cleaned, sigma, how=PLAIN)
    squares = invert(network, years, spoiled, sigma, how=PLAIN)
    absolute = invert(network, years, spoiled, sigma, how=Inversion("l1"))
    assert rmse(found, truth) < 1.15 * rmse(best, truth)
    assert rmse(found, truth) < 0.7 * rmse(absolute, truth)
    assert rmse(found, truth) < 0.3 * rmse(squares, truth)
    assert float(torch.isfinite(found.position).double().mean()) > 0.99
    assert within(found, truth) == pytest.approx((0.68, 0.95), abs=0.04)
    kept = found.kept.where(~gap, torch.nan)
    clearly = wrong & (far.norm(dim=1) > 3)
    assert float(kept[clearly & ~gap].mean()) < 0.05
    assert float(kept[~wrong & ~gap].mean()) > 0.8
    assert bool(found.kept[gap].isnan().all())


def test_a_step_in_the_ground_is_not_a_mismatch() -> None:
    network, years = long_network()
    truth = truth_of(years, 2, 300)
    truth[30:] += 3.0
    observed = pairs_of(network, truth) + 0.1 * normal(len(network.pairs), 2, 300, seed=14)
    wrong = uniform(len(network.pairs), 300, seed=15) < 0.05
    observed += (20 * uniform(*observed.shape, seed=16) - 10) * wrong[:, None]
    found = invert(network, years, observed, torch.full_like(observed[:, :1], 0.1))
    step = found.position[30] - found.position[29] - (truth[30] - truth[29])
    assert float(torch.isfinite(step).double().mean()) > 0.99
    assert float(step.nanmedian()) == pytest.approx(0, abs=0.02)
    assert float(step[step.isfinite()].abs().quantile(0.95)) < 0.3


def test_smoothness_helps_what_is_smooth_and_a_break_may_jump() -> None:
    network, years = long_network(40)
    truth = truth_of(years, 1, 200)
    truth[20:] += 5.0
    observed = pairs_of(network, truth) + 0.3 * normal(len(network.pairs), 1, 200, seed=17)
    sigma = torch.full_like(observed, 0.3)
    free = invert(network, years, observed, sigma)
    day = float(years[19] + years[20]) / 2
    smooth = Inversion(smoothness=8.0, breaks=(day,))
    tied = invert(network, years, observed, sigma, how=smooth)
    step, loose = ((found.position - truth).diff(dim=0) for found in (tied, free))
    assert float(step.std()) < 0.7 * float(loose.std())
    assert float((tied.position[20] - tied.position[19]).mean()) == pytest.approx(5, abs=0.3)
    assert within(tied, truth) == pytest.approx((0.68, 0.95), abs=0.08)


def test_smoothness_bridges_a_gap_only_when_asked_to() -> None:
    """Two groups of dates that no pair links; sigma grows in between."""
    pairs = tuple(p for p in long_network(20)[0].pairs if not p[0] < 10 <= p[1])
    network, years = Network(20, pairs), torch.arange(20).double() / 30
    truth = 4 * years[:, None, None].expand(-1, 1, 50)
    observed = pairs_of(network, truth) + 0.01 * normal(len(pairs), 1, 50, seed=18)
    sigma = torch.full_like(observed, 0.01)
    apart = invert(network, years, observed, sigma, how=Inversion(smoothness=0.5))
    assert bool(apart.position[10:].isnan().all())
    assert bool(apart.position[:10].isfinite().all())
    joined = invert(network, years, observed, sigma, how=Inversion(smoothness=20.0, bridge=True))
    assert bool(joined.position.isfinite().all())
    ratio = ((joined.position - truth) / joined.sigma)[1:]
    assert float(ratio.abs().max()) < 5
    assert float(joined.sigma[10].mean()) > 3 * float(joined.sigma[9].mean())


def test_expectations_that_were_found_before_are_those_that_are_found() -> None:
    network = Network(DATES, PAIRS)
    observed = pairs_of(network, truth_of(YEARS, 2, 60)) + 0.1 * normal(len(PAIRS), 2, 60, seed=24)
    rate = expectation(network, YEARS, observed)
    assert rate is not None
    for one, other in zip(
        invert(network, YEARS, observed),
        invert(network, YEARS, observed, how=Inversion(expected=rate)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, equal_nan=True, rtol=0, atol=0)
    assert expectation(Network(2, ((0, 1),)), YEARS[:2], observed[:1]) is None


def test_a_date_of_one_pair_is_measured() -> None:
    network = Network(4, ((0, 1), (1, 2), (0, 2), (2, 3)))
    observed = torch.tensor([1.0, 1.0, 2.0, 5.0]).double().view(4, 1, 1)
    found = invert(network, YEARS[:4], observed, torch.full((4, 1, 1), 0.1).double())
    assert found.position[:, 0, 0].tolist() == pytest.approx([0, 1, 2, 7])


def test_nothing_measured_is_nan_and_harms_no_other_pixel() -> None:
    network = Network(DATES, PAIRS)
    observed = pairs_of(network, truth_of(YEARS, 2, 6))
    alone = invert(network, YEARS, observed)
    observed[:, :, 2] = torch.nan
    found = invert(network, YEARS, observed)
    assert bool(found.position[1:, :, 2].isnan().all())
    assert bool(found.misfit[2].isnan())
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found.position[:, :, others], alone.position[:, :, others])


def test_without_redundancy_and_without_sigma_nobody_knows_the_error() -> None:
    network = Network(3, ((0, 1), (1, 2)))
    found = invert(network, YEARS[:3], normal(2, 2, 4, seed=19))
    assert bool(found.position.isfinite().all())
    assert bool(found.sigma.isnan().all())


def test_residuals_that_are_larger_than_promised_widen_sigma_and_smaller_ones_do_not() -> None:
    network = Network(12, tuple(combinations(range(12), 2)))
    years = torch.arange(12).double() / 10
    truth = truth_of(years, 1, 300)
    observed = pairs_of(network, truth) + 0.3 * normal(len(network.pairs), 1, 300, seed=20)
    sizes = {}
    for promised in (0.1, 0.3, 0.9):
        found = invert(network, years, observed, torch.full_like(observed, promised))
        sizes[promised] = float(found.sigma[1:].mean())
        assert float(found.misfit.median()) == pytest.approx(max(1, 0.3 / promised), rel=0.1)
    assert sizes[0.1] == pytest.approx(sizes[0.3], rel=0.08)
    assert sizes[0.9] == pytest.approx(3 * sizes[0.3], rel=0.08)


def test_blocks_of_pixels_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    from groundshift.inversion import solve

    network = Network(DATES, PAIRS)
    observed = normal(len(PAIRS), 2, 50, seed=21)
    whole = invert(network, YEARS, observed)
    monkeypatch.setattr(solve, "FEWEST", 7)
    monkeypatch.setattr(solve, "AT_ONCE", 1)
    for one, other in zip(whole, invert(network, YEARS, observed), strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"observed": torch.zeros(3, 1, 2)}, "pairs"),
        ({"observed": torch.zeros(4, 3, 2)}, "one component or two"),
        ({"sigma": torch.zeros(4, 1, 2)}, "above 0"),
        ({"sigma": torch.ones(4, 1, 3)}, "do not fit"),
        ({"years": torch.tensor([0.0, 2.0, 1.0])}, "ascending"),
        ({"reference": 3}, "no date 3"),
    ],
)
def test_bad_input_names_what_is_wrong(change: dict[str, object], words: str) -> None:
    given: dict[str, object] = {
        "network": Network(3, ((0, 1), (1, 2), (0, 2), (2, 0))),
        "years": YEARS[:3],
        "observed": torch.zeros(4, 1, 2),
    }
    with pytest.raises(GroundshiftError, match=words):
        invert(**{**given, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"loss": "cauchy"}, {"smoothness": 0.0}, {"bridge": True}])
def test_bad_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(GroundshiftError, match=r"choose|above 0|give smoothness"):
        replace(Inversion(), **settings)


@pytest.mark.parametrize("pair", [(1, 1), (0, 3), (-1, 2)])
def test_pairs_link_two_dates_that_are_there(pair: tuple[int, int]) -> None:
    with pytest.raises(GroundshiftError, match="does not link"):
        Network(3, (pair,))
