"""Integrals along the edges of dislocations, for :mod:`groundshift.synth.dislocations`.

Seen from a surface point, the direction to a point of the half-space is the complex number
``w = (x + iy) / (r + z)`` (stereographic projection), with ``|w| <= 1``. Along a straight line of
direction ``t``, ``r dw/dl`` is a quadratic in ``w`` whose roots are the directions ``t`` and
``-t``: integrals of powers of ``w`` times ``dl / r`` are those of rational functions of ``w``.
"""

from typing import NamedTuple

import torch
from torch import Tensor

STEEP = 0.03
"""Edges closer to the vertical than this (half the tangent) need a series for their logarithm."""
TERMS = 9


class Edges(NamedTuple):
    """Edges of all triangles, each once, downward; x is east, y north, z depth."""

    ends: Tensor
    """``(E, 2)`` vertices."""
    length: Tensor
    direction: Tensor
    """``(E, 3)`` unit vectors."""
    sloping: Tensor
    """Indices of the edges that are not horizontal: the others have no line integral."""


def along_edges(edge: Edges, wx: Tensor, wy: Tensor, around: Tensor) -> Tensor:
    """Integrate 1, ``w`` and ``w^2`` times ``dl / r`` along the sloping edges, ``(S, 5, n)``.

    With ``tau`` the horizontal part of the direction as a complex number, ``c = 1 + t_z`` and
    ``k = conj(tau) / c``, they are ``C = ln((r1 + r2 + L) / (r1 + r2 - L))``,
    ``conj(k) C - 2/c [f1]`` and ``conj(k)^2 C + (4 t_z [f2] - 2 tau [w]) / c^2`` where the brackets
    are differences between the ends, ``f1 = ln(1 + k w) / k`` and ``f2 = (f1 - w) / k``. Edges
    point downward, so that ``|k| <= 1`` and the logarithm is regular.
    """
    first, second = edge.ends[edge.sloping].unbind(1)
    length, around = edge.length[edge.sloping, None], around[edge.sloping]
    gap = torch.maximum(around - length, torch.finfo(around.dtype).eps * length)
    C = ((around + length) / gap).log()
    tx, ty, tz = (edge.direction[edge.sloping, i, None] for i in range(3))
    c = 1 + tz
    kx, ky = tx / c, -ty / c
    wx1, wx2, wy1, wy2 = wx[first], wx[second], wy[first], wy[second]
    dwx, dwy = wx2 - wx1, wy2 - wy1
    f1x, f1y, f2x, f2y = _logarithms(kx, ky, (wx1, wy1), (wx2, wy2))
    qx, qy = kx * kx - ky * ky, -2 * kx * ky  # conj(k)^2
    return torch.stack(
        [
            C,
            kx * C - 2 / c * f1x,
            -ky * C - 2 / c * f1y,
            qx * C + (4 * tz * f2x - 2 * (tx * dwx - ty * dwy)) / c**2,
            qy * C + (4 * tz * f2y - 2 * (tx * dwy + ty * dwx)) / c**2,
        ],
        dim=1,
    )


def _logarithms(
    kx: Tensor, ky: Tensor, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give differences of ``f1`` and ``f2`` of `along_edges`, real and imaginary parts."""
    (wx1, wy1), (wx2, wy2) = first, second
    ax, ay = 1 + kx * wx1 - ky * wy1, kx * wy1 + ky * wx1
    bx, by = 1 + kx * wx2 - ky * wy2, kx * wy2 + ky * wx2
    tiny = torch.finfo(kx.dtype).tiny
    real = ((bx * bx + by * by).clamp(min=tiny) / (ax * ax + ay * ay).clamp(min=tiny)).log() / 2
    imaginary = torch.atan2(by * ax - bx * ay, bx * ax + by * ay)
    size = (kx * kx + ky * ky).clamp(min=tiny)
    ix, iy = kx / size, -ky / size  # 1 / k
    f1x, f1y = real * ix - imaginary * iy, real * iy + imaginary * ix
    gx, gy = f1x - (wx2 - wx1), f1y - (wy2 - wy1)
    found = [f1x, f1y, gx * ix - gy * iy, gx * iy + gy * ix]
    steep = (size < STEEP**2).flatten().nonzero().flatten()
    if len(steep):
        k = torch.complex(kx[steep], ky[steep])
        ends = [torch.complex(a[steep], b[steep]) for a, b in (first, second)]
        f2 = _series(k, ends[1]) - _series(k, ends[0])
        f1 = ends[1] - ends[0] + k * f2
        for plane, value in zip(found, (f1.real, f1.imag, f2.real, f2.imag), strict=True):
            plane[steep] = value
    return found[0], found[1], found[2], found[3]


def _series(k: Tensor, w: Tensor) -> Tensor:
    """``(ln(1 + k w) - k w) / k^2`` for small ``k``."""
    kw = k * w
    total = torch.zeros_like(kw)
    for n in range(TERMS + 1, 1, -1):
        total = total * kw + (-1) ** (n + 1) / n
    return total * w * w
