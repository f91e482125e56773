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
Triangle = tuple[Side, Side, Side]
LIMIT = 3.0
"""Standard deviations as which a triangle of :func:`closing` counts at most."""
NORMAL = 0.995
"""Mean square of normal numbers of which none counts as more than `LIMIT`."""


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


def triangles(network: Network) -> list[Triangle]:
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


def ways_around(network: Network) -> list[Triangle]:
    """List one triangle for each pair that two others lead around: by the date near its middle."""
    found: dict[int, tuple[float, Triangle]] = {}
    for triangle in triangles(network):
        (first, _), _, (long, _) = triangle
        between = (set(network.pairs[first]) - set(network.pairs[long])).pop()
        off = abs(between - sum(network.pairs[long]) / 2)
        if long not in found or off < found[long][0]:
            found[long] = off, triangle
    return [triangle for _, triangle in found.values()]


def closing(around: list[Triangle], observed: Tensor, sigma: Tensor) -> Tensor:
    """Measure how well triangles of each pixel close, in memory of a few times its pairs.

    Parameters
    ----------
    around
        The triangles, as :func:`ways_around` gives them.
    observed, sigma
        ``(pairs, components, pixels)``; NaN is not measured.

    Returns
    -------
    Tensor
        Root mean square of the misfit over its standard deviation, each taken as 3 at most so that
        a few mismatches do not decide, ``(pixels,)``: 1 where sigma is right, towards 3 where
        nothing closes; NaN without a triangle.
    """
    if not around:
        return observed.new_full(observed.shape[2:], torch.nan)
    # In single precision: of numbers that many, twice as fast.
    values, variances = observed.float(), sigma.float().square()
    misfit, variance = (values.new_zeros(len(around), *values.shape[1:]) for _ in range(2))
    for sides in zip(*around, strict=True):
        numbers, signs = torch.tensor(sides, device=values.device).T
        misfit += values.index_select(0, numbers).mul_(signs[:, None, None])
        variance += variances.index_select(0, numbers)
    squares = misfit.square_().div_(variance).clamp_(max=LIMIT**2)
    return (squares.nanmean((0, 1)) / NORMAL).sqrt_().to(observed.dtype)


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
