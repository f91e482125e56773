"""Where a sampled correlation surface is highest, to a fraction of a lag, and how sure that is.

Two ways, both vectorised over any number of surfaces:

* `Gaussian`: the parabola through the logarithms of three neighbours per axis. Exact when the
  peak is a Gaussian aligned with the axes; elsewhere it pulls towards whole pixels (0.25 px can
  read 0.17 to 0.23).
* `Sinc`: Newton's method on the surface interpolated with a windowed sinc. A correlation surface
  of alias-free images is band-limited, so this is its maximum to about 0.003 px, 0.01 px where the
  images have cusps, as amplitude does. `LeastSquares` after it is exact.

The variance comes from the tracking law of incoherent speckle (Bamler & Eineder 2005, De Zan
2014) with the peak as ``|gamma|**2`` and the number of independent resolution cells in the window
read from the width of the peak, see `law_sigma`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.interpolate import weights_at

PRECISION = 1e-3
"""Smallest standard deviation that is ever claimed, pixels."""


class Peak(NamedTuple):
    """The maximum of each surface; NaN where there is none inside the searched lags."""

    dy: Tensor
    """Row lag, pixels."""
    dx: Tensor
    """Column lag, pixels."""
    value: Tensor
    """Correlation at the maximum."""
    curvature_y: Tensor
    """``-d2(ln value)/dy2``, per square pixel."""
    curvature_x: Tensor
    """``-d2(ln value)/dx2``, per square pixel."""


FINEST = 0.91
"""Bandwidth, cycles per pixel, of a pattern that is white on the pixels."""
STEPS = 64
"""Bandwidths for which the height that chance reaches is tabulated."""
LEAST = 0.15
"""Of the highest sample: a lower neighbour says no more about where a Gaussian peak is.

Not even speckle as fine as a pixel falls off faster; what does is noise, whose logarithm would put
the peak far above every sample.
"""


@dataclass(frozen=True)
class Gaussian:
    """Three-point Gaussian fit on each axis."""

    @property
    def reach(self) -> int:
        """Lags needed on each side of the highest sample."""
        return 1

    def __call__(self, surface: Tensor) -> Peak:
        """Find the maxima of surfaces ``(n, L, L)`` whose middle lag is zero."""
        iy, ix, patch, inside = highest(surface, self.reach)
        middle = patch[:, 1:2, 1:2]
        logs = torch.maximum(patch, LEAST * middle).clamp(min=1e-6).log()
        middle = logs[:, 1, 1]
        oy, cy = _vertex(logs[:, 0, 1], middle, logs[:, 2, 1])
        ox, cx = _vertex(logs[:, 1, 0], middle, logs[:, 1, 2])
        top = (middle + 0.5 * (cy * oy**2 + cx * ox**2)).exp()
        good = inside & (patch[:, 1, 1] > 0)
        return _checked(good, Peak(iy + oy, ix + ox, top, cy, cx))


def _vertex(before: Tensor, middle: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Offset of a parabola's vertex from the middle sample, and minus its second derivative."""
    curvature = (2 * middle - before - after).clamp(min=1e-6)
    return 0.5 * (after - before) / curvature, curvature


