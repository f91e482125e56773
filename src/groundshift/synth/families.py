"""Families of motion: each draws a random member for an image of a given size."""

import math
from collections.abc import Callable

import numpy as np
import torch

from groundshift.synth.gridded import random_motion
from groundshift.synth.motions import Constant, Motion, Sum
from groundshift.synth.slides import Bowl, Glacier, Landslide, Linear

Family = Callable[[np.random.Generator, int], Motion]


def zero(rng: np.random.Generator, size: int) -> Motion:
    """Stable ground: what a matcher must not move."""
    return Constant()


def offset(rng: np.random.Generator, size: int) -> Motion:
    """One shift for the whole image, within 2 px: what coarse co-registration leaves."""
    return Constant(*(float(v) for v in rng.uniform(-2, 2, 2)))


def constant(rng: np.random.Generator, size: int) -> Motion:
    """One shift for the whole image, within 4 px."""
    return Constant(*(float(v) for v in rng.uniform(-4, 4, 2)))


def ramp(rng: np.random.Generator, size: int) -> Motion:
    """Draw a linear trend of up to 3 px over the image, as orbits leave, on a shift."""
    gradient = rng.uniform(-3, 3, (2, 2)) / size
    linear = Linear(tuple(map(tuple, gradient.tolist())), _centre(size))  # type: ignore[arg-type]
    return Sum((linear, constant(rng, size)))


def waves(rng: np.random.Generator, size: int) -> Motion:
    """Draw a Gaussian random field of one scale, 24 px to the image's size, strain up to 2 %."""
    scale = _log_uniform(rng, 24, max(48, size))
    strain = _log_uniform(rng, 0.001, 0.02)
    amplitude = min(strain * scale / (2 * math.pi), 6.0)
    return random_motion(
        _field(rng),
        size=size,
        amplitude=amplitude,
        longest=1.2 * scale,
        shortest=scale / 1.2,
        slope=0,
    )


def brownian(rng: np.random.Generator, size: int) -> Motion:
    """Fractional Brownian motion: rough at all scales down to 16 px, Hurst exponent 0.5 to 1."""
    hurst = float(rng.uniform(0.5, 1.0))
    return random_motion(
        _field(rng),
        size=size,
        amplitude=_log_uniform(rng, 0.1, 2.0),
        longest=1.5 * size,
        shortest=16.0,
        slope=2 * hurst + 2,
    )


def glacier(rng: np.random.Generator, size: int) -> Motion:
    """Draw a winding stream between standing banks, up to 32 px."""
    speed = _log_uniform(rng, 0.5, 32)
    half_width = float(rng.uniform(0.12, 0.45)) * size
    # Margins shear by at most one pixel in four: ice tears before the ground folds over itself.
    half_width = max(half_width, 16 * speed)
    return Glacier(
        speed=speed,
        centre=_somewhere(rng, size),
        direction=float(rng.uniform(0, 2 * math.pi)),
        half_width=half_width,
        power=float(rng.uniform(3, 8)) if speed < 8 else 4.0,
        bend=(float(rng.uniform(0, 0.08)) * size, float(rng.uniform(1, 2.5)) * size, _phase(rng)),
        swell=(float(rng.uniform(0, 0.3)), float(rng.uniform(0.8, 2.5)) * size, _phase(rng)),
    )


def outlet(rng: np.random.Generator, size: int) -> Motion:
    """Draw an outlet glacier: a fast stream, 30 px wide or more, whose margins shear steeply."""
    speed = _log_uniform(rng, 1, 16)
    # Shear folds nothing as long as the stream is straight, as it nearly is.
    half_width = max(_log_uniform(rng, 15, 60), 4 * speed)
    return Glacier(
        speed=speed,
        centre=_somewhere(rng, size),
        direction=float(rng.uniform(0, 2 * math.pi)),
        half_width=half_width,
        power=float(rng.uniform(4, 10)) if speed < 4 else 4.0,
        bend=(float(rng.uniform(0, 4)), float(rng.uniform(1, 2.5)) * size, _phase(rng)),
        swell=(float(rng.uniform(0, 0.2)), float(rng.uniform(0.8, 2.5)) * size, _phase(rng)),
    )


def landslide(rng: np.random.Generator, size: int) -> Motion:
    """One to three slides with sharp or blurred outlines, up to 8 px."""
    slides = []
    for _ in range(int(rng.integers(1, 4))):
        along = float(rng.uniform(0.06, 0.3)) * size
        lobes = tuple((n, float(rng.uniform(0, 0.25)) / n, _phase(rng)) for n in (1, 2, 3, 5, 8))
        slides.append(
            Landslide(
                speed=_log_uniform(rng, 0.3, 8),
                centre=_somewhere(rng, size),
                direction=float(rng.uniform(0, 2 * math.pi)),
                half_axes=(along, along * float(rng.uniform(0.3, 1.0))),
                outline=lobes,
                shear=float(rng.uniform(0, 0.8)),
                margin=0.0 if rng.random() < 0.6 else float(rng.uniform(1, 8)),
            )
        )
    return Sum(tuple(slides))


def bowl(rng: np.random.Generator, size: int) -> Motion:
    """One to three mining bowls or inflating reservoirs, up to 2 px."""
    bowls = []
    for _ in range(int(rng.integers(1, 4))):
        along = float(rng.uniform(0.05, 0.3)) * size
        amplitude = min(_log_uniform(rng, 0.1, 2), 0.1 * along)
        bowls.append(
            Bowl(
                amplitude=float(rng.choice((-1, 1))) * amplitude,
                centre=_somewhere(rng, size),
                half_axes=(along, along * float(rng.uniform(0.5, 1.0))),
                direction=float(rng.uniform(0, math.pi)),
            )
        )
    return Sum(tuple(bowls))


FAMILIES: dict[str, Family] = {
    "zero": zero,
    "offset": offset,
    "constant": constant,
    "ramp": ramp,
    "waves": waves,
    "brownian": brownian,
    "glacier": glacier,
    "outlet": outlet,
    "landslide": landslide,
    "bowl": bowl,
}
"""By the names that recipes use."""


def _centre(size: int) -> tuple[float, float]:
    return (size - 1) / 2, (size - 1) / 2


def _somewhere(rng: np.random.Generator, size: int) -> tuple[float, float]:
    y, x = rng.uniform(0.1, 0.9, 2) * size
    return float(y), float(x)


def _phase(rng: np.random.Generator) -> float:
    return float(rng.uniform(0, 2 * math.pi))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _field(rng: np.random.Generator) -> torch.Generator:
    """Give a generator of fields that follows from that of parameters."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
