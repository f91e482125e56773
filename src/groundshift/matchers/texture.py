"""How fine the texture of an image is, window by window: what its detail can be worth."""

from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.boxes import cell_sum
from groundshift.matchers.peak import band_of_speckle, independent
from groundshift.matchers.windows import centred, window_sums


class Grain(NamedTuple):
    """What a window's detail can be worth."""

    band_y: Tensor
    """Bandwidth along rows, cycles per pixel."""
    band_x: Tensor
    known: Tensor
    """Pixels that are."""

    @property
    def samples(self) -> Tensor:
        """Independent samples in the window."""
        return self.known * independent((self.band_y, self.band_x))


class Texture(NamedTuple):
    """Sums over base cells from which the correlation of neighbouring pixels follows."""

    sums: Tensor
    """Count, value, square, and products with the pixels below and to the right."""
    context: int
    base: int

    @classmethod
    def of(cls, image: Tensor, margin: int, context: int, base: int) -> "Texture":
        """Prepare windows around the cells of an image with `margin` pixels of context.

        One pixel of the margin beyond `context` is used.
        """
        low, high = margin - context, image.shape[0] - margin + context
        right = image.shape[1] - margin + context
        wide = centred(image)[low : high + 1, low : right + 1]
        missing = torch.isnan(wide)
        wide = torch.nan_to_num(wide)
        known = ~(missing[:-1, :-1] | missing[1:, :-1] | missing[:-1, 1:])
        known = known.to(wide.dtype)
        a = wide[:-1, :-1] * known
        planes = (known, a, a * a, a * wide[1:, :-1], a * wide[:-1, 1:])
        return cls(torch.stack([cell_sum(plane, base) for plane in planes]), context, base)

    def grain(self, side: int, stride: int) -> Grain:
        """Look at the windows of a side, one for each `stride` pixels."""
        n, mean, square, below, beside = window_sums(
            self.sums, side, stride, self.base, self.context
        )
        n = n.clamp(min=1)
        mean = mean / n
        variance = (square / n - mean**2).clamp(min=1e-9)
        along_y, along_x = ((product / n - mean**2) / variance for product in (below, beside))
        return Grain(band_of_speckle(along_y), band_of_speckle(along_x), n)
