"""Pairs with exact truth on which matchers are compared.

Optical texture has a 1/f spectrum, a point spread of 0.7 px and a deviation of 30 grey levels, and
is rendered by Fourier shift or, where the motion varies, by a 16-tap kernel on a twice
oversampled image: exact to 1e-4 of the contrast. Speckle pairs are those of
``groundshift.synth``.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.interpolate import sample
from groundshift.synth import Fault, Motion, Waves, speckle
from groundshift.synth.motions import origin_of

CONTRAST = 30.0
BRIGHTNESS = 120.0


class Pair(NamedTuple):
    """Two images and the true displacement of each reference pixel."""

    reference: Tensor
    secondary: Tensor
    dy: Tensor
    dx: Tensor


def spectrum(size: int, seed: int, spread: float = 0.7) -> Tensor:
    """Fourier transform of a periodic 1/f texture, complex128."""
    generator = torch.Generator().manual_seed(seed)
    fy = torch.fft.fftfreq(size, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(size, dtype=torch.float64)[None]
    f = torch.hypot(fy, fx)
    f[0, 0] = 1
    shape = torch.exp(-2 * (math.pi * spread * f) ** 2) / f
    shape[0, 0] = 0
    white = torch.randn(size, size, generator=generator, dtype=torch.float64)
    texture = torch.fft.fft2(white) * shape
    return texture * (CONTRAST / torch.fft.ifft2(texture).real.std())


def constant(size: int, seed: int, dy: float = -2.61, dx: float = 1.37) -> Pair:
    """One sub-pixel shift everywhere, noise-free."""
    texture = spectrum(size, seed)
    fy = torch.fft.fftfreq(size, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(size, dtype=torch.float64)[None]
    moved = texture * torch.exp(-2j * math.pi * (fy * dy + fx * dx))
    first, second = (torch.fft.ifft2(t).real.float() + BRIGHTNESS for t in (texture, moved))
    return Pair(first, second, torch.full_like(first, dy), torch.full_like(first, dx))


def moved_texture(size: int, seed: int, motion: Motion, noise: float = 0.0) -> Pair:
    """Texture moved by any motion; `noise` is white, in both images, a share of the contrast."""
    texture = spectrum(size, seed)
    fine = oversampled(texture)
    dy, dx, py, px = _coordinates(size, motion)
    first = torch.fft.ifft2(texture).real.float()
    second = periodic(fine, 2 * py, 2 * px)
    return _with_noise(Pair(first, second, dy, dx), CONTRAST, noise, seed)


def moved_speckle(size: int, seed: int, motion: Motion, noise: float = 0.5) -> Pair:
    """Speckle whose grains move unchanged, with white noise: a SAR pair without decorrelation."""
    generator = torch.Generator().manual_seed(seed)
    field = speckle((size, size), 0.4, generator)
    dy, dx, py, px = _coordinates(size, motion)
    second = periodic(field, py, px).abs()
    pair = Pair(field.abs(), second, dy, dx)
    return _with_noise(pair, float(field.abs().std()), noise, seed)


def smooth_field() -> Motion:
    """Waves of 3 and 2.5 px amplitude, 680 and 512 px long."""
    return Waves((2.5, 3.0), (680.0, 512.0))


def fault_step(size: int) -> Motion:
    """A straight fault through the middle whose sides move 1.5 px to either hand."""
    return Fault(slip=3.0, centre=(size / 2, size / 2), strike=0.2, depth=1e6)


def _coordinates(size: int, motion: Motion) -> tuple[Tensor, ...]:
    rows = torch.arange(size, dtype=torch.float64)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    dy, dx = motion(y, x)
    py, px, _ = origin_of(motion, y, x)
    return dy.float(), dx.float(), py, px


def oversampled(texture: Tensor) -> Tensor:
    """Twice as many samples by zero-padding the spectrum."""
    n = texture.shape[0]
    wide = texture.new_zeros(2 * n, 2 * n)
    wide[n // 2 : n // 2 + n, n // 2 : n // 2 + n] = torch.fft.fftshift(texture)
    return torch.fft.ifft2(torch.fft.ifftshift(wide)).real.float() * 4


def periodic(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Interpolate a periodic image with 16 taps."""
    n, edge = image.shape[0], 16
    index = torch.arange(-edge, n + edge) % n
    wide = image[index][:, index]
    return sample(wide, y % n + edge, x % n + edge, taps=16)


def _with_noise(pair: Pair, contrast: float, noise: float, seed: int) -> Pair:
    generator = torch.Generator().manual_seed(seed + 1_000_000)
    first, second = (
        image + noise * contrast * torch.randn(image.shape, generator=generator)
        for image in pair[:2]
    )
    offset = BRIGHTNESS if contrast == CONTRAST else 0.0
    return pair._replace(reference=first + offset, secondary=second + offset)
