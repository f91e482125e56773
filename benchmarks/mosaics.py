"""Land that no net was trained on: leaves that cover each other, for the test of coherence.

Not the generator of the training: cover falls in discs and blocks one over the other (the dead
leaves model) instead of growing in regions and parcels, texture is lognormal or from places of the
bank's test split, and what is coherent follows other times and rests.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.budget import BANK
from groundshift.errors import GroundshiftError
from groundshift.synth.bank import Bank
from groundshift.synth.fields import random_field
from groundshift.synth.motions import Constant
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire


class Cover(NamedTuple):
    """What covers the land; ranges are from leaf to leaf."""

    share: float
    level: tuple[float, float]
    """Backscatter, dB."""
    rest: tuple[float, float]
    """Coherence that stays."""
    days: tuple[float, float]
    """In which the remainder falls to 1 / e."""
    rough: float
    """Of the texture: deviation of its natural logarithm."""


COVERS = (
    Cover(0.10, (-24.0, -19.0), (0.0, 0.0), (0.01, 0.02), 0.05),  # water
    Cover(0.30, (-14.0, -12.0), (0.0, 0.1), (2.0, 6.0), 0.25),  # forest
    Cover(0.30, (-14.0, -8.0), (0.05, 0.2), (4.0, 15.0), 0.2),  # crops
    Cover(0.20, (-18.0, -10.0), (0.35, 0.6), (15.0, 60.0), 0.35),  # bare ground
    Cover(0.10, (-8.0, -2.0), (0.6, 0.9), (60.0, 200.0), 0.8),  # towns
)
"""Coherence after 12 days as of Sentinel-1: water and forest below .3, crops .1 to .5, bare ground
.6 to .9, towns .8 to .98, before noise."""
LEAVES, SIDES = 300, (8.0, 120.0)
"""How many, and their half sides, pixels: as frequent as one over the square of it."""
NOISE = {"VV": -24.0, "VH": -17.0}
"""Of the receiver, dB of the scene's mean: backscatter in VH is less by 7 dB."""


@dataclass(frozen=True)
class Mosaic:
    """A kind of pairs.

    Parameters
    ----------
    days
        Between the dates.
    size
        Rows and columns, pixels.
    polarisation
        "VV" or "VH", for the noise.
    shift
        Of the second date, pixels along rows and columns.
    """

    days: float = 12.0
    size: int = 288
    polarisation: str = "VV"
    shift: tuple[float, float] = (0.0, 0.0)

    def pair(self, radar: Radar, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Render both amplitudes and the true coherence."""
        generator = torch.Generator().manual_seed(seed)
        ground = self._surface(radar.fine, seed, generator)
        found = acquire(radar, ground, Constant(*self.shift), self.size, generator)
        return found.reference, found.secondary, found.coherence.where(found.valid, torch.nan)

    def _surface(self, fine: int, seed: int, generator: torch.Generator) -> Surface:
        rng = np.random.default_rng(seed)
        n = self.size * fine + 2 * MARGIN
        level, coherence, rough = (torch.from_numpy(p).float() for p in self._leaves(rng, n, fine))
        power = 10 ** (level / 10) * self._texture(rng, n, fine, rough, generator)
        change = float(rng.uniform(0, 1.5)) * random_field((n, n), 0.8, 60.0 * fine, generator)
        mean = power.mean()
        none = torch.zeros((), dtype=torch.complex64)
        later = power * 10 ** (change / 10)
        return Surface(
            coherence, power / mean, later / mean, none, 10 ** (NOISE[self.polarisation] / 10)
        )

    def _leaves(self, rng: np.random.Generator, n: int, fine: int) -> np.ndarray:
        """Level, coherence and roughness of the texture, ``(3, n, n)``: later leaves cover."""
        planes = np.empty((3, n, n))
        planes[:] = self._leaf(rng)[:, None, None]
        y, x = np.mgrid[:n, :n].astype(np.float32)
        low, high = (1 / side for side in SIDES)
        for side in 1 / rng.uniform(high, low, LEAVES):
            cy, cx = rng.uniform(0, n, 2)
            angle, aspect = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0)
            reach = int(1.5 * side * fine)
            cut = tuple(slice(max(0, int(c) - reach), int(c) + reach + 1) for c in (cy, cx))
            dy, dx = y[cut] - cy, x[cut] - cx
            u = (dx * np.cos(angle) + dy * np.sin(angle)) / (side * fine)
            v = (dy * np.cos(angle) - dx * np.sin(angle)) / (side * fine * aspect)
            block = rng.random() < 0.5
            inside = np.maximum(abs(u), abs(v)) < 0.8 if block else u**2 + v**2 < 1
            planes[(slice(None), *cut)][:, inside] = self._leaf(rng)[:, None]
        return planes

    def _leaf(self, rng: np.random.Generator) -> np.ndarray:
        cover = COVERS[rng.choice(len(COVERS), p=[each.share for each in COVERS])]
        rest, days = rng.uniform(*cover.rest), rng.uniform(*cover.days)
        coherence = rest + (1 - rest) * np.exp(-self.days / days)
        return np.array([rng.uniform(*cover.level), coherence, cover.rough])

    def _texture(
        self,
        rng: np.random.Generator,
        n: int,
        fine: int,
        rough: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Texture of unit mean: of a place of the test split, or lognormal."""
        if BANK is not None and rng.random() < 0.5:
            try:
                amplitude = Bank.open(BANK).crop(rng, n, "reflectivity", "test")[0]
                return (amplitude / amplitude.mean()).clamp(min=0.1) ** 2
            except GroundshiftError:  # nothing so large: invented, then
                pass
        length = float(np.exp(rng.uniform(0, np.log(10))))
        field = random_field((n, n), 0.5, length * fine, generator)
        return torch.exp(rough * field - rough**2 / 2)
