"""Errors that close: what pairs of a date have in common, though each promises an error of its own.

Speckle that changes from date to date, or noise of one image, moves every pair that shows it. Such
errors are like motion: they close around every triangle, no residual tells of them, and more pairs
do not average them. Residuals that are far smaller than promised give them away. How far a date is
off is then the sum along a chain of pairs that leads there: of a random walk of the ground, or of
the noise of two images that a pair links, exactly so along the shortest chain, and of others less.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.csgraph import csgraph_from_dense, dijkstra
from torch import Tensor

from groundshift.inversion.network import Network
from groundshift.inversion.solve import History

TOGETHER = 0.5
"""Size of residuals, times what pairs promise, from which on errors are taken as independent: a
sigma that is wrong by less must not be taken for errors that close."""
FREE = 2
"""Pairs more than dates, that tell the size of residuals."""
NMAD = 1.4826
"""From the median of absolute values to the deviation of a normal distribution."""


def share_together(network: Network, observed: Tensor, sigma: Tensor, found: History) -> float:
    """Tell the share of the variance of pairs that closes, from what is left of some pixels.

    Parameters
    ----------
    observed, sigma
        Of pairs, ``(pairs, components, pixels)``.
    found
        Their inversion.
    """
    first, second = network.ends()
    rest = observed - (found.position[second] - found.position[first])
    counted = (found.kept > 0)[:, None] & torch.isfinite(rest) & (sigma > 0)
    free = counted.sum((0, 1)) / 2 - (torch.isfinite(found.position[:, 0]).sum(0) - 1)
    told = free >= FREE
    if not bool(told.any()):
        return 0.0
    ratio = (rest.abs() / sigma)[:, :, told][counted[:, :, told]]
    used = counted[:, :, told].sum() / 2
    size = NMAD * float(ratio.median()) * float((used / free[told].sum()).sqrt())
    return max(0.0, 1 - (size / TOGETHER) ** 2)


def chains(network: Network, variance: Tensor) -> Tensor:
    """Sum typical variances along the chain of pairs between dates for which that is least.

    Parameters
    ----------
    variance
        Of each pair; NaN where it is not known, and such a pair leads nowhere.

    Returns
    -------
    Tensor
        ``(dates, dates)``; infinite where no chain leads.
    """
    least = np.full((network.dates, network.dates), np.inf)
    for (i, j), value in zip(network.pairs, variance.tolist(), strict=True):
        if value > 0:
            least[i, j] = least[j, i] = min(value, least[i, j])
    return torch.from_numpy(dijkstra(csgraph_from_dense(least, np.inf)))


class Closing(NamedTuple):
    """What follows from errors that close."""

    share: float
    """Of the variance of pairs."""
    typical: Tensor
    """Variance of each pair, ``(pairs,)``."""
    apart: Tensor
    """Variance of what dates differ by, ``(dates, dates)``: `chains` of that."""

    @classmethod
    def of(
        cls, network: Network, observed: Tensor, sigma: Tensor, found: History
    ) -> "Closing | None":
        """Look for it in some pixels, as `share_together` does; None if errors do not close."""
        share = share_together(network, observed, sigma, found)
        if not share:
            return None
        typical = sigma.square().nanmedian(2).values.nanmedian(1).values
        return cls(share, typical, chains(network, typical))

    def of_positions(self, sigma: Tensor, pairs: Tensor, reference: int) -> Tensor:
        """Return how sure positions are.

        Parameters
        ----------
        sigma
            If pairs were independent, ``(dates, components, pixels)``.
        pairs
            Sigma of pairs, ``(pairs, components, pixels)``; NaN is not known.
        reference
            Date at which positions are 0.
        """
        chain = self.apart[reference]
        reached = torch.where(torch.isfinite(chain), chain, torch.nan).to(sigma)
        closing = reached[:, None, None] * self._times(pairs)
        return self._mixed(sigma, torch.where(closing.isnan(), sigma**2, closing))

    def of_numbers(self, sigma: Tensor, pairs: Tensor, gain: Tensor) -> Tensor:
        """Return how sure numbers are that follow from positions.

        Parameters
        ----------
        sigma
            If pairs were independent, ``(components, pixels, numbers)``.
        pairs
            As for `of_positions`.
        gain
            Change of each number with the position at each date, ``(dates, components, pixels,
            numbers)``, which adds up to 0: without it, they do not depend on where zero is.
        """
        # Dates that no chain links are in groups within which the gain adds up to 0 as well.
        apart = torch.where(torch.isfinite(self.apart), self.apart, 0.0).to(gain)
        closing = -torch.einsum("de,dcxp,ecxp->cxp", apart, gain, gain) / 2
        return self._mixed(sigma, closing.clamp(min=0) * self._times(pairs)[..., None])

    def _times(self, pairs: Tensor) -> Tensor:
        """Return how much larger variances of a pixel are than typical ones."""
        return (pairs**2 / self.typical.to(pairs)[:, None, None]).nanmedian(0).values

    def _mixed(self, sigma: Tensor, closing: Tensor) -> Tensor:
        return ((1 - self.share) * sigma**2 + self.share * closing).sqrt()
