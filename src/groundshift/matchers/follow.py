"""Seeing the secondary through a prior, so that a matcher only has the rest to find.

Deforming the secondary by the whole prior field, not shifting each window rigidly, keeps windows
sharp where the motion has a gradient: after the first pass the remaining motion within a window is
small whatever the strain.
"""

import torch
from torch import Tensor

from groundshift.filters import local_mean
from groundshift.interpolate import Warped, warp_cells
from groundshift.matchers.windows import cell_sum

WARP_CELL = 4
"""The prior is held constant over squares of this many pixels."""
TAPS = 8


def follow_margin(reach: int) -> int:
    """Context pixels needed to follow displacements up to `reach`."""
    return reach + TAPS


def cell_means(prior: Tensor, cell: int) -> Tensor:
    """Mean over cells of a prior ``(2, H, W)``, leaving unknown pixels out; NaN where all are."""
    known = ~torch.isnan(prior)
    total = cell_sum(torch.nan_to_num(prior), cell)
    return total / cell_sum(known.float(), cell)


def deform(secondary: Tensor, prior: Tensor, margin: int, outer: int) -> tuple[Warped, Tensor]:
    """Warp the secondary by the prior.

    Parameters
    ----------
    secondary, prior
        ``(H, W)`` and ``(2, H, W)`` with `margin` pixels of context; NaN where not known. An
        unknown prior counts as zero.
    margin
        Context of the inputs; displacements that leave it give NaN.
    outer
        Context of the result, at most `margin`.

    Returns
    -------
    tuple
        The warped secondary and its gradient, NaN where not known, and the displacement applied
        to each pixel ``(2, h, w)``.
    """
    H, W = secondary.shape
    pad = -(-outer // WARP_CELL) * WARP_CELL
    rows, columns = H - 2 * margin + 2 * pad, W - 2 * margin + 2 * pad
    extra = max(0, pad - margin)
    inner = _crop_or_pad(prior, margin - pad, torch.nan)
    shift = torch.nan_to_num(cell_means(inner, WARP_CELL))
    known = ~torch.isnan(secondary)
    image = secondary
    if not bool(known.all()):
        # Beside a hole the kernel sees the level of the ground there.
        image = torch.where(known, image, torch.nan_to_num(local_mean(image, TAPS + 1)))
    if extra:
        image, known = _crop_or_pad(image, -extra, 0.0), _crop_or_pad(known, -extra, 0.0)
    warped = warp_cells(image, shift[0], shift[1], WARP_CELL, margin + extra - pad, TAPS)
    flow = shift.repeat_interleave(WARP_CELL, 1).repeat_interleave(WARP_CELL, 2)
    y = torch.arange(rows, device=image.device)[:, None] + margin + extra - pad + flow[0]
    x = torch.arange(columns, device=image.device) + margin + extra - pad + flow[1]
    seen = _nearest_known(known, y, x)
    cut = pad - outer
    crop = (slice(cut, rows - cut), slice(cut, columns - cut))
    planes = (torch.where(seen, plane, torch.nan)[crop] for plane in warped)
    return Warped(*planes), flow[:, crop[0], crop[1]]


def _nearest_known(known: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Whether the pixels around each point exist."""
    H, W = known.shape
    y0, x0 = y.floor().long(), x.floor().long()
    inside = (y0 >= 0) & (y0 < H - 1) & (x0 >= 0) & (x0 < W - 1)
    if bool(known.all()):
        return inside
    whole = known.float()
    near = whole[:-1, :-1] * whole[1:, :-1] * whole[:-1, 1:] * whole[1:, 1:]
    return inside & (near[y0.clamp(0, H - 2), x0.clamp(0, W - 2)] > 0)


def _crop_or_pad(plane: Tensor, edge: int, fill: float) -> Tensor:
    """Take `edge` pixels off every side, or add them where it is negative."""
    if edge >= 0:
        return plane[..., edge : plane.shape[-2] - edge, edge : plane.shape[-1] - edge]
    dtype = plane.dtype
    wide = torch.nn.functional.pad(plane.float(), (-edge,) * 4, value=fill)
    return wide if dtype.is_floating_point else wide > 0


def follow(
    secondary: Tensor, prior: Tensor, margin: int, outer: int, stride: int
) -> tuple[Tensor, Tensor]:
    """Warp the secondary by the prior, and tell the displacement applied per cell of `stride`.

    Returns
    -------
    tuple
        The warped secondary with `outer` pixels of context, and ``(2, rows, columns)``.
    """
    warped, flow = deform(secondary, prior, margin, outer)
    inner = flow[:, outer : flow.shape[1] - outer, outer : flow.shape[2] - outer]
    return warped.value, cell_sum(inner, stride) / stride**2
