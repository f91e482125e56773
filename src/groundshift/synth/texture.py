"""Which real texture a recipe draws from, if any."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn.functional import interpolate

from groundshift.errors import GroundshiftError
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

    def crops(self, n: int, kind: str, rng: np.random.Generator) -> Tensor | None:
        """One or two dates of a place, ``(dates, n, n)``; small places are enlarged.

        None if the bank has nothing of the kind, or nothing without missing pixels: such a scene
        is invented.

        Raises
        ------
        GroundshiftError
            If all that it has is too small.
        """
        assert self.bank is not None
        half, *smaller = (-(-n // times) for times in ENLARGED)
        choices = [(1, n), (1, half), *((1, size) for size in smaller)]
        if rng.random() < self.dates:
            choices = [(2, n), (2, half), *choices]
        for dates, size in choices:
            if not self.bank.select(kind=kind, split=self.split, size=size, dates=dates):
                continue
            try:
                crop = self.bank.crop(rng, size, kind, self.split, dates=dates)
            except GroundshiftError:
                continue
            if size == n:
                return crop
            return interpolate(crop[None], (n, n), mode="bicubic", align_corners=False)[0]
        own = self.bank.select(kind=kind, split=self.split)
        least = choices[-1][1]
        if own and all(stack.places(least) == 0 for stack in own):
            self.bank.crop(rng, least, kind, self.split)  # says what there is
        return None
