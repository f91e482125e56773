"""Band-limited complex speckle at a stated coherence, and how well it can be tracked."""

import math

import torch
from torch import Tensor

from groundshift.interpolate import sample
from groundshift.synth.motions import Motion, origin_of


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


def moved_speckle(
    motion: Motion,
    size: int,
    coherence: float | Tensor,
    bandwidth: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Two complex images of a moving, partly decorrelating surface.

    The secondary is rendered exactly: the value at ``q`` comes from the ``p`` that solves
    ``p + motion(p) = q``, by interpolating the band-limited complex field (never the detected
    image, whose bandwidth is double), plus independent speckle of power ``1 - coherence**2``.

    Parameters
    ----------
    motion
        Displacement of the surface, pixels.
    size
        Rows and columns of the result.
    coherence
        Scalar, or a map of shape ``(size, size)`` on the secondary's pixels.
    bandwidth, generator
        As in :func:`speckle`.

    Returns
    -------
    tuple
        Reference and secondary, complex64, ``(size, size)``.
    """
    rows = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    py, px, known = origin_of(motion, y, x)
    margin = 16 + int(max((py - y).abs().max(), (px - x).abs().max()))
    n = size + 2 * margin
    first = speckle((n, n), bandwidth, generator)
    noise = speckle((n, n), bandwidth, generator)[margin:-margin, margin:-margin]
    moved = sample(first, py + margin, px + margin, taps=16)
    gamma = torch.as_tensor(coherence, dtype=torch.float32) * known
    secondary = gamma * moved + (1 - gamma**2).clamp(min=0).sqrt() * noise
    return first[margin:-margin, margin:-margin].contiguous(), secondary


def tracking_limit(coherence: float, cells: float) -> float:
    """Give the deviation of incoherent (intensity) speckle tracking, in resolution cells.

    ``sqrt(3 / (10 N)) * sqrt(2 + 5 g**2 - 7 g**4) / (pi g**2)`` for ``N`` independent resolution
    cells in the window and coherence ``g`` (Bamler & Eineder 2005; De Zan 2014). Multiply by
    pixels per cell, ``1 / bandwidth``; a Gaussian's mean absolute error is 0.80 of it.

    Examples
    --------
    >>> round(tracking_limit(0.8, 1024), 4)
    0.013
    """
    rho = coherence**2
    return math.sqrt(0.3 / cells * (1 - rho) * (2 + 7 * rho)) / (math.pi * rho)
