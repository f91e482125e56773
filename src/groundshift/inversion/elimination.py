"""Solve one sparse symmetric system for each of many pixels, whose zeros are in the same places.

The normal equations of a network of pairs have an entry where a pair links two dates. So which
date is eliminated when, and which entries that fills, is decided once for all pixels (minimum
degree, Tinney & Walker 1967); the numbers are then worked on as vectors over pixels. A hundred
dates with three hundred pairs have some 400 entries below the diagonal instead of 4,950.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Elimination(NamedTuple):
    """Which unknown is eliminated when, and what that fills; see :func:`plan`."""

    order: tuple[int, ...]
    """Unknowns in the order of their elimination."""
    below: tuple[tuple[int, ...], ...]
    """Of each, in that order: places of the unknowns after it that it is linked to."""
    entry: dict[tuple[int, int], int]
    """Rows of the factor: number of the entry in row i and column j < i, both places."""


class Factor(NamedTuple):
    """``L D L^T`` of each pixel's matrix."""

    plan: Elimination
    lower: Tensor
    """Entries of L below the diagonal, ``(entries, pixels)``."""
    inverse: Tensor
    """One over the diagonal of D, ``(unknowns, pixels)``."""


def plan(size: int, links: Iterable[tuple[int, int]]) -> Elimination:
    """Decide the order of the elimination for `size` unknowns.

    Parameters
    ----------
    links
        Pairs of different unknowns with an entry off the diagonal.
    """
    near: list[set[int]] = [set() for _ in range(size)]
    for a, b in links:
        near[a].add(b)
        near[b].add(a)
    left, order, reached = set(range(size)), [], []
    while left:
        k = min(left, key=lambda unknown: (len(near[unknown]), unknown))
        left.remove(k)
        order.append(k)
        reached.append(near[k])
        for other in near[k]:
            near[other] |= near[k]
            near[other] -= {k, other}
    place = {unknown: at for at, unknown in enumerate(order)}
    below = tuple(tuple(sorted(place[other] for other in each)) for each in reached)
    pairs = ((i, j) for j, rows in enumerate(below) for i in rows)
    return Elimination(tuple(order), below, {pair: n for n, pair in enumerate(pairs)})


def factorise(plan: Elimination, diagonal: Tensor, links: Tensor) -> Factor:
    """Factorise a positive definite matrix for each pixel; overwrites what it is given.

    Parameters
    ----------
    diagonal
        ``(unknowns, pixels)``, in the order of the *elimination*.
    links
        ``(entries, pixels)``, numbered as in the plan.
    """
    for k, rows in enumerate(plan.below):
        diagonal[k].reciprocal_()
        for n, i in enumerate(rows):
            value = links[plan.entry[i, k]]
            scaled = value * diagonal[k]
            diagonal[i].addcmul_(scaled, value, value=-1)
            for other in rows[n + 1 :]:
                links[plan.entry[other, i]].addcmul_(scaled, links[plan.entry[other, k]], value=-1)
            # Later rows of this column no longer need the value itself.
            value.copy_(scaled)
    return Factor(plan, links, diagonal)


def solve(factor: Factor, right: Tensor) -> Tensor:
    """Solve for ``(unknowns, ..., pixels)``, in the order of elimination; overwrites `right`."""
    plan, lower, inverse = factor
    for k, rows in enumerate(plan.below):
        for i in rows:
            right[i].addcmul_(lower[plan.entry[i, k]], right[k], value=-1)
    for k in reversed(range(len(plan.order))):
        right[k] *= inverse[k]
        for i in plan.below[k]:
            right[k].addcmul_(lower[plan.entry[i, k]], right[i], value=-1)
    return right


def invert(factor: Factor) -> tuple[Tensor, Tensor]:
    """Return those entries of the inverse that have a place in the factor.

    By the recurrence of Takahashi et al. (1973), from the last unknown to the first.

    Returns
    -------
    diagonal, links
        As :func:`factorise` takes them.
    """
    plan, lower, inverse = factor
    diagonal, links = inverse.clone(), torch.empty_like(lower)
    for k in reversed(range(len(plan.order))):
        rows = plan.below[k]
        for i in rows:
            total = links[plan.entry[i, k]]
            torch.mul(lower[plan.entry[i, k]], diagonal[i], out=total)
            for other in rows:
                if other != i:
                    between = links[plan.entry[max(i, other), min(i, other)]]
                    total.addcmul_(lower[plan.entry[other, k]], between)
            total.neg_()
        for i in rows:
            diagonal[k].addcmul_(lower[plan.entry[i, k]], links[plan.entry[i, k]], value=-1)
    return diagonal, links
