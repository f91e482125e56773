"""Land cover: a mosaic of regions with natural borders, fields, roads and rivers.

Regions are the cells of jittered sites (Worley 1996) seen through a fractal displacement, so that
their borders are rough on all scales. Fields are strips cut into parcels, with straight borders.
Everything is a function of coordinates: twice as many pixels show the same kind of land, finer.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.synth.chunks import chunks
from groundshift.synth.fields import random_field

CLASSES = ("water", "bare", "crops", "forest", "built")
WATER, BARE, CROPS, FOREST, BUILT = range(len(CLASSES))


class LandCover(NamedTuple):
    """What covers the ground; every plane has the shape asked for."""

    label: Tensor
    """Index into `CLASSES`, int64."""
    patch: Tensor
    """Number of the region or parcel, int64: what is uniform, and changes as a whole."""
    patches: int
    """Patch numbers are smaller than this."""
    road: Tensor
    """Roads between the parcels of fields and between blocks of buildings, bool."""


@dataclass(frozen=True)
class Landscape:
    """How the land is divided; lengths in pixels of the image."""

    fractions: tuple[float, ...] = (0.08, 0.2, 0.37, 0.25, 0.1)
    """Expected share of each of `CLASSES` in the area, rivers and roads aside."""
    region: float = 120.0
    """Mean distance of the centres of regions."""
    roughness: float = 0.25
    """Displacement of the regions' borders, one standard deviation, in units of `region`."""
    parcel: float = 24.0
    """Mean side of a field; half of it is the side of a block of buildings."""
    orientation: float = 0.3
    """Of the fields, radians from the x axis towards the y axis."""
    road: float = 1.2
    """Width of roads; 0 leaves them out."""
    river: float = 6.0
    """Width of a river across the image; 0 leaves it out."""

    def __call__(
        self, size: tuple[int, int], generator: torch.Generator, oversample: int = 1
    ) -> LandCover:
        """Divide `size` pixels, each an `oversample`-th of a pixel of the image."""
        y, x = _coordinates(size, oversample, generator.device)
        length = self.region * oversample
        bend_y, bend_x = (
            self.roughness * self.region * random_field(size, 0.8, length, generator)
            for _ in range(2)
        )
        region, regions = cells(y + bend_y, x + bend_x, self.region, generator)
        shares = torch.tensor(self.fractions, dtype=torch.float32, device=generator.device)
        kind = torch.multinomial(shares, regions, replacement=True, generator=generator)
        label = kind[region]
        patch, count, road = region, regions, torch.zeros_like(label, dtype=torch.bool)
        for land, side in ((CROPS, self.parcel), (BUILT, self.parcel / 2)):
            here = label == land
            if not here.any():
                continue
            number, parcels, border = fields(y[here], x[here], side, self.orientation, generator)
            patch = patch.masked_scatter(here, number + count)
            road = road.masked_scatter(here, border < self.road / 2)
            count += parcels
        if self.river > 0:
            wet = self._river(y + 0.5 * bend_y, x + 0.5 * bend_x, generator)
            label = label.masked_fill(wet, WATER)
            patch = patch.masked_fill(wet, count)
            road &= ~wet
        return LandCover(label, patch, count + 1, road)

    def _river(self, y: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
        """Mark a meandering band; a meander is about 11 widths long (Leopold & Wolman 1960)."""
        angle, place, phase = torch.rand(3, generator=generator, device=y.device)
        angle = angle * math.pi
        along = x * torch.cos(angle) + y * torch.sin(angle)
        across = y * torch.cos(angle) - x * torch.sin(angle)
        low, high = across.min(), across.max()
        length = 11 * self.river
        path = 0.2 * length * torch.sin(along * (2 * math.pi / length) + 2 * math.pi * phase)
        middle = low + (0.25 + 0.5 * place) * (high - low)
        return (across - middle - path).abs() < self.river / 2


def cells(y: Tensor, x: Tensor, side: float, generator: torch.Generator) -> tuple[Tensor, int]:
    """Divide the plane among jittered sites, one in each square of a grid.

    Parameters
    ----------
    y, x
        Coordinates, shape ``(H, W)``, pixels.
    side
        Of the squares, pixels. The nearest of the nine sites around a point is taken.

    Returns
    -------
    tuple
        Number of the site of each point, int64, and how many there are.
    """
    row, column = (torch.floor(c / side).long() for c in (y, x))
    row, column = row - row.min() + 1, column - column.min() + 1
    top, left = (torch.floor(c.min() / side) - 1 for c in (y, x))
    rows, columns = int(row.max()) + 2, int(column.max()) + 2
    jitter = torch.rand((2, rows * columns), generator=generator, device=y.device)
    fy, fx = y / side - top - row, x / side - left - column
    number = (row * columns + column).flatten()
    for part in chunks(len(number), y.device):
        places = fy.flatten()[part], fx.flatten()[part]
        number[part] = _nearest(number[part], *places, jitter, columns)
    return number.reshape(y.shape), rows * columns


def _nearest(home: Tensor, fy: Tensor, fx: Tensor, jitter: Tensor, columns: int) -> Tensor:
    """Find the nearest of the sites in the squares `home` and around them."""
    nearest, number = torch.full_like(fy, torch.inf), home
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            site = home + (down * columns + right)
            at_y, at_x = (each.index_select(0, site) for each in jitter)
            distance = (at_y + (down - fy)) ** 2 + (at_x + (right - fx)) ** 2
            number = torch.where(distance < nearest, site, number)
            nearest = torch.minimum(distance, nearest)
    return number


def fields(
    y: Tensor, x: Tensor, side: float, orientation: float, generator: torch.Generator
) -> tuple[Tensor, int, Tensor]:
    """Divide the plane into strips, and each strip into parcels of its own length.

    Parameters
    ----------
    y, x
        Coordinates, any shape, pixels.
    side
        Mean width of a strip and mean length of a parcel; both vary by half.
    orientation
        Of the strips, radians from the x axis towards the y axis.

    Returns
    -------
    tuple
        Number of the parcel of each point, int64; how many there are; and the distance from the
        parcel's border, pixels.
    """
    c, s = math.cos(orientation), math.sin(orientation)
    along, across = x * c + y * s, y * c - x * s
    along, across = along - along.min(), across - across.min()
    strips = math.ceil(2 * float(across.max()) / side) + 2
    width, length, start = torch.rand((3, strips), generator=generator, device=y.device)
    edges = torch.cumsum(side * (0.5 + width), 0)
    strip = torch.searchsorted(edges, across.contiguous())
    below = torch.cat([edges.new_zeros(1), edges])[strip]
    length = side * (0.5 + length)
    position = along / length[strip] + start[strip]
    parcel = torch.floor(position).long()
    part = (position - parcel) * length[strip]
    border = torch.minimum(
        torch.minimum(across - below, edges[strip] - across),
        torch.minimum(part, length[strip] - part),
    )
    longest = math.ceil(2 * float(along.max()) / side) + 2
    return strip * longest + parcel, strips * longest, border


def _coordinates(
    size: tuple[int, int], oversample: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    rows, columns = (torch.arange(n, device=device) / oversample for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y, x
