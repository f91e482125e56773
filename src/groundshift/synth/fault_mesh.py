"""Ruptures as triangles, fine near the surface and where an image looks, and their slip."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.dislocations import Mesh, areas, frames
from groundshift.synth.faults import SHEAR_MODULUS, STEPS, Rupture, Segment, seismic_moment
from groundshift.synth.power_law import Plane, interpolate, power_law_field

COARSENINGS = 5
"""How often the number of cells along strike is halved with depth."""

RESOLUTION = 2
"""Distance of the nodes of slip, in triangles: steps between triangles are artefacts of the mesh,
and must be smaller than what varies."""
FINEST = 2**20
"""Nodes of slip at most. With that many the waves that are left out are about a five hundredth of
the variation; a small image on a long fault would ask for a hundred times as many."""


class Focus(NamedTuple):
    """The place that needs detail: a disc on the ground, metres."""

    east: float
    north: float
    radius: float
    element: float
    """Length of the triangles' edges at the surface within the disc."""

    def spacing(self, point: Plane) -> Plane:
        """Wanted edge length at points ``(n, 3)``: in proportion to the distance, and to depth."""
        beyond = np.hypot(point[:, 0] - self.east, point[:, 1] - self.north) - self.radius
        return np.maximum(self.element, np.maximum(beyond / 5, -point[:, 2] / 2))


class FaultMesh(NamedTuple):
    """Triangles of a rupture, in the order of its segments."""

    mesh: Mesh
    segment: Tensor
    """``(T,)``: index of the segment."""
    along: Tensor
    """``(T,)``: distance of the centre from the segment's beginning, metres."""
    depth: Tensor
    """``(T,)``: of the centre, metres."""
    upper: tuple[Tensor, ...]
    """Of each segment: the vertices along its upper edge, ``(n + 1,)``."""
    upper_triangles: tuple[Tensor, ...]
    """Of each segment: the triangles below them, ``(n,)``."""


def fault_mesh(rupture: Rupture, focus: Focus) -> FaultMesh:
    """Cover a rupture with triangles whose normals point to the hanging wall, without gaps.

    Rows of cells are ever thicker with depth; below two cells lies one twice as long, until
    `COARSENINGS` are reached.
    """
    meshes = [_segment_mesh(segment, focus) for segment in rupture.segments]
    vertices = np.cumsum([0, *(len(m.points) for m in meshes)])
    triangles = np.cumsum([0, *(len(m.triangles) for m in meshes)])
    mesh = Mesh(
        torch.from_numpy(np.concatenate([m.points for m in meshes])),
        torch.from_numpy(
            np.concatenate([m.triangles + v for m, v in zip(meshes, vertices, strict=False)])
        ),
    )
    number = np.repeat(np.arange(len(meshes)), [len(m.triangles) for m in meshes])
    centre = np.concatenate([m.place[m.triangles].mean(1) for m in meshes])
    return FaultMesh(
        mesh,
        torch.from_numpy(number),
        torch.from_numpy(centre[:, 0].copy()),
        torch.from_numpy(centre[:, 1].copy()),
        tuple(torch.arange(m.upper + 1) + int(v) for m, v in zip(meshes, vertices, strict=False)),
        tuple(torch.from_numpy(m.below) + int(t) for m, t in zip(meshes, triangles, strict=False)),
    )


class _Part(NamedTuple):
    points: Plane
    triangles: np.ndarray
    place: Plane
    """``(V, 2)``: distance along strike and depth of the vertices."""
    upper: int
    below: np.ndarray


def _segment_mesh(segment: Segment, focus: Focus) -> _Part:
    s, element = _upper_nodes(segment, focus)
    depths = _levels(segment.top, segment.bottom, element)
    rows, numbers, faces, first = [], [], [], 0
    for level, depth in enumerate(depths):
        nodes = s[:: 2 ** min(level, COARSENINGS)]
        rows.append(np.stack([nodes, np.full_like(nodes, depth)], -1))
        numbers.append(np.arange(first, first + len(nodes)))
        first += len(nodes)
    for upper, lower in pairwise(numbers):
        left, right = lower[:-1], lower[1:]
        if len(upper) == len(lower):
            faces += [(upper[:-1], left, right), (upper[:-1], right, upper[1:])]
        else:
            a, middle, b = upper[:-1:2], upper[1::2], upper[2::2]
            faces += [(a, left, middle), (middle, left, right), (middle, right, b)]
    triangles = np.concatenate([np.stack(face, -1) for face in faces])
    place = np.concatenate(rows)
    half = (len(s) - 1) // 2
    below = np.stack([np.arange(half), 2 * half + np.arange(half)], -1).ravel()
    return _Part(segment.point(*place.T), triangles, place, len(s) - 1, below)


