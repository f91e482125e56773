"""Which pairs of dates to measure."""

from collections.abc import Sequence
from itertools import combinations

Pairs = tuple[tuple[int, int], ...]

YEAR = 365.25
"""Days."""


def sequential(days: Sequence[float], following: int) -> Pairs:
    """Pair each date with those that follow it.

    Parameters
    ----------
    days
        Of each date, ascending.
    following
        How many of them.

    Examples
    --------
    >>> sequential([0, 12, 24, 36], 2)
    ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))
    """
    count = len(days)
    return tuple((i, j) for i in range(count) for j in range(i + 1, min(i + following + 1, count)))


def within(days: Sequence[float], longest: float, shortest: float = 0.0) -> Pairs:
    """Pair dates that are at least `shortest` and at most `longest` days apart.

    Examples
    --------
    >>> within([0, 12, 24, 60], longest=36, shortest=13)
    ((0, 2), (2, 3))
    """
    return tuple(
        (i, j)
        for i, j in combinations(range(len(days)), 2)
        if max(shortest, 1e-9) <= days[j] - days[i] <= longest
    )


def annual(days: Sequence[float], tolerance: float) -> Pairs:
    """Pair dates that are whole years apart, within `tolerance` days: of the same season.

    Snow, sun and leaves are alike then, and what was lost in between is bridged.

    Examples
    --------
    >>> annual([0, 180, 370, 720], tolerance=20)
    ((0, 2), (0, 3), (2, 3))
    """
    return tuple(
        (i, j)
        for i, j in combinations(range(len(days)), 2)
        if (years := round((days[j] - days[i]) / YEAR)) >= 1
        and abs(days[j] - days[i] - years * YEAR) <= tolerance
    )
