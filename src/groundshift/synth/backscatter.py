"""SAR backscatter of invented land, on two dates: what speckle is multiplied with.

Land cover gives the mean, patches scatter around it, each class has gamma texture, slopes towards
the radar are brighter, and bright points stand on top. Speckle is no part of it.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.fields import from_quantiles, gamma_quantiles, random_field
from groundshift.synth.landscape import BUILT, WATER, LandCover, Landscape
from groundshift.synth.terrain import Sun, cast_shadow, gradient, relief

MEAN = (-22.0, -14.0, -11.0, -8.0, -4.0)
"""Backscatter of `landscape.CLASSES`, dB: typical of C band, VV, 35 to 40 degrees of incidence
(Ulaby & Dobson 1989)."""
SHAPE = (50.0, 8.0, 6.0, 5.0, 1.2)
"""Gamma shape of their texture: its variance is ``1 / shape``; buildings are the roughest."""
ROAD = -17.0
"""Backscatter of roads, dB."""
FLOOR = -30.0
"""Backscatter of radar shadow, dB: the noise of a good instrument."""
LAYOVER = 10.0
"""Slopes brighten the ground by no more than this, dB."""


class Points(NamedTuple):
    """Bright, coherent scatterers: what stays between the dates, whatever the coherence."""

    y: Tensor
    """Rows of the planes, fractional, float32."""
    x: Tensor
    """Columns, fractional, float32."""
    amplitude: Tensor
    """Complex; the square of its magnitude is power in the units of sigma0, at the peak."""


class SarScene(NamedTuple):
    """Backscatter on two dates; planes have the shape asked for."""

    reference: Tensor
    """Power, float32: 1 is 0 dB."""
    secondary: Tensor
    """Power at the later date: the land has changed, the relief has not."""
    points: Points
    cover: LandCover


@dataclass(frozen=True)
class Backscatter:
    """A recipe for scenes; lengths in pixels of the image."""

    landscape: Landscape = field(default_factory=Landscape)
    scatter: float = 2.0
    """Of the patches around the mean of their class, one standard deviation, dB."""
    texture: float = 3.0
    """Correlation length of the texture."""
    slope: float = 0.15
    """Of the relief, root mean square; 0 leaves it out."""
    mountain: float = 200.0
    """Size of the largest mountains."""
    incidence: float = 0.65
    """Of the radar, which looks along the rows towards higher columns, radians."""
    points: float = 4e-4
    """Bright points per pixel; five times as many among buildings."""
    contrast: tuple[float, float] = (5.0, 25.0)
    """Of the points to the ground around them: least and most, dB."""
    drift: float = 1.0
    """Smooth change between the dates, one standard deviation, dB."""
    change: float = 0.1
    """Share of the patches that change as a whole."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Choose a recipe at random, from plains to mountains and from water to towns."""
        region = float(np.exp(rng.uniform(np.log(40), np.log(300))))
        return cls(
            landscape=draw_landscape(rng, region),
            scatter=float(rng.uniform(0.5, 3)),
            texture=float(np.exp(rng.uniform(np.log(1), np.log(12)))),
            slope=float(rng.choice([0, rng.uniform(0.03, 0.4)])),
            mountain=float(rng.uniform(60, 400)),
            incidence=float(rng.uniform(0.4, 0.78)),
            points=float(np.exp(rng.uniform(np.log(1e-5), np.log(3e-3)))),
            drift=float(rng.uniform(0, 2)),
            change=float(rng.uniform(0, 0.3)),
        )

    def __call__(
        self, size: tuple[int, int], generator: torch.Generator, oversample: int = 1
    ) -> SarScene:
        """Make a scene of `size` pixels, each an `oversample`-th of a pixel of the image."""
        cover = self.landscape(size, generator, oversample)
        device = generator.device
        flat = torch.tensor(MEAN, device=device)[cover.label]
        flat = flat + self.scatter * per_patch(cover, generator)
        flat = torch.where(cover.road, ROAD, flat)
        lit = from_decibels(flat) * self._texture(size, cover, generator, oversample)
        changed = flat + self._change(size, cover, generator, oversample)
        later = lit * from_decibels(changed - flat)
        if self.slope > 0:
            length = self.mountain * oversample
            land = cover.label != WATER
            height = relief(size, 0.85, length, self.slope, generator)
            factor = torch.where(land, slant(height, self.incidence), 1.0)  # water is level
            lit, later = lit * factor, later * factor
        floor = 10 ** (FLOOR / 10)
        lit, later = lit.clamp(min=floor), later.clamp(min=floor)
        return SarScene(lit, later, self._points(lit, cover, generator, oversample), cover)

    def _texture(
        self, size: tuple[int, int], cover: LandCover, generator: torch.Generator, oversample: int
    ) -> Tensor:
        tables = torch.stack([gamma_quantiles(shape, generator.device) for shape in SHAPE])
        deviates = random_field(size, 0.5, self.texture * oversample, generator)
        return from_quantiles(deviates, tables, cover.label)

    def _change(
        self, size: tuple[int, int], cover: LandCover, generator: torch.Generator, oversample: int
    ) -> Tensor:
        """Decibels between the dates: moisture that drifts, and patches that are harvested."""
        smooth = random_field(size, 0.8, self.landscape.region * oversample, generator)
        uniform = torch.rand(cover.patches, generator=generator, device=generator.device)
        step = torch.randn(cover.patches, generator=generator, device=generator.device)
        jump = torch.where(uniform < self.change, 4 * step, 0.0)
        return self.drift * smooth + jump[cover.patch]

    def _points(
        self, ground: Tensor, cover: LandCover, generator: torch.Generator, oversample: int
    ) -> Points:
        """Scatter points at random (Poisson), on dry ground."""
        density = torch.full_like(ground, self.points / oversample**2)
        density = torch.where(cover.label == BUILT, 5 * density, density)
        density = density.masked_fill(cover.label == WATER, 0)
        chance = torch.rand(ground.shape, generator=generator, device=ground.device)
        row, column = (chance < density).nonzero().unbind(1)
        jitter = torch.rand((4, len(row)), generator=generator, device=ground.device)
        low, high = self.contrast
        power = ground[row, column] * from_decibels(low + (high - low) * jitter[2])
        amplitude = torch.polar(power.sqrt(), 2 * math.pi * jitter[3])
        return Points(row + jitter[0] - 0.5, column + jitter[1] - 0.5, amplitude)


