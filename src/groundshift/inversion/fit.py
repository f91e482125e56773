"""Fit a motion of a few terms to the pairs of a stack, pixel by pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.errors import GroundshiftError
from groundshift.inversion import robust
from groundshift.inversion.network import Network
from groundshift.inversion.terms import Term
from groundshift.inversion.together import Closing

STEPS = 8
"""Iterations of weights."""
STARTS = 3
"""Of these without a biweight."""
WORST = 1e-10
"""Ratio of eigenvalues below which pairs do not tell the terms apart."""


class _Shared(NamedTuple):
    """What pairs of one image have in common."""

    network: Network
    variance: Tensor
    """Of each image, ``(dates, components)``."""

    def of_pairs(self) -> Tensor:
        """Return what it adds to the variance of each pair, ``(pairs, components, 1)``."""
        first, second = self.network.ends(self.variance.device)
        return (self.variance[first] + self.variance[second])[:, :, None]

    def beyond(self, gain: Tensor, of_dates: Tensor) -> Tensor:
        """Return what correlation of pairs adds to the variance of numbers that follow from them.

        Parameters
        ----------
        gain, of_dates
            Change of each number with each pair, ``(pairs, components, pixels, numbers)``, and
            with each date.
        """
        together = torch.einsum("dc,dcxp->cxp", self.variance, of_dates**2)
        return together - torch.einsum("mc,mcxp->cxp", self.of_pairs()[..., 0], gain**2)


class Fitted(NamedTuple):
    """Numbers that describe the motion."""

    value: Tensor
    """``(numbers, components, pixels)``; NaN where the pairs do not determine all of them."""
    sigma: Tensor
    """Standard deviations, of that shape."""
    misfit: Tensor
    """Standard deviation of the residuals in units of those given, ``(pixels,)``."""


def fit(
    network: Network,
    years: Tensor,
    terms: Sequence[Term],
    observed: Tensor,
    sigma: Tensor | None,
    *,
    noise: Tensor | None = None,
    together: Closing | None = None,
    outliers: bool = True,
) -> Fitted:
    """Fit terms by weighted least squares, in the end without what contradicts them.

    Parameters
    ----------
    years
        Of each date, ``(dates,)``.
    observed, sigma
        What the pairs measured and its standard deviation, ``(pairs, components, pixels)``; NaN is
        not measured. Without sigma all pairs count alike, and what numbers are sure of follows from
        residuals.
    noise
        Standard deviation of what is wrong with each image, in all of its pairs alike, ``(dates,
        components)``; see :mod:`groundshift.inversion.images`. By default pairs are independent.
    together
        What pairs promise and err by together; see :mod:`groundshift.inversion.together`.
    outliers
        Leave out pairs that are far from the fit, by a biweight.

    Raises
    ------
    GroundshiftError
        If no stack of these dates tells the terms apart.
    """
    design, size = design_of(network, years.to(observed.device, observed.dtype), terms)
    least = 1.0
    if sigma is None:
        sigma, least = torch.ones_like(observed), torch.finfo(observed.dtype).tiny
    measured = (torch.isfinite(observed) & torch.isfinite(sigma)).all(1)
    shared = None if noise is None else _Shared(network, noise.to(sigma) ** 2)
    total = sigma**2 if shared is None else sigma**2 + shared.of_pairs()
    inverse = torch.where(measured[:, None], 1 / total, 0.0)
    known = torch.where(measured[:, None], observed, 0.0)
    components = observed.shape[1]
    trust = measured.to(observed.dtype)
    variance = torch.ones_like(trust[0])
    for step in range(STEPS if outliers else 0):
        value, _ = _solve(design, trust[:, None] * inverse, known)
        squares = _squares(design, value, known, inverse)
        unknowns = torch.full_like(variance, len(size))
        if step == 0:
            left = (measured.sum(0) - len(size)).clamp(min=1)
            variance = squares.sum(0) / (components * left)
        else:
            variance = robust.variance(squares, measured, unknowns, components, variance)
        variance = variance.clamp(min=least)
        distance = (squares / variance).sqrt()
        weigh = robust.l1 if step < STARTS else robust.tukey
        trust = weigh(distance, components) * measured
    weights = trust[:, None] * inverse
    value, covariance = _solve(design, weights, known)
    spread = _spread(network, design, weights, covariance, sigma, shared, together)
    left = measured.sum(0) - len(size)
    if not outliers:
        squares = _squares(design, value, known, inverse)
        variance = squares.sum(0) / (components * left.clamp(min=1))
    misfit = variance.sqrt().where(left > 0, torch.nan)
    spread = spread * variance.clamp(min=least).sqrt()
    return Fitted(value / size[:, None, None], spread / size[:, None, None], misfit)


def design_of(network: Network, years: Tensor, terms: Sequence[Term]) -> tuple[Tensor, Tensor]:
    """Return what each pair sees of a unit of each number, ``(pairs, numbers)``, and their sizes.

    Parameters
    ----------
    years, terms
        As for `fit`.

    Returns
    -------
    tuple
        Columns of length 1, and the lengths that they had.

    Raises
    ------
    GroundshiftError
        If the pairs do not tell the terms apart.
    """
    motion = torch.cat([term(years) for term in terms], 1)
    first, second = network.ends(years.device)
    design = motion[second] - motion[first]
    size = design.pow(2).sum(0).sqrt()
    if bool((size == 0).any()) or _ratio(design / size) < WORST:
        raise GroundshiftError(
            f"the {len(network.pairs)} pairs do not tell {len(size)} terms of motion apart; give "
            "fewer terms, or dates that differ by more"
        )
    return design / size, size


def _solve(design: Tensor, weights: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return numbers and their covariance; NaN where pairs do not determine them.

    Returns
    -------
    tuple
        ``(numbers, components, pixels)`` and ``(components, pixels, numbers, numbers)``.
    """
    weights = weights.expand(known.shape)
    normal = torch.einsum("mp,mq,mcx->cxpq", design, design, weights)
    right = torch.einsum("mp,mcx->cxp", design, weights * known)
    values, vectors = torch.linalg.eigh(normal)
    good = values[..., 0] > WORST * values[..., -1].clamp(min=1e-300)
    inverse = (vectors / values.clamp(min=1e-300)[..., None, :]) @ vectors.mT
    inverse = inverse.where(good[..., None, None], torch.nan)
    return (inverse @ right[..., None])[..., 0].permute(2, 0, 1), inverse


