"""Sums over square windows on a grid of cells, and the arithmetic of where the windows lie."""

import math
from functools import lru_cache, reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from groundshift.boxes import box_sum
from groundshift.errors import MatcherError


class Window(NamedTuple):
    """A square of pixels, and the polynomial whose value at its centre stands for it."""

    side: int
    order: int = 0
    """0: the mean. 2: the centre of a fitted quadratic, see `quadratic_kernel`."""


def base_cell(stride: int, windows: tuple[int, ...], limit: int | None = None) -> int:
    """Largest square from which every window around a cell's centre can be put together.

    Raises
    ------
    MatcherError
        When a window cannot be centred on the cells.
    """
    for window in windows:
        if window < 1 or (window - stride) % 2:
            odd = "odd" if stride % 2 else "even"
            raise MatcherError(
                f"a window of {window} px cannot be centred on cells of {stride} px; "
                f"use an {odd} window, for example {window + 1}"
            )
    sides = [abs(window - stride) // 2 for window in windows]
    base = reduce(math.gcd, (stride, *windows, *sides))
    return base if limit is None else math.gcd(base, limit)


def window_sums(cells: Tensor, window: int, stride: int, base: int, context: int) -> Tensor:
    """Sum base cells into the windows around the centres of the cells.

    Parameters
    ----------
    cells
        Sums over base cells, last two dimensions covering the area reported on and `context`
        pixels around it.
    window, stride, base, context
        Pixels.

    Returns
    -------
    Tensor
        One value per cell of `stride` pixels in the last two dimensions.
    """
    first = (context - (window - stride) // 2) // base
    rows, columns = (n - 2 * (context // base) for n in cells.shape[-2:])
    size, step = window // base, stride // base
    inner = cells[..., first : first + rows - step + size, first : first + columns - step + size]
    return box_sum(inner, size, step)


@lru_cache
def quadratic_kernel(size: int) -> tuple[Tensor, Tensor, float]:
    """Weights that give a square's centre the value of the quadratic fitted to it.

    A plain mean over a window flattens every bend of the motion: a wave of length ``L`` loses
    ``(pi W / L)**2 / 6`` of its amplitude. This kernel loses the square of about that, for 2.7
    times the variance, so that windows can be larger where the motion is smooth.

    Parameters
    ----------
    size
        Cells along a side.

    Returns
    -------
    tuple
        Weights ``g`` and ``q`` with the two-dimensional kernel ``g q' + q g'``, each of shape
        ``(size,)``, and the sum of its squares.
    """
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    second, fourth = (x**2).mean(), (x**4).mean()
    # k = a - b (x^2 + y^2) with sum(k) = 1 and sum(k x^2) = sum(k y^2) = 0.
    b = second / (fourth - second**2)
    a = 1 + 2 * b * second
    g = torch.full_like(x, 1 / size)
    q = (a / 2 - b * x**2) / size
    squares = float(((g[:, None] * q + q[:, None] * g) ** 2).sum())
    return g.float(), q.float(), squares


@lru_cache
def kernel_of(window: Window, cell: int) -> Tensor:
    """Weights of the cells of a window, summing to one: ``(side / cell, side / cell)``."""
    size = window.side // cell
    if window.order == 0:
        return torch.full((size, size), 1 / size**2)
    g, q, _ = quadratic_kernel(size)
    return g[:, None] * q + q[:, None] * g


@lru_cache
def noise_of_difference(small: Window, large: Window, cell: int) -> float:
    """Variance of the difference of two windows' estimates, over the variance of the first.

    Both see the same noise: estimates from nested windows differ by less than their separate
    errors suggest.
    """
    a, b = kernel_of(small, cell), kernel_of(large, cell)
    size = max(len(a), len(b))
    a, b = (pad(k, ((size - len(k)) // 2,) * 4) for k in (a, b))
    return float(((a - b) ** 2).sum() / (a**2).sum())


def quadratic_sums(
    cells: Tensor, window: int, stride: int, base: int, context: int
) -> tuple[Tensor, float]:
    """Value at each centre of the quadratic fitted to base cells in a window.

    Arguments as for `window_sums`.

    Returns
    -------
    tuple
        One value per cell of `stride` pixels, times the number of base cells in the window so that
        it compares with their sum; and the number of base cells whose plain mean is as noisy.
    """
    size, step = window // base, stride // base
    g, q, squares = quadratic_kernel(size)
    first = (context - (window - stride) // 2) // base
    rows, columns = (n - 2 * (context // base) for n in cells.shape[-2:])
    inner = cells[..., first : first + rows - step + size, first : first + columns - step + size]
    planes = inner.reshape(-1, 1, *inner.shape[-2:])
    across = conv2d(planes, torch.stack([g, q]).reshape(2, 1, 1, size), stride=(1, step))
    down = torch.stack([q, g]).reshape(1, 2, size, 1)
    total = conv2d(across, down, stride=(step, 1)) * size**2
    return total.reshape(*inner.shape[:-2], *total.shape[-2:]), 1 / squares


def centred(image: Tensor) -> Tensor:
    """Bring an image to mean 0 and deviation 1, so that float32 sums of squares stay exact.

    Correlation does not change under gain and offset: this only guards against rounding. A
    constant image becomes zero.
    """
    count = int((~torch.isnan(image)).sum())
    if count == 0:
        return image
    mean = float(image.nansum()) / count
    rest = image - mean
    spread = math.sqrt(float((rest * rest).nansum()) / count)
    if not math.isfinite(mean + spread):  # sums beyond the largest number
        finite = torch.where(image.isfinite(), image, torch.nan)
        return centred(finite / torch.nan_to_num(finite).abs().max())
    return rest.mul_(0.0 if spread <= 1e-6 * abs(mean) else 1.0 / spread)


def up_to(value: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-value // step) * step
