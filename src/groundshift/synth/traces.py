"""Where faults meet the surface: the jump across a rough trace, at any coordinate."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import KDTree
from torch import Tensor

from groundshift.synth.power_law import ComplexPlane, Plane

STEP = 0.5
"""Of the tables along a trace, pixels."""
SCALES = 5
FADE = 1.5
"""The jump seen from afar is smoothed ever more: 2, 4, ... times an element."""


@dataclass(frozen=True, eq=False)
class Trace:
    """A trace, the graph of a function over its straight mean line, and the jump across it.

    Complex numbers stand for vectors: ``x + iy`` in pixels. The side to the left of the direction
    of travel, where ``y`` counts rows downward, is negative.
    """

    origin: complex
    direction: complex
    """Of the mean line, of modulus one."""
    across: Tensor
    """``(M,)``: distance of the trace from the mean line at each `STEP`, pixels."""
    jump: Tensor
    """``(M, SCALES)``: positive minus negative side at each `STEP`: the last column smoothest,
    the others what each finer scale adds to the next; their sum is the jump itself."""
    element: float
    """Shortest scale of the jump, pixels."""

    @classmethod
    def of(cls, vertices: ComplexPlane, jump: ComplexPlane, element: float) -> "Trace":
        """Make a trace of complex vertices ``(n + 1,)`` and the jump between them, ``(n,)``.

        The jump is interpolated between the middles of the elements, and vanishes at the ends.
        """
        chord = complex(vertices[-1] - vertices[0])
        local = (vertices - vertices[0]) * (abs(chord) / chord)
        middle = (local.real[1:] + local.real[:-1]) / 2
        s = np.arange(0, abs(chord) + STEP, STEP)
        known = np.concatenate([[0], middle, [abs(chord)]])
        pad = round(4 * element * 2 ** (SCALES - 1) / STEP)
        table = np.pad(np.interp(s, known, np.pad(jump, 1)), pad)
        across = np.pad(np.interp(s, local.real, local.imag), pad, mode="edge")
        smooth = [
            table,
            *(
                gaussian_filter1d(table, element * 2**scale / STEP, mode="constant")
                for scale in range(1, SCALES)
            ),
        ]
        details = [a - b for a, b in pairwise(smooth)]
        return cls(
            complex(vertices[0] - pad * STEP * chord / abs(chord)),
            complex(chord / abs(chord)),
            torch.from_numpy(across),
            torch.from_numpy(np.stack([*details, smooth[-1]], axis=-1)),
            element,
        )

    def offset(self, y: Tensor, x: Tensor) -> Tensor:
        """Signed distance from the trace across its mean line, pixels."""
        index, part, across = self._locate(y, x)
        table = self.across.to(y)
        return across - torch.lerp(table[index], table[index + 1], part)

    def step(self, y: Tensor, x: Tensor, width: float = 0.0) -> Tensor:
        """Half the jump with the sign of the side, complex ``dx + i dy``.

        Off the trace its details fade at a few times their length, so that what remains of a
        dislocation's displacement is smooth at the scale of the distance.

        Parameters
        ----------
        y, x
            Coordinates, pixels.
        width
            Of the zone in which the sides go over into each other (a raised sine), pixels.
        """
        index, part, across = self._locate(y, x)
        table, jump = self.across.to(y), self.jump.to(y.device)
        jump = jump.to(torch.complex128 if y.dtype == torch.float64 else torch.complex64)
        d = across - torch.lerp(table[index], table[index + 1], part)
        near = ((d / (FADE * self.element)) ** 2).unsqueeze(-1)
        scales = 16.0 ** torch.arange(SCALES, dtype=y.dtype, device=y.device)
        fade = torch.cat([1 / (1 + near**2 / scales[:-1]), torch.ones_like(near)], dim=-1)
        # A row of the table is read at once; along it, interpolation is linear.
        before, after = ((row * fade).sum(-1) for row in (jump[index], jump[index + 1]))
        return (before + (after - before) * part) * _side(d, width) / 2

    def points(self) -> Plane:
        """Where the trace jumps, rows and columns at each `STEP`, ``(n, 2)``."""
        size = self.jump.sum(-1).abs().numpy()
        broken = size > 1e-9 * size.max()
        s = STEP * np.arange(len(self.across))
        at = self.origin + self.direction * (s + 1j * self.across.numpy())
        return np.stack([at.imag, at.real], axis=-1)[broken]

    def _locate(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Index before the foot on the mean line, part of a step after it, distance across."""
        x, y = x - self.origin.real, y - self.origin.imag
        c, s = self.direction.real, self.direction.imag
        position = ((x * c + y * s) / STEP).clamp(0, len(self.across) - 1)
        index = position.floor().clamp(max=len(self.across) - 2)
        return index.long(), position - index, y * c - x * s


def _side(d: Tensor, width: float) -> Tensor:
    if width <= 0:
        return torch.where(d >= 0, 1.0, -1.0).to(d)
    return torch.sin((d / width).clamp(-0.5, 0.5) * math.pi)


def distance(traces: tuple[Trace, ...], y: Tensor, x: Tensor) -> Tensor:
    """Signed distance to the nearest trace, pixels; the sign is that of its side.

    Without a trace it is infinite.
    """
    lines = [trace.points() for trace in traces]
    if not any(len(line) > 1 for line in lines):
        return torch.full_like(y, math.inf)
    where = np.stack([n.detach().cpu().numpy().ravel() for n in (y, x)], -1)
    far, number = _to_polylines(where, lines)
    sides = torch.stack([trace.offset(y, x) >= 0 for trace in traces])
    side = sides.gather(0, torch.from_numpy(number).to(y.device).reshape(1, *y.shape))[0]
    far = torch.from_numpy(far).to(y).reshape(y.shape)
    return torch.where(side, far, -far)


def _to_polylines(where: Plane, lines: list[Plane]) -> tuple[Plane, np.ndarray]:
    """Distance from ``(N, 2)`` to the nearest of lines through ``(n, 2)``, and which it is.

    Lines turn slowly: the nearest of their points is next to the nearest place on them.
    """
    points = np.concatenate(lines)
    line = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    # A curve is no cloud: a balanced tree takes five times as long.
    nearest = KDTree(points, balanced_tree=False, compact_nodes=False).query(where)[1]
    found = np.hypot(*(where - points[nearest]).T)
    last = len(points) - 1
    for begin in (np.maximum(nearest - 1, 0), nearest):
        end = np.minimum(begin + 1, last)
        end = np.where(line[begin] == line[end], end, begin)
        origin, along = points[begin], points[end] - points[begin]
        square = (along**2).sum(-1)
        foot = ((where - origin) * along).sum(-1) / np.where(square > 0, square, 1)
        miss = where - origin - np.clip(foot, 0, 1)[:, None] * along
        found = np.minimum(found, np.hypot(*miss.T))
    return found, line[nearest]
