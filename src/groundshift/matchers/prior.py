"""Turning one matcher's result into the prior of the next: without outliers, without small gaps."""

import torch
from torch import Tensor
from torch.nn.functional import pad, unfold

from groundshift.types import Estimate

CELLS = 3
"""Cells of context that `as_prior` needs: two for the medians, one to interpolate."""


def neighbours(plane: Tensor, radius: int = 1) -> Tensor:
    """Values around each cell, NaN beyond the border: ``(n, rows, columns)``."""
    size = 2 * radius + 1
    wide = pad(plane[None, None], (radius,) * 4, value=torch.nan)
    # `unfold` is a copy; NaN survives it.
    return unfold(wide, size).reshape(size * size, *plane.shape)


def local_median(plane: Tensor, radius: int = 1) -> Tensor:
    """Median of the known values around each cell."""
    return neighbours(plane, radius).nanmedian(0).values


def without_outliers(dy: Tensor, dx: Tensor, tolerance: float = 1.0) -> tuple[Tensor, Tensor]:
    """Replace what disagrees with its neighbours by their median, and fill single gaps.

    The normalised median test of Westerweel & Scarano (2005): a residual above twice the median
    residual of the neighbours plus `tolerance` pixels is an outlier.
    """
    result = []
    bad = torch.zeros_like(dy, dtype=torch.bool)
    for plane in (dy, dx):
        around = neighbours(plane)
        middle = around.shape[0] // 2
        others = torch.cat([around[:middle], around[middle + 1 :]])
        median = others.nanmedian(0).values
        spread = (others - median).abs().nanmedian(0).values
        bad |= ~((plane - median).abs() <= 2 * spread + tolerance)
        result.append(median)
    cleaned = tuple(
        torch.where(bad, median, plane) for median, plane in zip(result, (dy, dx), strict=True)
    )
    return tuple(  # type: ignore[return-value]
        torch.where(torch.isnan(plane), local_median(plane), plane) for plane in cleaned
    )


def as_prior(estimate: Estimate, stride: int, inset: int, shape: tuple[int, int]) -> Tensor:
    """Displacement per pixel of a block, from an estimate of its inner part.

    Parameters
    ----------
    estimate
        Cells of `stride` pixels.
    stride
        Pixels per cell.
    inset
        Distance of the first cell from the block's border, pixels.
    shape
        Rows and columns of the block.

    Returns
    -------
    Tensor
        ``(2, H, W)``, bilinear between cell centres, NaN where nothing is known.
    """
    dy, dx = without_outliers(estimate.dy, estimate.dx)
    planes = torch.stack([upsample(plane, stride) for plane in (dy, dx)])
    wide = torch.full((2, *shape), torch.nan, device=planes.device)
    rows, columns = planes.shape[1:]
    wide[:, inset : inset + rows, inset : inset + columns] = planes
    return wide


def upsample(plane: Tensor, stride: int) -> Tensor:
    """Bilinear interpolation between cell centres to pixels; unknown cells are left out."""
    known = (~torch.isnan(plane)).to(plane.dtype)
    planes = torch.stack([torch.nan_to_num(plane), known])[:, None]
    total, share = torch.nn.functional.interpolate(
        planes, scale_factor=float(stride), mode="bilinear", align_corners=False
    ).squeeze(1)
    return torch.where(share > 0.01, total / share.clamp(min=1e-6), torch.nan)
