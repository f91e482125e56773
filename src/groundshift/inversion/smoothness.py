"""What is expected of motion between dates: velocity wanders, each year by about as much.

A random walk of the velocity makes the change of velocity from one interval between dates to the
next a number whose variance grows with the time between their middles. That is a second difference
of three dates, one row of a system of equations.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

GRID = torch.logspace(-4, 1, 21, dtype=torch.float64)
"""Changes that are tried, in units of what noise alone would show."""


FREE = 2
"""Positions that determine a straight line, from which nothing keeps the motion."""


class Row(NamedTuple):
    """``sum(weights * u[first:first + 3])`` has the variance of one year's change of velocity."""

    first: int
    weights: tuple[float, float, float]


def segments(years: Tensor, breaks: tuple[float, ...]) -> tuple[range, ...]:
    """Divide the dates, which ascend, where breaks fall; one at a date comes before it."""
    cuts = sorted({int((years < each).sum()) for each in breaks} - {0, len(years)})
    return tuple(range(*each) for each in pairwise([0, *cuts, len(years)]))


def rows_of(years: Tensor, parts: tuple[range, ...]) -> tuple[Row, ...]:
    """List the rows for dates in years, ascending, in parts within which it is smooth."""
    found = []
    for part in parts:
        for k in part[:-2]:
            start, middle, end = years[k : k + 3].tolist()
            root = ((end - start) / 2) ** -0.5
            before, after = root / (middle - start), root / (end - middle)
            found.append(Row(k, (before, -(before + after), after)))
    return tuple(found)


def bridged(parts: tuple[range, ...], known: Tensor) -> Tensor:
    """Tell which dates are known ``(dates, pixels)`` once those of a part determine its others."""
    found = known.clone()
    for part in parts:
        dates = slice(part.start, part.stop)
        found[dates] |= known[dates].sum(0) >= FREE
    return found


def changes(rows: tuple[Row, ...], position: Tensor) -> Tensor:
    """Return the changes of velocity, ``(rows, ...)``, of positions ``(dates, ...)``."""
    first = torch.tensor([row.first for row in rows], device=position.device)
    weights = torch.tensor([row.weights for row in rows], dtype=position.dtype)
    weights = weights.to(position.device).view(-1, 3, *(1,) * (position.dim() - 1))
    return sum(weights[:, k] * position[first + k] for k in range(3))  # type: ignore[return-value]
