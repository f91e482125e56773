"""Phase correlation: the shift as the slope of a plane through the phases of the cross-spectrum.

Use it on clean images with fine texture: normalising the spectrum weighs all frequencies alike,
which gives the sharpest peak there is and does not care about illumination; the same makes it the
first to fail under speckle decorrelation or noise. After Leprince et al. (2007): a mask keeps the
frequencies that stand out of the spectrum, and the plane is fitted robustly, with weights that
follow from each frequency's own misfit, after the windows have been brought to overlap to the
pixel.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.errors import MatcherError
from groundshift.matchers.follow import WARP_CELL, follow, follow_margin
from groundshift.matchers.ncc import LEAST_SHARE
from groundshift.matchers.peak import PRECISION
from groundshift.matchers.stage import Called, crop, where
from groundshift.matchers.windows import base_cell, centred
from groundshift.types import Estimate

BATCH = 1 << 22
"""Complex samples handled at once."""


class _Plane(NamedTuple):
    """A phase plane fitted to each cross-spectrum."""

    dy: Tensor
    dx: Tensor
    sigma_dy: Tensor
    sigma_dx: Tensor
    agreement: Tensor
    frequencies: Tensor


@dataclass(frozen=True)
class PhaseCorrelation(Called):
    """Robust phase-plane fit on a regular grid.

    Parameters
    ----------
    window
        Side of the square window, pixels; even when `stride` is even.
    stride
        Pixels between results.
    mask
        Frequencies are used whose logarithmic power lies above this multiple of the mean of the
        normalised logarithmic spectrum; smaller keeps fewer.
    iterations
        Robust re-weightings.
    reach
        Largest prior displacement that is followed, pixels.
    false_alarm
        Probability that unrelated images give a result instead of NaN. 1 keeps every fit.
    """

    window: int = 64
    stride: int = 16
    mask: float = 0.9
    iterations: int = 4
    reach: int = 0
    false_alarm: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse windows that cannot be centred."""
        base_cell(self.stride, (self.window,))
        if self.window < 16:
            raise MatcherError(f"window={self.window} holds too few frequencies; use 16 or more")

    @property
    def search(self) -> int:
        """How far a result can be from the prior: windows must overlap by three quarters."""
        return self.window // 4

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return max(0, (self.window - self.stride) // 2)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.context + self.search + 1 + (follow_margin(self.reach) if self.reach else 0)

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.stride, WARP_CELL) if self.reach else self.stride

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 120

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        outer = self.context + self.search + 1
        a = centred(crop(reference, margin - self.context))
        if prior is None:
            b, offset = crop(secondary, margin - outer), None
        else:
            b, offset = follow(secondary, prior, margin, outer, self.stride)
        b = centred(b)
        windows = a.unfold(0, self.window, self.stride).unfold(1, self.window, self.stride)
        rows, columns = windows.shape[:2]
        step = max(1, BATCH // (self.window**2 * columns))
        parts = [
            self._match_rows(windows[top : top + step], b, top) for top in range(0, rows, step)
        ]
        estimate = Estimate(*map(torch.cat, zip(*parts, strict=True)))
        if offset is None:
            return estimate
        return estimate._replace(dy=estimate.dy + offset[0], dx=estimate.dx + offset[1])

    def _match_rows(self, first: Tensor, b: Tensor, top: int) -> Estimate:
        """Match some rows of windows ``(rows, columns, window, window)``."""
        shape, n = first.shape[:2], self.window
        first = first.reshape(-1, n, n)
        at_y = (top + torch.arange(shape[0], device=b.device)) * self.stride + self.search + 1
        at_x = torch.arange(shape[1], device=b.device) * self.stride + self.search + 1
        y, x = (axis.flatten() for axis in torch.meshgrid(at_y, at_x, indexing="ij"))
        spectrum_a, share_a = self._spectrum(first)
        whole_y, whole_x = (torch.zeros_like(y) for _ in range(2))
        for _ in range(2):
            spectrum_b, share_b = self._spectrum(_gather(b, y + whole_y, x + whole_x, n))
            cross = spectrum_a * spectrum_b.conj()
            step_y, step_x = self._whole_pixels(cross)
            whole_y = (whole_y + step_y).clamp(-self.search, self.search)
            whole_x = (whole_x + step_x).clamp(-self.search, self.search)
        spectrum_b, share_b = self._spectrum(_gather(b, y + whole_y, x + whole_x, n))
        plane = self._fit(spectrum_a * spectrum_b.conj())
        good = (share_a >= LEAST_SHARE) & (share_b >= LEAST_SHARE)
        good &= torch.maximum(plane.dy.abs(), plane.dx.abs()) < 1
        good &= torch.maximum(whole_y.abs(), whole_x.abs()) < self.search
        if self.false_alarm < 1:
            trials = torch.tensor(float((2 * self.search + 1) ** 2), dtype=torch.float64)
            threshold = torch.special.ndtri(1 - self.false_alarm / trials)
            good &= plane.agreement > threshold / (2 * plane.frequencies).sqrt()
        estimate = Estimate(
            whole_y + plane.dy,
            whole_x + plane.dx,
            plane.sigma_dy.clamp(min=PRECISION),
            plane.sigma_dx.clamp(min=PRECISION),
            plane.agreement.clamp(0, 1),
        )
        return Estimate(*(p.reshape(shape) for p in where(good, estimate)))

    def _taper(self, device: torch.device) -> Tensor:
        hann = torch.hann_window(self.window + 1, periodic=False, device=device)[:-1]
        hann = hann + torch.flip(hann, (0,))
        return (hann[:, None] * hann) / 4

    def _spectrum(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrum of the tapered windows, and the share of known pixels; flat counts as none."""
        known = ~torch.isnan(windows)
        share = known.float().mean((-1, -2))
        filled = torch.nan_to_num(windows)
        mean = filled.sum((-1, -2)) / known.sum((-1, -2)).clamp(min=1)
        detail = torch.where(known, windows - mean[:, None, None], 0.0)
        flat = (detail**2).mean((-1, -2)) < 1e-6
        return torch.fft.rfft2(detail * self._taper(windows.device)), torch.where(flat, 0.0, share)

    def _whole_pixels(self, cross: Tensor) -> tuple[Tensor, Tensor]:
        n = self.window
        unit = cross / cross.abs().clamp(min=1e-12)
        surface = torch.fft.irfft2(unit.conj() * self._mask(cross), s=(n, n))
        best = surface.flatten(1).argmax(1)
        dy, dx = best // n, best % n
        half = n // 2
        return (dy + half) % n - half, (dx + half) % n - half

    def _mask(self, cross: Tensor) -> Tensor:
        """1 where the power stands out (Leprince et al. 2007, eq. 15), 0 elsewhere."""
        level = cross.abs().clamp(min=1e-12).log10()
        level = level - level.amax((-1, -2), keepdim=True)
        mask = (level > self.mask * level.mean((-1, -2), keepdim=True)).to(level.dtype)
        mask[:, 0, 0] = 0
        return mask

    def _fit(self, cross: Tensor) -> _Plane:
        """Fit the phase plane ``exp(i w d)`` to normalised cross-spectra."""
        n = self.window
        wy = 2 * math.pi * torch.fft.fftfreq(n, device=cross.device)[:, None]
        wx = 2 * math.pi * torch.fft.rfftfreq(n, device=cross.device)[None, :]
        weight = self._mask(cross)
        # The last column of an even transform and the first hold their own mirror image.
        weight[..., 0] *= 0.5
        unit = cross / cross.abs().clamp(min=1e-12)
        dy, dx = cross.new_zeros(2, len(cross), dtype=wy.dtype)
        yy = yx = xx = misfit = dy
        for _ in range(self.iterations):
            for _ in range(3):
                residual = self._residual(unit, wy, wx, dy, dx)
                slope = residual.imag * weight
                yy, yx, xx = ((weight * w).sum((-1, -2)) for w in (wy * wy, wy * wx, wx * wx))
                gy, gx = ((slope * w).sum((-1, -2)) for w in (wy, wx))
                determinant = (yy * xx - yx * yx).clamp(min=1e-9)
                dy = (dy + (xx * gy - yx * gx) / determinant).clamp(-2, 2)
                dx = (dx + (yy * gx - yx * gy) / determinant).clamp(-2, 2)
            misfit = 1 - self._residual(unit, wy, wx, dy, dx).real
            weight = weight * (1 - misfit / 2).clamp(0, 1) ** 6
        residual = self._residual(unit, wy, wx, dy, dx)
        used = self._mask(cross)
        count = used.sum((-1, -2)).clamp(min=1)
        agreement = (residual.real * used).sum((-1, -2)) / count
        variance = (residual.imag**2 * used).sum((-1, -2)) / count
        # Tapering ties neighbouring frequencies together: 1.94 per axis for a Hann window.
        tied = 1.94**2
        inverse = 1 / (yy * xx - yx * yx).clamp(min=1e-9)
        scale = tied * variance
        return _Plane(
            dy,
            dx,
            (scale * xx * inverse).sqrt(),
            (scale * yy * inverse).sqrt(),
            agreement,
            count / tied,
        )

    @staticmethod
    def _residual(unit: Tensor, wy: Tensor, wx: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
        phase = wy * dy[:, None, None] + wx * dx[:, None, None]
        return unit * torch.polar(torch.ones_like(phase), -phase)


def _gather(b: Tensor, y: Tensor, x: Tensor, n: int) -> Tensor:
    """Windows of `n` pixels whose first pixels are at ``(y, x)``."""
    span = torch.arange(n, device=b.device)
    index = (y[:, None, None] + span[:, None]) * b.shape[1] + x[:, None, None] + span
    return b.reshape(-1)[index]
