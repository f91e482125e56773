"""Displacement and coherence from one pass over both images."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.boxes import cell_sum
from groundshift.coherent.calibrated import Calibrated
from groundshift.coherent.learned import Learned
from groundshift.matchers.follow import WARP_CELL, follow
from groundshift.matchers.prior import CELLS, as_prior
from groundshift.matchers.stage import crop
from groundshift.matchers.windows import up_to
from groundshift.nets.guess import GAP, SQUARE, filled
from groundshift.types import Estimate


class Tracked(NamedTuple):
    """Of each cell; NaN is not measured."""

    dy: Tensor
    dx: Tensor
    sigma_dy: Tensor
    sigma_dx: Tensor
    score: Tensor
    coherence: Tensor
    """Of the ground that moved, 0 to 1: the secondary is seen through the displacement."""
    sigma_coherence: Tensor


@dataclass(frozen=True)
class Tracking:
    """A matcher, and the coherence of what it brings together.

    Parameters
    ----------
    matcher
        Finds the displacement.
    operator
        Tells the coherence of each pixel; what is told of a cell is the mean over its pixels.
    """

    matcher: Any
    operator: Learned | Calibrated

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.matcher.period, self.operator.period, WARP_CELL, SQUARE)

    @property
    def outer(self) -> int:
        """Pixels around the area reported on that a displacement is needed of."""
        gaps = SQUARE * (GAP // 2 + 1)
        return up_to(self.operator.halo + CELLS * self.stride + gaps, self.period)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.matcher.halo + self.outer

    def bytes_of(self, rows: int, columns: int) -> int:
        """Working memory for a tile without its halo, an upper estimate."""
        wide = [n + 2 * self.outer for n in (rows, columns)]
        pixels = math.prod(n + 2 * self.matcher.halo for n in wide)
        tell = getattr(self.matcher, "bytes_of", None)
        matching = self.matcher.bytes_per_pixel * pixels if tell is None else tell(*wide)
        return max(matching, self.operator.bytes_per_pixel * pixels) + 60 * pixels

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Tracked:
        """Match, and estimate the coherence of the reference and what the secondary shows of it."""
        found = self.matcher(reference, secondary, prior)
        rows, columns = reference.shape
        flow = as_prior(found, self.stride, self.matcher.halo, (rows, columns))
        around, near = filled(crop(flow, self.matcher.halo))
        flow = pad(around, (self.matcher.halo,) * 4)
        edge = self.halo - self.operator.halo
        seen, _ = follow(secondary, flow, self.halo, self.operator.halo, self.stride)
        told = self.operator(crop(reference, edge), seen)
        known = crop(near, self.outer) & torch.isfinite(told.coherence)
        planes = torch.stack([told.coherence, told.sigma, torch.ones_like(told.sigma)])
        sums = cell_sum(torch.where(known, planes, 0.0), self.stride)
        share = torch.where(sums[2] > self.stride**2 / 2, sums[2], torch.nan)
        cut = self.outer // self.stride
        inner = Estimate(*(crop(plane, cut) for plane in found))
        return Tracked(*inner, sums[0] / share, sums[1] / share)