def draw_landscape(rng: np.random.Generator, region: float) -> Landscape:
    """Choose how land is divided, with regions of a mean size in pixels."""
    shares = rng.dirichlet((0.4, 1, 1.5, 1, 0.5))
    return Landscape(
        fractions=tuple(float(share) for share in shares),
        region=region,
        roughness=float(rng.uniform(0.1, 0.4)),
        parcel=float(np.exp(rng.uniform(np.log(8), np.log(60)))),
        orientation=float(rng.uniform(0, np.pi)),
        road=float(rng.choice([0, rng.uniform(0.8, 2.5)])),
        river=float(rng.choice([0, rng.uniform(2, 25)])),
    )


def per_patch(cover: LandCover, generator: torch.Generator) -> Tensor:
    """Draw one standard normal deviate for each patch and spread it over its pixels."""
    deviates = torch.randn(cover.patches, generator=generator, device=generator.device)
    return deviates[cover.patch]


def from_decibels(value: Tensor) -> Tensor:
    """Power of a value in dB."""
    return torch.exp(value * (math.log(10) / 10))


def slant(height: Tensor, incidence: float) -> Tensor:
    """How much brighter relief makes periodic ground than level ground would be.

    The area that a radar illuminates in the plane across its view grows with the slope towards it
    as ``tan(incidence) / tan(incidence - slope)`` (Ulander 1996; Small 2011), capped where the
    slope reaches layover; nothing comes back from radar shadow.

    Parameters
    ----------
    height
        Shape ``(H, W)``, pixels; the radar stands at low columns.
    incidence
        Angle between the view and the vertical, radians.
    """
    rise = gradient(height)[1].atan()
    most = 10 ** (LAYOVER / 10)
    local = (incidence - rise).clamp(math.atan(math.tan(incidence) / most), math.pi / 2 - 1e-3)
    dark = cast_shadow(height, Sun(1.5 * math.pi, math.pi / 2 - incidence), periodic=True)
    return torch.where(dark, 0.0, math.tan(incidence) / local.tan())
