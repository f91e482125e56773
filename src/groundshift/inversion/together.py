"""Errors that close: what pairs of a date have in common, though each promises an error of its own.

Speckle that changes from date to date, or noise of one image, moves every pair that shows it. Such
errors are like motion: they close around every triangle, no residual tells of them, and more pairs
do not average them. Residuals that are far smaller than promised give them away. How far a date is
off is then the sum along a chain of pairs that leads there: of a random walk of the ground, or of
the noise of two images that a pair links, exactly so along the shortest chain, and of others less.
"""

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


def chains(network: Network, variance: Tensor, reference: int) -> Tensor:
    """Sum typical variances along the chain of pairs to each date for which that is least.

    Parameters
    ----------
    variance
        Of each pair; NaN where it is not known, and such a pair leads nowhere.

    Returns
    -------
    Tensor
        ``(dates,)``; infinite where no chain leads.
    """
    least = np.full((network.dates, network.dates), np.inf)
    for (i, j), value in zip(network.pairs, variance.tolist(), strict=True):
        if value > 0:
            least[i, j] = least[j, i] = min(value, least[i, j])
    return torch.from_numpy(dijkstra(csgraph_from_dense(least, np.inf), indices=reference))


def with_chains(
    sigma: Tensor, pairs: Tensor, typical: Tensor, chain: Tensor, share: float
) -> Tensor:
    """Return how sure positions are where a share of the variance of pairs closes.

    Parameters
    ----------
    sigma
        Of positions if pairs were independent, ``(dates, components, pixels)``.
    pairs
        Sigma of pairs, ``(pairs, components, pixels)``; NaN is not known.
    typical
        Their typical variance, ``(pairs,)``, of which `chain` is made.
    chain
        What `chains` gives.
    share
        What `share_together` gives.
    """
    times = (pairs**2 / typical[:, None, None]).nanmedian(0).values
    reached = torch.where(torch.isfinite(chain), chain, torch.nan).to(sigma)
    closing = reached[:, None, None] * times
    return ((1 - share) * sigma**2 + share * torch.where(closing.isnan(), sigma**2, closing)).sqrt()
