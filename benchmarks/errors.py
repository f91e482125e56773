"""How far estimates are from the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods import Measured, Plane
from groundshift.synth import Motion

MARGIN = 80
"""Pixels left out along each side of the images."""


class Errors(NamedTuple):
    """Errors at the nodes inside the margin: planes of ``(2, rows, columns)``, dy first."""

    error: Plane
    truth: Plane
    sigma: Plane
    y: Plane
    x: Plane

    @property
    def flat(self) -> tuple[Plane, Plane, Plane]:
        """Error, truth and sigma of both components, one after the other."""
        return self.error.ravel(), self.truth.ravel(), self.sigma.ravel()


def compare(measured: Measured, motion: Motion, shape: tuple[int, int]) -> Errors:
    """Compare with the truth at the very nodes."""
    inner = [
        (at >= MARGIN) & (at < n - MARGIN) & (np.arange(len(at)) % _thinning(at) == 0)
        for at, n in zip((measured.y, measured.x), shape, strict=True)
    ]
    y, x = (at[keep] for at, keep in zip((measured.y, measured.x), inner, strict=True))
    at_y, at_x = np.meshgrid(y.astype(np.float64), x.astype(np.float64), indexing="ij")
    truth = torch.stack(motion(torch.from_numpy(at_y), torch.from_numpy(at_x))).numpy()
    block = np.ix_(*inner)
    found = np.stack([plane[block] for plane in (measured.dy, measured.dx)])
    planes = (measured.sigma_dy, measured.sigma_dx)
    sigma = np.stack([found[i] * np.nan if s is None else s[block] for i, s in enumerate(planes)])
    return Errors(*(plane.astype(np.float32) for plane in (found - truth, truth, sigma, y, x)))


def _thinning(at: Plane) -> int:
    """Every fourth pixel of a dense field tells all there is to know."""
    return max(1, round(4 / float(at[1] - at[0])))


class Summary(NamedTuple):
    """Statistics over both components, pixels; slopes and biases per component."""

    mae: float
    median: float
    p95: float
    bad: float
    """Share of errors beyond 0.5 px."""
    bias_y: float
    bias_x: float
    slope_y: float
    slope_x: float
    density: float
    within_68: float
    within_95: float


def summary(errors: Sequence[Errors]) -> Summary:
    """Take all pairs together."""
    error, truth, sigma = (
        np.concatenate([part.reshape(2, -1) for part in parts], axis=1)
        for parts in zip(*(e[:3] for e in errors), strict=True)
    )
    known = ~np.isnan(error)
    size = np.abs(error[known])
    if not size.size:
        return Summary(*[np.nan] * 8, 0.0, np.nan, np.nan)
    told = known & ~np.isnan(sigma)
    ratio = np.abs(error[told] / sigma[told])
    slopes = [_slope(t[k], (t + e)[k]) for t, e, k in zip(truth, error, known, strict=True)]
    return Summary(
        float(size.mean(dtype=np.float64)),
        float(np.median(size)),
        float(np.quantile(size, 0.95)),
        float((size > 0.5).mean()),
        *(float(np.nanmean(e, dtype=np.float64)) for e in error),
        *slopes,
        float(known.mean()),
        *(float((ratio <= z).mean()) if ratio.size else np.nan for z in (0.9945, 1.96)),
    )


def _slope(truth: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    variance = truth.var(dtype=np.float64)
    if variance < 1e-6:
        return np.nan
    return float(
        ((truth - truth.mean()) * (found - found.mean())).mean(dtype=np.float64) / variance
    )


def mae(error: Plane) -> float:
    """Mean absolute value of what is known, NaN if nothing is."""
    known = error[~np.isnan(error)]
    return float(np.abs(known).mean(dtype=np.float64)) if known.size else np.nan
