"""What two optical dates have in common, place by place: where little is, nothing can be measured.

Shade is no sign of it: ground that only the sky lights shows its texture, if noise lets it.
"""

from torch import Tensor

from groundshift.boxes import box_sum
from groundshift.synth import optics
from groundshift.synth.optics import Optics

DETAIL = 9
"""Side of the squares whose means are taken away, pixels: what is larger locates nothing."""
WINDOW = 17
"""Side of the squares in which dates are compared, pixels."""


def likeness(camera: Optics, ground: tuple[Tensor, Tensor]) -> Tensor:
    """Correlate the detail of both dates around each pixel, as if nothing had moved.

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
        optics.blurred(plane, spread * fine).unflatten(0, (-1, fine)).unflatten(2, (-1, fine))
        for plane, spread in zip(ground, camera.spread, strict=True)
    ]
    images = [image.mean((1, 3)) for image in images]
    contrast = images[0].var()
    rounding = (6 / camera.levels) ** 2 / 12 if camera.levels else 0.0
    inner = slice(DETAIL // 2, -(DETAIL // 2))
    first, second = (image[inner, inner] - _mean(image, DETAIL) for image in images)
    powers = [
        _mean(detail**2, WINDOW) + contrast * (noise**2 + stripes**2 + rounding)
        for detail, noise, stripes in zip(
            (first, second), camera.noise, camera.stripes, strict=True
        )
    ]
    found = _mean(first * second, WINDOW) / (powers[0] * powers[1]).sqrt().clamp(min=1e-30)
    rest = optics.MARGIN // fine - DETAIL // 2 - WINDOW // 2
    return found[rest:-rest, rest:-rest]


def _mean(plane: Tensor, side: int) -> Tensor:
    return box_sum(plane, side) / side**2
