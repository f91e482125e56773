"""Random fields: the raw material of landscapes, of relief and of texture.

A Gaussian field is made in the frequency domain, so that its spectrum is exact up to Nyquist and
the field is periodic. Other distributions are quantiles of a Gaussian field (a copula), which keep
its correlation in rank.
"""

import math

import torch
from scipy.special import gammaincinv, ndtr
from torch import Tensor

TABLE = 2049
"""Entries of a table of quantiles."""
FARTHEST = 5.0
"""Deviates beyond this, 1 in 3 million, share the last entry."""


def random_field(
    size: tuple[int, int],
    hurst: float,
    length: float,
    generator: torch.Generator,
    smoothness: float = 0.0,
) -> Tensor:
    """Gaussian field of zero mean and unit variance with a von Karman spectrum (1948).

    The spectrum is ``(1 + (2 pi k length)**2) ** -(hurst + 1)``: fractal, of power
    ``k ** -(2 hurst + 2)``, below the correlation length, and uncorrelated far beyond it. With
    ``hurst=0.5`` the correlation is ``exp(-distance / length)``.

    Parameters
    ----------
    size
        Rows and columns; the field is periodic.
    hurst
        Roughness from 0 to 1; the relief of the Earth has 0.7 to 0.9, texture about 0.5.
    length
        Correlation length, pixels.
    generator
        Source of randomness; its device is the field's.
    smoothness
        Deviation of a Gaussian that takes the finest detail away, pixels.

    Returns
    -------
    Tensor
        float32.
    """
    white = torch.randn(size, generator=generator, device=generator.device)
    squared = wavenumbers(white)
    gain = von_karman(length**2 * squared, hurst + 1)
    gain *= torch.exp(-0.5 * smoothness**2 * squared)
    return shaped(white, gain)


def wavenumbers(plane: Tensor, lengths: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Squared wavenumbers of a real spectrum (``rfft2``): ``(H, W // 2 + 1)``.

    Parameters
    ----------
    plane
        Its size, type and device are meant: ``(..., H, W)``.
    lengths
        By which the wavenumbers along rows and columns are multiplied, samples.
    """
    kind = {"dtype": plane.dtype, "device": plane.device}
    ky = lengths[0] * torch.fft.fftfreq(plane.shape[-2], **kind)[:, None]
    kx = lengths[1] * torch.fft.rfftfreq(plane.shape[-1], **kind)
    return (2 * math.pi) ** 2 * (ky**2 + kx**2)


def von_karman(squared: Tensor, decay: float) -> Tensor:
    """Amplitude ``(1 + (k a)**2) ** (-decay / 2)`` of a spectrum without a mean.

    `squared` are the wavenumbers in units of the correlation length ``a``, see `wavenumbers`.
    """
    gain = (1 + squared) ** (-decay / 2)
    gain[0, 0] = 0
    return gain


def shaped(white: Tensor, gain: Tensor) -> Tensor:
    """Give white noise ``(..., H, W)`` the amplitude spectrum ``(H, W // 2 + 1)``.

    The variance is one, over all draws: a single one that is not large may well lie on one side
    of a long wave.
    """
    rows, columns = white.shape[-2:]
    # Half of the spectrum stands for all of it: columns with a mirror image count twice.
    twins = torch.full_like(gain[0], 2)
    twins[0] = 1
    if columns % 2 == 0:
        twins[-1] = 1
    variance = (gain**2 * twins).sum() / (rows * columns)
    spectrum = torch.fft.rfft2(white) * (gain / variance.sqrt())
    return torch.fft.irfft2(spectrum, s=(rows, columns))


def gamma_quantiles(shape: float, device: torch.device | str = "cpu") -> Tensor:
    """Quantiles of a gamma distribution of unit mean and variance ``1 / shape``.

    Returns
    -------
    Tensor
        For `TABLE` normal deviates from ``-FARTHEST`` to ``FARTHEST``; see `from_quantiles`.
    """
    deviates = torch.linspace(-FARTHEST, FARTHEST, TABLE, dtype=torch.float64)
    values = gammaincinv(shape, ndtr(deviates.numpy())) / shape
    return torch.from_numpy(values).float().to(device)


def from_quantiles(field: Tensor, tables: Tensor, label: Tensor | None = None) -> Tensor:
    """Give a Gaussian field another distribution, or one for each label.

    Parameters
    ----------
    field
        Standard normal deviates, any shape.
    tables
        Quantiles, shape ``(TABLE,)``, or ``(labels, TABLE)`` with a `label`.
    label
        Which distribution, the shape of `field`.
    """
    position = ((field + FARTHEST) * ((TABLE - 1) / (2 * FARTHEST))).clamp(0, TABLE - 1.001)
    index = position.long()
    blend = position - index
    if label is not None:
        index = index + label.long() * TABLE
    flat = tables.reshape(-1)
    return torch.lerp(flat[index], flat[index + 1], blend)


def smoothed(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, mirrored at the borders.

    Parameters
    ----------
    image
        Shape ``(H, W)``.
    sigma
        Of the kernel, pixels. One pixel leaves 9 % of the amplitude at 0.35 cycles per pixel and
        0.7 % at Nyquist, so that what had sharp edges can be interpolated.
    """
    reach = math.ceil(4 * sigma)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    padded = torch.nn.functional.pad(image[None, None], (reach,) * 4, mode="reflect")[0, 0]
    for axis in (0, 1):
        length = padded.shape[axis] - 2 * reach
        parts = [padded.narrow(axis, k, length) for k in range(2 * reach + 1)]
        total = parts[0] * weights[0]
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            total.add_(part, alpha=weight)
        padded = total / sum(weights)
    return padded
