"""Squared coherence from means of products of two intensities.

An estimator says which products of the intensities of both dates are averaged, and how the squared
coherence follows from their means. Means over a window of an image, or over drawn samples, are the
same to it. What it gives is not clipped: below zero is less alike than chance.

The scale of intensities does not matter, but to `Likelihood`, which takes them over their mean.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import hyp0f1, ive
from torch import Tensor

from groundshift.coherent.laws import amplitude_correlation, log_covariance, log_variance
from groundshift.errors import GroundshiftError

STEPS = 34
"""Coherences at which likelihood is compared."""
HIGHEST = 0.99
"""The last of them."""
PLACES = 2048
"""Of tables."""
LARGEST = 1e7
"""Argument of the Bessel function up to which it is tabulated."""


@dataclass(frozen=True)
class Pearson:
    """Correlation of the intensities: the squared coherence for any number of looks (Siegert)."""

    products = 5
    positive = False
    """Whether it takes intensities above zero only."""
    scaled = False
    """Whether it takes intensities of mean one only."""

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Products of intensities, stacked in front."""
        return _second_moments(one, other)

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        return _correlation(means)


@dataclass(frozen=True)
class _ByLooks:
    """An estimator that depends on the number of looks."""

    looks: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no number of looks."""
        if not 0 < self.looks < 1e4:
            raise GroundshiftError(
                f"looks={self.looks} is no number of looks; pass the equivalent number of looks of "
                "the product: 1 for SLC, about 4.9 for Sentinel-1 GRD"
            )


@dataclass(frozen=True)
class GuarnieriPrati(_ByLooks):
    """``(L + 1) E[I1 I2] / sqrt(E[I1**2] E[I2**2]) - L`` (Monti Guarnieri and Prati 1997).

    They give it for one look, ``2 r - 1``, which of averages of `L` looks never falls below
    ``(L - 1) / (L + 1)``, whatever the ground: wrong without a sign of it.

    Parameters
    ----------
    looks
        Equivalent number of looks.
    """

    products = 3
    positive = scaled = False

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Products of intensities, stacked in front."""
        return torch.stack([one * one, other * other, one * other])

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        first, second, both = means.unbind(0)
        return (self.looks + 1) * both / (first * second).clamp(min=1e-20).sqrt() - self.looks


@dataclass(frozen=True)
class AmplitudeCorrelation(_ByLooks):
    """Correlation of the amplitudes, which is a little lower than the squared coherence.

    Parameters
    ----------
    looks
        Equivalent number of looks.
    """

    products = 5
    positive = scaled = False

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Products of intensities, stacked in front."""
        return _second_moments(one.sqrt(), other.sqrt())

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        return _inverted("amplitude", self.looks, _correlation(means))


@dataclass(frozen=True)
class LogCorrelation(_ByLooks):
    """Correlation of decibels (second-kind statistics): offsets between the dates drop out.

    Parameters
    ----------
    looks
        Equivalent number of looks.
    """

    products = 5
    positive, scaled = True, False

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Products of intensities, stacked in front."""
        return _second_moments(one.log(), other.log())

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        return _inverted("log", self.looks, _correlation(means))


@dataclass(frozen=True)
class LogRatio(_ByLooks):
    """Variance of the logarithm of the ratio: what multiplies both dates drops out, as texture.

    Parameters
    ----------
    looks
        Equivalent number of looks; the estimate needs it more than any other.
    """

    products = 2
    positive, scaled = True, False

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Products of intensities, stacked in front."""
        ratio = (one / other).log()
        return torch.stack([ratio, ratio * ratio])

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        mean, square = means.unbind(0)
        variance = square - mean**2
        return _inverted("log", self.looks, 1 - variance / (2 * log_variance(self.looks)))


@dataclass(frozen=True)
class Likelihood(_ByLooks):
    """Maximum likelihood of the bivariate gamma law (Kibble 1941).

    Parameters
    ----------
    looks
        Equivalent number of looks.
    """

    products = STEPS
    positive, scaled = False, True

    def of(self, one: Tensor, other: Tensor) -> Tensor:
        """Log likelihood of intensities at each of the coherences that are compared."""
        table, step = _bessel(self.looks)
        table = table.to(one)
        total, root = self.looks * (one + other), self.looks * (one * other).sqrt()
        planes = []
        for rho in (_compared() ** 2).tolist():
            z = 2 * math.sqrt(rho) / (1 - rho) * root
            at = torch.log1p(z).div_(step).clamp_(max=PLACES - 1.001)
            low = at.long()
            value = torch.lerp(table[low], table[low + 1], at - low)
            planes.append(value + z - total / (1 - rho) - self.looks * math.log1p(-rho))
        return torch.stack(planes)

    def squared(self, means: Tensor) -> Tensor:
        """Squared coherence from the means of the products."""
        best = means[1:-1].argmax(0, keepdim=True) + 1
        below, top, above = (means.gather(0, best + k)[0] for k in (-1, 0, 1))
        bend = (2 * top - below - above).clamp(min=1e-12)
        step = _compared()[1].item()
        found = (best[0] + (0.5 * (above - below) / bend).clamp(-1, 1)) * step
        return found**2


AnyEstimator = (
    Pearson | GuarnieriPrati | AmplitudeCorrelation | LogCorrelation | LogRatio | Likelihood
)
"""Every estimator for detected images."""


def _second_moments(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([a, b, a * a, b * b, a * b])


def _correlation(means: Tensor) -> Tensor:
    a, b, aa, bb, ab = means.unbind(0)
    spread = ((aa - a * a).clamp(min=0) * (bb - b * b).clamp(min=0)).sqrt()
    return (ab - a * b) / spread.clamp(min=1e-12)


@lru_cache(64)
def _table(kind: str, looks: float) -> Tensor:
    """Squared coherence at each of `PLACES` correlations from 0 to 1."""
    rho = np.linspace(0, 1, PLACES) ** 2
    if kind == "log":
        shown = log_covariance(rho, looks) / log_variance(looks)
    else:
        shown = amplitude_correlation(rho, looks)
    return torch.from_numpy(np.interp(np.linspace(0, 1, PLACES), shown, rho)).float()


def _inverted(kind: str, looks: float, correlation: Tensor) -> Tensor:
    """Look a correlation up; below zero the law goes on as it begins."""
    table = _table(kind, looks).to(correlation)
    at = (correlation.abs().clamp(max=1) * (PLACES - 1)).clamp(max=PLACES - 1.001)
    low = at.long()
    found = torch.lerp(table[low], table[low + 1], at - low)
    return torch.where(correlation < 0, -found, found)


def _compared() -> Tensor:
    return torch.linspace(0, HIGHEST, STEPS, dtype=torch.float64)


@lru_cache(64)
def _bessel(looks: float) -> tuple[Tensor, float]:
    """Tabulate ``log(I_v(z) (z / 2)**-v) - z`` for ``v = looks - 1`` at ``log1p(z)``; the step."""
    order = looks - 1
    step = math.log1p(LARGEST) / (PLACES - 1)
    z = np.expm1(step * np.arange(1, PLACES))
    with np.errstate(divide="ignore"):
        values = np.log(ive(order, z)) - order * np.log(z / 2)
    small = np.isinf(values)  # of many looks, where the function underflows but its series does not
    values[small] = np.log(hyp0f1(looks, z[small] ** 2 / 4)) - math.lgamma(looks) - z[small]
    first = -math.lgamma(looks)
    return torch.from_numpy(np.concatenate([[first], values])).float(), step
