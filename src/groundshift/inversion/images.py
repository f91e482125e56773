"""What is wrong with one image, in all of its pairs alike.

An error of a whole image, of its orthorectification or its orbit say, is like motion at its date:
it closes around every triangle, and no residual tells of it. So it stays in the position of that
date as it is, however pairs weigh, and adds to what pairs promise: the covariance of pairs is
``diag(sigma^2) + A diag(noise^2) A'`` with the matrix ``A`` that takes dates to pairs.
"""

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from groundshift.inversion.network import Network

ALIKE = 0.01
"""Weight of the expectation that all images are alike, which decides where pairs do not."""


def image_noise(network: Network, spread: Tensor, promised: Tensor) -> Tensor:
    """Tell how wrong each image is, from ground that is known not to move.

    Parameters
    ----------
    spread, promised
        Standard deviation of ``position[j] - position[i]`` of each pair on such ground, and what
        it would be if pairs were independent, ``(pairs, components)``; NaN is not known.

    Returns
    -------
    Tensor
        Standard deviations, ``(dates, components)``: the least squares that are not below 0; NaN
        where nothing is known. Dates of no pair that is known are as wrong as the others on
        average.
    """
    design = np.zeros((len(network.pairs), network.dates))
    for row, dates in zip(design, network.pairs, strict=True):
        row[list(dates)] = 1.0
    found = np.full((network.dates, spread.shape[1]), np.nan)
    for component in range(spread.shape[1]):
        seen, told = (each[:, component].double().cpu().numpy() for each in (spread, promised))
        known = np.isfinite(seen) & np.isfinite(told) & (seen > 0)
        if not known.any():
            continue
        weight = 1 / seen[known] ** 2
        rest = seen[known] ** 2 - told[known] ** 2
        mean = max(0.0, float(rest.mean()) / 2)
        alike = ALIKE * float(np.median(weight)) * np.eye(network.dates)
        rows = np.concatenate([weight[:, None] * design[known], alike])
        wanted = np.concatenate([weight * rest, mean * alike.diagonal()])
        found[:, component] = np.sqrt(nnls(rows, wanted)[0])
    return torch.from_numpy(found).to(spread)


def with_images(sigma: Tensor, noise: Tensor, reference: int) -> Tensor:
    """Return how sure positions are with the noise of their images.

    Parameters
    ----------
    sigma
        Of positions relative to the reference date, if pairs were independent, ``(dates,
        components, pixels)``.
    noise
        Of each image, ``(dates, components)``.
    """
    added = noise**2 + noise[reference] ** 2
    added[reference] = 0.0
    return (sigma**2 + added[:, :, None]).sqrt()
