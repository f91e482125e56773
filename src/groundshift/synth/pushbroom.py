"""What a line scanner adds to the motion of the ground: attitude, detector arrays, parallax.

None of it moved the ground, and all of it moves the image: a matcher measures the sum, and is
compared with the sum. Each is a motion, so that truth stays exact: relief is seen aside by
`Parallax`, which adds to the motion of the ground at its place; what the scanner does follows from
where the ground would have been in an ideal image, and is put after it by `Apparent`.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.gridded import EDGE
from groundshift.synth.motions import Motion, distance_of

STEEPEST = 0.15
"""Gradient that jitter and parallax may have: far from where the image folds over itself."""


@dataclass(frozen=True)
class Pushbroom:
    """Jitter of the attitude, and arrays of detectors that are not quite aligned.

    Attitude errors of SPOT exceed 0.2 px at long wavelengths (Van Puymbroeck et al. 2000), and so
    do the steps between arrays; Sentinel-2 has some tenths (Kaab et al. 2016).
    """

    track: float = 0.0
    """Direction of flight, radians from the y axis towards the x axis."""
    jitter: tuple[tuple[tuple[float, float], float, tuple[float, float]], ...] = ()
    """Waves in time: amplitudes along and across the track, wavelength, pixels; two phases."""
    seams: tuple[float, ...] = ()
    """Where the next array begins, pixels across the track, ascending."""
    offsets: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """Of each array, along and across the track, pixels: one more than seams."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement of what an ideal image has at the coordinates."""
        time, across = self._local(y, x)
        table = torch.tensor(self.offsets, dtype=y.dtype, device=y.device)
        own = table[torch.bucketize(across, self._seams(y), right=True)]
        total = [own[..., 0], own[..., 1]]
        for amplitudes, wavelength, phases in self.jitter:
            angle = time * (2 * math.pi / wavelength)
            for axis in (0, 1):
                total[axis] = total[axis] + amplitudes[axis] * torch.sin(angle + phases[axis])
        c, s = math.cos(self.track), math.sin(self.track)
        return total[0] * c - total[1] * s, total[0] * s + total[1] * c

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Distance to the nearest seam, pixels; infinite without one."""
        _, across = self._local(y, x)
        if not self.seams:
            return torch.full_like(across, math.inf)
        return (across.unsqueeze(-1) - self._seams(y)).abs().amin(-1)

    def _local(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        c, s = math.cos(self.track), math.sin(self.track)
        return y * c + x * s, x * c - y * s

    def _seams(self, like: Tensor) -> Tensor:
        return torch.tensor(self.seams, dtype=like.dtype, device=like.device)

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int, *, jitter: bool, arrays: bool) -> Self:
        """Draw up to 0.5 px of jitter and steps of some 0.15 px; every second map is unrotated."""
        track = float(rng.choice((0.0, 1.0)) * rng.uniform(-0.25, 0.25))
        waves = []
        for _ in range(int(rng.integers(1, 4)) if jitter else 0):
            wavelength = float(np.exp(rng.uniform(np.log(24), np.log(2 * size))))
            most = min(0.5, STEEPEST / 3 * wavelength / (2 * math.pi))
            amplitudes = tuple((most * rng.uniform(0.1, 1, 2)).tolist())
            phases = tuple(rng.uniform(0, 2 * math.pi, 2).tolist())
            waves.append((amplitudes, wavelength, phases))
        seams: tuple[float, ...] = ()
        if arrays:
            width = float(rng.uniform(0.15, 0.8)) * size
            reach = 1.5 * size
            start = float(rng.uniform(-reach, -reach + width))
            seams = tuple(np.arange(start, reach, width).tolist())
        offsets = rng.normal(0, 0.15, (len(seams) + 1, 2)) * bool(seams)
        return cls(track, tuple(waves), seams, tuple(map(tuple, offsets.tolist())))


@dataclass(frozen=True, eq=False)
class Parallax:
    """Relief, or its error, seen from two directions: displacement in proportion to height.

    Orthoimages from different orbits keep ``error * (tan(view 1) - tan(view 2))`` of the errors of
    the elevation model (Altena & Kaab 2017), images as they are the same of the relief.
    """

    coefficients: Tensor
    """Of the quintic spline through the height, ``(1, h, w)``, float64."""
    step: float
    """Pixels from one node to the next."""
    origin: tuple[float, float]
    """Place ``(y, x)`` of the first coefficient, pixels."""
    ratio: tuple[float, float]
    """Displacement ``(dy, dx)`` per height."""

    @classmethod
    def of(
        cls, height: Tensor, step: float, origin: float, direction: float, spread: float
    ) -> "Parallax":
        """Make a parallax of a standard deviation, or less where relief is too steep.

        Parameters
        ----------
        height
            ``(h, w)``, in any unit; its mean does not count.
        step
            Between nodes, pixels.
        origin
            Row and column of the first node, pixels.
        direction
            Of the epipolar lines, radians from the x axis towards the y axis.
        spread
            Standard deviation of the displacement, pixels.
        """
        height = height.double() - height.double().mean()
        slopes = (height.diff(dim=axis).abs().max() / step for axis in (0, 1))
        steepest = max(float(slope) for slope in slopes)
        most = min(spread / max(float(height.std()), 1e-12), STEEPEST / max(steepest, 1e-12))
        first = origin - EDGE * step
        return cls(
            spline.coefficients(height, keep=EDGE).unsqueeze(0),
            step,
            (first, first),
            (most * math.sin(direction), most * math.cos(direction)),
        )

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        rows, columns = ((at - o) / self.step for at, o in zip((y, x), self.origin, strict=True))
        planes = self.coefficients.to(y.device)
        height = spline.evaluate(planes, rows.double(), columns.double())[0].to(y.dtype)
        return height * self.ratio[0], height * self.ratio[1]


@dataclass(frozen=True)
class Apparent:
    """One motion after another: where a scanner shows what the ground has moved."""

    ground: Motion
    """Of what is at a place of the reference."""
    sensor: Motion
    """Of what an ideal image has at a place."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        dy, dx = self.ground(y, x)
        more_y, more_x = self.sensor(y + dy, x + dx)
        return dy + more_y, dx + more_x

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Distance to the nearest jump of either, pixels."""
        dy, dx = self.ground(y, x)
        return torch.minimum(
            distance_of(self.ground, y, x), distance_of(self.sensor, y + dy, x + dx)
        )
