"""Searching in means of 2 x 2 pixels, at a quarter of the cost."""

from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.boxes import cell_sum
from groundshift.matchers.compose import MultiWindow
from groundshift.matchers.ncc import NCC
from groundshift.matchers.stage import Called, crop
from groundshift.types import Estimate


@dataclass(frozen=True)
class Halved(Called):
    """Match means of 2 x 2 pixels: a first search over a wide range, for a fraction of the cost.

    Speckle is finer than what is left, so that a window tells less about weakly coherent ground,
    and means alias: a stage to begin with, not to end with.

    Parameters
    ----------
    matcher
        What matches the means; its lengths are in pixels of 2 x 2.
    """

    matcher: NCC | MultiWindow

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return 2 * self.matcher.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return 2 * self.matcher.period

    @property
    def search(self) -> int:
        """How far a result can be from the prior, pixels."""
        return 2 * self.matcher.search

    @property
    def context(self) -> int:
        """Pixels of reference, and of prior, used beyond the area reported on."""
        return 2 * self.matcher.context

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return 2 * self.matcher.halo

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.matcher.bytes_per_pixel // 4 + 16

    def match(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None, margin: int
    ) -> Estimate:
        """Match inputs that carry `margin` pixels of context, at least the halo."""
        odd = margin % 2
        found = self.matcher.match(
            _halved(crop(reference, odd)),
            _halved(crop(secondary, odd)),
            None if prior is None else _halved(crop(prior, odd)) / 2,
            margin // 2,
        )
        dy, dx, sigma_dy, sigma_dx = (2 * plane for plane in found[:4])
        return Estimate(dy, dx, sigma_dy, sigma_dx, found.score)


def _halved(planes: Tensor) -> Tensor:
    """Means of the known of 2 x 2 pixels; an odd last row or column is left out."""
    rows, columns = (n // 2 * 2 for n in planes.shape[-2:])
    planes = planes[..., :rows, :columns]
    known = (~planes.isnan()).to(planes.dtype)
    count = cell_sum(known, 2)
    return torch.where(count > 0, cell_sum(planes.nan_to_num(), 2) / count.clamp(min=1), torch.nan)
