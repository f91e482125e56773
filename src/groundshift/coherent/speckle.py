"""What the speckle of a product is like: how many looks, and how wide along each axis."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from groundshift.coherent.laws import log_variance
from groundshift.errors import GroundshiftError

SIDE = 24
"""Side of the windows that are looked at, pixels."""
FEWEST = 6
"""Windows that say something."""
WIDEST = 0.1
"""Least bandwidth, cycles per pixel."""
ROUNDS = 60
"""Of bisection."""
CALM, NORMAL = 0.1, 1.2816
"""Share of the windows that show speckle alone, or no coherence, and its normal quantile."""
SCATTER = 0.6
"""Squared relative deviation of the variance of logarithms, times the number of samples; simulated
for one look and five."""
APART = (4, 5, 6)
"""Pixels, at which speckle does not correlate any more but texture may."""
FLAT = 1e-4
"""Variance of the logarithm below which there is no speckle."""
MOST = 200.0
"""Looks beyond which there is none to speak of."""

NOTHING = (
    "the images show no speckle to tell the number of looks from; if they are radar images, say "
    "which value means no data with nodata=, or what the numbers are with radiometry=, or pass "
    "looks="
)


@dataclass(frozen=True)
class Speckle:
    """Of a detected product.

    Parameters
    ----------
    looks
        Equivalent number of looks of the intensity.
    bandwidth
        Of the complex images of one look along y and x, cycles per pixel, as if their band were
        flat: above 0.5 the intensity is aliased, from 1 on pixels are independent.
    """

    looks: float = 1.0
    bandwidth: tuple[float, float] = (0.8, 0.8)

    @classmethod
    def of(cls, reference: Tensor, secondary: Tensor) -> Self:
        """Measure it in two detected images ``(H, W)`` of one product and place.

        The number of looks is that of the calmest ground, where texture of several pixels is told
        from speckle by its correlation. Coherence does not enter, as it would in the ratio of both.

        Raises
        ------
        GroundshiftError
            If there is no speckle.
        """
        pair = _windows(reference, secondary)
        width = _width(pair)
        high = _between(pair, width)[1]
        looks = min(_looks(max(_calmest(pair, width, APART), FLAT)), high)
        if looks > MOST:
            raise GroundshiftError(NOTHING)
        return cls(looks, width)

    @property
    def samples(self) -> float:
        """Independent samples in a pixel: one over the sum of the correlation of intensity."""
        found = 1.0
        for width in self.bandwidth:
            lags = torch.sinc(width * torch.arange(-200, 201, dtype=torch.float64)) ** 2
            found /= float(lags.sum())
        return found

    def tracking_sigma(self, coherence: ArrayLike, window: float) -> NDArray[np.float64]:
        """Least deviation of a displacement that windows of such images tell, pixels.

        ``sqrt(3 (1 - r) (2 + 7 r) / (10 N L)) / (pi r)`` resolution cells along each axis, with
        ``r`` the squared coherence, ``N`` resolution cells in the window and ``L`` looks (Bamler &
        Eineder 2005; De Zan 2014): what a map of coherence lets a tracker expect. Infinite where
        there is none.

        Parameters
        ----------
        coherence
            A number or a map.
        window
            Side of the windows, pixels.
        """
        square = np.asarray(coherence, np.float64) ** 2
        width = math.sqrt(math.prod(self.bandwidth))
        with np.errstate(divide="ignore"):
            root = np.sqrt(0.3 * (1 - square) * (2 + 7 * square) / self.looks) / (window * width)
            return root / (math.pi * square) / width


def looks_between(reference: Tensor, secondary: Tensor) -> tuple[float, float]:
    """Tell the least and the largest number of looks that two images of one place can have.

    The variance of the logarithm of an image is that of speckle, and what texture adds; half of
    that of the ratio of two is that of speckle, less what is coherent. The calmest ground tells the
    one, the least coherent ground the other.

    Raises
    ------
    GroundshiftError
        If there is no speckle.
    """
    pair = _windows(reference, secondary)
    return _between(pair, _width(pair))


def own_looks(reference: Tensor, secondary: Tensor) -> tuple[float, float]:
    """Tell the number of looks of each of two images by itself; texture makes them fewer."""
    pair = _windows(reference, secondary)
    chance = _chance(_width(pair))
    one, two = (
        _looks(max(float(each.log().var((1, 2)).quantile(CALM)) / (1 - chance), FLAT))
        for each in pair
    )
    return one, two


def _chance(width: tuple[float, float]) -> float:
    """How much calmer, relatively, than the others chance makes the calmest windows.

    The variance of few logarithms scatters.
    """
    return NORMAL * math.sqrt(SCATTER / (Speckle(1.0, width).samples * SIDE**2))


def _between(pair: Tensor, width: tuple[float, float]) -> tuple[float, float]:
    logs = pair.log()
    least = float((logs[0] - logs[1]).var((1, 2)).quantile(1 - CALM)) / 2 / (1 + _chance(width))
    low, high = sorted(_looks(max(spread, FLAT)) for spread in (least, _calmest(pair, width)))
    return low, high


def _calmest(pair: Tensor, width: tuple[float, float], lags: tuple[int, ...] = ()) -> float:
    """Variance of the logarithm in the calmest windows, less what correlates at some lags."""
    logs = pair.log()
    logs = logs - logs.mean((2, 3), keepdim=True)
    spread = logs.square().mean((2, 3))
    for lag in lags:
        down = (logs[:, :, lag:] * logs[:, :, :-lag]).mean((2, 3))
        across = (logs[..., lag:] * logs[..., :-lag]).mean((2, 3))
        spread = spread - (down + across) / (2 * len(lags))
    return float(spread.quantile(CALM)) / (1 - _chance(width))


def _width(pair: Tensor) -> tuple[float, float]:
    """Bandwidth along both axes, from what changes between the dates: texture does not."""
    level = pair / pair.mean((2, 3), keepdim=True)
    rest = level[0] - level[1]
    power = rest.square().mean()
    if pair.shape[1] < FEWEST or not float(power) > FLAT:
        raise GroundshiftError(NOTHING)
    down = (rest[:, 1:] * rest[:, :-1]).mean() / power
    across = (rest[:, :, 1:] * rest[:, :, :-1]).mean() / power
    return _bandwidth(float(down)), _bandwidth(float(across))


def _windows(*images: Tensor) -> Tensor:
    """Intensity of whole windows that both show, ``(2, n, SIDE, SIDE)``."""
    rows, columns = (n // SIDE * SIDE for n in images[0].shape)
    pair = torch.stack([image[:rows, :columns] for image in images]).double()
    windows = pair.unflatten(1, (-1, SIDE)).unflatten(3, (-1, SIDE)).transpose(2, 3).flatten(1, 2)
    good = (windows.isfinite() & (windows > 0)).all(3).all(2).all(0)
    return windows[:, good] ** 2


def _looks(spread: float) -> float:
    """Find the number of looks whose intensity has a logarithm of this variance."""
    low, high = math.log(0.2), math.log(1e4)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        if log_variance(math.exp(middle)) > spread:
            low = middle
        else:
            high = middle
    return math.exp(low)


def _bandwidth(lag: float) -> float:
    """Flat band whose intensity correlates so much with that of the next pixel."""
    low, high = WIDEST, 1.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        if math.sin(math.pi * middle) ** 2 / (math.pi * middle) ** 2 > lag:
            low = middle
        else:
            high = middle
    return low
