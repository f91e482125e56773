"""How coherence falls with time: a law for each pixel, from the pairs of a stack.

``(1 - rest) exp(-t / tau) + rest`` (Kellndorfer et al. 2022): all of it at once, a rest for ever.
For a given time the rest follows in one step; the time is the best of many, between which a
parabola is laid.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundshift.errors import GroundshiftError

SHORTEST, LONGEST = 0.25, 8.0
"""Times that are tried: from this part of the shortest interval to these times the longest."""
TRIED = 40
"""Of them, in equal ratios."""
STEPS, LARGEST = 6, 0.1
"""Of Gauss and Newton from there, and the longest, natural logarithm of the time."""
FEWEST = 3
"""Intervals, and pairs of a pixel, that tell a law of two numbers and how well it fits."""


class Decay(NamedTuple):
    """Of each pixel; NaN where there is none."""

    rest: NDArray
    """Coherence that stays, 0 to 1."""
    tau: NDArray
    """Days in which the remainder falls to 1 / e."""
    sigma_rest: NDArray
    """One standard deviation."""
    sigma_tau: NDArray
    """One standard deviation of the natural logarithm of `tau`."""
    misfit: NDArray
    """Root mean square of residuals in units of sigma; about 1 if the law holds."""
    pairs: NDArray
    """Pairs that were measured."""


def tried(days: NDArray) -> NDArray:
    """Return the times that are compared, days."""
    return np.geomspace(SHORTEST * days.min(), LONGEST * days.max(), TRIED)


def fit(coherence: NDArray, sigma: NDArray, days: NDArray) -> Decay:
    """Fit the law to pairs, each counted by its variance.

    Parameters
    ----------
    coherence, sigma
        ``(..., pairs)``; NaN is not measured.
    days
        Between the dates of each pair, above zero.

    Returns
    -------
    Decay
        Of the shape of a pair.

    Raises
    ------
    GroundshiftError
        If there are fewer than three different intervals.
    """
    days = np.asarray(days, float)
    if len(np.unique(days)) < FEWEST or days.min() <= 0:
        raise GroundshiftError(
            f"{len(np.unique(days))} different interval(s) between dates tell no decay; give pairs "
            f"of {FEWEST} or more, for example all of four dates"
        )
    shape = coherence.shape[:-1]
    g, s = (plane.reshape(-1, len(days)).astype(np.float64) for plane in (coherence, sigma))
    known = np.isfinite(g) & (s > 0)
    w = np.where(known, 1 / np.where(known, s, 1.0) ** 2, 0.0)
    g = np.where(known, g, 0.0)
    count = known.sum(1)
    times = tried(days)
    left = np.exp(-days[:, None] / times)
    # Weighted sums over the pairs, for each time: the rest is b / a, and the misfit follows.
    a = w @ (1 - left) ** 2
    b = (w * g) @ (1 - left) - w @ (left * (1 - left))
    c = (w * g * g).sum(1)[:, None] - 2 * (w * g) @ left + w @ left**2
    rest = np.clip(b / np.maximum(a, 1e-12), 0, 1)
    misfit = c - 2 * rest * b + rest**2 * a
    best = misfit.argmin(1)
    place = _refined(misfit, best)
    tau = np.exp(np.interp(place, np.arange(TRIED), np.log(times)))
    return _at(tau, _Pixels(g, w, days, count), shape)


class _Pixels(NamedTuple):
    """Pixels ``(n, pairs)`` with their weights."""

    coherence: NDArray
    weight: NDArray
    days: NDArray
    known: NDArray


def _refined(misfit: NDArray, best: NDArray) -> NDArray:
    """Find the lowest point of a parabola through the best time and its neighbours."""
    inner = np.clip(best, 1, TRIED - 2)
    below, there, above = (
        np.take_along_axis(misfit, (inner + k)[:, None], 1)[:, 0] for k in (-1, 0, 1)
    )
    bend = below - 2 * there + above
    step = np.where(bend > 0, 0.5 * (below - above) / np.maximum(bend, 1e-30), 0.0)
    return np.where(best == inner, inner + np.clip(step, -0.5, 0.5), best)


def _at(tau: NDArray, pixels: _Pixels, shape: tuple[int, ...]) -> Decay:
    """Walk from given times to the best ones, and tell everything there."""
    for _ in range(STEPS):
        there = _There.of(tau, pixels)
        free = (there.rest > 0) & (there.rest < 1)
        ahead = np.where(free, there.a / np.maximum(there.determinant, 1e-30), 1 / there.own)
        tau = tau * np.exp(np.clip(there.slope * ahead, -LARGEST, LARGEST))
    there = _There.of(tau, pixels)
    count = pixels.known
    sure = (count >= FEWEST) & (there.determinant > 1e-12 * there.a * there.own)
    with np.errstate(divide="ignore", invalid="ignore"):
        planes = (
            there.rest,
            tau,
            np.sqrt(there.own / there.determinant),
            np.sqrt(there.a / there.determinant),
            np.sqrt(there.misfit / np.maximum(1, count - 2)),
        )
    told = (*(np.where(sure, plane, np.nan) for plane in planes), count)
    return Decay(*(plane.astype(np.float32).reshape(shape) for plane in told))


class _There(NamedTuple):
    """The best rest at given times, and the curvature of the misfit around it."""

    rest: NDArray
    misfit: NDArray
    slope: NDArray
    """Half of what the misfit loses with the logarithm of the time."""
    a: NDArray
    own: NDArray
    """Half of the curvature along the rest, and along the logarithm of the time."""
    determinant: NDArray

    @classmethod
    def of(cls, tau: NDArray, pixels: _Pixels) -> "_There":
        g, w, days, _ = pixels
        left = np.exp(-days / tau[:, None])
        lost = 1 - left
        a = (w * lost**2).sum(1)
        rest = np.clip((w * lost * (g - left)).sum(1) / np.maximum(a, 1e-12), 0, 1)
        residual = g - left - rest[:, None] * lost
        bend = (1 - rest[:, None]) * left * days / tau[:, None]
        cross, own = (w * lost * bend).sum(1), (w * bend**2).sum(1).clip(1e-30)
        return cls(
            rest,
            (w * residual**2).sum(1),
            (w * bend * residual).sum(1),
            a,
            own,
            a * own - cross**2,
        )
