"""Smoothing of what a matcher found that leaves faults as they are: logarithmic total variation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.errors import MatcherError
from groundshift.matchers.stage import Called, Stage, crop_cells
from groundshift.matchers.windows import up_to
from groundshift.types import Estimate

STEP = 1 / 8
"""Of the gradient, the longest with which it converges on a grid (Chambolle 2004)."""


@dataclass(frozen=True)
class LogTV(Called):
    """Smooth a displacement where it hardly changes, and leave its steps.

    The field with the least sum of half the squared changes and of ``weight * log(floor + slope)``
    over cells, in which a step costs hardly more the higher it is, as MicroFlow ends with (Bertrand
    et al. 2025): by total variations whose weights follow from the slopes that the one before left
    (Candes, Wakin and Boyd 2008). Both components share their slopes. For matchers that leave
    single cells noisy; windows average already. Sigma and score stay those of the matcher, and what
    it did not measure stays unmeasured.

    Parameters
    ----------
    matcher
        What matches.
    weight
        Strength, square pixels: noise of up to half of ``weight / floor`` goes.
    floor
        Change from cell to cell, pixels, far above which is a step.
    rounds
        Total variations.
    iterations
        Steps of each; they and the rounds tell how far cells see each other.
    """

    matcher: Stage
    weight: float = 2e-3
    floor: float = 0.02
    rounds: int = 3
    iterations: int = 10

    def __post_init__(self) -> None:
        """Refuse what has no solution."""
        if min(self.weight, self.floor) <= 0 or min(self.rounds, self.iterations) < 1:
            raise MatcherError(
                "LogTV needs weight and floor above 0, and rounds and iterations of at least 1"
            )

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return self.matcher.period

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return self.matcher.search

    @property
    def _around(self) -> int:
        cells = self.rounds * (self.iterations + 1) + 1
        return up_to(cells * self.stride, self.period)

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self._around + self.matcher.context

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self._around + self.matcher.halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.matcher.bytes_per_pixel + 80 // self.stride**2

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        found = self.matcher.match(reference, secondary, prior, margin - self._around)
        dy, dx = self.smoothed(torch.stack(found[:2])).unbind(0)
        return crop_cells(found._replace(dy=dy, dx=dx), self._around // self.stride)

    def smoothed(self, flow: Tensor) -> Tensor:
        """Smooth a displacement ``(2, rows, columns)``; NaN stays and lets nothing through."""
        known = ~torch.isnan(flow).any(0)
        fixed = torch.where(known, flow, 0.0)
        beside = torch.stack([_ahead(known, axis) for axis in (0, 1)])[:, None]
        found, force = fixed, torch.zeros_like(fixed).repeat(2, 1, 1, 1)
        # At first all slopes count as noise, or noise would keep its own.
        allowed = torch.full_like(fixed[0], self.weight / self.floor)
        for _ in range(self.rounds):
            force = _total_variation(fixed, force, beside, allowed, self.iterations)
            found = fixed + _divergence(force)
            allowed = self.weight / (self.floor + _length(_slopes(found) * beside))
        return torch.where(known, found, torch.nan)


def _total_variation(
    fixed: Tensor, force: Tensor, beside: Tensor, allowed: Tensor, iterations: int
) -> Tensor:
    """Solve the dual of weighted total variation by accelerated projection (Beck, Teboulle 2009).

    Parameters
    ----------
    fixed
        What is to be smoothed, ``(2, rows, columns)``.
    force
        Where to begin: between neighbours along rows and columns, ``(2, 2, rows, columns)``.
    beside
        Whether a cell and the next along an axis are known, ``(2, 1, rows, columns)``.
    allowed
        Largest force of each cell.
    iterations
        How many.
    """
    ahead, pace = force, 1.0
    for _ in range(iterations):
        pushed = ahead + STEP * _slopes(fixed + _divergence(ahead)) * beside
        last, force = force, pushed / (_length(pushed) / allowed).clamp(min=1)
        before, pace = pace, (1 + (1 + 4 * pace**2) ** 0.5) / 2
        ahead = force + (before - 1) / pace * (force - last)
    return force


def _ahead(known: Tensor, axis: int) -> Tensor:
    """Whether a cell and the next along an axis are known."""
    both = torch.zeros_like(known)
    count = known.shape[axis] - 1
    inside = known.narrow(axis, 0, count) & known.narrow(axis, 1, count)
    both.narrow(axis, 0, count).copy_(inside)
    return both


def _slopes(flow: Tensor) -> Tensor:
    """Differences to the next cell along rows and columns, ``(2, 2, rows, columns)``; 0 at ends."""
    planes = torch.zeros(2, *flow.shape, dtype=flow.dtype, device=flow.device)
    planes[0, :, :-1] = flow[:, 1:] - flow[:, :-1]
    planes[1, :, :, :-1] = flow[:, :, 1:] - flow[:, :, :-1]
    return planes


def _divergence(force: Tensor) -> Tensor:
    """Apply minus the transpose of `_slopes`."""
    along, across = force
    total = torch.zeros_like(along)
    total[:, :-1] += along[:, :-1]
    total[:, 1:] -= along[:, :-1]
    total[:, :, :-1] += across[:, :, :-1]
    total[:, :, 1:] -= across[:, :, :-1]
    return total


def _length(planes: Tensor) -> Tensor:
    """Of slopes or forces of a cell, over axes and components."""
    return planes.square().sum((0, 1)).sqrt()
