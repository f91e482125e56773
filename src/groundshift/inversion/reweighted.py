"""One step of an inversion: least squares with pairs trusted as they are."""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.errors import GroundshiftError
from groundshift.inversion import robust, smoothness
from groundshift.inversion import system as normal
from groundshift.inversion.elimination import Factor
from groundshift.inversion.network import Network
from groundshift.inversion.system import System

FAINT = 1e-6
"""Least weight of a pair while mismatches are looked for, so that all dates stay linked."""
TINY = 1e-12
"""Least variance of residuals."""
HELD = 1e-9
"""Of the largest weight: what holds dates that nothing links with the reference."""


class Pixels(NamedTuple):
    """What was measured of some pixels."""

    observed: Tensor
    """0 where not measured."""
    inverse: Tensor
    """One over the variance, ``(pairs, components or 1, pixels)``; 0 where not measured."""
    measured: Tensor
    """``(pairs, pixels)``."""
    given: bool
    """Whether the variance is known, or only that it is the same for all."""


class Fit(NamedTuple):
    """What follows from it."""

    position: Tensor
    """``(dates, components, pixels)``."""
    factor: Factor
    distance: Tensor
    """Of each pair from the fit, in standard deviations that were given, ``(pairs, pixels)``."""
    assumed: Tensor
    """Variance of the residuals in units of the one that was given, ``(pixels,)``."""
    variance: Tensor
    """What it turned out to be."""
    unknowns: Tensor
    """What residuals are smaller by, ``(pixels,)``."""
    rate: float | None


def check(
    network: Network, years: Tensor, observed: Tensor, sigma: Tensor | None, reference: int
) -> None:
    """Refuse what does not fit together."""
    shape = tuple(observed.shape)
    if len(shape) != 3 or shape[0] != len(network.pairs) or shape[1] not in robust.TUKEY:
        raise GroundshiftError(
            f"observations of shape {shape} are not (pairs, components, pixels) of "
            f"{len(network.pairs)} pairs and one component or two"
        )
    if sigma is not None:
        if sigma.shape not in {observed.shape, (shape[0], 1, shape[2])}:
            raise GroundshiftError(
                f"standard deviations of shape {tuple(sigma.shape)} do not fit observations of "
                f"shape {shape}"
            )
        if bool((sigma <= 0).any()):
            raise GroundshiftError("standard deviations are above 0; give NaN where there is none")
    if len(years) != network.dates or not bool((years.diff() > 0).all()):
        raise GroundshiftError(f"times of {network.dates} dates, ascending, are needed")
    if not 0 <= reference < network.dates:
        raise GroundshiftError(f"there is no date {reference} among {network.dates}")


def pixels_of(observed: Tensor, sigma: Tensor | None, chosen: slice | Tensor) -> Pixels:
    """Take some pixels of ``(pairs, components, pixels)``; NaN is not measured."""
    known = observed[..., chosen]
    deviation = torch.ones_like(known[:, :1]) if sigma is None else sigma[..., chosen]
    measured = torch.isfinite(known).all(1) & torch.isfinite(deviation).all(1)
    inverse = torch.where(measured[:, None], deviation**-2, 0.0)
    known = torch.where(measured[:, None], known, 0.0)
    return Pixels(known, inverse, measured, given=sigma is not None)


def refit(
    system: System,
    pixels: Pixels,
    trust: Tensor,
    rate: float | None,
    linked: Tensor,
    last: Fit | None,
) -> Fit:
    """Solve with pairs trusted as they are, and a smoothness whose tails follow the last fit."""
    tied = None if rate is None else _tied(system, rate, pixels, last)
    assumed = torch.ones_like(trust[0]) if last is None else last.variance
    weights = (trust / assumed)[:, None] * pixels.inverse
    strength = HELD * weights.amax((0, 1))
    held = ~linked * torch.where(strength > 0, strength, 1.0)
    factor = normal.factorise(system, weights, tied, held)
    position = normal.solve(system, factor, weights * pixels.observed)
    residual = normal.fitted(system.network, position).sub_(pixels.observed)
    squares = residual.square_().mul_(pixels.inverse).sum(1)
    if rate is None:
        unknowns = linked.sum(0) - 1.0
    elif last is not None and last.rate == rate:
        unknowns = last.unknowns
    else:  # where smoothness ties dates, residuals keep more of the errors
        unknowns = normal.leverage(system, factor, weights)
    variance = _variance(pixels, trust, squares, unknowns, last)
    return Fit(position, factor, squares.sqrt(), assumed, variance, unknowns, rate)


def _tied(system: System, rate: float, pixels: Pixels, last: Fit | None) -> Tensor:
    """Weigh the changes of velocity; those beyond the expected ones in proportion less."""
    shape = (len(system.rows), 1, pixels.observed.shape[-1])
    if last is None:
        return pixels.observed.new_full(shape, rate**-2)
    change = smoothness.changes(system.rows, last.position) / rate
    return rate**-2 / (change**2).mean(1, keepdim=True).sqrt().clamp(min=1)


def _variance(
    pixels: Pixels, trust: Tensor, squares: Tensor, unknowns: Tensor, last: Fit | None
) -> Tensor:
    """Estimate the variance of residuals; where one is given, never a smaller one.

    Residuals are blind to what all pairs of a date have in common, so they cannot show that errors
    are smaller than promised.
    """
    components = pixels.observed.shape[1]
    if last is None:
        left = (pixels.measured.sum(0) - unknowns).clamp(min=1)
        found = (trust * squares).sum(0) / (components * left)
    else:
        found = robust.variance(squares, pixels.measured, unknowns, components, last.variance)
    return found.clamp(min=1.0 if pixels.given else TINY)


def linked_dates(system: System, trusted: Tensor, *, bridge: bool) -> Tensor:
    """Tell which dates are determined relative to the reference, ``(dates, pixels)``."""
    pixels = trusted.shape[-1]
    known = torch.zeros(system.network.dates, pixels, dtype=torch.bool, device=trusted.device)
    groups = system.network.components()
    if bool(trusted.all()) and len(groups) == 1:
        return ~known
    known[system.reference] = True
    if not bridge:
        return system.network.linked(trusted, known)
    before = 0
    while (now := int(known.sum())) != before:
        before = now
        known = smoothness.bridged(system.parts, system.network.linked(trusted, known))
    return known
