"""Glaciers, landslides and subsidence: flow along a direction, with margins smooth or sharp."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def _local(
    y: Tensor, x: Tensor, centre: tuple[float, float], direction: float
) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a direction (radians from the x axis towards the y axis)."""
    c, s = math.cos(direction), math.sin(direction)
    along = (x - centre[1]) * c + (y - centre[0]) * s
    across = (y - centre[0]) * c - (x - centre[1]) * s
    return along, across


@dataclass(frozen=True)
class Glacier:
    """A stream of ice: plug flow that falls to zero at its margins.

    Across the stream the speed follows ``1 - |r|**power``: the laminar flow of ice with Glen's
    exponent 3 through a parabolic channel has a power of 4 (Nye 1965), sliding ice a higher one.
    Along the stream it swells and ebbs; the bed winds.
    """

    speed: float
    """Largest displacement, pixels."""
    centre: tuple[float, float]
    """A point ``(y, x)`` on the centre line, pixels."""
    direction: float
    """Of the flow, radians from the x axis towards the y axis."""
    half_width: float
    """Pixels."""
    power: float = 4.0
    bend: tuple[float, float, float] = (0.0, 1000.0, 0.0)
    """Amplitude and wavelength of the centre line's winding, pixels, and its phase."""
    swell: tuple[float, float, float] = (0.0, 1000.0, 0.0)
    """Relative amplitude, wavelength in pixels, and phase of the speed along the stream."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        along, across = _local(y, x, self.centre, self.direction)
        amplitude, wavelength, phase = self.bend
        k = 2 * math.pi / wavelength
        across = across - amplitude * torch.sin(k * along + phase)
        tilt = torch.atan(amplitude * k * torch.cos(k * along + phase))
        plug = (1 - (across / self.half_width).abs() ** self.power).clamp(min=0)
        swell, wavelength, phase = self.swell
        speed = self.speed * plug
        speed = speed * (1 + swell * torch.sin(along * (2 * math.pi / wavelength) + phase))
        return speed * torch.sin(self.direction + tilt), speed * torch.cos(self.direction + tilt)


@dataclass(frozen=True)
class Landslide:
    """A mass with an irregular outline that moves downhill as a whole, faster in the middle.

    The margin is a scarp: the displacement ends within `margin` pixels, at once if that is zero.
    """

    speed: float
    """Displacement in the middle, pixels."""
    centre: tuple[float, float]
    direction: float
    """Of the slide, radians from the x axis towards the y axis."""
    half_axes: tuple[float, float]
    """Along and across the slide, pixels."""
    outline: tuple[tuple[int, float, float], ...] = ()
    """Lobes ``(number, relative amplitude, phase)`` of the outline around the centre."""
    shear: float = 0.5
    """Share of the speed that is lost from the middle to the margin."""
    margin: float = 0.0
    """Pixels."""

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Roughly the distance to the outline, pixels, positive outside: exact on the outline."""
        along, across = _local(y, x, self.centre, self.direction)
        angle, radius = self._polar(along, across)
        a, b = self.half_axes
        return (radius - self._edge(angle)) * torch.hypot(
            a * torch.cos(angle), b * torch.sin(angle)
        )

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        along, across = _local(y, x, self.centre, self.direction)
        angle, radius = self._polar(along, across)
        inner = (radius / self._edge(angle)).clamp(max=1)
        speed = self.speed * (1 - self.shear * inner**2)
        d = self.distance(y, x)
        if self.margin > 0:
            speed = speed * _ramp(0.5 - d / self.margin)
        else:
            speed = torch.where(d < 0, speed, 0.0)
        return speed * math.sin(self.direction), speed * math.cos(self.direction)

    def _polar(self, along: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
        a, b = along / self.half_axes[0], across / self.half_axes[1]
        return torch.atan2(b, a), torch.hypot(a, b)

    def _edge(self, angle: Tensor) -> Tensor:
        edge = torch.ones_like(angle)
        for number, amplitude, phase in self.outline:
            edge = edge + amplitude * torch.sin(number * angle + phase)
        return edge


@dataclass(frozen=True)
class Bowl:
    """Subsidence over a mine or a reservoir: the ground moves towards the deepest place.

    Horizontal displacement is proportional to the tilt of the bowl, here a Gaussian (the
    influence-function method of mining subsidence, Knothe 1957).
    """

    amplitude: float
    """Largest horizontal displacement along the longer axis, pixels; negative for uplift."""
    centre: tuple[float, float]
    half_axes: tuple[float, float]
    """Standard deviations of the bowl along and across `direction`, pixels."""
    direction: float = 0.0

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        along, across = _local(y, x, self.centre, self.direction)
        a, b = along / self.half_axes[0], across / self.half_axes[1]
        # The tilt is steepest, exp(-1/2), one standard deviation from the middle.
        depth = self.amplitude * torch.exp(0.5 - 0.5 * (a * a + b * b))
        u, v = -depth * a, -depth * b * (self.half_axes[0] / self.half_axes[1])
        c, s = math.cos(self.direction), math.sin(self.direction)
        return u * s + v * c, u * c - v * s


@dataclass(frozen=True)
class Linear:
    """Ramp, rotation, shear or stretch about a point."""

    gradient: tuple[tuple[float, float], tuple[float, float]]
    """Change of ``dy`` and of ``dx`` per pixel along y and along x."""
    centre: tuple[float, float]

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        y, x = y - self.centre[0], x - self.centre[1]
        (yy, yx), (xy, xx) = self.gradient
        return yy * y + yx * x, xy * y + xx * x


def _ramp(t: Tensor) -> Tensor:
    """Smooth step from 0 at t = 0 to 1 at t = 1."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)
