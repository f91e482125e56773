"""What is between the camera and the ground: clouds with shadows, cirrus, haze; and snow on it.

Clouds are where a fractal field exceeds a threshold, and the thicker the more it does: light passes
as ``exp(-depth)``, so that edges are torn and half-transparent. They belong to one date and not to
the ground. Snow lies on the ground and moves with it.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from groundshift.synth.fields import random_field

SOFT = 0.25
"""Deviations of the field over which snow gets patchy."""


class Sky(NamedTuple):
    """What becomes of the ground's light: ``transmission * light + path``."""

    transmission: Tensor
    """Share of the ground's light that arrives, shadows included, 0 to 1."""
    path: Tensor
    """Light that was scattered into the view, in units of the image."""


@dataclass(frozen=True)
class Weather:
    """A layer of the sky on one date; lengths in pixels of the image."""

    cover: float
    """Share of the area."""
    depth: float
    """Optical depth where the field exceeds its threshold by one standard deviation."""
    length: float
    """Of the largest clouds."""
    hurst: float = 0.4
    """Roughness: low for heaps, high for veils."""
    shadow: tuple[float, float] = (0.0, 0.0)
    """From a cloud to its shadow, ``(dy, dx)``."""
    dark: float = 0.0
    """Share of the ground's light that the densest shadow takes."""
    bright: float = 1.5
    """Of dense cloud, relative to the brightest ground."""

    def __call__(self, side: int, fine: int, brightest: float, generator: torch.Generator) -> Sky:
        """Draw the sky over ``side`` samples each way, each a `fine`-th of a pixel.

        `brightest` is the brightness of the brightest ground.
        """
        size = (side, side)
        field = random_field(size, self.hurst, self.length * fine, generator, smoothness=0.7 * fine)
        excess = (field + float(ndtri(self.cover))).clamp(min=0)
        clear = torch.exp(-self.depth * excess)
        tops = random_field(size, 0.6, self.length * fine / 2, generator, smoothness=0.7 * fine)
        path = brightest * self.bright * (1 + 0.08 * tops) * (1 - clear)
        away = tuple(round(d * fine) for d in self.shadow)
        lit = 1 - self.dark * (1 - clear.roll(away, (0, 1)))
        return Sky(clear * lit, path * (0.5 + 0.5 * lit))

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> Self:
        """Draw heaps of cloud, cirrus or haze."""
        kind = rng.choice(("clouds", "cirrus", "haze"), p=(0.5, 0.2, 0.3))
        bright = float(rng.uniform(0.8, 2.0))
        if kind == "haze":
            return cls(
                cover=0.995,
                depth=float(rng.uniform(0.03, 0.2)),
                length=float(rng.uniform(0.5, 2)) * size,
                hurst=0.9,
                bright=bright,
            )
        if kind == "cirrus":
            return cls(
                cover=float(rng.uniform(0.2, 0.8)),
                depth=float(rng.uniform(0.1, 0.6)),
                length=float(rng.uniform(0.2, 1)) * size,
                hurst=0.8,
                bright=bright,
            )
        angle, far = rng.uniform(0, 2 * math.pi), float(np.exp(rng.uniform(1, 4.5)))
        return cls(
            cover=float(rng.beta(1.2, 3)) * 0.7 + 0.02,
            depth=float(np.exp(rng.uniform(np.log(2), np.log(20)))),
            length=float(np.exp(rng.uniform(np.log(15), np.log(max(size, 64))))),
            hurst=float(rng.uniform(0.3, 0.8)),
            shadow=(far * math.sin(angle), far * math.cos(angle)),
            dark=float(rng.uniform(0.3, 0.85)),
            bright=bright,
        )


def snow(
    covers: tuple[float, float],
    length: float,
    generator: torch.Generator,
    size: tuple[int, int],
    height: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Share of the ground under snow on two dates: what melts first lies low and at the edge.

    Parameters
    ----------
    covers
        Share of the area on each date.
    length
        Of the largest patches, samples.
    generator
        Source of randomness, on the device of the result.
    size
        Rows and columns.
    height
        Relief of that size: snow lies where it is high.
    """
    field = random_field(size, 0.5, length, generator)
    if height is not None:
        field = (field + 2 * (height - height.mean()) / height.std().clamp(min=1e-9)) / 5**0.5
    # Without a place for snow, the threshold would be infinite.
    lines = [float(ndtri(min(max(cover, 1e-6), 1 - 1e-6))) for cover in covers]
    dates = [
        torch.sigmoid((field + line) / SOFT) if cover else torch.zeros_like(field)
        for line, cover in zip(lines, covers, strict=True)
    ]
    return dates[0], dates[1]


def draw_covers(rng: np.random.Generator) -> tuple[float, float]:
    """Draw snow on one date or, every third time, on both."""
    covers = rng.uniform(0.1, 0.8, 2)
    if rng.random() < 2 / 3:
        covers[int(rng.integers(2))] = 0
    return float(covers[0]), float(covers[1])
