"""Whether pairs contradict each other: from one date to the next and on, or at once.

A triangle of pairs should close: ``d(i, j) + d(j, k) = d(i, k)``. How far it does not tells of
mismatches and of sigma that is too small. It is blind to what all pairs of a date have in common,
such as errors of its orthorectification: stable ground alone shows these.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.inversion.network import Network

Side = tuple[int, int]
"""Number of a pair, and 1, or -1 where it is walked backward."""


class Closure(NamedTuple):
    """How well triangles close."""

    misfit: Tensor
    """Root mean square of the misfit over its standard deviation, of each pixel's triangles and
    components, ``(pixels,)``: 1 where sigma is right. NaN where no triangle was measured."""
    pairs: Tensor
    """Median over triangles and pixels of the size of the misfit over its standard deviation, of
    the triangles that a pair is in, ``(pairs,)``: .67 for normal errors, NaN without triangles."""
    lean: Tensor
    """Median over pixels of the misfit, ``(triangles, components)``: not 0 where long intervals
    lean to one side, as they do towards 0 once images have little in common."""


def triangles(network: Network) -> list[tuple[Side, Side, Side]]:
    """List the triangles: two sides one after the other, and backward the one that does both."""
    numbers: dict[tuple[int, int], Side] = {}
    for m, (i, j) in enumerate(network.pairs):
        numbers[i, j], numbers[j, i] = (m, 1), (m, -1)
    near = [sorted({j for i, j in numbers if i == date}) for date in range(network.dates)]
    return [
        (numbers[i, j], numbers[j, k], numbers[k, i])
        for i in range(network.dates)
        for j in near[i]
        for k in near[j]
        if i < j < k and (i, k) in numbers
    ]


def closure(network: Network, observed: Tensor, sigma: Tensor) -> Closure:
    """Measure how well triangles close.

    Parameters
    ----------
    observed
        ``(pairs, components, pixels)``; NaN is not measured.
    sigma
        Of that shape, or ``(pairs, 1, pixels)``.
    """
    found = triangles(network)
    shape = observed.shape
    total, count = observed.new_zeros(shape[2]), observed.new_zeros(shape[2])
    sizes: list[list[Tensor]] = [[] for _ in network.pairs]
    lean = observed.new_full((len(found), shape[1]), torch.nan)
    for n, sides in enumerate(found):
        numbers, signs = zip(*sides, strict=True)
        misfit = (observed[list(numbers)] * observed.new_tensor(signs)[:, None, None]).sum(0)
        ratio = misfit**2 / (sigma[list(numbers)] ** 2).sum(0)
        known = torch.isfinite(ratio).all(0)
        total += torch.where(known, ratio.mean(0), 0.0)
        count += known
        if bool(known.any()):
            lean[n] = misfit[:, known].median(1).values
            size = ratio[:, known].sqrt().median()
            for m in numbers:
                sizes[m].append(size)
    alone = observed.new_tensor(torch.nan)
    pairs = [torch.stack(each).median() if each else alone for each in sizes]
    return Closure((total / count).sqrt(), torch.stack(pairs), lean)