def _upper_nodes(segment: Segment, focus: Focus) -> tuple[Plane, float]:
    """Distances along the upper edge, as dense as the focus wants, and the shortest step."""
    fine = np.linspace(0, segment.length, 4 * STEPS + 1)
    wanted = focus.spacing(segment.point(fine, np.full_like(fine, segment.top)))
    steps = np.cumsum(1 / wanted) * (fine[1] - fine[0])
    steps -= steps[0]
    block = 2**COARSENINGS
    count = block * math.ceil(steps[-1] / block)
    nodes = np.interp(np.linspace(0, steps[-1], count + 1), steps, fine)
    return nodes, float(np.diff(nodes).min())


def _levels(top: float, bottom: float, element: float) -> Plane:
    """Depths of the rows: each twice as thick as the last, up to an eighth of the whole."""
    whole = bottom - top
    thick = [min(element, whole / 8)]
    while sum(thick) < whole:
        thick.append(min(2 * thick[-1], whole / 8))
    return top + whole * np.append(0, np.cumsum(thick) / np.sum(thick))


def draw_slip(
    rupture: Rupture,
    fault: FaultMesh,
    rng: np.random.Generator,
    variation: float = 0.6,
    ends: float = 0.2,
) -> Tensor:
    """Draw slip of the triangles with the moment of the magnitude.

    Parameters
    ----------
    rupture, fault
        Geometry and its mesh.
    rng
        Source of randomness.
    variation
        Standard deviation of the ``k^-2`` field relative to the mean, before tapers.
    ends
        Part of a segment's length, and of its width, over which slip tapers to zero (a raised
        cosine). It does not taper towards an upper edge at the surface.

    Returns
    -------
    Tensor
        ``(T, 3)``: strike, dip and opening of each triangle; zero or more along the rake.
    """
    parts = rupture.segments
    length = max(p.along + p.length for p in parts)
    width = max(p.bottom for p in parts)
    shortest = float(torch.cat([_steps(fault, n) for n in range(len(parts))]).min())
    spacing = max(RESOLUTION * shortest, math.sqrt(length * width / FINEST))
    nodes = (2 + int(length / spacing), 2 + int(width / spacing))
    correlation = (0.15 * length, 0.15 * min(width, length))
    field = 1 + variation * power_law_field(nodes, spacing, 2.0, correlation, rng)
    s, depth, own = (n.numpy() for n in (fault.along, fault.depth, fault.segment))
    begin, share, extent, top, bottom = (
        np.array([getattr(p, name) for p in parts])[own]
        for name in ("along", "share", "length", "top", "bottom")
    )
    amount = np.clip(interpolate(field, spacing, begin + s, depth, order=3), 0, None) * share
    amount *= _taper(s / extent, ends) * _taper(1 - s / extent, ends)
    amount *= _taper((bottom - depth) / (bottom - top), ends)
    amount *= np.where(top > 0, _taper((depth - top) / (bottom - top), ends), 1)
    size = areas(fault.mesh)
    direction = torch.from_numpy(np.stack([p.direction for p in parts]))[fault.segment]
    slip = torch.from_numpy(amount)[:, None] * direction
    moment = SHEAR_MODULUS * float((size * slip.norm(dim=-1)).sum())
    slip = slip * (seismic_moment(rupture.magnitude) / moment)
    return torch.einsum("tij,ti->tj", frames(fault.mesh), slip)


def _steps(fault: FaultMesh, number: int) -> Tensor:
    """Lengths along a segment's upper edge, metres."""
    return fault.mesh.vertices[fault.upper[number]].diff(dim=0).norm(dim=-1)


def _taper(distance: Plane, reach: float) -> Plane:
    return (1 - np.cos(np.pi * np.clip(distance / reach, 0, 1))) / 2
