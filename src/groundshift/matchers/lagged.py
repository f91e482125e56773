"""Products of two images at all lags, summed over small cells: what correlation is made of.

By FFT or over shifted images, whichever needs fewer operations. Where pixels are missing, five
more sums are needed (Padfield 2012), most of which are known without any product: a cell without
holes sees the secondary's plain sums, a secondary without holes leaves the cell's own. Only cells
at the rim of a hole are correlated with masks; doing so everywhere made the rim of an image cost
ten times as much as its inside.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from groundshift.boxes import box_sum, cell_sum

CHUNK = 64
"""Cells at the rim of holes that are handled at once."""


class MaskedSums(NamedTuple):
    """Sums over the pixels known in both images, ``(L, L, rows, columns)``."""

    a: Tensor
    b: Tensor
    aa: Tensor
    bb: Tensor
    known: Tensor


def lagged_cell_sums(a: Tensor, b: Tensor, cell: int, search: int) -> Tensor:
    """Sum ``a(p) * b(p + lag)`` over disjoint cells of `a`, for all lags.

    Parameters
    ----------
    a
        ``(H, W)``.
    b
        ``(H + 2 * search, W + 2 * search)``, the lags ``-search ... search``.
    cell, search
        Pixels.

    Returns
    -------
    Tensor
        ``(L, L, H / cell, W / cell)`` with ``L = 2 * search + 1``.
    """
    return (_by_fft if _fft_pays(cell, search) else _by_shifts)(a, b, cell, search)


def masked_cell_sums(a: Tensor, b: Tensor, cell: int, search: int) -> MaskedSums:
    """Sum over disjoint cells of `a`, for all lags, what is known in both images.

    Parameters
    ----------
    a, b
        As for `lagged_cell_sums`, NaN where missing.
    cell, search
        Pixels.
    """
    ma, mb = (~torch.isnan(a)).float(), (~torch.isnan(b)).float()
    a, b = torch.nan_to_num(a), torch.nan_to_num(b)
    aa, bb = a * a, b * b
    lags = 2 * search + 1
    count, own, own_squares = (cell_sum(plane, cell) for plane in (ma, a, aa))
    touched = box_sum(1 - mb, cell + 2 * search, cell) > 0.5
    rim_a, rim_b = (count > 0.5) & (count < cell**2 - 0.5), (count > 0.5) & touched

    def of_secondary(plane: Tensor) -> Tensor:
        inner = box_sum(plane, cell).unfold(0, lags, cell).unfold(1, lags, cell)
        return inner.permute(2, 3, 0, 1) * (count > 0.5)

    sums = MaskedSums(
        a=own.expand(lags, lags, *own.shape).contiguous(),
        b=of_secondary(b),
        aa=own_squares.expand(lags, lags, *own.shape).contiguous(),
        bb=of_secondary(bb),
        known=of_secondary(mb),
    )
    _insert((sums.a, sums.aa), (a, aa), (mb,), rim_b, cell, search)
    _insert((sums.b, sums.bb, sums.known), (ma,), (b, bb, mb), rim_a, cell, search)
    return sums


def _insert(
    sums: tuple[Tensor, ...],
    first: tuple[Tensor, ...],
    second: tuple[Tensor, ...],
    where: Tensor,
    cell: int,
    search: int,
) -> None:
    """Correlate the cells told, each of `first` with each of `second`, and put them into `sums`."""
    if not bool(where.any()):
        return
    side = cell + 2 * search
    blocks = torch.stack(first).unfold(1, cell, cell).unfold(2, cell, cell)
    regions = torch.stack(second).unfold(1, side, cell).unfold(2, side, cell)
    for at in where.nonzero().split(CHUNK):
        rows, columns = at.unbind(1)
        correlate = _surfaces if _fft_pays(cell, search) else _products
        found = correlate(blocks[:, rows, columns], regions[:, rows, columns], search)
        for plane, values in zip(sums, found, strict=True):
            plane[:, :, rows, columns] = values.permute(1, 2, 0)


def _products(blocks: Tensor, regions: Tensor, search: int) -> Tensor:
    """Correlate directly blocks ``(i, n, cell, cell)`` with regions ``(j, n, side, side)``."""
    cell, lags = blocks.shape[-1], 2 * search + 1
    shifted = regions.unfold(-2, cell, 1).unfold(-2, cell, 1)
    shifted = shifted.reshape(*shifted.shape[:2], lags**2, cell**2)
    found = shifted @ blocks.flatten(-2).unsqueeze(-1)
    return found.unflatten(2, (lags, lags)).squeeze(-1)


def _surfaces(blocks: Tensor, regions: Tensor, search: int) -> Tensor:
    """Correlate by FFT, with arguments and result as `_products`."""
    lags, n = 2 * search + 1, _fast_length(regions.shape[-1])
    # Along x first: most rows of a padded block are zero.
    a = torch.fft.fft(torch.fft.rfft(blocks, n), n, dim=-2).conj()
    b = torch.fft.rfft2(regions, s=(n, n))
    return torch.fft.irfft(torch.fft.ifft(a * b, dim=-2)[..., :lags, :], n)[..., :lags]


def _fft_pays(cell: int, search: int) -> bool:
    side = cell + 2 * search
    by_fft = 3 * side**2 * math.log2(side**2) / cell**2
    return cell >= 8 and by_fft < 1.5 * (2 * search + 1) ** 2


def _by_shifts(a: Tensor, b: Tensor, cell: int, search: int) -> Tensor:
    H, W = a.shape
    lags = 2 * search + 1
    sums = a.new_empty(lags, lags, H // cell, W // cell)
    # Strips that stay in the processor's cache while all lags pass over them.
    strip = max(1, 262_144 // (W * cell)) * cell
    for top in range(0, H, strip):
        part = a[top : top + strip]
        height = part.shape[0]
        for i in range(lags):
            for j in range(lags):
                product = part * b[top + i : top + i + height, j : j + W]
                sums[i, j, top // cell : (top + height) // cell] = cell_sum(product, cell)
    return sums


def _by_fft(a: Tensor, b: Tensor, cell: int, search: int) -> Tensor:
    lags, side = 2 * search + 1, cell + 2 * search
    blocks = a.unfold(0, cell, cell).unfold(1, cell, cell)
    regions = b.unfold(0, side, cell).unfold(1, side, cell)
    rows, columns = blocks.shape[:2]
    sums = a.new_empty(lags, lags, rows, columns)
    for i in range(rows):
        found = _surfaces(blocks[i].unsqueeze(0), regions[i].unsqueeze(0), search)
        sums[:, :, i] = found[0].permute(1, 2, 0)
    return sums


def _fast_length(n: int) -> int:
    """Smallest length of the form 2^a 3^b 5^c that is not below `n`."""
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1
