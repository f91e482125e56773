"""Band-limited complex speckle, and how well it can be tracked."""

import math

import torch
from torch import Tensor


def speckle(size: tuple[int, int], bandwidth: float, generator: torch.Generator) -> Tensor:
    """Fully developed speckle: circular complex Gaussian with a flat band and unit mean power.

    Parameters
    ----------
    size
        Rows and columns; the field is periodic.
    bandwidth
        Two-sided, cycles per pixel in each direction. Detection doubles it: up to 0.5, the
        amplitude is free of aliasing.
    generator
        Source of randomness; float32 normal deviates are drawn from it.

    Returns
    -------
    Tensor
        complex64.
    """
    white = torch.view_as_complex(torch.randn((*size, 2), generator=generator))
    inside = [torch.fft.fftfreq(n).abs() <= bandwidth / 2 for n in size]
    band = (inside[0][:, None] & inside[1][None, :]).float()
    return torch.fft.ifft2(torch.fft.fft2(white) * band) / (2 * band.mean()).sqrt()


def tracking_limit(coherence: float, cells: float) -> float:
    """Give the deviation of incoherent (intensity) speckle tracking, in resolution cells.

    ``sqrt(3 / (10 N)) * sqrt(2 + 5 g**2 - 7 g**4) / (pi g**2)`` for ``N`` independent resolution
    cells in the window and coherence ``g`` (Bamler & Eineder 2005; De Zan 2014). Multiply by
    pixels per cell, ``1 / bandwidth``; a Gaussian's mean absolute error is 0.80 of it.

    The published law is derived along one axis. In a square window the root becomes
    ``sqrt(4/3 + 5 g**2 - 19/3 g**4)``, 0.85 to 0.92 of it, which Monte Carlo confirms within 6 %
    where ``g**2 sqrt(N)`` is above 5; below, false maxima take over (``python -m benchmarks
    simulation``).

    Examples
    --------
    >>> round(tracking_limit(0.8, 1024), 4)
    0.013
    """
    rho = coherence**2
    return math.sqrt(0.3 / cells * (1 - rho) * (2 + 7 * rho)) / (math.pi * rho)
