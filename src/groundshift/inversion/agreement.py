"""Make the pairs of a stack agree with each other.

What the pairs of a stack measure is redundant: seven images have six displacements and 21 pairs.
Each pair is replaced by the difference of its dates in the history that all pairs have in common,
so that a long interval, over which coherence was lost, is bridged by short ones.
"""

from collections.abc import Sequence

import torch

from groundshift.inversion.network import Network
from groundshift.inversion.solve import invert
from groundshift.types import Estimate

Found = dict[tuple[int, int], Estimate]


def agree(found: Found, times: Sequence[float]) -> Found:
    """Return the pairs of a stack as all of them say together.

    Parameters
    ----------
    found
        Of numbers of both images: the estimate, on one grid for all.
    times
        Of each image, ascending.

    Returns
    -------
    dict
        Of the same pairs. Cells are measured where others link both dates, too; scores are those
        of the pair itself, NaN where it was not measured.
    """
    pairs = tuple(found)
    network = Network(len(times), pairs)
    each = list(found.values())
    shape = each[0].dy.shape
    observed = torch.stack([torch.stack([e.dy, e.dx]).flatten(1) for e in each]).double()
    sigma = torch.stack([torch.stack([e.sigma_dy, e.sigma_dx]).flatten(1) for e in each]).double()
    years = torch.tensor(times, dtype=torch.float64, device=observed.device)
    history = invert(network, years, observed, sigma, between=True)
    result: Found = {}
    for m, (i, j) in enumerate(pairs):
        dy, dx = (history.position[j] - history.position[i]).float().view(2, *shape)
        sigma_dy, sigma_dx = history.between[m].float().view(2, *shape)
        result[i, j] = Estimate(dy, dx, sigma_dy, sigma_dx, each[m].score)
    return result
