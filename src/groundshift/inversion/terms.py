"""What motion may be made of: each term is a function of time for every number that is sought.

A pair sees the difference of a function between its two dates, which for a velocity is its integral
over the interval. So a pair that spans half a season shows half of it, and none is smeared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from groundshift.errors import GroundshiftError


class Term(Protocol):
    """A part of the motion."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers that are sought."""
        ...

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number, ``(dates, numbers)``."""
        ...


@dataclass(frozen=True)
class Velocity:
    """Steady motion; displacement per year."""

    names = ("velocity",)

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        return years[:, None]


@dataclass(frozen=True)
class Acceleration:
    """Velocity that changes steadily; displacement per year squared."""

    origin: float
    """Year at which the velocity is that of `Velocity`."""

    names = ("acceleration",)

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        return ((years - self.origin) ** 2 / 2)[:, None]


@dataclass(frozen=True)
class Seasonal:
    """A wave; the displacement's amplitude along a cosine and a sine that begin at year 0."""

    period: float = 1.0
    """Years."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers that are sought."""
        end = "" if self.period == 1 else f"_{self.period:g}"
        return f"cosine{end}", f"sine{end}"

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        phase = 2 * torch.pi / self.period * years
        return torch.stack([phase.cos(), phase.sin()], 1)


@dataclass(frozen=True)
class Step:
    """A jump at a time, as by an earthquake; displacement."""

    year: float
    names = ("step",)

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        return (years >= self.year).to(years.dtype)[:, None]


@dataclass(frozen=True)
class Relaxation:
    """Motion that ebbs away after a time, by an exponential; all of its displacement."""

    year: float
    tau: float
    """Years in which the remainder falls to 1/e."""
    names = ("relaxation",)

    def __post_init__(self) -> None:
        _check_tau(self.tau)

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        return (1 - torch.exp(-(years - self.year).clamp(min=0) / self.tau))[:, None]


@dataclass(frozen=True)
class Afterslip:
    """Motion that ebbs away after a time, by a logarithm (Marone et al. 1991); displacement."""

    year: float
    tau: float
    """Years after which it slows down."""
    names = ("afterslip",)

    def __post_init__(self) -> None:
        _check_tau(self.tau)

    def __call__(self, years: Tensor) -> Tensor:
        """Return displacement per unit of each number."""
        return torch.log1p((years - self.year).clamp(min=0) / self.tau)[:, None]


def _check_tau(tau: float) -> None:
    if not tau > 0:
        raise GroundshiftError(f"tau={tau} is not a time; give years above 0")


def names_of(terms: Sequence[Term]) -> tuple[str, ...]:
    """Name all numbers that are sought; those of the second of two alike terms end in 2."""
    found: list[str] = []
    for name in (name for term in terms for name in term.names):
        count = sum(each.rstrip("0123456789") == name for each in found)
        found.append(f"{name}{count + 1}" if count else name)
    return tuple(found)
