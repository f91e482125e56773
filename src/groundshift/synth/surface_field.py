"""Displacement by dislocations as a motion: a smooth part on a grid plus jumps at traces.

The displacement of a slipping surface, less half the jump with the sign of the side, has no
singularity at the trace, so that a grid of a few pixels holds it and nothing smears the jump. Far
from the dislocations it varies slowly: they are evaluated on a coarse grid, and on ever finer ones
where they are near; elsewhere the finer grids are interpolated.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from groundshift.synth.chunks import chunks
from groundshift.synth.dislocations import Mesh, displacement
from groundshift.synth.gridded import Gridded
from groundshift.synth.power_law import ComplexPlane, Plane
from groundshift.synth.traces import Trace, distance

LEVELS = 4
"""Grids, each twice as fine as the one before."""
REACH = 3.0
"""Points this many spacings of a grid from the nearest vertex are interpolated from that grid."""
MARGIN = 3
"""Nodes beyond the wanted area, for interpolation, of the coarsest grid."""
MIDPOINT = np.array([3, -25, 150, 150, -25, 3]) / 256
"""Weights of six neighbours (Lagrange)."""


class Frame(NamedTuple):
    """An image on the ground."""

    rows: int
    columns: int
    spacing: float
    """Metres per pixel."""
    east: float
    """Of the image's centre, metres."""
    north: float

    def pixels(self, east: Plane, north: Plane) -> ComplexPlane:
        """Pixel coordinates as complex numbers ``x + iy``."""
        x = (east - self.east) / self.spacing + (self.columns - 1) / 2
        y = (self.north - north) / self.spacing + (self.rows - 1) / 2
        return x + 1j * y

    def ground(self, y: Plane, x: Plane) -> Plane:
        """East and north of pixel coordinates, ``(n, 2)``, metres."""
        east = (x - (self.columns - 1) / 2) * self.spacing + self.east
        north = self.north - (y - (self.rows - 1) / 2) * self.spacing
        return np.stack([east, north], axis=-1)


