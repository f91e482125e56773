"""What a camera makes of a moving surface: both dates warped alike, blurred, sampled, disturbed.

The ground is given on a finer grid than the image, is displaced there by a quintic spline, and only
then seen through the point spread and averaged over pixels: what interpolation leaves of the finest
detail is gone before a network could read the fraction of a pixel from it. Both dates are
interpolated, at a random common offset, so that neither is sharper.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.synth import spline
from groundshift.synth.motions import Motion, origin_of
from groundshift.synth.weather import Weather

MARGIN = 32
"""Samples of the ground around the scene."""
BLUR = 16
"""Of these, samples that the point spread reaches into; both suit Fourier transforms of images of
256, 512 or 1024 pixels."""

OPAQUE = 0.5
"""Of the ground's light, share below which a pixel cannot be measured."""


@dataclass(frozen=True)
class Optics:
    """A camera.

    Lengths are pixels of the result, levels are shares of the first image's standard deviation.
    """

    fine: int = 2
    """Samples of the ground per pixel each way."""
    spread: tuple[float, float] = (0.6, 0.6)
    """Standard deviation of the point spread on each date."""
    noise: tuple[float, float] = (0.02, 0.02)
    """White noise on each date."""
    stripes: tuple[float, float] = (0.0, 0.0)
    """Offsets of columns (detectors) on each date."""
    gain: float = 0.0
    """Smooth change of brightness between the dates: haze, exposure, season."""
    levels: int = 0
    """Grey levels over six standard deviations; 0 does not quantise."""


class OpticalPair(NamedTuple):
    """Images of both dates."""

    reference: Tensor
    secondary: Tensor
    valid: Tensor
    """Secondary pixels that show some place of the reference."""
    clear: Tensor
    """Reference pixels that show the ground."""


def acquire(
    optics: Optics,
    ground: tuple[Tensor, Tensor],
    motion: Motion,
    size: int,
    generator: torch.Generator,
    skies: tuple[Weather | None, Weather | None] = (None, None),
) -> OpticalPair:
    """Render both dates.

    Parameters
    ----------
    optics
        The camera.
    ground
        Brightness at each date in the place of the reference, ``(n, n)`` with ``n = size * fine +
        2 * MARGIN``; the same tensor twice if nothing changed but the motion.
    motion
        From image to image, pixels of the result: that of the surface and what the camera adds.
    size
        Rows and columns of the result, pixels.
    generator
        Source of randomness, on the device of the result.
    skies
        What is between the ground and the camera on each date. It does not move with the ground.
    """
    device, fine = generator.device, optics.fine
    n = size * fine + 2 * MARGIN
    samples = torch.arange(-BLUR, size * fine + BLUR, dtype=torch.float64, device=device)
    at = (samples - (fine - 1) / 2) / fine
    y, x = torch.meshgrid(at, at, indexing="ij")
    py, px, found = origin_of(motion, y, x, tolerance=1e-7)
    offset = torch.rand(2, generator=generator, device=device).double() - 0.5

    def samples_of(place: Tensor, axis: int) -> Tensor:
        return place * fine + (fine - 1) / 2 + MARGIN + offset[axis]

    dates = []
    for plane, (rows, columns) in zip(ground, ((y, x), (py, px)), strict=True):
        seen = spline.coefficients(plane.to(device)).unsqueeze(0)
        dates.append(spline.evaluate(seen, samples_of(rows, 0), samples_of(columns, 1))[0])
    rows, columns = ((samples_of(p, axis) - n / 2).abs() for axis, p in enumerate((py, px)))
    inside = torch.maximum(rows, columns) < n / 2 - 4
    valid = _average((found & inside).float(), fine) > 0.99
    contrast = _average(blurred(dates[0], optics.spread[0] * fine), fine).std()
    clear = [torch.ones_like(valid) for _ in dates]
    for date, weather in enumerate(skies):
        if weather is not None:
            brightest = float(dates[date][::fine, ::fine].float().quantile(0.99))
            sky = weather(len(at), fine, brightest, generator)
            dates[date] = dates[date] * sky.transmission + sky.path
            clear[date] = _average(sky.transmission, fine) > OPAQUE
    images = [
        _average(blurred(date, spread * fine), fine)
        for date, spread in zip(dates, optics.spread, strict=True)
    ]
    if optics.gain:
        change = _smooth(size, generator) * optics.gain
        images[1] = images[1] * (1 + change) + contrast * optics.gain * _smooth(size, generator)
    disturbed = [
        _disturbed(image, contrast, noise, stripes, generator)
        for image, noise, stripes in zip(images, optics.noise, optics.stripes, strict=True)
    ]
    if optics.levels:
        step = 6 * contrast / optics.levels
        disturbed = [(image / step).round() * step for image in disturbed]
    return OpticalPair(disturbed[0], disturbed[1], valid & clear[1], clear[0])


def _disturbed(
    image: Tensor, contrast: Tensor, noise: float, stripes: float, generator: torch.Generator
) -> Tensor:
    rows, columns = image.shape
    white = torch.randn(rows, columns, generator=generator, device=image.device)
    bars = torch.randn(columns, generator=generator, device=image.device)
    return image + contrast * (noise * white + stripes * bars)


def blurred(plane: Tensor, spread: float) -> Tensor:
    """Gaussian point spread; the result keeps the plane's size."""
    H, W = plane.shape
    device = plane.device
    frequencies = torch.fft.fftfreq(H, device=device), torch.fft.rfftfreq(W, device=device)
    rows, columns = (torch.exp(-2 * (math.pi * spread * f) ** 2) for f in frequencies)
    return torch.fft.irfft2(torch.fft.rfft2(plane) * (rows[:, None] * columns), s=(H, W))


def _average(plane: Tensor, fine: int) -> Tensor:
    """Mean over the samples of a pixel, without the rim that the point spread needed."""
    inner = plane[BLUR:-BLUR, BLUR:-BLUR]
    return inner.unflatten(0, (-1, fine)).unflatten(2, (-1, fine)).mean((1, 3))


def _smooth(size: int, generator: torch.Generator) -> Tensor:
    """Random field of unit variance with waves longer than a third of the image."""
    nodes = torch.randn(1, 1, 6, 6, generator=generator, device=generator.device)
    field = torch.nn.functional.interpolate(
        nodes, size=(2 * size, 2 * size), mode="bicubic", align_corners=False
    )
    return field[0, 0, size // 2 : size // 2 + size, size // 2 : size // 2 + size]
