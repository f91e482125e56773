"""Displacement fields known at any coordinate: ``(y, x) -> (dy, dx)`` in pixels.

Every motion is a frozen dataclass, is evaluated in the precision of its arguments, and adds to
others: ``Sum((Waves(...), Fault(...)))``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.synth.chunks import chunks

Motion = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

FEW = 1 / 16
"""Share of the places of a chunk that is left to be solved together with those of the others."""


@dataclass(frozen=True)
class Constant:
    """The same displacement everywhere."""

    dy: float = 0.0
    dx: float = 0.0

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        return torch.full_like(y, self.dy), torch.full_like(x, self.dx)


@dataclass(frozen=True)
class Waves:
    """Smooth motion: one plane sine wave per component."""

    amplitude: tuple[float, float]
    """Of ``dy`` and ``dx``, pixels."""
    wavelength: tuple[float, float]
    """Of ``dy`` and ``dx``, pixels."""
    direction: tuple[float, float] = (0.4, 1.1)
    """Of each wave vector, radians from the x axis towards the y axis."""
    phase: tuple[float, float] = (0.0, 0.0)

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        dy, dx = (
            self.amplitude[i]
            * torch.sin(
                (x * math.cos(self.direction[i]) + y * math.sin(self.direction[i]))
                * (2 * math.pi / self.wavelength[i])
                + self.phase[i]
            )
            for i in (0, 1)
        )
        return dy, dx


@dataclass(frozen=True)
class Fault:
    """A vertical strike-slip fault that breaks the surface, with a rough trace.

    Displacement parallel to the trace's mean direction follows the screw dislocation that slipped
    from the surface to a depth, ``slip / pi * atan(depth / distance)`` (Savage & Burford 1973,
    after subtracting the deep part): a jump of ``slip`` at the trace that decays on both sides.
    """

    slip: float
    """Jump across the trace, pixels: the right-hand side moves by +slip/2 along the strike."""
    centre: tuple[float, float]
    """A point ``(y, x)`` on the mean trace, pixels."""
    strike: float = 0.3
    """Direction of the mean trace, radians from the y axis towards the x axis."""
    depth: float = 150.0
    """Depth of the slipped part, pixels."""
    roughness: tuple[tuple[float, float, float], ...] = ()
    """Sines ``(amplitude, wavelength, phase)`` that displace the trace, pixels and radians."""

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Signed distance from the trace across the mean strike, pixels."""
        along, across = self._local(y, x)
        for amplitude, wavelength, phase in self.roughness:
            across = across - amplitude * torch.sin(along * (2 * math.pi / wavelength) + phase)
        return across

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        d = self.distance(y, x)
        side = torch.where(d >= 0, 1.0, -1.0).to(d.dtype)
        slip = self.slip / math.pi * side * torch.atan2(torch.full_like(d, self.depth), d.abs())
        return slip * math.cos(self.strike), slip * math.sin(self.strike)

    def _local(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        y, x = y - self.centre[0], x - self.centre[1]
        c, s = math.cos(self.strike), math.sin(self.strike)
        return y * c + x * s, x * c - y * s


@dataclass(frozen=True)
class Sum:
    """Several motions at once."""

    motions: tuple[Motion, ...]

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        parts = [motion(y, x) for motion in self.motions]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)  # type: ignore[return-value]


@dataclass(frozen=True)
class Scaled:
    """A motion times a number."""

    motion: Motion
    factor: float

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        dy, dx = self.motion(y, x)
        return dy * self.factor, dx * self.factor

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Distance to the nearest jump, pixels."""
        return distance_of(self.motion, y, x)


@dataclass(frozen=True)
class Between:
    """From one date to another, at the places of the one, where each has moved since a third."""

    first: Motion
    second: Motion

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        py, px, _ = origin_of(self.first, y, x)
        dy, dx = self.second(py, px)
        return py + dy - y, px + dx - x

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Distance to the nearest jump of either, pixels."""
        py, px, _ = origin_of(self.first, y, x)
        return torch.minimum(distance_of(self.first, py, px), distance_of(self.second, py, px))