@dataclass(frozen=True, eq=False)
class SurfaceField:
    """A motion: a smooth part plus steps. The same at every call, at any coordinate."""

    smooth: Gridded
    traces: tuple[Trace, ...]
    width: float = 0.0
    """Of the zone in which the sides go over into each other, pixels; 0 is a sharp rupture."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement ``(dy, dx)`` at the coordinates, pixels."""
        dy, dx = (plane.flatten() for plane in self.smooth(y, x))
        rows, columns = y.reshape(-1), x.reshape(-1)
        for part in chunks(len(dy) if self.traces else 0, dy.device):
            steps = [trace.step(rows[part], columns[part], self.width) for trace in self.traces]
            total = torch.stack(steps).sum(0)
            dy[part] += total.imag
            dx[part] += total.real
        return dy.reshape(y.shape), dx.reshape(y.shape)

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Signed distance to the nearest trace, pixels; infinite without one."""
        return distance(self.traces, y, x)


def surface_fields(
    sources: "Sources",
    *,
    step: float = 4.0,
    width: float = 0.0,
    margin: int = 32,
) -> list[SurfaceField]:
    """Motions by several slips of one mesh, for the cost of little more than one.

    Parameters
    ----------
    sources
        Dislocations, fine where they are near the surface.
    step
        Of the finest grid, pixels.
    width
        Of the damage zone, pixels.
    margin
        Pixels around the image in which the motion is still right; beyond, its smooth part stays
        what it is at the margin.
    """
    frame, slips = sources.frame, sources.slips
    coarse = step * 2 ** (LEVELS - 1)
    shape = [
        int(np.ceil((n + 2 * margin) / coarse)) + 1 + 2 * MARGIN
        for n in (frame.rows, frame.columns)
    ]
    origin = -margin - MARGIN * coarse
    tree = KDTree(sources.mesh.vertices.numpy(), balanced_tree=False, compact_nodes=False)
    values = np.zeros((len(slips), *shape), dtype=np.complex128)
    for level in range(LEVELS):
        spacing = coarse / 2**level
        if level:
            values = _finer(values)
        rows, columns = (origin + spacing * np.arange(n) for n in values.shape[1:])
        y, x = (plane.ravel() for plane in np.meshgrid(rows, columns, indexing="ij"))
        chosen = np.ones(len(y), dtype=bool)
        if level:
            far = tree.query(np.c_[frame.ground(y, x), np.zeros(len(y))])[0] / frame.spacing
            chosen = far < REACH * 2 * spacing
            for at, n in ((y, frame.rows), (x, frame.columns)):
                edge = margin + MARGIN * spacing
                chosen &= (at > -edge) & (at < n + edge)
        found = sources.residual(y[chosen], x[chosen], step / 2)
        values.reshape(len(slips), -1)[:, chosen] = found
    parts = [[torch.from_numpy(part.copy()) for part in (v.imag, v.real)] for v in values]
    return [
        SurfaceField(Gridded.through(dy, dx, step, (origin, origin)), own, width)
        for (dy, dx), own in zip(parts, sources.traces, strict=True)
    ]


class Sources(NamedTuple):
    """Dislocations below an image, and several slips."""

    mesh: Mesh
    """Metres."""
    slips: Tensor
    """``(K, T, 3)``: strike, dip, opening, metres."""
    frame: Frame
    traces: tuple[tuple[Trace, ...], ...]
    """Of each slip: where it reaches the surface, and by how much."""
    dtype: torch.dtype = torch.float32
    """Of the computation: single precision is good to 1e-4 of the slip, in two thirds of the time
    of double."""
    device: str = "cpu"

    def residual(self, y: Plane, x: Plane, reach: float) -> ComplexPlane:
        """Displacement less the steps, complex ``(K, N)``, pixels.

        Nearer to a trace than `reach`, where the ends of single triangles show, it is interpolated
        between the two sides.
        """
        at = x + 1j * y
        before, after, weight = at.copy(), at.copy(), np.zeros(len(at))
        for trace in self.traces[0]:
            offset = trace.offset(torch.from_numpy(y), torch.from_numpy(x)).numpy()
            near = (np.abs(offset) < reach) & (weight == 0)
            normal, off = 1j * trace.direction, offset[near]
            before[near] -= (reach + off) * normal
            after[near] += (reach - off) * normal
            weight[near] = (reach + off) / (2 * reach)
        near = np.flatnonzero(weight)
        found = self._smooth(np.concatenate([before, after[near]]))
        one, other = found[:, : len(at)], found[:, len(at) :]
        one[:, near] += weight[near] * (other - one[:, near])
        return one

    def _smooth(self, at: ComplexPlane) -> ComplexPlane:
        frame = self.frame
        y, x = at.imag.copy(), at.real.copy()
        # Single precision wants small numbers.
        centre = np.array([frame.east, frame.north, 0.0])
        points = torch.from_numpy(frame.ground(y, x) - centre[:2]).to(self.device, self.dtype)
        mesh = Mesh(self.mesh.vertices - torch.from_numpy(centre), self.mesh.triangles)
        moved = displacement(points, mesh, self.slips).double().cpu().numpy() / frame.spacing
        found = moved[..., 0] - 1j * moved[..., 1]
        for one, own in zip(found, self.traces, strict=True):
            for trace in own:
                one -= trace.step(torch.from_numpy(y), torch.from_numpy(x)).numpy()
        return found


def _finer(values: ComplexPlane) -> ComplexPlane:
    """Insert midpoints along the last two axes of ``(K, H, W)``."""
    for axis in (1, 2):
        n = values.shape[axis]
        pad = [(0, 0)] * 3
        pad[axis] = (2, 2)
        wide = np.moveaxis(np.pad(values, pad, mode="edge"), axis, -1)
        between = sum(w * wide[..., k : k + n - 1] for k, w in enumerate(MIDPOINT))
        known = np.moveaxis(values, axis, -1)
        woven = np.empty((*known.shape[:-1], 2 * n - 1), dtype=values.dtype)
        woven[..., ::2], woven[..., 1::2] = known, between
        values = np.moveaxis(woven, -1, axis)
    return values
