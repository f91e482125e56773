"""The U-Net of DeepOT (Kim, Jung and Lu 2026): two images in, displacement of each pixel out.

Blocks of two convolutions with batch normalisation, maxima of 2 x 2 on the way down, and on the way
up what is enlarged beside what was seen there; 31,054,786 parameters at full width, running
statistics included. Nothing is warped or correlated.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from groundshift.nets.layers import known_alone, masked, narrowed
from groundshift.nets.spans import Span, reach_of

FILTERS = (64, 128, 256, 512, 1024)
"""Channels at full width."""
IMAGES = 2


@dataclass(frozen=True)
class UNetConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as published."""
    name: Literal["unet"] = "unet"


class Block(nn.Module):
    """Two convolutions, each normalised over the batch and rectified."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, outside, 3, 1, 1), nn.BatchNorm2d(outside), nn.ReLU())
            for n in (inside, outside)
        )

    def forward(self, x: Tensor, known: Tensor | None) -> Tensor:
        """Apply it to what is known."""
        for layer in self.layers:
            x = masked(layer(x), known)
        return x


class UNet(nn.Module):
    """DeepOT's U-Net."""

    stride = 1
    """Pixels from one displacement to the next."""
    period = 2 ** (len(FILTERS) - 1)
    """Shift of the images that shifts the result alike, pixels."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = narrowed(FILTERS, config.width)
        self.down = nn.ModuleList(
            Block(n, m) for n, m in zip((IMAGES, *widths), widths, strict=False)
        )
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(n, m, 2, 2) for n, m in pairs)
        self.up = nn.ModuleList(Block(2 * m, m) for _, m in pairs)
        self.flow = nn.Conv2d(widths[0], 2, 1)

    def forward(self, images: Tensor, known: Tensor) -> list[Tensor]:
        """Predict displacements; see :meth:`groundshift.nets.hourglass.Hourglass.forward`."""
        masks = known_alone(known, len(FILTERS))
        seen, x = [], images
        for level, (block, mask) in enumerate(zip(self.down, masks, strict=True)):
            x = block(max_pool2d(x, 2) if level else x, mask)
            seen.append(x)
        for enlarge, block, skip, mask in zip(
            self.enlarge, self.up, seen[-2::-1], masks[-2::-1], strict=True
        ):
            x = block(torch.cat([skip, masked(enlarge(x), mask)], 1), mask)
        return [self.flow(x)]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        span, seen = Span(0, self.period - 1), []
        for _ in self.up:
            span = span.around(2)
            seen.append(span)
            span = span.coarser()
        span = span.around(2)
        for skip in reversed(seen):
            span = span.finer().union(skip).around(2)
        return reach_of(span, self.period)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate."""
        return 4 * 6 * self.flow.in_channels