@dataclass(frozen=True)
class Sinc:
    """Exact maximum of the band-limited surface.

    Parameters
    ----------
    taps
        Width of the interpolation kernel: 12 needs 6 lags on each side of the highest sample, 8
        needs 4 and places the maximum to 0.02 px only.
    iterations
        Newton steps; three reach 1e-4 px.
    """

    taps: int = 12
    iterations: int = 4

    @property
    def reach(self) -> int:
        """Lags needed on each side of the highest sample."""
        return self.taps // 2

    def __call__(self, surface: Tensor) -> Peak:
        """Find the maxima of surfaces ``(n, L, L)`` whose middle lag is zero."""
        iy, ix, patch, inside = highest(surface, self.reach)
        y, x = torch.zeros_like(iy), torch.zeros_like(ix)
        for _ in range(self.iterations):
            value, gradient, hessian = self._local(patch, y, x)
            step_y, step_x = _newton(gradient, hessian)
            y = (y + step_y.clamp(-0.5, 0.5)).clamp(-1, 1)
            x = (x + step_x.clamp(-0.5, 0.5)).clamp(-1, 1)
        value, gradient, hessian = self._local(patch, y, x)
        # The highest sample lies within a lag of the maximum of any surface sampled finely enough.
        good = inside & (y.abs() < 0.99) & (x.abs() < 0.99) & (value > 0)
        floor = value.clamp(min=1e-6)
        return _checked(good, Peak(iy + y, ix + x, value, -hessian[0] / floor, -hessian[2] / floor))

    def _local(
        self, patch: Tensor, y: Tensor, x: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        """Value, gradient and second derivatives (yy, yx, xx) at offsets in [-1, 1]."""
        wy, gy, hy = self._weights(y)
        wx, gx, hx = self._weights(x)
        along = torch.stack([wx, gx, hx], dim=-1)
        rows = patch @ along  # (n, L, 3)
        value, dx, dxx = ((wy.unsqueeze(1) @ rows).squeeze(1)).unbind(-1)
        dy, dyx, _ = ((gy.unsqueeze(1) @ rows).squeeze(1)).unbind(-1)
        dyy = (hy.unsqueeze(1) @ rows[..., :1]).squeeze(1).squeeze(-1)
        return value, (dy, dx), (dyy, dyx, dxx)

    def _weights(self, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Kernel, slope and second derivative on the lags ``-taps/2 ... taps/2``."""
        whole = offset.floor().clamp(-1, 0)
        fraction = (offset - whole).clamp(0, 1)
        step = 1 / 64
        inner = fraction.clamp(step, 1 - step)
        at_offset = partial(weights_at, taps=self.taps, plain=True)
        value, slope = at_offset(fraction), at_offset(fraction, derivative=True)
        bend = (
            at_offset(inner + step, derivative=True) - at_offset(inner - step, derivative=True)
        ) / (2 * step)
        wide = torch.zeros(*offset.shape, self.taps + 1, device=offset.device)
        at = (whole.long() + 1).unsqueeze(-1) + torch.arange(self.taps, device=offset.device)
        return tuple(wide.scatter(-1, at, w) for w in (value, slope, bend))  # type: ignore[return-value]


def _newton(
    gradient: tuple[Tensor, Tensor], hessian: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Newton's step uphill; along the axes alone where the surface is not a peak."""
    (gy, gx), (yy, yx, xx) = gradient, hessian
    determinant = yy * xx - yx * yx
    peak = (yy < 0) & (xx < 0) & (determinant > 0.05 * yy * xx)
    safe = torch.where(peak, determinant, 1.0)
    step_y = torch.where(peak, -(xx * gy - yx * gx) / safe, gy / yy.abs().clamp(min=1e-6))
    step_x = torch.where(peak, -(yy * gx - yx * gy) / safe, gx / xx.abs().clamp(min=1e-6))
    return step_y, step_x


def highest(surface: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lag of the highest sample, its surroundings, and whether they lie inside the surface.

    Missing samples (NaN) are never chosen; a surface without any sample is "outside".
    """
    n, rows, columns = surface.shape
    known = torch.nan_to_num(surface, nan=-2.0)
    best = known.reshape(n, -1).argmax(1)
    iy, ix = best // columns, best % columns
    inside = (iy >= reach) & (iy < rows - reach) & (ix >= reach) & (ix < columns - reach)
    offsets = torch.arange(-reach, reach + 1, device=surface.device)
    r = (iy[:, None, None] + offsets[:, None]).clamp(0, rows - 1)
    c = (ix[:, None, None] + offsets).clamp(0, columns - 1)
    patch = known.reshape(n, -1).gather(1, (r * columns + c).reshape(n, -1))
    patch = patch.reshape(n, 2 * reach + 1, 2 * reach + 1)
    inside &= (patch > -1.5).all(-1).all(-1)
    return iy.float() - rows // 2, ix.float() - columns // 2, patch, inside


def _checked(good: Tensor, peak: Peak) -> Peak:
    return Peak(*(torch.where(good, plane, torch.nan) for plane in peak))


def bandwidths(curvature_y: Tensor, curvature_x: Tensor) -> tuple[Tensor, Tensor]:
    """Cycles per pixel of the flat band whose speckle has this curvature, at most 1."""
    by, bx = (
        ((1.5 * curvature.clamp(min=1e-6)).sqrt() / math.pi).clamp(max=1)
        for curvature in (curvature_y, curvature_x)
    )
    return by, bx


def band_of_speckle(neighbour: Tensor) -> Tensor:
    """Bandwidth, cycles per pixel, of speckle whose neighbouring pixels correlate this much.

    Inverts ``sinc(B)**2``, the autocorrelation of intensity at one pixel, to 2 % below B = 0.8.
    """
    drop = 1 - neighbour.clamp(0, 1).sqrt()
    return ((6 * drop * (1 + 0.3 * drop)).sqrt() / math.pi).clamp(0.01, 1)


def independent(bands: tuple[Tensor, Tensor]) -> Tensor:
    """Independent samples in a pixel of speckle of these bandwidths, cycles per pixel.

    How correlations of unrelated patterns scatter follows from the squared autocorrelation,
    ``sinc**4``, which sums to 2/3 of a resolution cell per axis; but no axis has more than one
    sample in a pixel.
    """
    by, bx = ((1.5 * band).clamp(max=1) for band in bands)
    return by * bx


def significant(
    rho: Tensor, samples: Tensor, bands: tuple[Tensor, Tensor], range_: float, false_alarm: float
) -> Tensor:
    """Whether a correlation is higher than chance would make the highest of a range of lags.

    Parameters
    ----------
    rho
        Correlation of the windows, at the maximum between the lags.
    samples
        Independent samples in the window: unrelated windows correlate by chance with a deviation
        of one over their root.
    bands
        Bandwidth along rows and columns, cycles per pixel: how fast chance changes with the lag.
    range_
        Lags from one end to the other in each direction, pixels.
    false_alarm
        Accepted probability that unrelated images pass.
    """
    by, bx = bands
    fine = (by * bx).sqrt().clamp(max=FINEST) * (STEPS / FINEST)
    table = torch.tensor(_thresholds(range_, false_alarm), device=rho.device, dtype=rho.dtype)
    low = fine.floor().clamp(max=STEPS - 1).long()
    threshold = table[low] + (fine - low) * (table[low + 1] - table[low])
    return rho > threshold / samples.sqrt()


@lru_cache
def _thresholds(range_: float, false_alarm: float) -> tuple[float, ...]:
    """Deviations that the highest of unrelated correlations exceeds with a probability.

    The correlation surface of unrelated windows is a smooth Gaussian field, whose maximum over a
    square follows from its expected Euler characteristic (Adler and Taylor 2007): of the square, of
    its sides and of a point. Its spectrum is the product of both images': of speckle
    ``(1 - f / B)**2``, whose second moment is ``B**2 / 10``.

    Returns
    -------
    tuple of float
        For bandwidths from 0 to `FINEST`, in `STEPS` steps.
    """
    found = []
    for step in range(STEPS + 1):
        slope = 2 * math.pi * (step / STEPS) * FINEST / math.sqrt(10)
        length = range_ * slope
        low, high = 0.0, 40.0
        for _ in range(60):
            u = (low + high) / 2
            tail = math.exp(-u * u / 2)
            chance = 0.5 * math.erfc(u / math.sqrt(2)) + length / math.pi * tail
            chance += length**2 * (2 * math.pi) ** -1.5 * u * tail
            low, high = (u, high) if chance > false_alarm else (low, u)
        found.append(high)
    return tuple(found)


def law_sigma(
    rho: Tensor, curvature_y: Tensor, curvature_x: Tensor, area: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Give the deviations of ``dy, dx`` in pixels by the law of incoherent speckle tracking.

    Parameters
    ----------
    rho
        Correlation of the detected images, an estimate of ``|gamma|**2``.
    curvature_y, curvature_x
        Minus the second logarithmic derivative of the correlation at its peak. Speckle with a
        flat band of ``B`` cycles per pixel has ``2/3 pi**2 B**2``, so a resolution cell measures
        ``1/B`` pixels and the window holds ``area * B_y * B_x`` independent ones.
    area
        Pixels in the window.

    Returns
    -------
    tuple of Tensor
        ``sqrt(3 / (10 N)) * sqrt((1 - rho) (2 + 7 rho)) / (pi rho)`` cells, in pixels.
    """
    rho = rho.clamp(1e-3, 1)
    by, bx = bandwidths(curvature_y, curvature_x)
    cells = area * by * bx
    # Interpolation is good to about a thousandth of a pixel, and nothing is better than that.
    in_cells = (0.3 / cells * (1 - rho) * (2 + 7 * rho)).clamp(min=0).sqrt() / (math.pi * rho)
    return (in_cells / by).clamp(min=PRECISION), (in_cells / bx).clamp(min=PRECISION)
