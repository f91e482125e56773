"""What two images say about the rest of a displacement, cell by cell: the input of the nets.

The secondary is seen through the running displacement. Where that is right to about a speckle, the
step that remains follows from products of one image with the gradient of the other (see
:mod:`groundshift.matchers.lsm`); summed over windows of several sizes they give several candidates,
and the net decides how far each may be trusted, and adds what windows cannot resolve. Products at
larger lags show a displacement that is wrong by more than a speckle.

Everything is made from differences: nothing tells the net where in the image, or how large the
displacement is.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad, pixel_unshuffle

from groundshift.interpolate import gradient, warp_cells
from groundshift.matchers.follow import around_known
from groundshift.matchers.windows import box_sum, cell_sum

CELL = 2
"""Pixels of a cell of evidence each way."""
WARP = 4
"""The displacement is held constant over squares of this many pixels."""
TAPS = 8
WINDOWS = (5, 9, 17, 33, 65)
"""Sides of windows, cells: 10, 18, 34, 66 and 130 px."""
LAGS = tuple((dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2) if dy or dx)
"""Of products beside the middle one, pixels."""
LAG_WINDOW = 17
"""Side of the window over which those are averaged, cells."""
FLAT = 33
"""Side of the window whose mean displacement is subtracted, cells."""
LONGEST = 1.5
"""Pixels: beyond, a gradient says nothing."""
SOFT = 0.05
"""Curvature that is added to every window's: without texture there is no step."""
CHANNELS = 7 + 3 * len(WINDOWS) + len(LAGS) + 2 + 2 * CELL**2 + 1


class Images(NamedTuple):
    """Both images, standardised, with what the iterations share; ``(B, H, W)``."""

    reference: Tensor
    reference_dy: Tensor
    reference_dx: Tensor
    secondary: Tensor
    """As much larger on each side as displacements may lead, and `TAPS` more."""
    known: Tensor
    """Reference pixels with data: 0 or 1."""
    secondary_known: Tensor

    @classmethod
    def of(cls, reference: Tensor, secondary: Tensor) -> "Images":
        """Standardise; NaN is no data. The secondary may be larger by the same on each side."""
        (a, known), (b, seen) = (standardised(image) for image in (reference, secondary))
        around = pad(a, (TAPS,) * 4)
        slopes = [gradient(image, TAPS, TAPS) for image in around]
        return cls(
            a,
            torch.stack([slope.dy for slope in slopes]),
            torch.stack([slope.dx for slope in slopes]),
            pad(b, (TAPS,) * 4),
            known,
            pad(seen, (TAPS,) * 4),
        )


class Evidence(NamedTuple):
    """What the net sees, and what its output is made of; one value for each cell."""

    channels: Tensor
    """``(B, CHANNELS, H / CELL, W / CELL)``."""
    candidates: Tensor
    """Change of the displacement by each window, ``(B, windows, 2, H / CELL, W / CELL)``."""


def standardised(image: Tensor, side: int = 63) -> tuple[Tensor, Tensor]:
    """Root of the amplitude about its local mean, in local deviations; and what is known.

    Where the surroundings have no texture at all the result is zero and counts as unknown.
    """
    known = ~torch.isnan(image)
    level = torch.nan_to_num(image)
    mask = known.to(level.dtype)
    share = _mean(mask, side).clamp(min=1e-6)
    mean = _mean(level, side) / share
    rest = (level - mean) * mask
    spread = (_mean(rest * rest, side) / share).sqrt()
    texture = spread > 1e-5 * mean.abs().clamp(min=1e-12)
    rest = torch.where(texture & known, rest / spread.clamp(min=1e-20), 0.0)
    return rest.clamp(-4, 4), (known & texture).to(level.dtype)


