"""One row of a benchmark: a motion family, a view, and seeds that are kept for one purpose."""

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groundshift.benchmark.views import Speckle, View
from groundshift.synth.motions import Motion, distance_of
from groundshift.synth.recipe import SPLITS, Recipe, motion_of
from groundshift.synth.sample import wavy_fault
from groundshift.synth.speckle import tracking_limit

MARGIN = 64
"""Pixels left out along each side of a synthetic pair: windows of 128 px fit."""
LIMIT_WINDOW = 32
"""Side of the window of the limit which errors are compared with, pixels."""
TRIES = 20
"""Earthquakes to draw before one breaks the surface inside the image."""


class Pair(NamedTuple):
    """Two images and what a matcher is measured against."""

    reference: Tensor
    secondary: Tensor
    motion: Motion
    valid: Tensor
    """Reference pixels that can be measured."""
    margin: int
    """Pixels along each side that do not count."""
    limit: float
    """Mean absolute error at the limit of incoherent speckle tracking in a window of
    `LIMIT_WINDOW` px; NaN where the law does not hold."""


@dataclass(frozen=True)
class Case:
    """One motion family seen in one way."""

    suite: str
    table: str
    """Cases of one table stand side by side, as columns."""
    column: str
    family: str
    """Of `groundshift.synth`, or "fault": long waves and a rough fault step within 2.4 px."""
    view: View
    size: int = 512
    pairs: int = 2
    spacing: tuple[float, float] = (4.0, 30.0)
    """Metres per pixel, for earthquakes."""

    def pair(self, split: str, number: int) -> Pair:
        """Render one of the pairs of a split: always the same."""
        key = zlib.crc32(repr((self.suite, self.table, self.column, self.family)).encode())
        rng = np.random.default_rng((key, SPLITS[split], number))
        motion = self._motion(rng)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        sample = self.view(motion, self.size, rng, generator)
        return Pair(
            sample.reference,
            sample.secondary,
            motion,
            sample.valid,
            MARGIN,
            self._limit(),
        )

    def _motion(self, rng: np.random.Generator) -> Motion:
        if self.family == "fault":
            return wavy_fault(int(rng.integers(2**31)), self.size)
        recipe = Recipe(size=self.size, spacing=self.spacing, moved=(0.0, 1e3))
        motion = motion_of(self.family, rng, recipe)
        if self.family == "earthquake":
            for _ in range(TRIES):
                if _breaks(motion, self.size):
                    break
                motion = motion_of(self.family, rng, recipe)
        return motion

    def _limit(self) -> float:
        """Give the limit where one look of speckle is sampled without aliasing."""
        if not isinstance(self.view, Speckle) or self.view.mode != "SLC x2":
            return float("nan")
        cells = (LIMIT_WINDOW * 0.4) ** 2
        return 0.80 * tracking_limit(self.view.coherence, cells) / 0.4


def _breaks(motion: Motion, size: int) -> bool:
    """Whether a jump of a quarter of a pixel crosses the part of the image that counts."""
    at = torch.arange(MARGIN, size - MARGIN, 4, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    near = distance_of(motion, y, x) < 4
    if not bool(near.any()):
        return False
    dy, dx = motion(y, x)
    jump = torch.hypot(dy[near].max() - dy[near].min(), dx[near].max() - dx[near].min())
    return float(jump) > 0.25 and int(near.sum()) > at.numel() / 8