def origin_of(
    motion: Motion, y: Tensor, x: Tensor, iterations: int = 60, tolerance: float = 1e-9
) -> tuple[Tensor, Tensor, Tensor]:
    """Where what is now at ``(y, x)`` came from: solve ``p + motion(p) = q``.

    Returns
    -------
    tuple
        Rows and columns of ``p``, and whether the fixed point converged: it cannot where a jump
        opens a gap or makes two places overlap.

    Notes
    -----
    The common shortcut ``p = q - motion(q)`` is wrong by ``|motion| * |gradient|``, up to 0.4 px
    for a 5-px wave of 200 px length.
    """
    shape = y.shape
    y, x = y.reshape(-1), x.reshape(-1)
    py, px = y.clone(), x.clone()
    still = torch.ones_like(y, dtype=torch.bool)
    for part in chunks(len(y), y.device):
        places = y[part], x[part], py[part], px[part]
        still[part] = _iterate(motion, *places, iterations, tolerance, FEW)
    found = ~still
    if bool(still.any()):
        y, x, ay, ax = (at[still] for at in (y, x, py, px))
        _iterate(motion, y, x, ay, ax, iterations, tolerance)
        dy, dx = motion(ay, ax)
        miss = torch.maximum((ay + dy - y).abs(), (ax + dx - x).abs())
        py[still], px[still], found[still] = ay, ax, miss < max(1e-6, tolerance)
    return py.reshape(shape), px.reshape(shape), found.reshape(shape)


def _iterate(
    motion: Motion,
    y: Tensor,
    x: Tensor,
    py: Tensor,
    px: Tensor,
    iterations: int,
    tolerance: float,
    enough: float = 0.0,
) -> Tensor:
    """Improve the solutions `py`, `px` in place; tell which of them have not arrived yet.

    It ends when no more than a share `enough` is left.
    """
    still = torch.zeros_like(y, dtype=torch.bool)
    moving = ~still
    left = torch.arange(len(y), device=y.device)
    ay, ax = py, px
    for _ in range(iterations):
        dy, dx = motion(ay, ax)
        miss = torch.maximum((ay + dy - y).abs(), (ax + dx - x).abs())
        moving = ~(miss < tolerance)
        ay, ax = torch.where(moving, y - dy, ay), torch.where(moving, x - dx, ax)
        # Sorting out takes as long as a simple motion: only when it saves a tenth.
        if int(moving.sum()) < 0.9 * len(left):
            py[left], px[left] = ay, ax
            left, y, x, ay, ax, moving = (at[moving] for at in (left, y, x, ay, ax, moving))
        if len(left) <= enough * len(py):
            break
    py[left], px[left], still[left] = ay, ax, moving
    return still


def distance_of(motion: Motion, y: Tensor, x: Tensor) -> Tensor:
    """Unsigned distance to the nearest jump of a motion, pixels; infinite where it has none."""
    if isinstance(motion, Sum):
        parts = [distance_of(part, y, x) for part in motion.motions]
        return torch.stack(parts).amin(0)
    distance = getattr(motion, "distance", None)
    return torch.full_like(y, math.inf) if distance is None else distance(y, x).abs()


def visible(motion: Motion, y: Tensor, x: Tensor, distance: Tensor) -> Tensor:
    """Whether what was at ``(y, x)`` is still on top: a closing jump hides a strip of ground.

    `distance` is that to the nearest jump, pixels; only what could get there is looked at.
    """
    dy, dx = motion(y, x)
    near = distance <= 2 * torch.hypot(dy, dx).max() + 1
    seen = torch.ones_like(y, dtype=torch.bool)
    if bool(near.any()):
        ay, ax = y[near], x[near]
        py, px, found = origin_of(motion, ay + dy[near], ax + dx[near], tolerance=1e-6)
        seen[near] = found & (torch.hypot(py - ay, px - ax) < 1e-3)
    return seen
