"""The U-Net++ of DeepOT (Kim, Jung and Lu 2026): a U-Net whose skips are nets themselves.

Between a level's encoder and its decoder lie blocks that also see the level below (Zhou et al.
2018); 36,487,074 parameters at full width, running statistics included.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from groundshift.nets.layers import known_alone, masked, narrowed
from groundshift.nets.spans import Span, reach_of
from groundshift.nets.unet import IMAGES, Block

FILTERS = (32, 64, 128, 256, 512, 1024)
"""Channels at full width."""
LEVELS = len(FILTERS)


@dataclass(frozen=True)
class UNetPlusPlusConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["unetpp"] = "unetpp"


class UNetPlusPlus(nn.Module):
    """DeepOT's U-Net++."""

    stride = 1
    """Pixels from one displacement to the next."""
    period = 2 ** (LEVELS - 1)
    """Shift of the images that shifts the result alike, pixels."""

    def __init__(self, config: UNetPlusPlusConfig) -> None:
        super().__init__()
        self.config = config
        widths = narrowed(FILTERS, config.width)
        inside = (IMAGES, *widths)
        self.blocks, self.enlarge = nn.ModuleDict(), nn.ModuleDict()
        for level, order in _places():
            n = widths[level]
            if order == 0:
                self.blocks[f"{level}_0"] = Block(inside[level], n)
                continue
            self.enlarge[f"{level}_{order}"] = nn.ConvTranspose2d(widths[level + 1], n, 2, 2)
            self.blocks[f"{level}_{order}"] = Block((order + 1) * n, n)
        self.flow = nn.Conv2d(widths[0], 2, 1)

    def forward(self, images: Tensor, known: Tensor) -> list[Tensor]:
        """Predict displacements; see :meth:`groundshift.nets.hourglass.Hourglass.forward`."""
        masks = known_alone(known, LEVELS)
        seen: dict[tuple[int, int], Tensor] = {}
        for level, order in _places():
            mask, name = masks[level], f"{level}_{order}"
            if order == 0:
                x = images if level == 0 else max_pool2d(seen[level - 1, 0], 2)
            else:
                below = masked(self.enlarge[name](seen[level + 1, order - 1]), mask)
                x = torch.cat([*(seen[level, each] for each in range(order)), below], 1)
            seen[level, order] = self.blocks[name](x, mask)
        return [self.flow(seen[0, LEVELS - 1])]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        needed: dict[tuple[int, int], Span] = {}

        def need(level: int, order: int, span: Span) -> None:
            place = (level, order)
            needed[place] = span.union(needed.get(place, span))

        need(0, LEVELS - 1, Span(0, self.period - 1))
        whole = Span(0, 0)
        for level, order in reversed(list(_places())):
            if (level, order) not in needed:
                continue
            span = needed[level, order].around(2)
            if order:
                need(level + 1, order - 1, span.coarser())
                for each in range(order):
                    need(level, each, span)
            elif level:
                need(level - 1, 0, span.finer())
            else:
                whole = span
        return reach_of(whole, self.period)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate."""
        return 4 * (LEVELS + 4) * self.flow.in_channels


def _places() -> list[tuple[int, int]]:
    """List levels and orders of blocks, each after those that it needs."""
    return [(level, total - level) for total in range(LEVELS) for level in range(total, -1, -1)]
