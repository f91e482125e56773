"""What a radar makes of a moving surface: speckle of two dates, detected, with exact coherence.

White circular-Gaussian scatterers times the root of the backscatter, seen through the system's
response, once for each look. The second date keeps a share of the scatterers, moves, and is
rendered by interpolating the *complex* band-limited image: a detected image has twice the bandwidth
and cannot be warped without aliasing.

Looks are neighbouring parts of one wide spectrum. What a part of the spectrum is shifted by on its
way to zero frequency changes the phase of the image only, so that each look is made, and moved, at
the sampling of the result.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.motions import Motion, origin_of

MARGIN = 32
"""Samples around the scene in which splines and responses fade; 24 would do, but sizes with large
prime factors take the Fourier transform up to five times as long."""


@dataclass(frozen=True)
class Radar:
    """Response, looks and sampling of a radar product.

    Examples
    --------
    An SLC oversampled twice, a ground-range product of five looks, an SLC as it is, and the
    first averaged over 2 x 2 samples:

    >>> kept, grd = Radar(bandwidth=0.4), Radar(bandwidth=0.5, window=0.73, looks=5)
    >>> aliased, averaged = Radar(bandwidth=0.8, fine=2), Radar(0.8, fine=2, average=True)
    """

    bandwidth: float = 0.4
    """Of the complex image of one look, two-sided, cycles per pixel of the result."""
    window: float = 1.0
    """Generalised Hamming weighting ``a + (1 - a) cos``; 1 is flat."""
    looks: int = 1
    """Averaged in intensity; parts of the spectrum along x."""
    overlap: float = 0.25
    """Share of a look's band that its neighbour has as well."""
    fine: int = 1
    """Samples per pixel each way before detection: 2 keeps a bandwidth above 0.5 exact."""
    average: bool = False
    """Average intensity over the samples of a pixel instead of taking one of them."""
    azimuth: tuple[float, float] | None = None
    """Bandwidth and window along y, where they are not those along x."""

    @property
    def mean_bandwidth(self) -> float:
        """Geometric mean of the bandwidths along both axes, cycles per pixel of the result."""
        other = self.bandwidth if self.azimuth is None else self.azimuth[0]
        return math.sqrt(self.bandwidth * other)

    def places(self, size: int, device: torch.device) -> Tensor:
        """Coordinates of the samples in pixels of the result, float64: ``(size * fine,)``."""
        first = -(self.fine - 1) / 2 if self.average else 0.0
        at = torch.arange(size * self.fine, dtype=torch.float64, device=device)
        return (at + first) / self.fine

    def response(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Amplitude response along y and along x at ``fftfreq(n)`` of the samples, float64.

        Its mean square is one.
        """
        f = torch.fft.fftfreq(n, dtype=torch.float64, device=device)

        def along(bandwidth: float, window: float) -> Tensor:
            width = bandwidth / self.fine
            shape = window + (1 - window) * torch.cos(2 * math.pi * f / width)
            shape = torch.where(f.abs() <= width / 2, shape, 0.0)
            return shape / (shape**2).mean().sqrt()

        columns = along(self.bandwidth, self.window)
        return columns if self.azimuth is None else along(*self.azimuth), columns


class Surface(NamedTuple):
    """The ground on both dates, at the samples of the reference with `MARGIN` around the scene.

    Each plane ``(n, n)`` with ``n = size * fine + 2 * MARGIN``, or a scalar.
    """

    coherence: Tensor
    """Of the scatterers, 0 to 1."""
    first: Tensor
    """Backscatter (power) at the reference's date."""
    second: Tensor
    """Backscatter (power) at the secondary's date."""
    points: Tensor
    """Complex amplitude of single scatterers, the same on both dates; zero elsewhere."""
    noise: float = 0.0
    """Power of the receiver's noise."""


class RadarPair(NamedTuple):
    """Amplitudes of both dates, and the coherence that an infinite average would show."""

    reference: Tensor
    secondary: Tensor
    coherence: Tensor
    """On the reference's pixels."""
    valid: Tensor
    """Secondary pixels that show some place of the reference."""


def acquire(
    radar: Radar, surface: Surface, motion: Motion, size: int, generator: torch.Generator
) -> RadarPair:
    """Render both dates.

    Parameters
    ----------
    radar, surface
        The sensor and what it sees.
    motion
        Of the surface, pixels of the result.
    size
        Rows and columns of the result, pixels.
    generator
        Source of randomness, on the device of the result.
    """
    *images, seen = acquire_looks(radar, surface, motion, size, generator)
    reference, secondary = (detect(radar, image) for image in images)
    n = size * radar.fine + 2 * MARGIN
    truth = _reduce(radar, cropped(true_coherence(radar, surface, n)))
    return RadarPair(reference, secondary, truth, _reduce(radar, seen.float()) > 0.5)


def acquire_looks(
    radar: Radar, surface: Surface, motion: Motion, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Render both dates before detection; parameters as for :func:`acquire`.

    Returns
    -------
    tuple of Tensor
        Complex images of each look, ``(looks, n, n)`` at the samples (`fine` to a pixel), and
        whether the secondary's show some place of the reference, ``(n, n)``.
    """
    n, device = size * radar.fine + 2 * MARGIN, generator.device
    # Uniform ground is as white in its spectrum as in space: there is nothing to transform.
    flat = not any(plane.dim() for plane in surface[:4]) and not bool(surface.points)
    draw = _white_spectrum if flat else scatterers
    kept, lost = draw(radar, n, generator), draw(radar, n, generator)
    gamma = surface.coherence
    first = surface.first.sqrt() * kept + surface.points
    second = surface.second.sqrt() * (gamma * kept + (1 - gamma**2).clamp(min=0).sqrt() * lost)
    down, along = (each.float() for each in radar.response(n, device))
    response = down[:, None] * along

    def spectrum(ground: Tensor) -> Tensor:
        return (ground if flat else torch.fft.fft2(ground)).mul_(response)

    rows, columns, seen = origins(radar, motion, size, device)
    images = (
        cropped(torch.fft.ifft2(spectrum(first))),
        spline.evaluate(
            torch.fft.ifft2(spline.prefilter(spectrum(second + surface.points))), rows, columns
        ),
    )
    if not bool(seen.all()):  # What comes from outside, or from nowhere, is new.
        fresh = cropped(torch.fft.ifft2(spectrum(surface.second.sqrt() * lost)))
        images = images[0], torch.where(seen, images[1], fresh)
    if surface.noise:
        noise = (_white_spectrum(radar, n, generator).mul_(response) for _ in images)
        images = tuple(
            image + math.sqrt(surface.noise) * cropped(torch.fft.ifft2(white))
            for image, white in zip(images, noise, strict=True)
        )
    reference, secondary = images
    return reference, secondary, seen


def origins(
    radar: Radar, motion: Motion, size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of what a moved date's samples show, and whether there is such a place."""
    at = radar.places(size, device)
    y, x = torch.meshgrid(at, at, indexing="ij")
    py, px, found = origin_of(motion, y, x, tolerance=1e-7)
    rows, columns = ((p - at[0]) * radar.fine + MARGIN for p in (py, px))
    last = size * radar.fine + 2 * MARGIN - 4
    return rows, columns, found & (rows > 3) & (rows < last) & (columns > 3) & (columns < last)


def true_coherence(radar: Radar, surface: Surface, n: int) -> Tensor:
    """Coherence of the two images at each sample: that of the scatterers under the response.

    Points count as coherent power. Receiver noise lowers it.
    """
    common, first, second = _powers(radar, surface, n)
    truth = common / (first * second).sqrt().clamp(min=1e-12)
    return truth.expand(n, n).contiguous()


def expected_powers(radar: Radar, surface: Surface) -> tuple[Tensor, Tensor, Tensor]:
    """Return the coherent power of both dates, and the power of each, at samples ``(n, n)``."""
    n = max(plane.shape[-1] for plane in surface[:4] if plane.dim())
    common, first, second = (plane.expand(n, n) for plane in _powers(radar, surface, n))
    return common, first, second


def _powers(radar: Radar, surface: Surface, n: int) -> tuple[Tensor, Tensor, Tensor]:
    kernels = []
    for response in radar.response(n, surface.coherence.device):
        spread = torch.fft.ifft(response.to(torch.complex64)).abs() ** 2
        kernels.append(torch.fft.fft(spread / spread.sum()).real)
    kernel = kernels[0][:, None] * kernels[1][: n // 2 + 1]

    def seen(power: Tensor) -> Tensor:
        if not power.dim():
            return power
        return torch.fft.irfft2(torch.fft.rfft2(power) * kernel, s=(n, n)).clamp(min=0)

    points = surface.points.abs() ** 2
    common = seen(surface.coherence * (surface.first * surface.second).sqrt() + points)
    first, second = (
        seen(date + points) + surface.noise for date in (surface.first, surface.second)
    )
    return common, first, second


def scatterers(radar: Radar, n: int, generator: torch.Generator) -> Tensor:
    """White circular noise of unit power for each look: ``(looks, n, n)``, complex64."""
    if radar.looks == 1:
        return _white((n, n), generator).unsqueeze(0)
    return torch.fft.ifft2(_white_spectrum(radar, n, generator))


def _white_spectrum(radar: Radar, n: int, generator: torch.Generator) -> Tensor:
    """Spectra of such noise: overlapping parts of a wide one, from low to high frequency."""
    shift = round(n * radar.bandwidth / radar.fine * (1 - radar.overlap))
    wide = n * _white((n, n + (radar.looks - 1) * shift), generator)
    parts = torch.stack([wide[:, k * shift : k * shift + n] for k in range(radar.looks)])
    return torch.fft.ifftshift(parts, dim=-1)


def _white(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    parts = torch.randn((*shape, 2), generator=generator, device=generator.device)
    return torch.view_as_complex(parts) / math.sqrt(2)


def cropped(plane: Tensor) -> Tensor:
    """Cut the margin off."""
    return plane[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def detect(radar: Radar, looks: Tensor) -> Tensor:
    """Average the intensity of looks ``(looks, n, n)``, and return its root at the pixels."""
    return _reduce(radar, (looks.real**2 + looks.imag**2).mean(0)).sqrt()


def _reduce(radar: Radar, plane: Tensor) -> Tensor:
    """From samples to pixels."""
    if radar.fine == 1:
        return plane
    if not radar.average:
        return plane[:: radar.fine, :: radar.fine]
    return plane.unflatten(0, (-1, radar.fine)).unflatten(2, (-1, radar.fine)).mean((1, 3))
