"""Which pairs of dates were measured, and what they can and cannot tell."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.errors import GroundshiftError


@dataclass(frozen=True)
class Network:
    """Pairs ``(i, j)`` of dates, each of which measures ``u[j] - u[i]``.

    Raises
    ------
    GroundshiftError
        If a pair names a date that is not there, or the same date twice.
    """

    dates: int
    pairs: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for i, j in self.pairs:
            if i == j or not (0 <= i < self.dates and 0 <= j < self.dates):
                raise GroundshiftError(
                    f"the pair ({i}, {j}) does not link two of the {self.dates} dates; dates count "
                    f"from 0 to {self.dates - 1}"
                )

    def ends(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Return the first and the second date of each pair."""
        first, second = torch.tensor(self.pairs, device=device).T
        return first, second

    def components(self) -> list[list[int]]:
        """List the dates that are linked with each other, those with the earliest date first."""
        return components(self.dates, self.pairs)

    def linked(self, measured: Tensor, known: Tensor) -> Tensor:
        """Tell which dates the pairs that were measured link with dates that are known.

        Parameters
        ----------
        measured
            ``(pairs, pixels)``, boolean.
        known
            ``(dates, pixels)``, boolean.

        Returns
        -------
        Tensor
            As `known`, which is among them.
        """
        reached, before = known.clone(), -1
        either = torch.empty_like(reached[0])
        # Forward and then backward through the pairs, as dates usually follow each other.
        ordered = sorted(range(len(self.pairs)), key=lambda m: min(self.pairs[m]))
        while (now := int(reached.sum())) != before:
            before = now
            for sweep in (ordered, ordered[::-1]):
                for m in sweep:
                    i, j = self.pairs[m]
                    torch.bitwise_or(reached[i], reached[j], out=either)
                    either &= measured[m]
                    reached[i] |= either
                    reached[j] |= either
        return reached


def components(dates: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """List the dates that pairs link with each other, those with the earliest date first."""
    group = list(range(dates))

    def root(date: int) -> int:
        while group[date] != date:
            group[date] = group[group[date]]
            date = group[date]
        return date

    for i, j in pairs:
        first, second = sorted((root(i), root(j)))
        group[second] = first
    found: dict[int, list[int]] = {}
    for date in range(dates):
        found.setdefault(root(date), []).append(date)
    return list(found.values())
