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
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from groundshift.matchers.windows import cell_sum, up_to
from groundshift.nets import sides
from groundshift.nets.cells import CELL, LONGEST, WARP, mean, mean_within, repeat, with_context
from groundshift.nets.images import Images
from groundshift.nets.products import LAGS, Products

FINE = (5, 9, 17)
"""Sides of windows, cells: 10, 18 and 34 px."""
WIDE = (17, 33)
"""Sides of windows, squares of `WARP` pixels: 68 and 132 px."""
WINDOWS = len(FINE) + len(WIDE)
CANDIDATES = 2 * WINDOWS + sides.CANDIDATES
"""Changes of the displacement that are offered: two for each window, and those of both sides."""
LAG_WINDOWS = (7, 17)
"""Sides of the windows over which products at lags are averaged, cells."""
FLAT = 17
"""Side of the window whose mean displacement is subtracted, squares of `WARP` pixels."""
SOFT = 0.05
"""Curvature that is added to every window's: without texture there is no step."""
CHANNELS = 7 + 5 * WINDOWS + len(LAG_WINDOWS) * len(LAGS) + 2 + 2 * CELL**2 + 1 + sides.CHANNELS
TIMES = WARP // CELL
AROUND = up_to(max(*FINE, *LAG_WINDOWS, *sides.WINDOWS) // 2, TIMES)
"""Cells around a strip that its windows reach."""
CURVATURE = slice(4, 7)
"""Planes of the middle's products."""


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


class Comparison(NamedTuple):
    """Two images under a displacement: what the evidence of any strip follows from."""

    products: Products
    shift: Tensor
    """Displacement of squares, as all that follows ``(B, n, H / WARP, W / WARP)``."""
    others: tuple[Tensor, ...]
    """Displacements from both sides of a jump."""
    level: Tensor
    """Mean displacement around."""
    steady: Tensor
    """Curvature of a wide window."""
    wide: Tensor
    """What the wide windows say."""

    @classmethod
    def of(cls, images: Images, flow: Tensor) -> "Comparison":
        """Compare the images under a displacement ``(B, 2, H, W)``, pixels."""
        shift = avg_pool2d(flow, WARP)
        others = sides.extremes(shift, max_pool2d(images.known[:, None], WARP))
        products = Products.of(images, shift, others)
        squares = cell_sum(products.middle, TIMES) / TIMES**2
        known = squares[:, :1]
        level = mean(shift * known, FLAT) / mean(known, FLAT).clamp(min=1e-3)
        steady = mean(squares[:, CURVATURE], WIDE[0])
        reach = max(WIDE) // 2
        around = pad(_weighted(squares, shift), (reach,) * 4)
        wide = [_candidate(around, reach, side, shift, steady) for side in WIDE]
        return cls(products, shift, others, level, steady, torch.cat(wide, 1))

    def evidence(self, flow: Tensor, rows: slice) -> Evidence:
        """Tell what is known about some rows of cells, whole squares of them.

        Parameters
        ----------
        flow
            The displacement of those rows, ``(B, 2, h, W)``.
        rows
            Which they are.
        """
        squares = slice(rows.start // TIMES, rows.stop // TIMES)
        shift, level, steady, wide, *others = (
            repeat(plane[..., squares, :], TIMES)
            for plane in (self.shift, self.level, self.steady, self.wide, *self.others)
        )
        current = avg_pool2d(flow, CELL)
        middle = self.products.middle[..., rows, :]
        known = middle[:, :1]
        around = _weighted(
            with_context(self.products.middle, rows, AROUND),
            repeat(with_context(self.shift, squares, AROUND // TIMES), TIMES),
        )
        fine = [_candidate(around, AROUND, side, shift, steady) for side in FINE]
        found = torch.cat([*fine, wide], dim=1)
        steps, centres = found.unflatten(1, (WINDOWS, 5))[:, :, :4].split(2, dim=2)
        lags = with_context(self.products.lags, rows, AROUND)
        soft = steady + SOFT * steady.new_tensor([1.0, 0.0, 1.0])[:, None, None]
        tried = [
            sides.tried(with_context(planes, rows, AROUND), AROUND, other - current, soft)
            for planes, other in zip(self.products.sides, others, strict=True)
        ]
        channels = torch.cat(
            [
                middle[:, 1:2] + middle[:, 2:3] - 2 * middle[:, 3:4],
                middle[:, 3:],
                found,
                *(mean_within(lags, side, AROUND) for side in LAG_WINDOWS),
                (current - level).clamp(-4, 4) * known,
                self.products.texture[..., rows, :],
                *(seen * known for seen, _ in tried),
                known,
            ],
            dim=1,
        )
        smooth = steps + centres + (shift - current)[:, None]
        return Evidence(channels, torch.cat([smooth, steps, *(each for _, each in tried)], 1))


def _weighted(planes: Tensor, shift: Tensor) -> Tensor:
    """Add the displacement, where it counts, to the planes to average."""
    return torch.cat([planes, planes[:, :1] * shift], dim=1)


def _candidate(around: Tensor, reach: int, side: int, shift: Tensor, steady: Tensor) -> Tensor:
    """Find a window's step, how far its mean displacement is off the centre's, and correlation.

    Both in pixels, ``dy`` first; ``(B, 5, h, w)`` in all. The planes carry `reach` more on each
    side.
    """
    level = mean_within(around, side, reach)
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
