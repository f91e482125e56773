"""Both images as the nets see them: standardised, with what all iterations share."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from groundshift.boxes import cell_sum
from groundshift.filters import magnitude
from groundshift.interpolate import gradient
from groundshift.matchers.follow import with_neighbours
from groundshift.nets.cells import mean
from groundshift.nets.parts import Cuts

TAPS = 8
SQUARE = 4
"""Pixels each way, of squares whose surroundings are the same."""
SURROUNDINGS = 15
"""Side of the window whose mean and deviation count as local, squares."""


class Images(NamedTuple):
    """Both images, standardised; ``(B, H, W)``."""

    reference: Tensor
    reference_dy: Tensor
    reference_dx: Tensor
    secondary: Tensor
    """As much larger on each side as displacements may lead, and `TAPS` more."""
    known: Tensor
    """Reference pixels with data: 0 or 1."""
    inside: Tensor
    """Pixels of the secondary that have data, as those below and to the right: 0 or 1.

    One row and column longer than the secondary, at the beginning: there is no data before it.
    """

    @classmethod
    def of(cls, reference: Tensor, secondary: Tensor) -> "Images":
        """Standardise; NaN is no data. The secondary may be larger by the same on each side."""
        extra = -((secondary.shape[-1] - reference.shape[-1]) // 2) % SQUARE
        a, known = standardised(reference)
        b, seen = standardised(pad(secondary, (extra,) * 4, value=torch.nan))
        around = pad(a, (TAPS,) * 4)
        slopes = [gradient(image, TAPS, TAPS) for image in around]
        return cls(
            a,
            torch.stack([slope.dy for slope in slopes]),
            torch.stack([slope.dx for slope in slopes]),
            pad(b, (TAPS,) * 4),
            known,
            inside_of(seen),
        )

    def within(self, cuts: Cuts) -> "Images":
        """Cut rows and columns of the reference out, and what of the secondary belongs to them."""

        def cut(plane: Tensor, more: int) -> Tensor:
            return plane[(..., *(slice(each.start, each.stop + more) for each in cuts))]

        secondary, inside = (
            cut(self.secondary, 2 * self.margin),
            cut(self.inside, 2 * self.margin + 1),
        )
        own = (cut(plane, 0) for plane in (*self[:3], self.known))
        reference, dy, dx, known = own
        return Images(reference, dy, dx, secondary, known, inside)

    @property
    def margin(self) -> int:
        """Pixels by which the secondary is larger on each side."""
        return (self.secondary.shape[-1] - self.reference.shape[-1]) // 2


def inside_of(seen: Tensor) -> Tensor:
    """Pixels ``(B, H, W)`` that have data, as those below and to the right: `Images.inside`."""
    whole = with_neighbours(pad(seen, (TAPS,) * 4) > 0).to(seen.dtype)
    return pad(whole, (1, 0, 1, 0))


def standardised(image: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude about its local mean, in local deviations, ``(B, H, W)``; and what is known.

    Where the surroundings have no texture at all the result is zero and counts as unknown. Sides
    are multiples of `SQUARE`.
    """
    known = ~torch.isnan(image)
    mask = known.to(image.dtype)
    values = torch.nan_to_num(image) / magnitude(image)
    squares = cell_sum(mask, SQUARE) > 0
    share = _around(mask).clamp(min=1e-6)
    level = _between(_around(values) / share, squares)
    rest = (values - level).mul_(mask)
    spread = _between((_around(rest * rest) / share).sqrt(), squares)
    texture = spread > 1e-5 * level.abs().clamp(min=1e-12)
    known &= texture
    rest = torch.where(known, rest / spread.clamp(min=1e-20), 0.0)
    return rest.clamp_(-4, 4), known.to(image.dtype)


def _around(plane: Tensor) -> Tensor:
    """Mean over the surroundings of each square."""
    return mean(cell_sum(plane, SQUARE) / SQUARE**2, SURROUNDINGS)


def _between(squares: Tensor, known: Tensor) -> Tensor:
    """Interpolate from known squares to pixels; beyond these is like the end of the image."""
    there = known.to(squares.dtype)
    planes = torch.stack([squares * there, there], 1)
    planes = planes[:, :1] if bool(known.all()) else planes
    found = interpolate(planes, scale_factor=float(SQUARE), mode="bilinear")
    return found[:, 0] if found.shape[1] == 1 else found[:, 0] / found[:, 1].clamp(min=1e-6)
