"""What a net that regresses coherence is shown of two detected images.

Under the bivariate gamma law all that intensities tell of coherence is their sum and the product of
the amplitudes. Of their ratio texture, which multiplies both, drops out. Both are shown, that
product and the squared logarithm of the ratio, at small shifts, so that images need not be
co-registered to a part of a resolution cell; beside them each image's own products, which tell how
wide its speckle is, both images in logarithms, and how bright their surroundings are. Everything is
relative to local means: calibration drops out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_unshuffle

from groundshift.boxes import box_sum, cell_sum
from groundshift.filters import magnitude
from groundshift.matchers.windows import up_to

CELL = 2
"""Pixels each way, over which products are averaged: no more than a speckle of most products."""
SHIFTS = 2
"""Largest shift each way, pixels."""
BETWEEN = [(dy, dx) for dy in range(-SHIFTS, SHIFTS + 1) for dx in range(-SHIFTS, SHIFTS + 1)]
"""Shifts of the secondary, by rows and columns."""
OWN = ((0, 0), (0, 1), (1, 0), (0, 2), (2, 0))
"""Shifts of an image against itself."""
NEAR, AROUND = 7, 33
"""Sides of the windows whose mean counts as the level of a pixel, and as that of its place."""
LARGEST = 4.0
"""Logarithm of a level against its surroundings, and times by which an amplitude is above its own,
at most: points are not looked into."""
COUNT = 2 * len(BETWEEN) + 2 * len(OWN) + 2 * CELL**2 + 3
"""Planes in all."""
CONTEXT = AROUND // 2 + NEAR // 2 + SHIFTS
"""Pixels around a cell that they depend on."""
STRIP = 128
"""Rows that are described at once: what is made of them in between stays in the cache."""


class Levels(NamedTuple):
    """An image against its surroundings, ``(B, H, W)``; zero where it is not known."""

    rest: Tensor
    """Amplitude over its local level, less its mean."""
    logs: Tensor
    """Logarithm of the intensity over its local level."""
    place: Tensor
    """Logarithm of the local level over that of the place."""

    @classmethod
    def of(cls, amplitude: Tensor, known: Tensor) -> "Levels":
        """Compare; `known` is 0 or 1."""
        values = torch.where(known > 0, amplitude, 0.0)
        intensity = (values / magnitude(values)).square_()
        near, place = (_mean(intensity, known, side) for side in (NEAR, AROUND))
        level = near.clamp(min=1e-12)
        ratio = intensity / level
        rest = ratio.sqrt().clamp_(max=LARGEST).sub_(0.9)
        logs = ratio.clamp_(min=1e-4).log_().clamp_(-2 * LARGEST, LARGEST)
        place = (level / place.clamp(min=1e-12)).log_().clamp_(-LARGEST, LARGEST)
        return cls(*(plane * known for plane in (rest, logs, place)))


def shown(reference: Tensor, secondary: Tensor, known: Tensor) -> Tensor:
    """Describe two amplitudes ``(B, H, W)`` for a net.

    Parameters
    ----------
    reference, secondary
        Amplitudes; what is not known is not looked at. Sides are multiples of `CELL`.
    known
        Pixels that both show: 0 or 1.

    Returns
    -------
    Tensor
        ``(B, COUNT, H / CELL, W / CELL)``, numbers of the order of one.
    """
    B, H, W = known.shape
    planes = known.new_empty(B, H // CELL, W // CELL, COUNT).movedim(-1, 1)
    around = up_to(CONTEXT, CELL)
    for first in range(0, H, STRIP):
        start, last = max(first - around, 0), min(first + STRIP, H)
        rows = slice(start, last + around)
        strip = _strip(*(image[:, rows] for image in (reference, secondary, known)))
        cells = slice((first - start) // CELL, (last - start) // CELL)
        planes[:, :, first // CELL : last // CELL] = strip[:, :, cells]
    return planes


def _strip(reference: Tensor, secondary: Tensor, known: Tensor) -> Tensor:
    """Return all planes of some rows."""
    one, two = Levels.of(reference, known), Levels.of(secondary, known)
    planes = [
        *_products(one.rest, two.rest, BETWEEN),
        *_ratios(one.logs, two.logs, known),
        *(plane for each in (one, two) for plane in _products(each.rest, each.rest, OWN)),
    ]
    planes += [cell_sum(plane, CELL) / CELL**2 for plane in (one.place, two.place, known)]
    fine = pixel_unshuffle(torch.stack([one.logs, two.logs], 1), CELL).mul_(0.5)
    return torch.stack([*planes, *fine.unbind(1)], 1)


def _ratios(one: Tensor, other: Tensor, known: Tensor) -> list[Tensor]:
    """Mean squared logarithm of the ratio over cells at each shift, of what both show."""
    H, W = one.shape[-2:]
    wide, there = (pad(plane, (SHIFTS,) * 4) for plane in (other, known))
    made = []
    for dy, dx in BETWEEN:
        cut = (..., slice(SHIFTS + dy, SHIFTS + dy + H), slice(SHIFTS + dx, SHIFTS + dx + W))
        square = (one - wide[cut]).square_().mul_(known).mul_(there[cut])
        made.append(cell_sum(square, CELL).div_(CELL**2).clamp_(max=LARGEST))
    return made


def _products(one: Tensor, other: Tensor, shifts: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Mean products over cells, with the other further on by each shift; about one for speckle."""
    H, W = one.shape[-2:]
    wide = pad(other, (SHIFTS,) * 4)
    return [
        cell_sum(one * wide[..., SHIFTS + dy :, SHIFTS + dx :][..., :H, :W], CELL)
        for dy, dx in shifts
    ]


def _mean(plane: Tensor, known: Tensor, side: int) -> Tensor:
    """Mean of what is known in a square around each pixel."""
    edge = (side // 2,) * 4
    total, count = (box_sum(pad(each, edge), side) for each in (plane * known, known))
    return total / count.clamp(min=1)
