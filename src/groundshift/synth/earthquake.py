"""Random earthquakes as motions of an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.dislocations import frames
from groundshift.synth.fault_mesh import FaultMesh, Focus, draw_slip, fault_mesh
from groundshift.synth.faults import Rupture, draw_rupture
from groundshift.synth.surface_field import Frame, Sources, SurfaceField, surface_fields
from groundshift.synth.traces import Trace


@dataclass(frozen=True, eq=False)
class Earthquake:
    """The motion of an image by an earthquake, and where it came from."""

    field: SurfaceField
    frame: Frame
    rupture: Rupture
    fault: FaultMesh
    slip: Tensor
    """``(T, 3)``: strike, dip and opening of the triangles of `fault`, metres."""

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement ``(dy, dx)`` at the coordinates, pixels: east is +x, north -y."""
        return self.field(y, x)

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """Signed distance to the nearest trace, pixels: positive on the hanging wall."""
        return self.field.distance(y, x)

    @property
    def jumps(self) -> bool:
        """Whether the motion has a discontinuity: a sharp rupture that reached the surface."""
        return bool(self.field.traces) and self.field.width == 0


def earthquakes(
    rng: np.random.Generator,
    size: int | tuple[int, int],
    spacing: float,
    count: int = 1,
    *,
    magnitude: float | None = None,
    element: float = 4.0,
    width: float | None = None,
    margin: int = 32,
) -> list[Earthquake]:
    """Draw one fault that crosses an image, and several earthquakes on it.

    Parameters
    ----------
    rng
        Source of randomness.
    size
        Rows and columns.
    spacing
        Of the pixels, metres.
    count
        How many draws of slip: all but the first are cheap.
    magnitude
        Drawn by default, see :func:`groundshift.synth.faults.draw_magnitude`.
    element
        Length of triangles and spacing of the grid at the surface, pixels.
    width
        Of the damage zone, pixels. By default every second fault is sharp, with width 0, and the
        others have one of 1 to 8.
    margin
        Pixels around the image in which the motion is right as well.
    """
    rupture = draw_rupture(rng, magnitude)
    frame = _place(rng, rupture, (size, size) if isinstance(size, int) else size, spacing)
    if width is None:
        width = float(rng.choice((0.0, 1.0)) * np.exp(rng.uniform(0, np.log(8))))
    radius = (np.hypot(frame.rows, frame.columns) / 2 + margin) * spacing
    fault = fault_mesh(rupture, Focus(frame.east, frame.north, radius, element * spacing))
    slips = torch.stack([draw_slip(rupture, fault, rng) for _ in range(count)])
    traces = tuple(surface_traces(rupture, fault, slip, frame, element) for slip in slips)
    sources = Sources(fault.mesh, slips, frame, traces)
    fields = surface_fields(sources, step=element, width=width, margin=margin)
    return [
        Earthquake(field, frame, rupture, fault, slip)
        for field, slip in zip(fields, slips, strict=True)
    ]


def earthquake(
    rng: np.random.Generator, size: int | tuple[int, int], spacing: float, **options: Any
) -> Earthquake:
    """Draw an earthquake on a fault that crosses an image; arguments as for `earthquakes`."""
    return earthquakes(rng, size, spacing, 1, **options)[0]


def surface_traces(
    rupture: Rupture, fault: FaultMesh, slip: Tensor, frame: Frame, element: float
) -> tuple[Trace, ...]:
    """Traces of the segments that break the surface, with their jumps, in pixels."""
    burgers = torch.einsum("tij,tj->ti", frames(fault.mesh), slip).numpy() / frame.spacing
    found = []
    for number, segment in enumerate(rupture.segments):
        if segment.top > 0:
            continue
        east, north, _ = fault.mesh.vertices[fault.upper[number]].numpy().T
        jump = burgers[fault.upper_triangles[number].numpy()]
        vertices = frame.pixels(east, north)
        found.append(Trace.of(vertices, jump[:, 0] - 1j * jump[:, 1], element))
    return tuple(found)


def _place(
    rng: np.random.Generator, rupture: Rupture, size: tuple[int, int], spacing: float
) -> Frame:
    """Put the image where the upper edge of a segment crosses it, not far from its middle."""
    mains = [segment for segment in rupture.segments if segment.share == 1]
    lengths = np.array([segment.length for segment in mains])
    segment = mains[int(rng.choice(len(mains), p=lengths / lengths.sum()))]
    s = np.array(rng.uniform(0, 1) * segment.length)
    east, north, _ = segment.point(s, np.array(segment.top))
    away = rng.uniform(-0.25, 0.25, 2) * np.array(size) * spacing
    return Frame(*size, spacing, float(east + away[1]), float(north + away[0]))
