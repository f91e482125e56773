"""How much a pair counts, given how far it is from what the others say.

The distance is that of all components at once, in standard deviations: a mismatched pair is wrong
in both, and seen in either.
"""

from torch import Tensor

LOSSES = ("tukey", "huber", "l1", "none")
TUKEY = {1: 4.685, 2: 5.12}
"""Deviations beyond which a pair counts nothing, by the number of components: 95 % efficient."""
HUBER = {1: 1.345, 2: 1.73}
BOUND = {1: 1.0411**2, 2: 1.7852**2}
"""Of squared distances, by the number of components: twice their mean where errors are normal, so
that half of the pairs may be wrong before the scale breaks down."""
LEAST = 0.5
"""Deviations below which the sum of distances is not told from that of squares."""
ANNEAL = (3.0, 2.0, 1.4, 1.0)
"""Multiples of `TUKEY`, one after the other (graduated non-convexity, Blake & Zisserman 1987).
Begun with the last, three times as many dates are lost around a step in the ground."""


def tukey(distance: Tensor, components: int, width: float = 1.0) -> Tensor:
    """Weigh pairs by the biweight; 0 beyond its end."""
    return (1 - (distance / (width * TUKEY[components])).clamp(max=1) ** 2) ** 2


def huber(distance: Tensor, components: int) -> Tensor:
    """Weigh pairs by Huber's loss."""
    return (HUBER[components] / distance.clamp(min=HUBER[components])).clamp(max=1)


def l1(distance: Tensor, components: int) -> Tensor:
    """Weigh pairs so that distances are summed instead of their squares."""
    return LEAST / (distance / components**0.5).clamp(min=LEAST)


def variance(
    squares: Tensor, measured: Tensor, unknowns: Tensor, components: int, last: Tensor
) -> Tensor:
    """Estimate the variance of residuals, however large a few of them are, ``(pixels,)``.

    One step of the iteration for the variance under which the mean of the squares, bounded, is what
    it is for normal errors (Rousseeuw & Yohai 1984).

    Parameters
    ----------
    squares, measured
        Squared distances, ``(pairs, pixels)``; 0 where not measured.
    unknowns
        Dates that are solved for: residuals are smaller by these, down to a tenth.
    last
        The estimate before.
    """
    count = measured.sum(0).clamp(min=1)
    left = (1 - unknowns / count).clamp(min=0.1)
    bound = BOUND[components]
    mean = (squares / (last * left)).clamp(max=bound).sum(0) / count
    return last * mean / (bound / 2)
