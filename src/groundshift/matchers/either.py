"""Two matchers for one job: the dear one only where the cheap one finds nothing."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.boxes import cell_sum
from groundshift.errors import MatcherError
from groundshift.matchers.prior import local_median
from groundshift.matchers.stage import Called, Stage, crop, crop_cells, extent
from groundshift.types import Estimate

HALF = 0.5
"""A cell with this share of its pixels known is one to find something for."""


@dataclass(frozen=True)
class Either(Called):
    """Take what one matcher finds, and where it finds nothing what another one does.

    The other one runs on the part of a block that holds what is missing: what is easy does not
    cost more for what is not.

    Parameters
    ----------
    first
        What matches; it should keep only what is certain, as nothing else is asked where it
        answers.
    otherwise
        What matches the rest, of the same stride.
    tolerance
        Where neighbours have an answer of the first, one of the other counts if it lies within so
        many pixels of their median: large windows beside a margin see what lies around it.
    """

    first: Stage
    otherwise: Stage
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what has no common cells."""
        if self.first.stride != self.otherwise.stride:
            raise MatcherError(
                f"Either: results each {self.first.stride} px and each {self.otherwise.stride} px "
                "do not fit together; use one stride for both"
            )

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.first.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return math.lcm(self.first.period, self.otherwise.period)

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return max(self.first.search, self.otherwise.search)

    @property
    def _around(self) -> int:
        """Pixels beyond the area reported on in which the first is asked: a cell or more."""
        return self.period if self.tolerance else 0

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return max(self.first.context, self.otherwise.context) + self._around

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return max(self.first.halo, self.otherwise.halo) + self._around

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return max(self.first.bytes_per_pixel, self.otherwise.bytes_per_pixel)

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        margin -= self._around
        found = self.first.match(reference, secondary, prior, margin)
        known = (~torch.isnan(crop(reference, margin))).to(reference.dtype)
        there = cell_sum(known, self.stride) >= HALF * self.stride**2
        missing = torch.isnan(found.dy)
        part = extent(missing & there, self.period // self.stride)
        if part is not None:
            pixels = tuple(
                slice(cut.start * self.stride, cut.stop * self.stride + 2 * margin) for cut in part
            )
            other = self.otherwise.match(
                reference[pixels],
                secondary[pixels],
                None if prior is None else prior[(..., *pixels)],
                margin,
            )
            taken = missing[part]
            if self.tolerance:
                for plane, values in zip(found[:2], other[:2], strict=True):
                    taken &= ~((values - local_median(plane)[part]).abs() > self.tolerance)
            for plane, values in zip(found, other, strict=True):
                plane[part] = torch.where(taken, values, plane[part])
        return crop_cells(found, self._around // self.stride)
