"""Errors that close around triangles: told from independent ones, and known to sigma."""

import pytest
import torch

from groundshift.inversion import Inversion, Network, chains, invert, share_together, with_chains

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
    share = share_together(net, observed, sigma, found)
    typical = sigma.square().nanmedian(2).values.nanmedian(1).values
    chain = chains(net, typical, reference)
    known = with_chains(found.sigma, sigma, typical, chain, share)
    others = [k for k in range(DATES) if k != reference]
    assert not known[reference].any()
    ratio = (found.position / known)[others].abs()
    return share, *(float((ratio <= limit).double().mean()) for limit in (0.9945, 1.96))


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
    assert chains(net, variance, 0).tolist() == [0, 1, 1.5, torch.inf, torch.inf]
    assert chains(net, variance, 4).tolist()[3] == 1
