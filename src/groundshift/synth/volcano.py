"""Volcanoes as motions of an image: a magma chamber, a sill or a dike."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.dislocations import Mesh, areas
from groundshift.synth.motions import Motion
from groundshift.synth.power_law import Plane
from groundshift.synth.surface_field import Frame, Sources, surface_fields


@dataclass(frozen=True)
class Mogi:
    """A small pressurised sphere (Mogi 1958): horizontal part, away from the centre.

    ``(1 - nu) / pi * volume * r / (r^2 + depth^2)^(3/2)`` for the volume change of the chamber.
    """

    centre: tuple[float, float]
    """``(y, x)``, pixels."""
    depth: float
    """Metres."""
    volume: float
    """Change, cubic metres; negative deflates."""
    spacing: float
    """Of the pixels, metres."""
    nu: float = 0.25
    """Poisson's ratio."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates, pixels."""
        y, x = (y - self.centre[0]) * self.spacing, (x - self.centre[1]) * self.spacing
        strength = (1 - self.nu) / math.pi * self.volume / self.spacing
        factor = strength / (y * y + x * x + self.depth**2) ** 1.5
        return y * factor, x * factor


@dataclass(frozen=True)
class Sheet:
    """A rectangular sheet of magma: a sill when flat, a dike when steep."""

    east: float
    north: float
    depth: float
    """Of the centre, metres."""
    length: float
    width: float
    """Down the dip, metres."""
    strike: float
    """Radians clockwise from north; the sheet dips to the right."""
    dip: float
    """Radians."""

    def mesh(self, cells: int = 12) -> tuple[Mesh, Plane]:
        """Triangles with normals upward, and the form of the opening at their centres.

        The sheet opens like a crack under pressure, ``sqrt((1 - s^2) (1 - d^2))`` with the edges at
        one.
        """
        s, d = np.meshgrid(*2 * [np.linspace(-1, 1, cells + 1)], indexing="ij")
        along = np.array([math.sin(self.strike), math.cos(self.strike), 0])
        right = np.array([math.cos(self.strike), -math.sin(self.strike), 0])
        down = math.cos(self.dip) * right - math.sin(self.dip) * np.array([0, 0, 1])
        middle = np.array([self.east, self.north, -self.depth])
        points = s[..., None] * along * self.length / 2 + d[..., None] * down * self.width / 2
        index = np.arange(s.size).reshape(s.shape)
        a, b, c, e = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
        triangles = np.concatenate(
            [np.stack(face, -1).reshape(-1, 3) for face in ((a, e, c), (a, c, b))]
        )
        s, d = (n.ravel()[triangles].mean(1) for n in (s, d))
        opening = np.sqrt((1 - s**2) * (1 - d**2))
        vertices = torch.from_numpy((points + middle).reshape(-1, 3))
        return Mesh(vertices, torch.from_numpy(triangles)), opening


def sheet_motion(sheet: Sheet, volume: float, frame: Frame, step: float = 8.0) -> Motion:
    """Displacement of an image by a sheet that opens by a volume, cubic metres."""
    mesh, opening = sheet.mesh()
    amount = torch.from_numpy(opening)
    amount = amount * (volume / float((areas(mesh) * amount).sum()))
    slip = torch.zeros(1, len(amount), 3, dtype=torch.float64)
    slip[0, :, 2] = amount
    return surface_fields(Sources(mesh, slip, frame, ((),)), step=step)[0]


def volcano(rng: np.random.Generator, size: int | tuple[int, int], spacing: float) -> Motion:
    """Draw a chamber, a sill or a dike below an image, two of three times inflating.

    Volumes are log-uniform from 3e6 to 3e8 cubic metres, depths from 1 to 6 km.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Rows and columns.
    spacing
        Of the pixels, metres.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    kind = ("chamber", "sill", "dike")[int(rng.integers(3))]
    depth = 1000 * 6 ** rng.uniform()
    volume = 10 ** rng.uniform(6.5, 8.5) * rng.choice((1, 1, -1))
    centre = (float(rng.uniform(0.2, 0.8) * rows), float(rng.uniform(0.2, 0.8) * columns))
    if kind == "chamber":
        return Mogi(centre, depth, volume, spacing)
    frame = Frame(rows, columns, spacing, 0.0, 0.0)
    east, north = frame.ground(*(np.array(n) for n in centre))
    dip = math.radians(rng.uniform(0, 15) if kind == "sill" else rng.uniform(70, 90))
    length = depth * rng.uniform(1, 3)
    # The upper edge stays well below the surface.
    width = min(length, 1.5 * depth / max(math.sin(dip), 0.5)) * rng.uniform(0.5, 1)
    strike = rng.uniform(0, 2 * math.pi)
    sheet = Sheet(float(east), float(north), depth, length, width, strike, dip)
    return sheet_motion(sheet, volume, frame)
