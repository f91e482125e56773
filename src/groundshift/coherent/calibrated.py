"""Coherence that is right in the mean, and its standard deviation, for one product.

What windows make of a coherence depends on the looks, on how many pixels a speckle covers, and on
what was done to the images before. All of it is in a simulation: pairs of uniform ground with the
speckle of the product go through the same operator, and what it says of each coherence is kept.
What it says of a pair is then turned round by Bayes' rule, with all coherences alike beforehand.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from groundshift.coherent.speckle import Speckle
from groundshift.coherent.windowed import Coherence, Windowed

COHERENCES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.93, 0.97, 0.99)
"""That are simulated."""
SIZE = 256
"""Of what is simulated of each, pixels."""
FINE = 199
"""Coherences that are compared, up to the largest simulated."""
LOWEST, HIGHEST = -0.9, 0.999
"""Limits of the estimate of the squared coherence."""
TOLD = 256
"""Estimates that are tabulated."""
CERTAIN = 1.645
"""Deviations above no coherence at all, beyond which there is some: 95 %."""


class Answers(NamedTuple):
    """What to make of the estimates between two, at equal distances, as inverse tangents."""

    first: float
    step: float
    coherence: Tensor
    sigma: Tensor
    threshold: float
    """Least estimate that tells coherence from none."""


@dataclass(frozen=True)
class Calibrated:
    """Coherence in windows, with its standard deviation, for a product.

    Parameters
    ----------
    operator
        How the squared coherence is estimated.
    speckle
        Of the product; :meth:`groundshift.coherent.speckle.Speckle.of` measures it.
    """

    operator: Windowed = field(default_factory=Windowed)
    speckle: Speckle = field(default_factory=Speckle)

    @property
    def halo(self) -> int:
        """Context pixels on each side."""
        return self.operator.halo

    @property
    def stride(self) -> int:
        """Pixels between results."""
        return self.operator.stride

    @property
    def period(self) -> int:
        """Shift of the input that shifts the output alike."""
        return self.operator.period

    @property
    def bytes_per_pixel(self) -> int:
        """Working memory per pixel of the input, an upper estimate."""
        return self.operator.bytes_per_pixel + 40

    def __call__(
        self, reference: Tensor, secondary: Tensor, prior: Tensor | None = None
    ) -> Coherence:
        """Estimate; amplitudes carry `halo` pixels of context, a prior is not looked at."""
        answers = answers_of(self.operator, self.speckle)
        told = stretched(self.operator.squared(reference, secondary))
        known = ~torch.isnan(told)
        at = ((told.nan_to_num() - answers.first) / answers.step).clamp(0, TOLD - 1.001)
        low = at.long()

        def looked_up(table: Tensor) -> Tensor:
            table = table.to(told)
            return torch.lerp(table[low], table[low + 1], at - low).where(known, torch.nan)

        valid = torch.where(known, (told > answers.threshold).to(told.dtype), torch.nan)
        return Coherence(looked_up(answers.coherence), looked_up(answers.sigma), valid)


def stretched(squared: Tensor) -> Tensor:
    """Inverse hyperbolic tangent (Fisher), in which estimates scatter more evenly."""
    return squared.clamp(LOWEST, HIGHEST).atanh()


@lru_cache(32)
def answers_of(operator: Windowed, speckle: Speckle) -> Answers:
    """Simulate what an operator says of each coherence, and turn it round."""
    middle, spread = _said(operator, speckle)
    fine = np.linspace(0, COHERENCES[-1], FINE)
    mean = PchipInterpolator(COHERENCES, middle)(fine)
    deviation = np.exp(PchipInterpolator(COHERENCES, np.log(spread))(fine))
    first, last = math.atanh(LOWEST), math.atanh(HIGHEST)
    told = np.linspace(first, last, TOLD)
    likelihood = -0.5 * ((told[:, None] - mean) / deviation) ** 2 - np.log(deviation)
    share = np.exp(likelihood - likelihood.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    found = share @ fine
    sigma = np.sqrt(np.maximum(share @ fine**2 - found**2, 0))
    return Answers(
        first,
        (last - first) / (TOLD - 1),
        torch.from_numpy(found).float(),
        torch.from_numpy(sigma).float(),
        float(middle[0] + CERTAIN * spread[0]),
    )


def _said(operator: Windowed, speckle: Speckle) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the stretched estimate at each of `COHERENCES`."""
    generator = torch.Generator().manual_seed(0)
    middle, spread = [], []
    for coherence in COHERENCES:
        pair = uniform(speckle, coherence, SIZE + 2 * operator.halo, generator)
        told = stretched(operator.squared(*pair))
        middle.append(float(told.mean()))
        spread.append(float(told.std()))
    return np.array(middle), np.array(spread)


def uniform(
    speckle: Speckle, coherence: float, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw amplitudes of uniform ground on two dates, ``(size, size)``.

    Looks are independent; of a number of looks that is not whole the last one counts less.
    """
    looks = max(1.0, speckle.looks)
    whole = math.ceil(looks - 1e-6)
    weights = torch.ones(whole)
    if whole > 1:
        rest = whole - 1
        weights[-1] = (rest - math.sqrt(max(0.0, looks * rest * (whole - looks)))) / (looks - 1)
    bands = [(torch.fft.fftfreq(size).abs() <= width / 2).float() for width in speckle.bandwidth]
    band = bands[0][:, None] * bands[1]
    band /= band.mean().sqrt()

    def drawn() -> Tensor:
        parts = torch.randn(whole, size, size, 2, generator=generator) / math.sqrt(2)
        return torch.fft.ifft2(torch.fft.fft2(torch.view_as_complex(parts)) * band)

    kept, lost = drawn(), drawn()
    other = coherence * kept + math.sqrt(1 - coherence**2) * lost
    one, two = (
        ((z.real**2 + z.imag**2) * weights[:, None, None]).sum(0).sqrt() for z in (kept, other)
    )
    return one, two
