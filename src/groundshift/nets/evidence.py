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
from torch.nn.functional import avg_pool2d, max_pool2d

from groundshift.boxes import cell_sum
from groundshift.matchers.windows import up_to
from groundshift.nets import sides
from groundshift.nets.cells import CELL, WARP, mean, mean_within, repeat, squares_of, with_context
from groundshift.nets.images import Images
from groundshift.nets.looks import Ground, Look, beyond, channels_of, count, striped, weighted
from groundshift.nets.products import LAGS, Products

FINE = (5, 9)
"""Sides of windows, cells: 10 and 18 px."""
COARSE = (9, 17, 33)
"""Sides of windows, squares of `WARP` pixels: 36, 68 and 132 px."""
SIDES = (*(CELL * side for side in FINE), *(WARP * side for side in COARSE))
"""Of all windows, pixels."""
BEYOND = ((2, 3), (3, 4), (2, 4))
"""Pairs of windows from which is extrapolated."""
CANDIDATES = 2 * len(SIDES) - 1 + len(BEYOND) + sides.CANDIDATES
"""Changes of the displacement that are offered."""
SURROUNDINGS = 17
"""Side of the windows over which are averaged: curvature, noise, and the displacement that counts
as level; squares."""
LAG_WINDOW = 9
"""Side of the window over which products at lags are averaged, squares."""
CHANNELS = 7 + count(len(SIDES)) + 2 + len(LAGS) + 2 + 2 * CELL**2 + sides.CHANNELS + 1
TIMES = WARP // CELL
AROUND = up_to(max(*FINE, *sides.WINDOWS) // 2, TIMES)
"""Cells around a strip that its windows reach."""


class Evidence(NamedTuple):
    """What the net sees, and what its output is made of; one value for each cell."""

    channels: Tensor
    """``(B, CHANNELS, H / CELL, W / CELL)``."""
    candidates: Tensor
    """Changes of the displacement, ``(B, CANDIDATES, 2, H / CELL, W / CELL)``.

    What each window adds if the displacement is the same all over it, which smooths; what is
    extrapolated from two; what each window but the smallest adds if what is missing is the same,
    which keeps what is there. Last, those that lead to the displacements on either side of a jump
    (:mod:`groundshift.nets.sides`).
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
    ground: Ground
    striped: Tensor
    """Squares around which texture lies along one direction, bool."""
    coarse: tuple[Tensor, ...]
    """Means of the products over the coarse windows."""
    lags: Tensor
    """Means of the products at lags."""

    @classmethod
    def of(cls, images: Images, flow: Tensor) -> "Comparison":
        """Compare the images under a displacement ``(B, 2, H, W)``, pixels."""
        shift = squares_of(flow)
        others = sides.extremes(shift, max_pool2d(images.known[:, None], WARP))
        products = Products.of(images, shift, others)
        squares = weighted(cell_sum(products.middle, TIMES) / TIMES**2, shift)
        around = mean(squares, SURROUNDINGS)
        level = around[:, -2:] / around[:, :1].clamp(min=1e-3)
        coarse = tuple(mean(squares, side) for side in COARSE)
        lags = mean(cell_sum(products.lags, TIMES) / TIMES**2, LAG_WINDOW)
        ground = Ground.of(around)
        return cls(products, shift, others, level, ground, striped(around), coarse, lags)

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

        def cells(plane: Tensor) -> Tensor:
            return repeat(plane[..., squares, :], TIMES)

        current = avg_pool2d(flow, CELL)
        middle = self.products.middle[..., rows, :]
        known = middle[:, :1]
        shift = cells(self.shift)
        ground = Ground(*(cells(plane) for plane in self.ground))
        around = weighted(
            with_context(self.products.middle, rows, AROUND),
            repeat(with_context(self.shift, squares, AROUND // TIMES), TIMES),
        )
        levels = [mean_within(around, side, AROUND) for side in FINE]
        levels += [cells(plane) for plane in self.coarse]
        looks = [Look.of(level, shift, current, ground) for level in levels]
        tried = [
            sides.tried(with_context(planes, rows, AROUND), AROUND, cells(other) - current, ground)
            for planes, other in zip(self.products.sides, self.others, strict=True)
        ]
        channels = torch.cat(
            [
                middle[:, 1:2] + middle[:, 2:3] - 2 * middle[:, 3:4],
                middle[:, 3:9],
                *channels_of(looks, SIDES, ground.noise),
                ground.channels(),
                cells(self.lags),
                (current - cells(self.level)).clamp(-4, 4) * known,
                self.products.texture[..., rows, :],
                *(seen * known for seen, _ in tried),
                known,
            ],
            dim=1,
        )
        changes = [
            *(look.whole for look in looks),
            *(beyond(looks[i], looks[j], SIDES[j] / SIDES[i]) for i, j in BEYOND),
            *(look.rest for look in looks[1:]),
            *(change for _, changes in tried for change in changes),
        ]
        return Evidence(channels, torch.stack(changes, 1))
