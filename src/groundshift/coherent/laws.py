"""What coherence does to detected images: laws of the bivariate gamma distribution.

Two dates of one place are jointly circular Gaussian, with coherence ``g = |E[z1 z2*]| /
sqrt(E|z1|**2 E|z2|**2)``. Detection keeps the intensities, averages of ``L`` looks, whose joint law
is Kibble's (1941) with the parameter ``r = g**2``; the phase is gone, and with it all that is of
first order in a small ``g``.

Everything is in float64 and takes arrays.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, hyp2f1, polygamma, xlogy

Values = NDArray[np.float64]

TERMS = 4000
"""Of series; what is left of them is added as an integral."""


def log_covariance(rho: ArrayLike, looks: float) -> Values:
    """Covariance of the logarithms of two intensities, at the squared coherence `rho`.

    ``sum(rho**k k! Gamma(L) / (k**2 Gamma(k + L)))``, from the Laguerre expansion of the joint law;
    the dilogarithm of `rho` for one look. It grows to the variance ``polygamma(1, looks)`` at 1.
    """
    rho = np.asarray(rho, np.float64)
    k = np.arange(1, TERMS + 1)
    weight = np.exp(gammaln(k + 1) + gammaln(looks) - gammaln(k + looks)) / k**2
    power = np.exp(xlogy(k, rho[..., None]))
    rest = math.gamma(looks) * TERMS ** (-looks) / looks * rho**TERMS
    return power @ weight + rest


def log_variance(looks: float) -> float:
    """Variance of the logarithm of an intensity."""
    return float(polygamma(1, looks))


def amplitude_correlation(rho: ArrayLike, looks: float) -> Values:
    """Correlation of two amplitudes (roots of intensities) at the squared coherence `rho`."""
    mean = math.exp(2 * (math.lgamma(looks + 0.5) - math.lgamma(looks))) / looks
    found = np.asarray(hyp2f1(-0.5, -0.5, looks, np.asarray(rho, np.float64)))
    return mean * (found - 1) / (1 - mean)


def sample_coherence(coherence: ArrayLike, samples: float) -> tuple[Values, Values]:
    """Mean and deviation of the coherence of `samples` pairs of complex numbers.

    Touzi et al. (1999). Written as a mixture: given ``k``, which is negative binomial, the square
    is of a beta distribution, so that both moments are sums of positive terms.
    """
    square = np.asarray(coherence, np.float64) ** 2
    k = np.arange(4 * TERMS)
    first = np.exp(
        gammaln(k + 1.5) + gammaln(samples + k) - gammaln(samples + 0.5 + k) - gammaln(k + 1)
    )
    second = (1 + k) / (samples + k)
    # Beyond, as good as 1: what is left of the mean is less than 1e-4.
    near = samples * square > TERMS * (1 - square)
    few = np.where(near, 0.5, square)[..., None]
    chance = gammaln(samples + k) - gammaln(samples) - gammaln(k + 1)
    weight = np.exp(xlogy(k, few) + samples * np.log1p(-few) + chance)
    mean = np.where(near, np.sqrt(square), weight @ first)
    spread = np.sqrt(np.maximum(weight @ second - mean**2, 0.0))
    return mean, np.where(near, (1 - square) / math.sqrt(2 * samples), spread)


def intensities(
    coherence: float, looks: float, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[Values, Values]:
    """Draw independent pairs of intensities of mean one, of any number of looks.

    Given ``k``, which is Poisson around the first, the second is of a gamma distribution (Kibble
    1941 as a mixture).
    """
    rho = coherence**2
    one = rng.gamma(looks, size=shape)
    if rho >= 1:
        return one / looks, one / looks
    k = rng.poisson(rho * one / (1 - rho))
    return one / looks, (1 - rho) * rng.gamma(looks + k) / looks
