"""Global co-registration: one shift or affine that brings the secondary onto the reference."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groundshift.errors import GridError

NMAD = 1.4826
"""Standard deviation of a normal distribution with median absolute deviation 1."""
TUKEY = 4.685
"""Cut-off of the biweight, standard deviations: 95 % efficient on normal errors."""
FLOOR = 1e-6
"""Residuals below this, in pixels, are as good as none."""
ROUNDS = 50
UNKNOWNS = {"shift": 1, "affine": 3}


class Motion(NamedTuple):
    """A fitted motion of the whole image."""

    transform: NDArray[np.float64]
    """Shape (2, 3): the reference's ``(y, x)`` is at ``transform @ (y, x, 1)`` in the secondary."""
    sigma: float
    """Robust standard deviation of one component about the fit, pixels."""
    points: int
    """How many took part."""
    inliers: float
    """Share of them that the fit explains."""


def fit_motion(
    dy: ArrayLike,
    dx: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    weights: ArrayLike | None = None,
    kind: str = "shift",
) -> Motion:
    """Fit displacements of many points, most of them on ground that does not move.

    Least absolute deviations first, then the biweight of Beaton and Tukey (1974) about that: up
    to 40 % of the points may be anything.

    Parameters
    ----------
    dy, dx
        Displacements, pixels, any common shape; NaN is left out.
    y, x
        Where they were measured, pixels of the reference.
    weights
        Relative weights, such as 1 / sigma^2; NaN and zero are left out.
    kind
        ``shift`` or ``affine``.

    Raises
    ------
    GridError
        When there are too few points.
    """
    if kind not in UNKNOWNS:
        raise GridError(f"co-registration {kind!r} is not known; choose one of {[*UNKNOWNS]}")
    w = np.ones(np.shape(dy)) if weights is None else weights
    columns = np.broadcast_arrays(*(np.asarray(v, float) for v in (dy, dx, y, x, w)))
    table = np.stack([column.ravel() for column in columns], axis=1)
    table = table[np.isfinite(table).all(axis=1) & (table[:, 4] > 0)]
    need = 4 * UNKNOWNS[kind]
    if len(table) < need:
        raise GridError(
            f"co-registration by {kind} needs at least {need} points on stable ground and found "
            f"{len(table)}; enlarge the stable area or switch co-registration off"
        )
    values, at, prior = table[:, :2], table[:, 2:4], table[:, 4]
    centre, spread = at.mean(axis=0), max(float(np.ptp(at)), 1.0)
    ones = np.ones((len(at), 1))
    design = ones if kind == "shift" else np.hstack([ones, (at - centre) / spread])
    fit, sigma, share = _robust(design, values, prior)
    linear = np.zeros((2, 2)) if kind == "shift" else fit[1:].T / spread
    shift = fit[0] - linear @ centre
    transform = np.column_stack([np.eye(2) + linear, shift])
    return Motion(transform, sigma, len(table), share)


def _robust(
    design: NDArray, values: NDArray, prior: NDArray
) -> tuple[NDArray[np.float64], float, float]:
    fit = _solve(design, values, prior)
    for _ in range(ROUNDS):
        distance = np.hypot(*(values - design @ fit).T)
        fit = _solve(design, values, prior / np.maximum(distance, FLOOR))
    for _ in range(ROUNDS):
        weight = _biweight(values - design @ fit)
        before, fit = fit, _solve(design, values, prior * weight)
        if np.abs(fit - before).max() < FLOOR:
            break
    residual = values - design @ fit
    sigma = NMAD * float(np.median(np.abs(residual)))
    return fit, sigma, float((_biweight(residual) > 0).mean())


def _biweight(residual: NDArray) -> NDArray[np.float64]:
    distance = np.hypot(*residual.T)
    # Two components: the median length of a normal error is 1.1774 standard deviations.
    scale = max(float(np.median(distance)) / 1.1774, FLOOR)
    return np.clip(1 - (distance / (TUKEY * scale)) ** 2, 0, None) ** 2


def _solve(design: NDArray, values: NDArray, weights: NDArray) -> NDArray[np.float64]:
    root = np.sqrt(weights / weights.max())[:, None]
    return np.linalg.lstsq(design * root, values * root, rcond=None)[0]
