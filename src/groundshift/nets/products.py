"""What two images have in common under a displacement, pixel by pixel, summed over cells.

From here on a window costs a sum.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_unshuffle

from groundshift.boxes import cell_sum
from groundshift.interpolate import nearest_cells, shift_cells, warp_cells
from groundshift.nets.cells import CELL, WARP, strips
from groundshift.nets.images import TAPS, Images

SIDE_TAPS = 4
"""Of the interpolation on the other side of a jump: what is tried must be told apart, no more."""
LAGS = tuple((dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2) if dy or dx)
"""Of products beside the middle one, pixels."""
MIDDLE, SIDE = 10, 6
"""Planes of the middle, and of each side of a jump."""
AREA = 1 << 16
"""Pixels worked on at once."""


class Products(NamedTuple):
    """Means over the pixels of cells, ``(B, ..., H / CELL, W / CELL)``."""

    middle: Tensor
    """See `alike`."""
    lags: Tensor
    """Of a and b at each of `LAGS`, less the middle one."""
    sides: tuple[Tensor, ...]
    """For each other displacement: of what is known, aa, bb, ab, and b with the slopes of a."""
    texture: Tensor
    """The pixels of both."""

    @classmethod
    def of(cls, images: Images, shift: Tensor, others: tuple[Tensor, ...]) -> "Products":
        """Compare under a displacement of each square ``(B, 2, h, w)``, and under others."""
        B, H, W = images.reference.shape
        count = MIDDLE + len(LAGS) + SIDE * len(others)
        planes = shift.new_empty(B, count, H // CELL, W // CELL)
        texture = shift.new_empty(B, 2 * CELL**2, H // CELL, W // CELL)
        for rows in strips(H, B * W, AREA, WARP):
            cells = slice(rows.start // CELL, rows.stop // CELL)
            # Lags reach beyond the strip, by less than a square.
            both = _Both.of(images, shift, rows, WARP)
            found = both.products() + both.lags()
            for other in others:
                found += _side(images, other, rows)
            planes[..., cells, :] = cell_sum(torch.stack(found, 1), CELL) / CELL**2
            texture[..., cells, :] = pixel_unshuffle(torch.stack([both.a, both.b], 1), CELL)
        middle, lags, sides = planes.tensor_split((MIDDLE, MIDDLE + len(LAGS)), 1)
        return cls(middle, lags, tuple(sides.split(SIDE, 1)), texture)


def alike(images: Images, shift: Tensor) -> Tensor:
    """Compare under a displacement of each square ``(B, 2, h, w)``.

    Returns
    -------
    Tensor
        Means over cells, ``(B, MIDDLE, H / CELL, W / CELL)``, of what is known; of the products
        aa, bb, ab; the curvature (yy, yx, xx); what a step follows from (y, x); and the mean
        square of the slopes of a. a is the reference and b the warped secondary.
    """
    B, H, W = images.reference.shape
    planes = shift.new_empty(B, MIDDLE, H // CELL, W // CELL)
    for rows in strips(H, B * W, AREA, WARP):
        products = torch.stack(_Both.of(images, shift, rows, 0).products(), 1)
        cells = slice(rows.start // CELL, rows.stop // CELL)
        planes[..., cells, :] = cell_sum(products, CELL) / CELL**2
    return planes


class _Seen(NamedTuple):
    """Rows of the reference, and the secondary where displacements of their squares lead."""

    shift: tuple[Tensor, Tensor]
    secondary: Tensor
    inside: Tensor
    top: int
    margin: int

    @classmethod
    def of(cls, images: Images, shift: Tensor, rows: slice) -> "_Seen":
        dy, dx = shift[..., rows.start // WARP : rows.stop // WARP, :].unbind(1)
        margin = images.margin
        # Only the rows that are needed: the whole image would be copied for every strip.
        first = rows.start + margin + math.floor(float(dy.min())) - TAPS
        first = min(max(0, first), images.secondary.shape[-2] - 1)
        last = max(first, rows.stop + margin + math.ceil(float(dy.max())) + TAPS)
        secondary = images.secondary[..., first : last + 1, :]
        inside = images.inside[..., first : last + 2, :]
        return cls((dy, dx), secondary, inside, rows.start + margin - first, margin)

    @property
    def known(self) -> Tensor:
        """Pixels between four that have data: 0 or 1."""
        place = (self.top + 1, self.margin + 1)
        return nearest_cells(self.inside, *self.shift, WARP, place)


class _Both(NamedTuple):
    """Both images and their slopes in some rows, zero where either is not known."""

    known: Tensor
    a: Tensor
    ay: Tensor
    ax: Tensor
    b: Tensor
    by: Tensor
    bx: Tensor
    around: Tensor
    """The secondary with `reach` pixels more on each side; zero beyond the image."""
    reach: int

    @classmethod
    def of(cls, images: Images, shift: Tensor, rows: slice, reach: int) -> "_Both":
        H = images.reference.shape[-2]
        wide = slice(max(0, rows.start - reach), min(H, rows.stop + reach))
        seen = _Seen.of(images, shift, wide)
        warped = warp_cells(
            seen.secondary, *seen.shift, WARP, (seen.top, seen.margin), TAPS, stepped=True
        )
        known = images.known[..., wide, :] * seen.known
        above, below = reach - rows.start + wide.start, reach - wide.stop + rows.stop
        around = pad(warped.value * known, (reach, reach, above, below))
        inner = (..., slice(rows.start - wide.start, rows.stop - wide.start), slice(None))
        known = known[inner]
        reference = (images.reference, images.reference_dy, images.reference_dx)
        a, ay, ax = (plane[..., rows, :] * known for plane in reference)
        b, by, bx = (plane[inner] * known for plane in warped)
        return cls(known, a, ay, ax, b, by, bx, around, reach)

    def products(self) -> list[Tensor]:
        """Those of :func:`alike`, in its order."""
        a, ay, ax, b, by, bx = self[1:7]
        return [
            self.known,
            a * a,
            b * b,
            a * b,
            ay * by,
            0.5 * (ay * bx + ax * by),
            ax * bx,
            0.5 * (a * by - b * ay),
            0.5 * (a * bx - b * ax),
            0.5 * (ay * ay + ax * ax),
        ]

    def lags(self) -> list[Tensor]:
        """Products with the secondary further on, less the middle one."""
        height, width = self.a.shape[-2:]
        middle = self.a * self.b

        def further(dy: int, dx: int) -> Tensor:
            return self.around[..., self.reach + dy :, self.reach + dx :][..., :height, :width]

        return [self.a * further(dy, dx) - middle for dy, dx in LAGS]


def _side(images: Images, shift: Tensor, rows: slice) -> list[Tensor]:
    """Products under another displacement."""
    seen = _Seen.of(images, shift, rows)
    known = images.known[..., rows, :] * seen.known
    place = (seen.top, seen.margin)
    b = shift_cells(seen.secondary, *seen.shift, WARP, place, SIDE_TAPS, stepped=True)
    b = b * known
    a, ay, ax = (
        plane[..., rows, :]
        for plane in (images.reference, images.reference_dy, images.reference_dx)
    )
    return [known, a * a * known, b * b, a * b, b * ay, b * ax]
