"""Seeing the secondary through a prior, so that a matcher only has the rest to find.

Deforming the secondary by the whole prior field, not shifting each window rigidly, keeps windows
sharp where the motion has a gradient: after the first pass the remaining motion within a window is
small whatever the strain.
"""

from math import nan

import torch
from torch import Tensor

from groundshift.boxes import cell_sum
from groundshift.interpolate import (
    Warped,
    gradient,
    in_steps,
    nearest_cells,
    shift_cells,
    warp_cells,
)
from groundshift.matchers.windows import up_to

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


def deform(
    image: Tensor, prior: Tensor | None, margin: int, outer: int
) -> tuple[Warped, Tensor | None]:
    """Warp the secondary by the prior; without one, only find the gradient of an image.

    Parameters
    ----------
    image, prior
        ``(H, W)`` and ``(2, H, W)`` with `margin` pixels of context; NaN where not known. An
        unknown prior counts as zero.
    margin
        Context of the inputs; displacements that leave it give NaN.
    outer
        Context of the result, at most `margin`.

    Returns
    -------
    tuple
        The warped image and its gradient, NaN where not known, and the displacement applied to
        each pixel ``(2, h, w)``, None if there is none.
    """
    planes, flow = _see(image, prior, margin, outer, slopes=True)
    return Warped(*planes), flow


def _see(
    image: Tensor, prior: Tensor | None, margin: int, outer: int, *, slopes: bool
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Do what `deform` does; the gradient can be left out."""
    known = ~torch.isnan(image)
    if not bool(known.all()):
        image = _filled(image, known, -margin % WARP_CELL)
    H, W = image.shape
    pad = up_to(outer, WARP_CELL)
    if prior is None:
        shift = None
    else:
        shift = cell_means(_crop_or_pad(prior, margin - pad, nan), WARP_CELL)
        # What a matcher finds is told from there: it does not matter how it is rounded.
        shift = in_steps(torch.nan_to_num(shift))
        shift = shift if bool(shift.any()) else None
    if shift is None:
        edge = margin - outer
        seen = _crop_or_pad(with_neighbours(known), edge, 0.0)
        if not slopes:
            return _where(seen, (_crop_or_pad(image, edge, 0.0),)), None
        return _where(seen, gradient(_crop_or_pad(image, edge - TAPS, 0.0), TAPS, TAPS)), None
    rows, columns = H - 2 * margin + 2 * pad, W - 2 * margin + 2 * pad
    extra = max(0, pad - margin)
    if extra:
        image, known = _crop_or_pad(image, -extra, 0.0), _crop_or_pad(known, -extra, 0.0)
    first = margin + extra - pad
    where = (shift[0], shift[1], WARP_CELL, first)
    if slopes:
        warped = tuple(warp_cells(image, *where, TAPS, stepped=True))
    else:
        warped = (shift_cells(image, *where, TAPS, stepped=True),)
    flow = shift.repeat_interleave(WARP_CELL, 1).repeat_interleave(WARP_CELL, 2)
    cut = pad - outer
    inner = (slice(cut, rows - cut), slice(cut, columns - cut))
    seen = around_known(known, *where)
    return _where(seen[inner], tuple(plane[inner] for plane in warped)), flow[(..., *inner)]


def _filled(image: Tensor, known: Tensor, lead: int) -> Tensor:
    """Let the kernel see the level of the ground where it reaches into a hole.

    Means over three cells of the warp each way; the first cell begins `lead` pixels early.
    """
    H, W = image.shape
    tail = (up_to(lead + n, WARP_CELL) - lead - n for n in (W, H))
    edges = [edge for end in tail for edge in (lead, end)]
    planes = torch.nn.functional.pad(torch.stack([torch.nan_to_num(image), known.float()]), edges)
    total, share = torch.nn.functional.avg_pool2d(cell_sum(planes, WARP_CELL), 3, 1, 1)
    level = torch.where(share > 1e-6, total / share.clamp(min=1e-6), 0.0)
    level = level.repeat_interleave(WARP_CELL, 0).repeat_interleave(WARP_CELL, 1)
    return torch.where(known, image, level[lead : lead + H, lead : lead + W])


def _where(seen: Tensor, planes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.where(seen, plane, torch.nan) for plane in planes)


def with_neighbours(known: Tensor) -> Tensor:
    """Whether a pixel and those below and to the right of it exist."""
    wide = torch.nn.functional.pad(known.to(torch.uint8), (0, 1, 0, 1)) > 0
    return wide[..., :-1, :-1] & wide[..., 1:, :-1] & wide[..., :-1, 1:] & wide[..., 1:, 1:]


def around_known(known: Tensor, dy: Tensor, dx: Tensor, cell: int, margin: int) -> Tensor:
    """Whether the four pixels around each point exist; arguments as for `warp_cells`."""
    inside = torch.nn.functional.pad(with_neighbours(known).float(), (1, 0, 1, 0))
    return nearest_cells(inside, dy, dx, cell, margin + 1) > 0


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
    (warped,), flow = _see(secondary, prior, margin, outer, slopes=False)
    if flow is None:
        rows, columns = ((n - 2 * margin) // stride for n in secondary.shape)
        return warped, secondary.new_zeros(2, rows, columns)
    inner = flow[:, outer : flow.shape[1] - outer, outer : flow.shape[2] - outer]
    return warped, cell_sum(inner, stride) / stride**2
