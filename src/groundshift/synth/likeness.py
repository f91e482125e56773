"""What two dates have in common, place by place: where little is, nothing can be measured.

Shade is no sign of it: ground that only the sky lights shows its texture, if noise lets it. Nor is
coherence alone: what is bright and what is dark can be followed without it.
"""

import torch
from torch import Tensor

from groundshift.boxes import box_sum
from groundshift.synth import optics, radar
from groundshift.synth.optics import Optics
from groundshift.synth.radar import Radar, Surface

DETAIL = 9
"""Side of the squares whose means are taken away, pixels: what is larger locates nothing."""
WINDOW = 17
"""Side of the squares in which dates are compared, pixels."""
ALIKE = 0.1
"""Correlation of both dates around a pixel from which on it can be measured."""
EXACT = 1e-3
"""Share of the power of detail below which no camera and no interpolation is exact."""


def likeness(camera: Optics, ground: tuple[Tensor, Tensor]) -> Tensor:
    """Correlate the detail of both dates around each pixel, as if nothing had moved.

    Where detail lies along one direction, it is the correlation of what locates it along that:
    stripes cannot be located along themselves, whatever they have in common.

    Parameters
    ----------
    camera
        Its sharpness, noise and grey levels count.
    ground
        As for :func:`groundshift.synth.optics.acquire`.

    Returns
    -------
    Tensor
        ``(size, size)``, -1 to 1.
    """
    fine = camera.fine
    images = [
        _coarser(optics.blurred(plane, spread * fine), fine)
        for plane, spread in zip(ground, camera.spread, strict=True)
    ]
    contrast = images[0].var()
    rounding = (6 / camera.levels) ** 2 / 12 if camera.levels else 0.0
    first, second = (_detail(image) for image in images)
    powers = [
        _mean(detail**2, WINDOW) + contrast * (noise**2 + stripes**2 + rounding)
        for detail, noise, stripes in zip(
            (first, second), camera.noise, camera.stripes, strict=True
        )
    ]
    power = (powers[0] * powers[1]).sqrt().clamp(min=1e-30)
    common = _mean(first * second, WINDOW)
    weak = common * _least_share(first, second)
    found = weak / (weak + power - common + EXACT * power)
    return _inner(torch.where(common > 0, found, common / power), optics.MARGIN // fine)


def backscatter_likeness(product: Radar, surface: Surface) -> Tensor:
    """Correlate the intensities that are expected around each pixel, as if nothing had moved.

    Speckle is one part of them, coherent or not, and the detail of backscatter the other.

    Parameters
    ----------
    product, surface
        As for :func:`groundshift.synth.radar.acquire`.

    Returns
    -------
    Tensor
        ``(size, size)``, -1 to 1.
    """
    common, *powers = (
        _coarser(plane, product.fine) for plane in radar.expected_powers(product, surface)
    )
    details = [_detail(power) for power in powers]
    variances = [
        _mean(detail**2, WINDOW) + _speckled(power**2, product.looks)
        for detail, power in zip(details, powers, strict=True)
    ]
    covariance = _mean(details[0] * details[1], WINDOW) + _speckled(common**2, product.looks)
    found = covariance / (variances[0] * variances[1]).sqrt().clamp(min=1e-30)
    return _inner(found, radar.MARGIN // product.fine)


def _least_share(first: Tensor, second: Tensor) -> Tensor:
    """How much of the common detail locates it along its worst direction: 1 if none is worse.

    That is the smaller eigenvalue of the structure tensor over the mean of both.
    """
    (ay, ax), (by, bx) = (torch.gradient(plane) for plane in (first, second))
    yy, xx = _mean(ay * by, WINDOW), _mean(ax * bx, WINDOW)
    yx = _mean(ay * bx + ax * by, WINDOW) / 2
    half, spread = (yy + xx) / 2, torch.hypot((yy - xx) / 2, yx)
    return ((half - spread) / half.clamp(min=1e-30)).clamp(0, 1)


def _coarser(plane: Tensor, fine: int) -> Tensor:
    """Average over the samples of a pixel."""
    return plane.unflatten(0, (-1, fine)).unflatten(2, (-1, fine)).mean((1, 3))


def _detail(image: Tensor) -> Tensor:
    inner = slice(DETAIL // 2, -(DETAIL // 2))
    return image[inner, inner] - _mean(image, DETAIL)


def _speckled(square: Tensor, looks: int) -> Tensor:
    """Mean of the variance of speckle where details are compared."""
    inner = slice(DETAIL // 2, -(DETAIL // 2))
    return _mean(square[inner, inner], WINDOW) / looks


def _inner(plane: Tensor, margin: int) -> Tensor:
    rest = margin - DETAIL // 2 - WINDOW // 2
    return plane[rest:-rest, rest:-rest]


def _mean(plane: Tensor, side: int) -> Tensor:
    return box_sum(plane, side) / side**2
