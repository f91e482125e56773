"""Images in 8 bits: what levels mean, and how they are stored.

Radar amplitude is kept in steps of 0.5 dB: wrong by 0.25 dB at most, where single-look speckle
scatters by 5.6 dB. Images of 8 bits are kept as they are, but for a 0 among the data where there is
a 255 as well, which becomes a 1; deeper optical images in 254 steps of the square root, like the
noise of light, between the 0.01th and the 99.99th percentile.

Planes are stored as differences to their neighbours, which deflates despeckled radar to 1.7 and
optical images to 5 bits per pixel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundshift.errors import ImageError

DECIBELS = 0.5
"""Step of radar amplitude."""
LEVELS = 255
"""Levels of a plane, from 1; 0 is no data."""


@dataclass(frozen=True)
class Scale:
    """What the levels of a plane mean."""

    law: str
    """``linear``: offset + step q; ``sqrt``: offset + (step q)^2; ``db``: 20 log10 of the
    value is offset + step q. With q = level - 1."""
    offset: float
    step: float

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Round to levels, uint8; NaN becomes 0, what is out of range the nearest level."""
        known = np.isfinite(values)
        v = np.where(known, values, self.offset).astype(np.float64)
        match self.law:
            case "db":
                q = (20 * np.log10(v, where=v > 0, out=np.full_like(v, -np.inf)) - self.offset) / (
                    self.step
                )
            case "sqrt":
                q = np.sqrt((v - self.offset).clip(min=0)) / self.step
            case _:
                q = (v - self.offset) / self.step
        return np.where(known, q.clip(0, LEVELS - 1).round() + 1, 0).astype(np.uint8)

    def values(self, levels: Tensor) -> Tensor:
        """Return what levels stand for, float32; NaN for 0."""
        q = torch.arange(-1, LEVELS, dtype=torch.float64, device=levels.device) * self.step
        match self.law:
            case "db":
                table = 10 ** ((q + self.offset) / 20)
            case "sqrt":
                table = q**2 + self.offset
            case _:
                table = q + self.offset
        table[0] = torch.nan
        return table.float()[levels.int()]


def scale_of(values: np.ndarray, kind: str) -> Scale:
    """Choose the scale for an image: amplitude of radar, or an optical one; NaN is no data.

    Raises
    ------
    ImageError
        Without a single usable value.
    """
    known = values[np.isfinite(values)]
    if kind != "optical":
        known = known[known > 0]
    if known.size == 0 or known.min() == known.max():
        above = "" if kind == "optical" else " above zero"
        raise ImageError(f"has no two different values{above}")
    if kind != "optical":
        top = 20 * np.log10(float(known.max()))
        return Scale("db", top - DECIBELS * (LEVELS - 1), DECIBELS)
    low, high = float(known.min()), float(known.max())
    if high - low <= LEVELS and np.array_equal(known, np.round(known)):
        return Scale("linear", high - (LEVELS - 1), 1.0)
    low, high = (float(v) for v in np.percentile(known, (0.01, 99.99)))
    return Scale("sqrt", low, (max(high - low, 1e-9) ** 0.5) / (LEVELS - 1))


def differenced(levels: Tensor) -> np.ndarray:
    """Differences along columns, then rows, of planes ``(n, rows, columns)``; they wrap around."""
    values = levels.cpu().numpy()
    for axis in (2, 1):
        values = np.diff(values, axis=axis, prepend=values.dtype.type(0))
    return values


def undifferenced(values: np.ndarray) -> Tensor:
    """Undo `differenced`, of uint8 or int16."""
    if values.dtype not in (np.uint8, np.int16) or values.ndim != 3:
        raise ImageError(f"planes are {values.dtype} {values.shape}, not integers of 3 dimensions")
    for axis in (1, 2):
        values = np.cumsum(values, axis=axis, dtype=values.dtype)
    return torch.from_numpy(values)
