"""When the ground jumped, where nobody says so."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.errors import GroundshiftError
from groundshift.inversion.fit import fit
from groundshift.inversion.network import Network
from groundshift.inversion.terms import Step, Term

BEND = 4.685
"""Standard deviations from which on all residuals count alike."""


class Event(NamedTuple):
    """A jump between two dates."""

    before: int
    """Number of the last date before it."""
    after: int
    """Number of the first date after it."""
    gain: Tensor
    """By how much a jump between each date and the next lowers the sum of squared residuals in
    units of sigma, each capped, over both components and all pixels, ``(dates - 1,)``: that of
    chance is about 2 for each pixel. -inf where dates are alike."""
    pixels: int
    """That were looked at."""


def find_step(
    network: Network,
    years: Tensor,
    terms: Sequence[Term],
    observed: Tensor,
    sigma: Tensor | None,
) -> Event:
    """Look for the interval in which a jump explains the pairs of all pixels best.

    Each interval between two dates is tried, with the other terms beside it. Every pixel has a jump
    of its own, the time is common to all.

    Parameters
    ----------
    terms
        That are fitted in any case, a velocity for example.
    observed, sigma
        As for :func:`groundshift.inversion.fit.fit`, some hundred pixels where the ground may have
        jumped.

    Raises
    ------
    GroundshiftError
        If no interval can be told from the other terms.
    """
    if sigma is None:  # what pairs are off by where no jump is looked for
        off = fit(network, years, terms, observed, None).misfit
        sigma = off.expand(observed.shape)
    alone = _cost(network, years, terms, observed, sigma)
    gain = observed.new_full((network.dates - 1,), -torch.inf)
    for k in range(network.dates - 1):
        middle = float((years[k] + years[k + 1]) / 2)
        try:
            gain[k] = alone - _cost(network, years, [*terms, Step(middle)], observed, sigma)
        except GroundshiftError:  # a jump that no pair tells from the other terms
            continue
    if not bool(torch.isfinite(gain).any()):
        raise GroundshiftError("no pairs tell a jump from the other terms; give more dates")
    best = int(gain.argmax())
    return Event(best, best + 1, gain, observed.shape[2])


def _cost(
    network: Network, years: Tensor, terms: Sequence[Term], observed: Tensor, sigma: Tensor
) -> Tensor:
    """Sum of squared residuals in units of sigma, none counting more than the bend squared."""
    found = fit(network, years, terms, observed, sigma)
    motion = torch.cat([term(years.to(observed.dtype)) for term in terms], 1)
    first, second = network.ends(observed.device)
    shown = torch.einsum("mp,pcx->mcx", motion[second] - motion[first], found.value)
    squares = ((observed - shown) / sigma) ** 2
    return squares.nan_to_num(0.0).clamp(max=BEND**2).sum()
