"""Sums over square windows on a grid of cells, and the arithmetic of where the windows lie."""

import math
from functools import reduce

import torch
from torch import Tensor

from groundshift.errors import MatcherError


def box_sum(values: Tensor, size: int, step: int = 1) -> Tensor:
    """Sum over every `size` x `size` square of the last two dimensions, kept each `step`.

    Doubling (sums of 2, 4, 8, ...) instead of running totals: the same cost, and no rounding
    error that grows with the distance from the border.
    """
    return _run_sum(_run_sum(values, size, -1)[..., ::step], size, -2)[..., ::step, :]


def _run_sum(values: Tensor, size: int, dim: int) -> Tensor:
    length = values.shape[dim] - size + 1
    total, done, block, width = None, 0, values, 1
    while True:
        if size & width:
            part = block.narrow(dim, done, length)
            total = part if total is None else total + part
            done += width
        if done == size:
            assert total is not None
            return total
        span = block.shape[dim] - width
        block = block.narrow(dim, 0, span) + block.narrow(dim, width, span)
        width *= 2


def cell_sum(values: Tensor, cell: int) -> Tensor:
    """Sum over disjoint `cell` x `cell` squares of the last two dimensions."""
    if cell == 1:
        return values
    rows = values.unflatten(-2, (-1, cell)).sum(-2)
    # Summing a few neighbours as a product with ones is 2 to 5 times faster than `sum`.
    return rows.unflatten(-1, (-1, cell)) @ rows.new_ones(cell)


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
    inner = cells[
        ..., first : first + rows - step + size, first : first + columns - step + size
    ]
    return box_sum(inner, size, step)


def centred(image: Tensor) -> Tensor:
    """Bring an image to mean 0 and deviation 1, so that float32 sums of squares stay exact.

    Correlation does not change under gain and offset: this only guards against rounding. A
    constant image becomes zero.
    """
    valid = image[~torch.isnan(image)]
    if valid.numel() == 0:
        return image
    spread, mean = torch.std_mean(valid.double(), correction=0)
    negligible = spread <= 1e-6 * mean.abs()
    gain = 0.0 if negligible else 1.0 / float(spread)
    return ((image.double() - mean) * gain).float()


def up_to(value: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-value // step) * step
