"""How smooth motion is to be expected, as the pairs themselves say."""

import math

import torch
from torch import Tensor

from groundshift.inversion import robust, smoothness
from groundshift.inversion import system as normal
from groundshift.inversion.network import Network
from groundshift.inversion.reweighted import FAINT, Pixels, check, linked_dates, pixels_of, refit
from groundshift.inversion.system import System

STARTS = 3
"""Iterations of weights before."""
SAMPLE = 400
"""Pixels that are looked at."""


def expectation(
    network: Network,
    years: Tensor,
    observed: Tensor,
    sigma: Tensor | None = None,
    breaks: tuple[float, ...] = (),
) -> float | None:
    """Find how much velocity changes in a year, as the pairs of some pixels say.

    It is that under which what was measured is most probable (the evidence, MacKay 1992), pixel by
    pixel, and the median of these. None where the dates are too few to tell.

    Parameters
    ----------
    network, years, observed, sigma
        As for :func:`invert`; not much is gained beyond some hundreds of pixels.
    breaks
        As of :class:`Inversion`.
    """
    check(network, years, observed, sigma, 0)
    system = normal.system(network, years, 0, breaks)
    return expected_rate(system, sample(observed, sigma), years)


def expected_rate(system: System, some: Pixels, years: Tensor) -> float | None:
    """Do so for pixels at hand."""
    if not system.rows or not bool(some.measured.any()):
        return None
    components = some.observed.shape[1]
    linked = {tied: linked_dates(system, some.measured, bridge=tied) for tied in (False, True)}
    trust = some.measured.to(some.observed.dtype)
    fit = refit(system, some, trust, None, linked[False], None)
    for _ in range(STARTS):
        near = robust.tukey(fit.distance / fit.variance.sqrt(), components)
        trust = near.clamp(min=FAINT) * some.measured
        fit = refit(system, some, trust, None, linked[False], fit)
    some = some._replace(inverse=some.inverse / fit.variance)
    noise = (some.inverse.where(some.inverse > 0, torch.nan) ** -0.5).nanmedian()
    unit = float(noise / years.diff().median() ** 1.5)
    rates = [unit * float(each) for each in smoothness.GRID]
    evidence = torch.stack([_evidence(system, some, trust, rate, linked[True]) for rate in rates])
    return rates[int(evidence.argmax(0).median())]


def _evidence(system: System, pixels: Pixels, trust: Tensor, rate: float, linked: Tensor) -> Tensor:
    """Return the logarithm of the probability of what was measured, up to a constant."""
    fit = refit(system, pixels, trust, rate, linked, None)
    change = smoothness.changes(system.rows, fit.position) / rate
    squares = (trust * fit.distance**2).sum(0) + (change**2).sum((0, 1))
    components = change.shape[1]
    volume = -fit.factor.inverse.log().sum(0)
    volume = volume.sum(0) * (components / volume.shape[0])
    return -0.5 * (squares + volume) - components * len(system.rows) * math.log(rate)


def sample(observed: Tensor, sigma: Tensor | None) -> Pixels:
    """Choose some of those pixels that most pairs measured."""
    count = torch.isfinite(observed[:, 0]).sum(0)
    best = count.argsort(descending=True, stable=True)[: max(SAMPLE, len(count) // 2)]
    chosen = best.sort().values[:: max(1, len(best) // SAMPLE)][:SAMPLE]
    return pixels_of(observed, sigma, chosen)
