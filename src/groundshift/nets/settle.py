"""The first iteration of a net: it settles the displacement on squares of a few pixels.

What a search leaves is off by a part of a speckle, and a step from there by a part of that: with
clean images a second step halves the error. This one is cheap, has the largest windows, and
leaves to the next what is finer than a square.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from groundshift.boxes import cell_sum
from groundshift.nets.cells import CELL, WARP, mean
from groundshift.nets.images import Images
from groundshift.nets.layers import block, conv, known_alone, masked, run, twice
from groundshift.nets.looks import Ground, Look, beyond, channels_of, count, weighted
from groundshift.nets.products import alike

WINDOWS = (9, 17, 33, 49)
"""Sides, squares: 36, 68, 132 and 196 px."""
AROUND = 17
"""Side of the window that counts as the surroundings, squares."""
CANDIDATES = 10
CHANNELS = count(len(WINDOWS)) + 2 + 2 + 1
REACH = 168
"""Pixels around a result that are used at most: windows 98, the net 64."""
DEPTH = 4
"""Squares of the coarsest level each way."""


class Settle(nn.Module):
    """Changes the displacement of squares by a mean of what windows say, and a little more."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.stem = nn.Sequential(conv(CHANNELS, a))
        self.level2 = block(a, b, stride=2)
        self.level3 = block(b, c, stride=2)
        self.narrow2, self.narrow1 = nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.up2, self.up1 = nn.Sequential(conv(b, b)), nn.Sequential(conv(a, a))
        self.head = nn.Conv2d(a, CANDIDATES + 1 + 2, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        self.head.bias = nn.Parameter(torch.zeros_like(self.head.weight[:, 0, 0, 0]))

    def forward(self, channels: Tensor, candidates: Tensor, known: Tensor) -> Tensor:
        """Change the displacement of squares: what `evidence` returns in, ``(B, 2, h, w)`` out."""
        x = channels.contiguous(memory_format=torch.channels_last)
        masks = known_alone(known, 3)
        one = run(self.stem, masked(x, masks[0]), masks[0])
        two = run(self.level2, one, masks[1])
        x = run(self.level3, two, masks[2])
        x = run(self.up2, masked(twice(self.narrow2(x), two), masks[1]), masks[1])
        x = run(self.up1, masked(twice(self.narrow1(x), one), masks[0]), masks[0])
        out = self.head(x).float()
        weight = out[:, : CANDIDATES + 1].softmax(1)[:, :-1]
        return (weight[:, :, None] * candidates).sum(1) + out[:, CANDIDATES + 1 :]


@torch.no_grad()
def evidence(images: Images, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tell what is known about each square of displacement, ``(B, 2, h, w)``, and what may be done.

    Returns
    -------
    tuple of Tensor
        ``(B, CHANNELS, h, w)``; changes of the displacement, ``(B, CANDIDATES, 2, h, w)``; and
        which squares have data, ``(B, 1, h, w)``: 0 or 1.
    """
    cells = alike(images, shift)
    squares = cell_sum(cells, WARP // CELL) / (WARP // CELL) ** 2
    known = squares[:, :1]
    planes = weighted(squares, shift)
    around = mean(planes, AROUND)
    ground = Ground.of(around)
    about = (shift - around[:, -2:] / around[:, :1].clamp(min=1e-3)).clamp(-4, 4) * known
    looks = [Look.of(mean(planes, side), shift, shift, ground) for side in WINDOWS]
    sides = [WARP * side for side in WINDOWS]
    channels = [*channels_of(looks, sides, ground.noise), ground.channels(), about, known]
    pairs = ((0, 1), (1, 2), (2, 3), (0, 2))
    candidates = [
        *(look.whole for look in looks),
        *(beyond(looks[i], looks[j], WINDOWS[j] / WINDOWS[i]) for i, j in pairs),
        looks[1].rest,
        looks[2].rest,
    ]
    there = max_pool2d(images.known[:, None], WARP)
    return torch.cat(channels, 1), torch.stack(candidates, 1), there
