"""Measured displacement and velocity as motion: cut out, turned, mirrored and scaled at random.

Nature draws better than formulas: tributaries, shear margins, bends, ruptures that step aside. A
field is smooth (it was smoothed when it was packed), but what is made of it is a motion like any
other: it is *defined* by its spline, and exact at any coordinate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.gridded import Gridded

FEWEST = 12
"""Nodes of a field across an image, at least."""
STRETCH = 3.0
"""Pixels that become of one node, at least."""
STEEPEST = 0.4
"""Largest gradient of displacement (Frobenius norm, from node to node): beyond 1 the ground would
fold over itself."""
SPEEDS = (0.5, 32.0)
"""Fastest displacement in the image, pixels."""
TRIES = 24
"""Places to try before the best of them is taken."""
COVERED, MOVING = 0.75, 0.25
"""What is good enough: share of the image that was measured, and its fastest motion as a share of
the field's."""


@dataclass(frozen=True, eq=False)
class MotionField:
    """Displacement on a regular grid, in any unit, without gaps."""

    name: str
    """Unique: the file of the first component."""
    scene: str
    """The place: what is drawn from one scene never appears in two splits."""
    split: str
    source: str
    """Where it is from."""
    licence: str
    scale: float
    """Of a level."""
    levels: Tensor
    """int16, ``(2, rows, columns)``: ``dy`` towards higher rows, ``dx`` towards higher columns."""
    known: Tensor
    """bool, ``(rows, columns)``: measured, and not filled."""

    @property
    def planes(self) -> Tensor:
        """Displacement, float64, ``(2, rows, columns)``."""
        return self.levels.double() * self.scale


@dataclass(frozen=True)
class Placement:
    """Where an image lies on a field: a rotation or reflection, a scale, and a centre."""

    axes: tuple[tuple[float, float], tuple[float, float]]
    """Orthogonal matrix from directions ``(y, x)`` of the image to those of the field."""
    stretch: float
    """Pixels per node."""
    centre: tuple[float, float]
    """Row and column of the field at the image's centre."""

    def on_field(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of the field at places from the image's centre, pixels."""
        rows, columns = (
            (a * y + b * x) / self.stretch + start
            for (a, b), start in zip(self.axes, self.centre, strict=True)
        )
        return rows, columns

    def on_image(self, dy: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
        """Turn vectors of the field into those of the image."""
        (a, b), (c, d) = self.axes
        return a * dy + c * dx, b * dy + d * dx


def measured(rng: np.random.Generator, size: int, fields: Sequence[MotionField]) -> Gridded:
    """Draw a motion from measured fields.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Side of the image, pixels.
    fields
        To draw from, all alike; one at least.
    """
    field = fields[int(rng.integers(len(fields)))]
    placement = _placement(rng, size, field)
    target = float(np.exp(rng.uniform(*np.log(SPEEDS)))) * float(rng.choice((-1, 1)))
    return moved_like(field, placement, size, target)


def moved_like(field: MotionField, placement: Placement, size: int, target: float) -> Gridded:
    """Motion of an image that lies on a field, scaled to a fastest displacement.

    It is slower where its gradient would exceed `STEEPEST`. A negative `target` turns the motion
    round.
    """
    step = max(2.0, 0.7 * placement.stretch)
    reach = math.ceil(0.65 * size / step) + 2
    at = torch.arange(-reach, reach + 1, dtype=torch.float64) * step
    rows, columns = placement.on_field(*torch.meshgrid(at, at, indexing="ij"))
    planes = torch.stack([spline.coefficients(plane) for plane in field.planes])
    dy, dx = placement.on_image(*spline.evaluate(planes, rows, columns))
    inside = at.abs() <= size / 2 + step
    fastest = float(torch.hypot(dy, dx)[inside][:, inside].max())
    slopes = [part for plane in (dy, dx) for part in (plane.diff(dim=0)[:, 1:], plane.diff()[1:])]
    steepest = float(torch.stack(slopes).square().sum(0).sqrt().max()) / step
    factor = min(abs(target) / max(fastest, 1e-12), STEEPEST / max(steepest, 1e-12))
    factor = math.copysign(factor, target)
    first = (size - 1) / 2 - reach * step
    return Gridded.through(factor * dy, factor * dx, step, (first, first))


def _placement(rng: np.random.Generator, size: int, field: MotionField) -> Placement:
    """Look for a place that moves and was measured."""
    rows, columns = field.known.shape
    speed = torch.hypot(*field.planes)
    fastest = float(speed.flatten()[:: max(1, speed.numel() // 10000)].quantile(0.99))
    at = torch.linspace(-size / 2, size / 2, 16, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    best, found = -1.0, None
    most = max(FEWEST + 1.0, min(0.9 * min(rows, columns), size / STRETCH))
    for _ in range(TRIES):
        nodes = float(np.exp(rng.uniform(np.log(FEWEST), np.log(most))))
        angle, mirror = rng.uniform(0, 2 * math.pi), float(rng.choice((-1, 1)))
        c, s = math.cos(angle), math.sin(angle)
        centre = tuple(float(rng.uniform(0.1, 0.9)) * (n - 1) for n in (rows, columns))
        axes = ((c, -s), (mirror * s, mirror * c))
        placement = Placement(axes, size / nodes, centre)  # type: ignore[arg-type]
        i, j = (part.round().long() for part in placement.on_field(y, x))
        inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
        i, j = i.clamp(0, rows - 1), j.clamp(0, columns - 1)
        covered = float((inside & field.known[i, j]).double().mean())
        moving = float(torch.where(inside, speed[i, j], 0.0).max()) / max(fastest, 1e-12)
        quality = min(covered / COVERED, 1.0) * min(moving / MOVING, 1.0)
        if quality > best:
            best, found = quality, placement
        if quality == 1:
            break
    assert found is not None
    return found
