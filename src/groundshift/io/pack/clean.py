"""Cleaning measured motion: wild values out, noise smoothed away, gaps filled.

A matcher's noise must not become motion that another is trained to find. Values far from the median
of their neighbours are dropped (Westerweel & Scarano 2005); the rest is smoothed by a Gaussian as
wide as its noise asks for, a normalised convolution (Knutsson & Westin 1993), which also fills
gaps: the wider, the farther away what is known lies. The result is sampled as densely as the
smoothing left detail.
"""

import numpy as np
import torch
from scipy import ndimage

from groundshift.errors import ImageError

WILD = 5.0
"""Deviations from the median of the neighbours."""
PASSES = ((1, 0.1), (3, 0.3))
"""Cells from one neighbour to the next, of 5 x 5 whose median is taken, and the share of the
fastest motion that is not wild: the second finds clumps, and must spare narrow glaciers."""
FEWEST = 0.4
"""Share of them that must be known."""
QUIET = 0.003
"""Noise that may remain, a share of the fastest motion."""
WIDEST = 5.0
"""Deviation of the smoothing at most, cells."""
DENSE = 0.5
"""Share of known weight under the smoothing from which a cell counts as measured."""


def cleaned(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clean a field.

    Parameters
    ----------
    motion
        ``(2, rows, columns)``, NaN where it was not measured.

    Returns
    -------
    tuple
        The field without gaps, ``(2, h, w)`` float64, and where it was measured; on a grid as many
        times coarser as the deviation of the smoothing, rounded down.

    Raises
    ------
    ImageError
        When nothing is left, or nothing moves.
    """
    known: np.ndarray = np.asarray(np.isfinite(motion).all(axis=0))
    noise = fastest = 0.0
    for apart, steep in PASSES:
        median, share = _medians(np.where(known, motion, np.nan), apart)
        known = known & (share >= FEWEST) & np.isfinite(median).all(axis=0)
        if not known.any():
            raise ImageError("nothing in it is measured")
        miss = np.hypot(*(motion - median))
        fastest = float(np.percentile(np.hypot(*motion)[known], 99))
        if fastest == 0:
            raise ImageError("nothing in it moves")
        # The median of a Rayleigh distribution is 1.18 deviations of a component.
        noise = noise or float(np.median(miss[known])) / 1.18
        known = known & (miss <= WILD * noise + steep * fastest)
    # Averaging white noise with a Gaussian leaves 1 / (2 sqrt(pi) sigma) of it.
    sigma = float(np.clip(noise / (2 * np.sqrt(np.pi) * QUIET * fastest), 1.0, WIDEST))
    values, weight = filled(motion, known, sigma)
    step = int(sigma)
    return values[:, ::step, ::step], weight[::step, ::step] >= DENSE


def filled(motion: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Smooth what is known, and continue it smoothly where nothing is.

    Returns
    -------
    tuple
        The field, and the share of known weight under the smoothing.
    """
    weight = known.astype(np.float64)
    sums = np.where(known, motion, 0.0)
    return _filled(sums, weight, sigma), _blur(weight, sigma)


def _filled(sums: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Means where weights suffice, elsewhere what a grid of half as many cells makes of them.

    Pull and push (Gortler et al. 1996): each level costs a quarter of the one above.
    """
    if max(weight.shape) <= 4:
        mean = sums.sum(axis=(1, 2)) / max(float(weight.sum()), 1e-12)
        return np.broadcast_to(mean[:, None, None], sums.shape)
    under = _blur(weight, sigma)
    means = np.stack([_blur(plane, sigma) for plane in sums]) / np.maximum(under, 1e-12)
    if under.min() >= DENSE:
        return means
    coarse = _filled(_halved(sums), _halved(weight), max(1.0, sigma / 2))
    rows, columns = (np.arange(n) / 2 - 0.25 for n in weight.shape)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    wide = np.stack([ndimage.map_coordinates(p, at, order=1, mode="nearest") for p in coarse])
    return wide + _ramp(under / DENSE) * (means - wide)


def _ramp(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def _halved(planes: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 cells; an odd last row or column is repeated."""
    odd = [(0, n % 2) for n in planes.shape[-2:]]
    even = np.pad(planes, [(0, 0)] * (planes.ndim - 2) + odd, mode="edge")
    *_, rows, columns = even.shape
    return even.reshape(*even.shape[:-2], rows // 2, 2, columns // 2, 2).mean(axis=(-3, -1))


def _blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=3)


def _medians(motion: np.ndarray, apart: int) -> tuple[np.ndarray, np.ndarray]:
    """Medians of 5 x 5 neighbours of each cell, and the share of them that is known."""
    reach = 2 * apart
    wide = np.pad(motion, ((0, 0), *2 * [(reach, reach)]), mode="reflect")
    side = (2 * reach + 1, 2 * reach + 1)
    windows = np.lib.stride_tricks.sliding_window_view(wide, side, (1, 2))[..., ::apart, ::apart]
    medians, share = np.empty_like(motion), np.empty(motion.shape[1:])
    for row in range(motion.shape[1]):
        around = torch.from_numpy(windows[:, row].reshape(2, -1, 25).astype(np.float32))
        medians[:, row] = torch.nanmedian(around, dim=-1).values.numpy()
        share[row] = torch.isfinite(around[0]).double().mean(-1).numpy()
    return medians, share
