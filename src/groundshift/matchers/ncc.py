"""Zero-normalised cross-correlation of windows: the reference method of offset tracking.

Use it where one window size fits all, or as the coarse stage of something finer. It survives any
gain and offset, needs no texture model and finds displacements as large as the search; it blurs
whatever changes within a window, and its cost grows with the square of the search.

The sums of products are taken over small cells first and then put together into windows, so that
several window sizes cost little more than one (`NCC.match_windows`). Per lag over shifted images
where the search is small, by FFT where it is large: the choice follows the operation counts.
Missing pixels are left out of every sum (Padfield 2012): a window needs half of its pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from groundshift.boxes import box_sum, cell_sum
from groundshift.errors import MatcherError
from groundshift.matchers.follow import WARP_CELL, follow, follow_margin
from groundshift.matchers.lagged import lagged_cell_sums, masked_cell_sums
from groundshift.matchers.peak import Gaussian, Sinc, law_sigma, significant
from groundshift.matchers.stage import Called, crop, where
from groundshift.matchers.texture import Grain, Texture
from groundshift.matchers.windows import Window, base_cell, centred, up_to, window_sums
from groundshift.types import Estimate

VOLUME = 24_000_000
"""Correlation samples held at once: about 100 MB per array."""
MUCH = 1 / 32
"""Of a line of pixels: its row of cells is not handled together with those that miss less."""
LEAST_SHARE = 0.5
"""A window needs this share of its pixels in both images."""


@dataclass(frozen=True)
class NCC(Called):
    """Normalised cross-correlation on a regular grid.

    Parameters
    ----------
    window
        Side of the square window, pixels; even when `stride` is even.
    search
        Largest displacement looked for in each direction, pixels, around the prior if there is
        one.
    stride
        Pixels between results.
    peak
        How the maximum is found to a fraction of a pixel.
    reach
        Largest prior displacement that is followed, pixels.
    false_alarm
        Probability that unrelated images give a result instead of NaN. 1 keeps every peak.
    unguided
        The same where there is a prior that knows nothing of a cell, if it is less: what a wider
        search did not find should be certain.
    """

    window: int = 32
    search: int = 12
    stride: int = 8
    peak: Sinc | Gaussian = field(default_factory=Sinc)
    reach: int = 0
    false_alarm: float = 1e-3
    unguided: float = 1.0

    def __post_init__(self) -> None:
        """Refuse parameters that contradict each other."""
        if min(self.window, self.search, self.stride) < 1 or self.reach < 0:
            raise MatcherError("window, search and stride must be positive, reach not negative")
        base_cell(self.stride, (self.window,))

    @property
    def lags(self) -> int:
        """Lags computed in each direction: the peak needs some beyond the largest displacement."""
        return self.search + self.peak.reach

    @cached_property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return self.context_of((Window(self.window),))

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.halo_of((Window(self.window),))

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.stride, WARP_CELL) if self.reach else self.stride

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 120

    def context_of(self, windows: tuple[Window, ...]) -> int:
        """Pixels of context for several window sizes."""
        sides = tuple(window.side for window in windows)
        return up_to(max(0, (max(sides) - self.stride) // 2), base_cell(self.stride, sides))

    def halo_of(self, windows: tuple[Window, ...]) -> int:
        """Context pixels for several window sizes."""
        context = self.context_of(windows) + self.lags
        return context + (follow_margin(self.reach) if self.reach else 0)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        return self.match_windows(reference, secondary, prior, margin, (Window(self.window),))[0]

    def match_windows(
        self,
        reference: Tensor,
        secondary: Tensor,
        prior: Tensor | None,
        margin: int,
        windows: tuple[Window, ...],
    ) -> list[Estimate]:
        """Match with several window sizes that share their sums of products."""
        if any(window.order for window in windows):
            raise MatcherError("NCC knows plain windows only; use LeastSquares for quadratic ones")
        base = base_cell(self.stride, tuple(w.side for w in windows))
        context = self.context_of(windows)
        outer = context + self.lags
        H, W = reference.shape
        a = reference[
            margin - context : H - margin + context, margin - context : W - margin + context
        ]
        if prior is None:
            b = secondary[margin - outer : H - margin + outer, margin - outer : W - margin + outer]
            offset = None
        else:
            b, offset = follow(secondary, prior, margin, outer, self.stride)
        found = [
            [self._peaks(volume, window) for volume, window in zip(volumes, windows, strict=True)]
            for volumes in self._volumes(centred(a), centred(b), windows, base, context)
        ]
        estimates = [
            Estimate(*map(torch.cat, zip(*parts, strict=True)))
            for parts in zip(*found, strict=True)
        ]
        if self.false_alarm < 1:
            texture = Texture.of(reference, margin, context, base)
            guided = self._guided(prior, margin)
            estimates = [
                self._certain(estimate, texture.grain(window.side, self.stride), guided)
                for estimate, window in zip(estimates, windows, strict=True)
            ]
        if offset is None:
            return estimates
        return [e._replace(dy=e.dy + offset[0], dx=e.dx + offset[1]) for e in estimates]

    def _guided(self, prior: Tensor | None, margin: int) -> Tensor | None:
        """Tell cells of which the prior knows something; None if that makes no difference."""
        if prior is None or self.unguided >= self.false_alarm:
            return None
        known = (~torch.isnan(crop(prior[0], margin))).to(prior.dtype)
        return cell_sum(known, self.stride) > 0

    def _certain(self, estimate: Estimate, grain: Grain, guided: Tensor | None) -> Estimate:
        """Leave out what chance could have found."""
        found = estimate.score, grain.samples, grain[:2], 2 * self.search
        sure = significant(*found, self.false_alarm)
        if guided is not None:
            sure &= guided | significant(*found, self.unguided)
        return where(sure, estimate)

    def _peaks(self, volume: Tensor, window: Window) -> Estimate:
        """Turn correlation surfaces ``(rows, columns, L, L)`` into estimates."""
        shape = volume.shape[:2]
        peak = self.peak(volume.flatten(0, 1))
        sigma_y, sigma_x = law_sigma(peak.value, peak.curvature_y, peak.curvature_x, window.side**2)
        planes = (peak.dy, peak.dx, sigma_y, sigma_x, peak.value.clamp(0, 1))
        return Estimate(*(plane.reshape(shape) for plane in planes))

    def _volumes(
        self, a: Tensor, b: Tensor, windows: tuple[Window, ...], base: int, context: int
    ) -> Iterator[list[Tensor]]:
        """Correlation surfaces of each window size, some rows of cells at a time."""
        lags = 2 * self.lags + 1
        columns = (a.shape[1] - 2 * context) // self.stride
        per_row = columns * lags**2 * (self.stride // base) ** 2
        step = max(1, VOLUME // (3 * per_row))
        for first, last in _runs(self._row_holes(a, b, context), step):
            top, height = first * self.stride, (last - first) * self.stride + 2 * context
            strip_a, strip_b = a[top:][:height], b[top:][: height + 2 * self.lags]
            yield self._correlation(strip_a, strip_b, windows, base, context)

    def _row_holes(self, a: Tensor, b: Tensor, context: int) -> Tensor:
        """How much each row of cells misses: nothing (0), a little (1), or `MUCH` of a line (2).

        Columns without any data do not count: they are cut off later.
        """
        found = []
        for plane in (a, b):
            missing = torch.isnan(plane)
            share = (missing & ~missing.all(0)).float().mean(1)
            found.append((share > 0).int() + (share > MUCH).int())
        return self._worst(found[0], found[1], context)

    def _column_holes(self, a: Tensor, b: Tensor, context: int) -> Tensor:
        """Whether each column of cells misses something (1)."""
        found = [torch.isnan(plane).any(0).int() for plane in (a, b)]
        return self._worst(found[0], found[1], context)

    def _worst(self, lines_a: Tensor, lines_b: Tensor, context: int) -> Tensor:
        """Largest of the values of all lines of pixels that a line of cells needs."""
        worst = lines_b.clone()
        inner = worst[self.lags : len(worst) - self.lags]
        torch.maximum(inner, lines_a, out=inner)
        return worst.unfold(0, self.stride + 2 * (context + self.lags), self.stride).amax(1)

    def _correlation(
        self, a: Tensor, b: Tensor, windows: tuple[Window, ...], base: int, context: int
    ) -> list[Tensor]:
        """Correlation surfaces of one strip; masks only where something is missing.

        Every strip of a whole image has missing pixels at its two ends. A strip whose sums over
        cells are too many, at long searches and short strides, is cut in two.
        """
        columns = (a.shape[1] - 2 * context) // self.stride
        lags = 2 * self.lags + 1
        if columns > 1 and lags**2 * (a.numel() // base**2) > VOLUME:
            cut = columns // 2 * self.stride
            width = cut + 2 * context
            left = self._correlation(a[:, :width], b[:, : width + lags - 1], windows, base, context)
            right = self._correlation(a[:, cut:], b[:, cut:], windows, base, context)
            return [torch.cat(both, dim=1) for both in zip(left, right, strict=True)]
        products = lagged_cell_sums(torch.nan_to_num(a), torch.nan_to_num(b), base, self.lags)
        holes = self._column_holes(a, b, context)
        parts = []
        for first, last in _runs(holes, len(holes)):
            start, width = first * self.stride, (last - first) * self.stride + 2 * context
            part_a = a[:, start : start + width]
            part_b = b[:, start : start + width + 2 * self.lags]
            part = products[..., start // base : (start + width) // base]
            correlate = self._masked_correlation if holes[first] else self._full_correlation
            parts.append(correlate(part_a, part_b, part, windows, base, context))
        return [torch.cat(volumes, dim=1) for volumes in zip(*parts, strict=True)]

    def _full_correlation(
        self,
        a: Tensor,
        b: Tensor,
        products: Tensor,
        windows: tuple[Window, ...],
        base: int,
        context: int,
    ) -> list[Tensor]:
        cells = torch.stack([cell_sum(plane, base) for plane in (a, a * a)])
        result = []
        for side in (window.side for window in windows):
            sum_a, sum_aa = window_sums(cells, side, self.stride, base, context)
            sum_b, sum_bb = box_sum(torch.stack([b, b * b]), side)
            inverse_a = _inverse_deviation(sum_a, sum_aa, side**2)
            inverse_b = _inverse_deviation(sum_b, sum_bb, side**2)
            rho = window_sums(products, side, self.stride, base, context)
            rho = rho.addcmul(sum_a, self._at_lags(sum_b / side**2, side, context), value=-1)
            rho *= self._at_lags(inverse_b, side, context)
            rho *= inverse_a
            result.append(rho.permute(2, 3, 0, 1))
        return result

    def _at_lags(self, sums: Tensor, side: int, context: int) -> Tensor:
        """See window sums of the secondary at every lag: ``(L, L, rows, columns)``, a view."""
        lags = 2 * self.lags + 1
        first = context - (side - self.stride) // 2
        rows, columns = (
            (n + side - 1 - 2 * (context + self.lags)) // self.stride for n in sums.shape
        )
        inner = sums[first:, first:]
        windows = inner.unfold(0, lags, self.stride).unfold(1, lags, self.stride)
        return windows[:rows, :columns].permute(2, 3, 0, 1)

    def _masked_correlation(
        self,
        a: Tensor,
        b: Tensor,
        products: Tensor,
        windows: tuple[Window, ...],
        base: int,
        context: int,
    ) -> list[Tensor]:
        cells = (products, *masked_cell_sums(a, b, base, self.lags))
        return [
            _normalised(
                *(window_sums(c, window.side, self.stride, base, context) for c in cells),
                total=window.side**2,
            )
            for window in windows
        ]


def _runs(values: Tensor, longest: int) -> Iterator[tuple[int, int]]:
    """First and last index of runs of equal values, in pieces of at most `longest`."""
    changes = (values[1:] != values[:-1]).nonzero().flatten().add(1).tolist()
    for first, last in pairwise((0, *changes, len(values))):
        for start in range(first, last, longest):
            yield start, min(start + longest, last)


def _normalised(
    sum_ab: Tensor,
    sum_a: Tensor,
    sum_b: Tensor,
    sum_aa: Tensor,
    sum_bb: Tensor,
    count: Tensor,
    total: int,
) -> Tensor:
    """Correlation coefficients ``(rows, columns, L, L)`` from sums ``(L, L, rows, columns)``."""
    inverse = count.clamp(min=1).reciprocal_()
    mean = sum_a * inverse
    rho = torch.addcmul(sum_ab, mean, sum_b, value=-1)
    variation_a = torch.addcmul(sum_aa, mean, sum_a, value=-1)
    variation_b = torch.addcmul(sum_bb, torch.mul(sum_b, inverse, out=mean), sum_b, value=-1)
    # Images have unit variance here: 1e-6 of that is rounding, or nothing to match.
    flat = torch.minimum(variation_a, variation_b) <= 1e-6 * count
    rho *= variation_a.mul_(variation_b).rsqrt_()
    few = count < LEAST_SHARE * total
    return rho.masked_fill_(flat.logical_or_(few), torch.nan).permute(2, 3, 0, 1)


def _inverse_deviation(total: Tensor, squares: Tensor, count: int) -> Tensor:
    """``1 / sqrt(sum (a - mean)**2)``; NaN where a window is flat.

    Images have unit variance here: 1e-6 of that is rounding, or nothing to match.
    """
    variation = squares - total * total / count
    return torch.where(variation > 1e-6 * count, variation, torch.nan).rsqrt()
