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
from groundshift.matchers.windows import cell_sum
from groundshift.nets import sides
from groundshift.nets.cells import CELL, LONGEST, WARP, mean, repeat

TAPS = 8
FINE = (5, 9, 17)
"""Sides of windows, cells: 10, 18 and 34 px."""
WIDE = (17, 33)
"""Sides of windows, squares of `WARP` pixels: 68 and 132 px."""
WINDOWS = len(FINE) + len(WIDE)
CANDIDATES = 2 * WINDOWS + sides.CANDIDATES
"""Changes of the displacement that are offered: two for each window, and those of both sides."""
LAGS = tuple((dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2) if dy or dx)
"""Of products beside the middle one, pixels."""
LAG_WINDOWS = (7, 17)
"""Sides of the windows over which those are averaged, cells."""
FLAT = 17
"""Side of the window whose mean displacement is subtracted, squares of `WARP` pixels."""
SOFT = 0.05
"""Curvature that is added to every window's: without texture there is no step."""
CHANNELS = 7 + 5 * WINDOWS + len(LAG_WINDOWS) * len(LAGS) + 2 + 2 * CELL**2 + 1 + sides.CHANNELS


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
    """Changes of the displacement, ``(B, CANDIDATES, 2, H / CELL, W / CELL)``.

    For each window what it adds if the displacement is the same all over the window, which smooths
    it; then what it adds if what is missing is the same, which keeps what is there. Last, those
    that lead to the displacements on either side of a jump (:mod:`groundshift.nets.sides`).
    """


def standardised(image: Tensor, side: int = 63) -> tuple[Tensor, Tensor]:
    """Root of the amplitude about its local mean, in local deviations; and what is known.

    Where the surroundings have no texture at all the result is zero and counts as unknown.
    """
    known = ~torch.isnan(image)
    values = torch.nan_to_num(image)
    mask = known.to(values.dtype)
    share = mean(mask, side).clamp(min=1e-6)
    level = mean(values * mask, side) / share
    rest = (values - level) * mask
    spread = (mean(rest * rest, side) / share).sqrt()
    texture = spread > 1e-5 * level.abs().clamp(min=1e-12)
    rest = torch.where(texture & known, rest / spread.clamp(min=1e-20), 0.0)
    return rest.clamp(-4, 4), (known & texture).to(values.dtype)


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
    squares = cell_sum(planes, WARP // CELL) / (WARP // CELL) ** 2
    steady = mean(squares[:, 4:7], WIDE[0])
    wide = [_candidate(squares, shift, steady, side) for side in WIDE]
    shift, steady = (repeat(each, WARP // CELL) for each in (shift, steady))
    fine = [_candidate(planes, shift, steady, side) for side in FINE]
    found = torch.cat([*fine, *(repeat(each, WARP // CELL) for each in wide)], dim=1)
    steps, centres = found.unflatten(1, (WINDOWS, 5))[:, :, :4].split(2, dim=2)
    current = avg_pool2d(flow, CELL)
    texture = pixel_unshuffle(torch.stack([a * known, b * known], dim=1), CELL)
    curvature = steady + SOFT * torch.tensor([1.0, 0.0, 1.0], device=a.device)[:, None, None]
    tried, changes = sides.sides(
        (a, ay, ax, images.secondary), (images.known, images.secondary_known), flow, curvature
    )
    channels = torch.cat(
        [
            planes[:, 1:2] + planes[:, 2:3] - 2 * planes[:, 3:4],
            planes[:, 3:],
            found,
            *_lags(a, b, known),
            _about_mean(flow, squares[:, :1]) * planes[:, :1],
            texture,
            tried * planes[:, :1],
            planes[:, :1],
        ],
        dim=1,
    )
    smooth = steps + centres + (shift - current)[:, None]
    return Evidence(channels, torch.cat([smooth, steps, changes], dim=1))


def _candidate(planes: Tensor, shift: Tensor, steady: Tensor, side: int) -> Tensor:
    """Find a window's step, how far its mean displacement is off the centre's, and correlation.

    Both in pixels, ``dy`` first; ``(B, 5, h, w)`` in all.
    """
    level = mean(torch.cat([planes, planes[:, :1] * shift], dim=1), side)
    n, aa, bb, ab, kyy, kyx, kxx, sy, sx = level[:, :9].unbind(1)
    kyy, kyx, kxx = (
        0.5 * own + 0.5 * wide for own, wide in zip((kyy, kyx, kxx), steady.unbind(1), strict=True)
    )
    kyy, kxx = kyy.clamp(min=0) + SOFT * n, kxx.clamp(min=0) + SOFT * n
    determinant = (kyy * kxx - kyx * kyx).clamp(min=0.02 * SOFT**2)
    determinant = torch.maximum(determinant, 0.02 * kyy * kxx)
    dy = (kxx * sy - kyx * sx) / determinant
    dx = (kyy * sx - kyx * sy) / determinant
    step = torch.stack([dy, dx], dim=1).clamp(-LONGEST, LONGEST)
    centre = level[:, 9:] / n.clamp(min=1e-6)[:, None] - shift
    seen = n[:, None] > 0.05
    correlation = ab / (aa * bb).clamp(min=1e-8).sqrt()
    return torch.cat(
        [*(torch.where(seen, p, 0.0) for p in (step, centre)), correlation[:, None]], 1
    )


def _lags(a: Tensor, b: Tensor, known: Tensor) -> list[Tensor]:
    """Mean products at the lags, less the middle one, over each window."""
    planes = torch.stack([_lag(a, b, known, *lag) for lag in LAGS], dim=1)
    return [mean(planes, side) for side in LAG_WINDOWS]


def _lag(a: Tensor, b: Tensor, known: Tensor, dy: int, dx: int) -> Tensor:
    """Product with the warped secondary `(dy, dx)` pixels further, less the middle one: cells."""
    product = torch.zeros_like(a)
    H, W = a.shape[-2:]
    rows, columns = slice(max(0, -dy), H - max(0, dy)), slice(max(0, -dx), W - max(0, dx))
    there = b[..., max(0, dy) : H + min(0, dy), max(0, dx) : W + min(0, dx)]
    product[..., rows, columns] = a[..., rows, columns] * there
    return cell_sum((product - a * b) * known, CELL) / CELL**2


def _about_mean(flow: Tensor, share: Tensor) -> Tensor:
    """Displacement of cells less the mean around them."""
    level = mean(avg_pool2d(flow, WARP) * share, FLAT) / mean(share, FLAT).clamp(min=1e-3)
    return (avg_pool2d(flow, CELL) - repeat(level, WARP // CELL)).clamp(-4, 4)
