"""Sums over squares of pixels: what windows, cells and local means are made of."""

from torch import Tensor


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
    if cell == 2:
        rows = values[..., ::2, :] + values[..., 1::2, :]
        return rows[..., ::2] + rows[..., 1::2]
    rows = values.unflatten(-2, (-1, cell)).sum(-2)
    # Summing some neighbours as a product with ones is 2 to 5 times faster than `sum`.
    return rows.unflatten(-1, (-1, cell)) @ rows.new_ones(cell)
