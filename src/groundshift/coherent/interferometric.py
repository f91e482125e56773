"""Coherence of two complex images that are co-registered: what detected ones are compared with."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from groundshift.boxes import box_sum
from groundshift.coherent.laws import sample_coherence
from groundshift.coherent.windowed import LEAST, Coherence
from groundshift.errors import GroundshiftError

TOLD = 512
"""Coherences that are tabulated."""


@dataclass(frozen=True)
class Interferometric:
    """Sample coherence of complex images in square windows.

    Parameters
    ----------
    window
        Odd side of the windows, pixels.
    samples
        Independent samples in a pixel: 1 for white images, about .34 for a Sentinel-1 SLC. The
        estimate is corrected by its expectation (Touzi et al. 1999); 0 leaves it as it is.
    fringes
        Odd side of the windows in which the frequency of fringes is found and removed first,
        pixels; 0 removes none. With it windows see through slopes and deformation.
    """

    window: int = 9
    samples: float = 1.0
    fringes: int = 0
    takes_complex = True
    stride = 1
    """Pixels between results."""
    period = 1
    """Shift of the input that shifts the output alike."""

    def __post_init__(self) -> None:
        """Refuse windows that have no middle."""
        if self.window % 2 == 0 or self.window < 3:
            raise GroundshiftError(f"window={self.window} must be odd and 3 or more, such as 9")
        if self.fringes < 0 or (self.fringes and self.fringes % 2 == 0):
            raise GroundshiftError(f"fringes={self.fringes} must be odd, such as 21, or 0")
        if not 0 <= self.samples <= 1:
            raise GroundshiftError(
                f"samples={self.samples} must be 0 to 1: a pixel has one sample at most"
            )

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.window // 2 + (self.fringes // 2 + 1 if self.fringes else 0)

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return 160

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Coherence:
        """Estimate; complex images carry `halo` pixels of context, a prior is not looked at."""
        known = torch.isfinite(reference.abs()) & torch.isfinite(secondary.abs())
        one, two = (torch.where(known, image, 0) for image in (reference, secondary))
        product = one * two.conj()
        edge = self.halo - self.window // 2
        rows, columns = product.shape
        inner = slice(edge, rows - edge), slice(edge, columns - edge)
        total = self._total(product, inner)
        power = box_sum(
            torch.stack([one.abs() ** 2, two.abs() ** 2, known.float()])[:, *inner], self.window
        )
        first, second, share = power.unbind(0)
        found = total.abs() / (first * second).sqrt().clamp(min=1e-30)
        there = (share >= LEAST * self.window**2) & (first * second > 0)
        found = torch.where(there, found.clamp(max=1), torch.nan)
        if self.samples == 0:
            nothing = torch.full_like(found, math.nan)
            return Coherence(found, nothing, nothing.where(torch.isnan(found), 1.0))
        return _corrected(found, max(2.0, self.samples * self.window**2))

    def _total(self, product: Tensor, inner: tuple[slice, slice]) -> Tensor:
        """Sum an interferogram over windows, each without its own fringes."""
        if not self.fringes:
            return box_sum(product[inner], self.window)
        turns = [
            box_sum(product[1:, 1:] * one.conj(), self.fringes)
            for one in (product[:-1, 1:], product[1:, :-1])
        ]
        down, across = (torch.polar(torch.ones_like(turn.real), turn.angle()) for turn in turns)
        # Pixels that have a frequency begin where those begin whose windows are asked for.
        product = product[inner]
        height, width = product.shape
        down, across = down[:height, :width], across[:height, :width]
        side = self.window // 2
        rows = _turned_sum(product.transpose(0, 1), across.transpose(0, 1), side).transpose(0, 1)
        return _turned_sum(rows, down[:, side : width - side], side)


def _turned_sum(values: Tensor, turn: Tensor, side: int) -> Tensor:
    """Sum along columns what is within `side`, turned back to the phase of the middle."""
    n = values.shape[0] - 2 * side
    turn = turn[side : side + n]
    total = values[side : side + n].clone()
    forward = torch.ones_like(turn)
    for k in range(1, side + 1):
        forward = forward * turn
        total += values[side + k : side + k + n] * forward.conj()
        total += values[side - k : side - k + n] * forward
    return total


@lru_cache(32)
def _expected(samples: float) -> tuple[Tensor, Tensor]:
    """Coherence and its deviation for estimates from 0 to 1; what chance makes of 0 is 0."""
    coherence = np.linspace(0, 1, TOLD)
    mean, spread = sample_coherence(coherence, samples)
    told = np.linspace(0, 1, TOLD)
    found = np.interp(told, mean, coherence)
    slope = np.gradient(mean, coherence).clip(min=0.05)
    sigma = np.interp(found, coherence, spread / slope)
    # Near none, one is as likely as another of those that chance makes alike.
    least = np.interp(mean[0] + spread[0], mean, coherence)
    sigma = np.where(found < least, np.minimum(sigma, least), sigma)
    return torch.from_numpy(found).float(), torch.from_numpy(sigma).float()


def _corrected(found: Tensor, samples: float) -> Coherence:
    coherence, sigma = _expected(samples)
    known = ~torch.isnan(found)
    at = (found.nan_to_num() * (TOLD - 1)).clamp(max=TOLD - 1.001)
    low = at.long()

    def looked_up(table: Tensor) -> Tensor:
        return torch.lerp(table[low], table[low + 1], at - low).where(known, torch.nan)

    mean, spread = sample_coherence(0.0, samples)
    valid = (found > float(mean + 1.645 * spread)).float().where(known, torch.nan)
    return Coherence(looked_up(coherence), looked_up(sigma), valid)
