"""Errors that close around triangles: told from independent ones, and known to sigma."""

import pytest
import torch

from groundshift.inversion import Closing, Inversion, Network, invert
from groundshift.inversion.fit import fit
from groundshift.inversion.terms import Seasonal, Step, Velocity
from groundshift.inversion.together import chains, share_together

DATES, CELLS = 12, 1500


def network(following):
    return Network(
        DATES,
        tuple((i, j) for i in range(DATES) for j in range(i + 1, DATES) if j - i <= following),
    )


def measured(kind, net):
    """Pairs of ground that does not move, and what they promise."""
    generator = torch.Generator().manual_seed(1)
    first, second = net.ends()
    own = torch.randn(len(net.pairs), 2, CELLS, generator=generator, dtype=torch.float64)
    if kind == "independent":
        return 0.3 * own, torch.full_like(own, 0.3)
    at = 0.1 * torch.randn(DATES, 2, CELLS, generator=generator, dtype=torch.float64)
    days = (second - first).double()
    if kind == "walk":
        at, size = at.cumsum(0), 0.1 * days.sqrt()
    else:
        size = torch.full_like(days, 0.1 * 2**0.5)
    return at[second] - at[first] + 0.005 * own, size[:, None, None].expand_as(own).contiguous()


def held(kind, following, reference=0):
    net = network(following)
    observed, sigma = measured(kind, net)
    years = torch.arange(DATES, dtype=torch.float64) * 12 / 365.2422
    found = invert(net, years, observed, sigma, reference=reference, how=Inversion())
    closing = Closing.of(net, observed, sigma, found)
    known = closing.of_positions(found.sigma, sigma, reference)
    others = [k for k in range(DATES) if k != reference]
    assert not known[reference].any()
    ratio = (found.position / known)[others].abs()
    return closing.share, *(float((ratio <= limit).double().mean()) for limit in (0.9945, 1.96))


@pytest.mark.parametrize(("kind", "following"), [("walk", 3), ("walk", 11), ("image", 11)])
@pytest.mark.parametrize("reference", [0, 7])
def test_intervals_hold_what_they_say(kind, following, reference):
    share, most, nearly_all = held(kind, following, reference)
    assert share > 0.95
    assert most == pytest.approx(0.68, abs=0.03)
    assert nearly_all == pytest.approx(0.95, abs=0.03)


def test_noise_of_images_that_no_pair_links_is_promised_too_much_rather_than_too_little():
    _, most, nearly_all = held("image", 3)
    assert most > 0.68
    assert nearly_all > 0.95


@pytest.mark.parametrize(("kind", "following"), [("walk", 3), ("walk", 11), ("image", 11)])
@pytest.mark.parametrize("terms", [(Velocity(),), (Velocity(), Seasonal()), (Step(0.17),)])
def test_intervals_of_fitted_terms_hold_what_they_say(kind, following, terms):
    net = network(following)
    observed, sigma = measured(kind, net)
    years = torch.arange(DATES, dtype=torch.float64) * 12 / 365.2422
    found = invert(net, years, observed, sigma, how=Inversion())
    closing = Closing.of(net, observed, sigma, found)
    told = fit(net, years, terms, observed, sigma, together=closing, outliers=False)
    ratio = (told.value / told.sigma).abs()
    for number in ratio:
        assert float((number <= 0.9945).double().mean()) == pytest.approx(0.68, abs=0.04)
        assert float((number <= 1.96).double().mean()) == pytest.approx(0.95, abs=0.03)


def test_pixels_that_are_less_sure_than_others_stay_so():
    net = network(11)
    observed, sigma = measured("image", net)
    observed[:, :, ::2] *= 3
    sigma[:, :, ::2] *= 3
    years = torch.arange(DATES, dtype=torch.float64) * 12 / 365.2422
    closing = Closing.of(net, observed, sigma, invert(net, years, observed, sigma, how=Inversion()))
    told = fit(net, years, (Velocity(),), observed, sigma, together=closing, outliers=False).sigma
    # The least of them are those that chance did not widen.
    assert float(told[:, :, ::2].min() / told[:, :, 1::2].min()) == pytest.approx(3)


def test_independent_errors_stay_independent():
    net = network(3)
    observed, sigma = measured("independent", net)
    years = torch.arange(DATES, dtype=torch.float64) * 12 / 365.2422
    found = invert(net, years, observed, sigma, reference=0, how=Inversion())
    assert share_together(net, observed, sigma, found) == 0
    # Nor are those whose sigma is too large by half.
    assert share_together(net, observed, 1.5 * sigma, found) == 0
    few = Network(3, ((0, 1), (1, 2)))
    alone = invert(few, years[:3], observed[:2], sigma[:2], reference=0, how=Inversion(loss="none"))
    assert share_together(few, observed[:2], sigma[:2], alone) == 0


def test_chains_are_the_surest_ones():
    net = Network(5, ((0, 1), (1, 2), (0, 2), (2, 0), (3, 4), (2, 3)))
    variance = torch.tensor([1.0, 1.0, 5.0, 1.5, 1.0, torch.nan])
    found = chains(net, variance)
    assert found[0].tolist() == [0, 1, 1.5, torch.inf, torch.inf]
    assert found[4, 3] == 1
    assert torch.equal(found, found.T)
