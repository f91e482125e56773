r"""Displacement of the ground by triangular dislocations in an elastic half-space.

The half-space is homogeneous, isotropic and free of traction at its surface, where the displacement
is wanted. By reciprocity it is the work of the slip ``b`` against the stress of a unit force on the
surface (Boussinesq 1885, Cerruti 1882; Love 1927). With ``r`` from the surface point to a point of
the triangle, ``z`` its depth, ``n`` the normal and ``chi = z ln(r + z) - r`` this is

    u_i = 1/2pi \int -3 r_i (b.r) (n.r) / r^5 dA
        + (1 - 2 nu)/2pi \oint (b_x d_y - b_y d_x) d_i chi dz,

since the part of the stress that depends on Poisson's ratio ``nu`` is a curl. The first integral is
the solid angle of the triangle (van Oosterom & Strackee 1983) and terms along its edges; in the
second, ``w = (x + iy) / (r + z)`` turns each straight edge into ``dl / r = 2 dw / Q(w)`` with a
quadratic ``Q``, hence into logarithms. Nothing is singular but the triangle's own edges where they
reach the surface: there are no artefacts above, below or beside a triangle. Equals Nikkhoo &
Walter (2015) and Okada (1985) at the surface.

Coordinates are east, north, up in metres, or any one unit. The vertices of a triangle turn
anticlockwise seen from the side to which its normal points; slip is the motion of that side with
respect to the other, in components along strike (horizontal, ``up x normal``), up the dip
(``normal x strike``) and along the normal. With normals that point upward these are left-lateral,
reverse and opening.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.synth.edge_integrals import Edges, along_edges

CHUNK = 1 << 16
"""Points times triangles handled at once, to stay in the caches."""


class Mesh(NamedTuple):
    """Triangles that share vertices."""

    vertices: Tensor
    """``(V, 3)``: east, north, up; up is zero or negative."""
    triangles: Tensor
    """``(T, 3)``: indices of vertices."""

    def to(self, like: Tensor) -> "Mesh":
        """Return the mesh with the precision and on the device of another tensor."""
        return Mesh(self.vertices.to(like), self.triangles.to(like.device))


def areas(mesh: Mesh) -> Tensor:
    """Areas of the triangles, shape ``(T,)``."""
    a, b, c = mesh.vertices[mesh.triangles].unbind(1)
    return torch.linalg.cross(b - a, c - a).norm(dim=-1) / 2


def frames(mesh: Mesh) -> Tensor:
    """Give unit vectors of strike, dip and normal as columns, shape ``(T, 3, 3)``.

    The strike of a horizontal triangle is north.
    """
    a, b, c = mesh.vertices[mesh.triangles].unbind(1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    strike = torch.stack([-normal[:, 1], normal[:, 0], torch.zeros_like(normal[:, 0])], -1)
    north = torch.tensor([0.0, 1.0, 0.0]).to(normal) * normal[:, 2:].sign()
    flat = strike.norm(dim=-1, keepdim=True) < 1e-12
    strike = torch.nn.functional.normalize(torch.where(flat, north, strike), dim=-1)
    return torch.stack([strike, torch.linalg.cross(normal, strike), normal], dim=-1)


def displacement(points: Tensor, mesh: Mesh, slip: Tensor, nu: float = 0.25) -> Tensor:
    """Displacement of surface points by all triangles together.

    Parameters
    ----------
    points
        ``(N, 2)``: east and north. Their precision and device are those of the computation.
    mesh
        Triangles at or below the surface.
    slip
        ``(T, 3)`` strike, dip and opening; or ``(K, T, 3)`` for several slips of one mesh, which
        cost little more than one.
    nu
        Poisson's ratio.

    Returns
    -------
    Tensor
        ``(N, 3)`` or ``(K, N, 3)``: east, north, up in the unit of the slip. At an edge that lies
        in the surface it is finite, and between the limits from the two sides.
    """
    mesh = mesh.to(points)
    many = slip.to(points).reshape(-1, len(mesh.triangles), 3)
    burgers = frames(mesh) @ many.permute(1, 2, 0)
    geometry = _Geometry.of(mesh)
    surface, line = _coefficients(geometry, burgers, nu)
    # Neighbours share an edge: their coefficients add.
    shared = line.new_zeros(len(geometry.edge.ends), *line.shape[2:])
    shared.index_add_(0, geometry.edge_of.flatten(), line.flatten(0, 1))
    shared = shared[geometry.edge.sloping]
    left = torch.cat([surface.flatten(0, 1), shared.flatten(0, 1)]).flatten(1)
    parts = [
        left.T @ torch.cat([on_surface.flatten(0, 1), on_edges.flatten(0, 1)])
        for on_surface, on_edges in _integrals(points, geometry)
    ]
    total = torch.cat(parts, dim=1).reshape(3, len(many), len(points)).permute(1, 2, 0)
    return total if slip.ndim == 3 else total[0]


def green(points: Tensor, mesh: Mesh, nu: float = 0.25) -> Tensor:
    """Displacement of surface points by unit slip of each triangle.

    Returns
    -------
    Tensor
        ``(N, 3, T, 3)``: east, north, up by strike, dip, opening; arguments as for
        :func:`displacement`.
    """
    mesh = mesh.to(points)
    geometry = _Geometry.of(mesh)
    surface, line = _coefficients(geometry, frames(mesh), nu)
    both = torch.cat([surface, line.flatten(1, 2)], dim=1).flatten(2)
    parts = []
    for on_surface, on_edges in _integrals(points, geometry):
        every = on_edges.new_zeros(len(geometry.edge.ends), *on_edges.shape[1:])
        every[geometry.edge.sloping] = on_edges
        basis = torch.cat([on_surface, every[geometry.edge_of].flatten(1, 2)], dim=1)
        parts.append(basis.mT @ both)
    count = len(mesh.triangles)
    return torch.cat(parts, dim=1).reshape(count, len(points), 3, 3).permute(1, 2, 0, 3)


class _Geometry(NamedTuple):
    """What depends on the mesh only; x is east, y north, z depth (a left-handed system)."""

    vertices: Tensor
    triangles: Tensor
    normal: Tensor
    """``(T, 3)``: the cross product of two edges, which the mirrored axis turns around."""
    edge: Edges
    edge_of: Tensor
    """``(T, 3)``: edge from each vertex to the next."""
    forward: Tensor
    """``(T, 3)``: 1 where the triangle follows the edge, -1 where it goes against."""
    outward: Tensor
    """``(T, 3 edges, 3)``: unit normals of the edges within the plane."""

    @classmethod
    def of(cls, mesh: Mesh) -> "_Geometry":
        v = mesh.vertices * torch.tensor([1.0, 1.0, -1.0]).to(mesh.vertices)
        first, second = mesh.triangles, mesh.triangles.roll(-1, 1)
        down = v[second, 2] - v[first, 2]
        forward = torch.where((down > 0) | ((down == 0) & (second > first)), 1, -1)
        pair = torch.stack([first, second], -1)
        pair = torch.where(forward[..., None] > 0, pair, pair.flip(-1))
        ends, edge_of = torch.unique(pair.reshape(-1, 2), dim=0, return_inverse=True)
        along = v[ends[:, 1]] - v[ends[:, 0]]
        length = along.norm(dim=-1)
        edge = Edges(ends, length, along / length[:, None], along[:, 2].nonzero().flatten())
        edge_of = edge_of.reshape(-1, 3)
        a, b, c = v[mesh.triangles].unbind(1)
        normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
        forward = forward.to(v)
        course = edge.direction[edge_of] * forward[..., None]
        outward = torch.linalg.cross(course, normal[:, None].expand_as(course))
        return cls(v, mesh.triangles, normal, edge, edge_of, forward, outward)


def _coefficients(geometry: _Geometry, burgers: Tensor, nu: float) -> tuple[Tensor, Tensor]:
    """Displacement per unit of each integral, for slip vectors ``burgers`` of ``(T, 3, K)``.

    Returns
    -------
    tuple
        ``(T, 10, 3, K)`` for the integrals over triangles and ``(T, 3 edges, 5, 3, K)`` for those
        along edges.
    """
    mirror = torch.tensor([1.0, 1.0, -1.0]).to(burgers)
    # The normal was turned around by the mirrored axis: so is the slip.
    b = -burgers * mirror[:, None]
    n, out = geometry.normal[:, None, :], geometry.outward
    t = geometry.edge.direction[geometry.edge_of]
    dots = [torch.einsum("tei,tik->tek", vector.expand_as(out), b) for vector in (n, out, t)]
    bn, bo, bt = (dot[:, :, None, :] for dot in dots)
    n, out, t = n[..., None], out[..., None], t[..., None]
    per_edge = (out * bn + n * bo, out * bo - n * bn, -(out * bt + t * bo) / 2)
    surface = torch.cat([-b[:, None], *per_edge], dim=1) / (2 * math.pi)

    down = geometry.edge.direction[geometry.edge_of, 2] * geometry.forward
    weight = ((1 - 2 * nu) / (2 * math.pi) * down)[..., None]
    bx, by = b[:, None, 0, :], b[:, None, 1, :]
    zero = torch.zeros_like(bx)
    rows = (  # of C, F1 (real, imaginary) and F2: contributions to x, y and depth
        (by / 2, -bx / 2, zero),
        (zero, zero, -by),
        (zero, zero, bx),
        (-by / 2, -bx / 2, zero),
        (bx / 2, -by / 2, zero),
    )
    line = torch.stack([torch.stack(row, dim=-2) for row in rows], dim=2)
    line = line * weight[..., None, None]
    return surface * mirror[:, None], line * mirror[:, None]


def _integrals(points: Tensor, geometry: _Geometry) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield integrals over triangles ``(T, 10, n)`` and along sloping edges, by chunks."""
    v, edge, of = geometry.vertices, geometry.edge, geometry.edge_of.unbind(1)
    length = edge.length[:, None]
    epsilon = torch.finfo(points.dtype).eps
    floor = epsilon * float(v.abs().max())
    origin = v[geometry.triangles[:, 0]]
    double_area = 2 * areas(Mesh(v, geometry.triangles))[:, None]
    ahead = v[geometry.triangles]
    for part in points.split(max(1, CHUNK // len(geometry.triangles))):
        x, y, z = v[:, 0, None] - part[:, 0], v[:, 1, None] - part[:, 1], v[:, 2, None]
        r = (x * x + y * y + z * z).sqrt().clamp(min=floor)
        near, far = r[edge.ends[:, 0]], r[edge.ends[:, 1]]
        around = near + far
        # r1 r2 + r1.r2, which vanishes on the edge only; its rounding error bounds it from below.
        opening = (around - length) * (around + length) / 2
        opening = torch.maximum(opening, 8 * epsilon * length**2)
        cubed = length * around / (near * far * opening)  # the integral of dl / r^3
        inverse = 1 / far - 1 / near

        height = _component(geometry.normal, origin, part)
        r1, r2, r3 = (r[geometry.triangles[:, k]] for k in range(3))
        o1, o2, o3 = (opening[of[k]] for k in range(3))
        cosine = r3 * o1 + r1 * o2 + r2 * o3 - 2 * r1 * r2 * r3
        angle = 2 * torch.atan2(height * double_area, cosine)
        over = [height * cubed[of[k]] for k in range(3)]
        offset = [_component(geometry.outward[:, k], ahead[:, k], part) for k in range(3)]
        surface = [angle, *(height * a for a in over)]
        surface += [d * a for d, a in zip(offset, over, strict=True)]
        surface += [height * inverse[of[k]] for k in range(3)]
        line = along_edges(edge, x / (r + z), y / (r + z), around)
        yield torch.stack(surface, dim=1), line


def _component(direction: Tensor, origin: Tensor, points: Tensor) -> Tensor:
    """Component ``(T, n)`` along ``(T, 3)`` of the vectors from surface points to an origin."""
    return (direction * origin).sum(-1, keepdim=True) - direction[:, :2] @ points.T
