"""Motions known on a grid, and random ones made there: smooth everywhere, exact at any place."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.fields import shaped, wavenumbers

EDGE = 3
"""Coefficients beyond the first and last node."""


@dataclass(frozen=True, eq=False)
class Gridded:
    """The quintic spline through displacements on a regular grid.

    Beyond the grid the outermost values continue.
    """

    coefficients: Tensor
    """Of ``dy`` and ``dx``, pixels: ``(2, h, w)``, float64."""
    step: float
    """Pixels from one node to the next."""
    origin: tuple[float, float]
    """Place ``(y, x)`` of the first coefficient, pixels."""

    @classmethod
    def through(cls, dy: Tensor, dx: Tensor, step: float, origin: tuple[float, float]) -> "Gridded":
        """Interpolate values at the nodes."""
        planes = [spline.coefficients(plane.double(), keep=EDGE) for plane in (dy, dx)]
        y, x = origin
        return cls(torch.stack(planes), step, (y - EDGE * step, x - EDGE * step))

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        rows, columns = ((at - o) / self.step for at, o in zip((y, x), self.origin, strict=True))
        planes = self.coefficients.to(y.device)
        dy, dx = spline.evaluate(planes, rows.double(), columns.double())
        return dy.to(y.dtype), dx.to(y.dtype)


def random_motion(
    generator: torch.Generator,
    *,
    size: int,
    amplitude: float,
    longest: float,
    shortest: float = 16.0,
    slope: float = 3.0,
) -> Gridded:
    """Draw isotropic motion with a power-law spectrum between two wavelengths.

    Parameters
    ----------
    generator
        Source of randomness, on the device of the result.
    size
        Side of the image, pixels; the field reaches an eighth beyond it.
    amplitude
        Standard deviation of each component over the whole field, pixels.
    longest, shortest
        Wavelengths, pixels; the shortest is followed by four nodes of the grid.
    slope
        Power falls with wavenumber as ``k**-slope``: ``2 H + 2`` for fractional Brownian motion of
        Hurst exponent ``H``; 0 with `longest` near `shortest` gives a field of one scale.
    """
    step = shortest / 4
    reach = 1.25 * size
    nodes = 2 * math.ceil(max(reach, longest) / step / 2) + 2 * spline.TAPS
    white = torch.randn(
        2, nodes, nodes, generator=generator, device=generator.device, dtype=torch.float64
    )
    k = wavenumbers(white, (1 / step, 1 / step)).sqrt() / (2 * math.pi)
    band = (k >= 0.999 / longest) & (k <= 1.001 / shortest)
    gain = torch.where(band, k.clamp(min=1e-9) ** (-slope / 2), 0.0)
    planes = amplitude * shaped(white, gain)
    first = (size - 1) / 2 - (nodes - 1) / 2 * step
    return Gridded.through(*planes, step=step, origin=(first, first))
