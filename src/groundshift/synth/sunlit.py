"""Optical images of invented terrain under two suns: the same ground with other shadows.

Ground in shade sees the sky only, so that a pair of dates has the texture of the ground in common
and the shading not. Planes are smooth enough to be interpolated.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.backscatter import draw_landscape, per_patch
from groundshift.synth.fields import random_field, smoothed
from groundshift.synth.landscape import WATER, LandCover, Landscape
from groundshift.synth.terrain import Sun, cast_shadow, lambert, relief
from groundshift.synth.weather import draw_covers, snow

ALBEDO = (0.04, 0.3, 0.15, 0.06, 0.2)
"""Reflectance of `landscape.CLASSES` in red light (typical values)."""
SNOW = 0.8
"""Reflectance of snow."""
ROAD = 0.12
"""Reflectance of roads."""
SOFTNESS = 1.0
"""Blur of the planes, one standard deviation, in their own pixels."""


class OpticalScene(NamedTuple):
    """Radiance on two dates; planes have the shape asked for."""

    reference: Tensor
    """Radiance of the earlier date, float32: level ground shows its reflectance."""
    secondary: Tensor
    """Radiance of the later date, under the second sun."""
    reference_shadow: Tensor
    """Where the sun is hidden behind something or below the slope's horizon, bool."""
    secondary_shadow: Tensor
    height: Tensor
    """Relief, pixels of the plane."""
    cover: LandCover
    snow: Tensor
    """Share of the ground that snow hides on the date that has more of it, 0 to 1."""


@dataclass(frozen=True)
class Sunlit:
    """A recipe for scenes; lengths in pixels of the image, angles in radians."""

    suns: tuple[Sun, Sun] = (Sun(2.4, 0.7), Sun(2.8, 0.5))
    """Of the two dates. On the northern hemisphere at 10 to 11 h it stands in the south-east."""
    landscape: Landscape = field(default_factory=Landscape)
    scatter: float = 0.25
    """Of the patches around the reflectance of their class, one standard deviation, relative."""
    texture: float = 0.15
    """Of the ground's reflectance, one standard deviation, relative."""
    grain: float = 8.0
    """Correlation length of the texture."""
    hurst: float = 0.85
    slope: float = 0.3
    """Of the relief, root mean square."""
    mountain: float = 200.0
    """Size of the largest mountains."""
    sky: float = 0.15
    """Light from the sky, as a share of that from the sun at the zenith."""
    change: float = 0.05
    """Share of the patches whose reflectance changes between the dates."""
    snow: tuple[float, float] = (0.0, 0.0)
    """Share of the area that lies under snow on each date."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Choose a recipe at random: half of them mountains, up to 60 % in shadow.

        Every fourth has the same sun on both dates, like images a year apart; every tenth has snow.
        """
        first = Sun(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.25, 1.1)))
        mountains = rng.random() < 0.5
        second = Sun(
            float(first.azimuth + rng.normal(0, 0.5)),
            float(np.clip(first.elevation + rng.normal(0, 0.2), 0.2, 1.3)),
        )
        region = float(np.exp(rng.uniform(np.log(40), np.log(300))))
        return cls(
            suns=(first, first if rng.random() < 0.25 else second),
            landscape=draw_landscape(rng, region),
            scatter=float(rng.uniform(0.05, 0.4)),
            texture=float(rng.uniform(0.03, 0.3)),
            grain=float(np.exp(rng.uniform(np.log(2), np.log(40)))),
            hurst=float(rng.uniform(0.7, 0.95)),
            slope=float(rng.uniform(0.4, 0.9) if mountains else rng.uniform(0.02, 0.3)),
            mountain=float(rng.uniform(60, 400)),
            sky=float(rng.uniform(0.05, 0.3)),
            change=float(rng.uniform(0, 0.2)),
            snow=draw_covers(rng) if rng.random() < 0.1 else (0.0, 0.0),
        )

    def __call__(
        self, size: tuple[int, int], generator: torch.Generator, oversample: int = 1
    ) -> OpticalScene:
        """Make a scene of `size` pixels, each an `oversample`-th of a pixel of the image."""
        cover = self.landscape(size, generator, oversample)
        ground = torch.tensor(ALBEDO, device=generator.device)[cover.label]
        ground = torch.where(cover.road, ROAD, ground)
        grain = self.texture * random_field(size, 0.4, self.grain * oversample, generator)
        patch = self.scatter * per_patch(cover, generator)
        first = ground * torch.exp(grain + patch)
        chosen = torch.rand(cover.patches, generator=generator, device=generator.device)
        other = 0.5 * per_patch(cover, generator)
        second = first * torch.exp(torch.where((chosen < self.change)[cover.patch], other, 0.0))
        height = relief(size, self.hurst, self.mountain * oversample, self.slope, generator)
        level = cover.label == WATER
        hidden = torch.zeros_like(height)
        if any(self.snow):
            early, late = snow(self.snow, self.mountain * oversample, generator, size, height)
            first, second = first + early * (SNOW - first), second + late * (SNOW - second)
            hidden = torch.maximum(early, late)
        reference, dark = self._lit(first, height, level, self.suns[0])
        secondary, later = self._lit(second, height, level, self.suns[1])
        return OpticalScene(reference, secondary, dark, later, height, cover, hidden)

    def _lit(
        self, albedo: Tensor, height: Tensor, level: Tensor, sun: Sun
    ) -> tuple[Tensor, Tensor]:
        facing = torch.where(level, math.sin(sun.elevation), lambert(height, sun))
        shadow = cast_shadow(height, sun, periodic=True) | (facing == 0)
        light = torch.where(shadow, 0.0, facing) + self.sky
        return smoothed(albedo * light / (math.sin(sun.elevation) + self.sky), SOFTNESS), shadow