def _spread(
    network: Network,
    design: Tensor,
    weights: Tensor,
    covariance: Tensor,
    sigma: Tensor,
    shared: _Shared | None,
    together: Closing | None,
) -> Tensor:
    """Return standard deviations of the numbers, ``(numbers, components, pixels)``."""
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    if shared is not None or together is not None:
        weights = weights.expand(-1, covariance.shape[0], -1)
        gain = torch.einsum("mp,cxpq,mcx->mcxq", design, covariance, weights)
        first, second = network.ends(gain.device)
        of_dates = gain.new_zeros(network.dates, *gain.shape[1:])
        of_dates.index_add_(0, second, gain).index_add_(0, first, -gain)
        more = 0.0 if shared is None else shared.beyond(gain, of_dates)
        if together is not None:
            variance = together.of_numbers(variance.sqrt(), sigma, of_dates) ** 2
        variance = variance + more
    return variance.clamp(min=0).sqrt().permute(2, 0, 1)


def _squares(design: Tensor, value: Tensor, known: Tensor, inverse: Tensor) -> Tensor:
    """Squared distances, ``(pairs, pixels)``; 0 where nothing was measured or could be solved."""
    residual = torch.einsum("mp,pcx->mcx", design, value.nan_to_num()) - known
    return (residual**2 * inverse).sum(1)


def _ratio(design: Tensor) -> float:
    values = torch.linalg.eigvalsh(design.T @ design)
    return float(values[0] / values[-1])