def evidence(images: Images, flow: Tensor) -> Evidence:
    """Compare the images under a displacement ``(B, 2, H, W)``, pixels."""
    shift = avg_pool2d(flow, WARP)
    margin = (images.secondary.shape[-1] - images.reference.shape[-1]) // 2
    b, by, bx = warp_cells(images.secondary, shift[:, 0], shift[:, 1], WARP, margin, TAPS)
    seen = around_known(images.secondary_known > 0, shift[:, 0], shift[:, 1], WARP, margin)
    known = images.known * seen
    b = b * known
    a, ay, ax = images.reference, images.reference_dy, images.reference_dx
    planes = torch.stack(
        [
            known,
            a * a,
            b * b,
            a * b,
            ay * by,
            0.5 * (ay * bx + ax * by),
            ax * bx,
            0.5 * (a * by - b * ay),
            0.5 * (a * bx - b * ax),
        ],
        dim=1,
    )
    planes = cell_sum(planes * known[:, None], CELL) / CELL**2
    applied = _repeat(shift, WARP // CELL)
    steps, certainties = _candidates(planes, applied)
    current = avg_pool2d(flow, CELL)
    lagged = torch.stack([_lag(a, b, known, *lag) for lag in LAGS], dim=1)
    share = planes[:, :1]
    flat = (current - _mean(current * share, FLAT) / _mean(share, FLAT).clamp(min=1e-3)) * share
    texture = pixel_unshuffle(torch.stack([a * known, b * known], dim=1), CELL)
    channels = torch.cat(
        [
            planes[:, 1:2] + planes[:, 2:3] - 2 * planes[:, 3:4],
            planes[:, 3:],
            steps.flatten(1, 2),
            certainties,
            lagged,
            flat.clamp(-4, 4),
            texture,
            planes[:, :1],
        ],
        dim=1,
    )
    return Evidence(channels, steps + (applied - current)[:, None])


def _candidates(planes: Tensor, applied: Tensor) -> tuple[Tensor, Tensor]:
    """Find each window's step ``(B, windows, 2, h, w)`` and correlation ``(B, windows, h, w)``."""
    weighted = planes[:, :1] * applied
    both = torch.cat([planes, weighted], dim=1)
    steady = _mean(planes[:, 4:7], WINDOWS[-2])
    steps, certainties = [], []
    for side in WINDOWS:
        mean = _mean(both, side)
        n, aa, bb, ab, kyy, kyx, kxx, sy, sx = mean[:, :9].unbind(1)
        kyy, kyx, kxx = (
            0.5 * own + 0.5 * wide
            for own, wide in zip((kyy, kyx, kxx), steady.unbind(1), strict=True)
        )
        kyy, kxx = kyy.clamp(min=0) + SOFT * n, kxx.clamp(min=0) + SOFT * n
        determinant = (kyy * kxx - kyx * kyx).clamp(min=0.02 * SOFT**2)
        determinant = torch.maximum(determinant, 0.02 * kyy * kxx)
        dy = (kxx * sy - kyx * sx) / determinant
        dx = (kyy * sx - kyx * sy) / determinant
        step = torch.stack([dy, dx], dim=1).clamp(-LONGEST, LONGEST)
        # The mean displacement of the window's pixels, whose rest the step is.
        centre = mean[:, 9:] / n.clamp(min=1e-6)[:, None] - applied
        steps.append(torch.where(n[:, None] > 0.05, step + centre, 0.0))
        certainties.append(ab / (aa * bb).clamp(min=1e-8).sqrt())
    return torch.stack(steps, dim=1), torch.stack(certainties, dim=1)


def _lag(a: Tensor, b: Tensor, known: Tensor, dy: int, dx: int) -> Tensor:
    """Mean product with the warped secondary `(dy, dx)` pixels further, less the middle one."""
    product = torch.zeros_like(a)
    H, W = a.shape[-2:]
    rows, columns = slice(max(0, -dy), H - max(0, dy)), slice(max(0, -dx), W - max(0, dx))
    there = b[..., max(0, dy) : H + min(0, dy), max(0, dx) : W + min(0, dx)]
    product[..., rows, columns] = a[..., rows, columns] * there
    return _mean(cell_sum((product - a * b) * known, CELL) / CELL**2, LAG_WINDOW)


def _mean(planes: Tensor, side: int) -> Tensor:
    """Mean over odd windows; outside of the image is zero."""
    reach = side // 2
    return box_sum(pad(planes, (reach,) * 4), side) / side**2


def _repeat(planes: Tensor, times: int) -> Tensor:
    return planes.repeat_interleave(times, -1).repeat_interleave(times, -2)
