"""The normal equations of a network of pairs, for many pixels at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.inversion import elimination
from groundshift.inversion.elimination import Elimination, Factor
from groundshift.inversion.network import Network
from groundshift.inversion.smoothness import Row, rows_of, segments


class System(NamedTuple):
    """Where each pair and each row enters; see :func:`system`."""

    network: Network
    reference: int
    parts: tuple[range, ...]
    """Dates between two breaks, within which motion may be smooth."""
    rows: tuple[Row, ...]
    plan: Elimination
    place: Tensor
    """Of each date in the elimination; the last one, which is none, is the reference's."""
    entry: Tensor
    """Of each pair; the last one, which is none, where the reference is in it."""


def system(
    network: Network, years: Tensor, reference: int, breaks: tuple[float, ...] = ()
) -> System:
    """Decide the order of the elimination for a network, and rows that may join it."""
    parts = segments(years, breaks)
    rows = rows_of(years, parts)
    links = set(network.pairs)
    for row in rows:
        links |= {(row.first + a, row.first + b) for a in range(3) for b in range(a)}
    number = {date: k for k, date in enumerate(d for d in range(network.dates) if d != reference)}
    linked = {(number[i], number[j]) for i, j in links if reference not in {i, j}}
    plan = elimination.plan(len(number), sorted(linked))
    none = len(plan.order)
    place = [plan.order.index(number[d]) if d != reference else none for d in range(network.dates)]
    entry = [_entry(plan, place[i], place[j]) for i, j in network.pairs]
    return System(network, reference, parts, rows, plan, torch.tensor(place), torch.tensor(entry))


def _entry(plan: Elimination, a: int, b: int) -> int:
    return plan.entry.get((max(a, b), min(a, b)), len(plan.entry))


def factorise(system: System, weights: Tensor, tied: Tensor | None, held: Tensor) -> Factor:
    """Factorise the normal equations.

    Parameters
    ----------
    weights
        Of the pairs, ``(pairs, ..., pixels)``.
    tied
        Of the rows, ``(rows, ..., pixels)``; without them when None.
    held
        Of the dates, added to the diagonal: what holds those that nothing else does,
        ``(dates, pixels)``.
    """
    first, second = system.network.ends()
    diagonal = _zeros(len(system.plan.order), weights)
    links = _zeros(len(system.plan.entry), weights)
    diagonal.index_add_(0, system.place[first], weights)
    diagonal.index_add_(0, system.place[second], weights)
    links.index_add_(0, system.entry, weights, alpha=-1)
    if tied is not None:
        for row, weight in zip(system.rows, tied, strict=True):
            at = [int(system.place[row.first + k]) for k in range(3)]
            for k in range(3):
                diagonal[at[k]].add_(weight, alpha=row.weights[k] ** 2)
                for m in range(k):
                    entry = _entry(system.plan, at[k], at[m])
                    links[entry].add_(weight, alpha=row.weights[k] * row.weights[m])
    diagonal.index_add_(0, system.place, held[:, None].expand(-1, *weights.shape[1:]))
    return elimination.factorise(system.plan, diagonal[:-1], links[:-1])


def solve(system: System, factor: Factor, weighted: Tensor) -> Tensor:
    """Return the position at each date.

    Parameters
    ----------
    weighted
        What the pairs measured times their weights, ``(pairs, ..., pixels)``.

    Returns
    -------
    Tensor
        ``(dates, ..., pixels)``; 0 at the reference.
    """
    first, second = system.network.ends()
    right = _zeros(len(system.plan.order), weighted)
    right.index_add_(0, system.place[second], weighted)
    right.index_add_(0, system.place[first], weighted, alpha=-1)
    return _dated(system, elimination.solve(factor, right[:-1]))


def variances(system: System, factor: Factor) -> Tensor:
    """Return the variance of the position at each date, ``(dates, ..., pixels)``."""
    return _dated(system, elimination.invert(factor)[0])


def spreads(system: System, factor: Factor) -> Tensor:
    """Return the variance of what each pair says in the end, ``(pairs, ..., pixels)``."""
    first, second = system.network.ends()
    diagonal, links = (_ended(plane) for plane in elimination.invert(factor))
    both = diagonal[system.place[first]] + diagonal[system.place[second]]
    return both.sub_(links[system.entry], alpha=2)


def leverage(system: System, factor: Factor, weights: Tensor) -> Tensor:
    """Return the number of unknowns that the pairs determine, ``(pixels,)``.

    It is that of the dates, or less where something else ties them; of all components the mean.
    """
    return (weights * spreads(system, factor)).sum(0).mean(0)


def fitted(network: Network, position: Tensor) -> Tensor:
    """Return what the pairs would measure, ``(pairs, ..., pixels)``."""
    first, second = network.ends(position.device)
    return position[second].sub_(position[first])


def _zeros(size: int, like: Tensor) -> Tensor:
    """Make room for each unknown, and for what is none."""
    return like.new_zeros(size + 1, *like.shape[1:])


def _ended(plane: Tensor) -> Tensor:
    """Append zeros for what is no unknown."""
    return torch.cat([plane, torch.zeros_like(plane[:1])])


def _dated(system: System, solved: Tensor) -> Tensor:
    return _ended(solved)[system.place]
