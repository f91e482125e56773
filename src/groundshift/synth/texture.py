"""Which real texture a recipe draws from, if any."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundshift.synth.bank import Bank

ENLARGED = (2, 4, 8)
"""Times, where the bank has nothing as large as an image."""


@dataclass(frozen=True)
class Texture:
    """The part of a bank that is drawn from."""

    bank: Bank | None = None
    split: str = "train"
    real: float = 0.5
    """Share of scenes that show a crop of the bank."""
    dates: float = 0.5
    """Share of crops that show two dates of one place, where the bank has them."""

    def chance(self, rng: np.random.Generator) -> bool:
        """Draw whether a scene shows a crop."""
        return self.bank is not None and bool(rng.random() < self.real)

    def crops(self, n: int, kind: str, rng: np.random.Generator) -> Tensor:
        """One or two dates of a place, ``(dates, n, n)``; small places are enlarged."""
        assert self.bank is not None
        half, *smaller = (-(-n // times) for times in ENLARGED)
        choices = [(1, n), (1, half), *((1, size) for size in smaller)]
        if rng.random() < self.dates:
            choices = [(2, n), (2, half), *choices]
        fits = [
            (dates, size)
            for dates, size in choices
            if self.bank.select(kind=kind, split=self.split, size=size, dates=dates)
        ]
        dates, size = fits[0] if fits else choices[-1]
        crop = self.bank.crop(rng, size, kind, self.split, dates=dates)
        if crop.shape[-1] < n:
            crop = torch.nn.functional.interpolate(
                crop[None], (n, n), mode="bicubic", align_corners=False
            )[0]
        return crop
