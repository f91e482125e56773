"""A siamese residual U-Net with cross-connections and attention (Kim, Jung and Lu 2025).

Both images go through one encoder, whose branches see each other at every level; what they saw is
weighted by channel and by place before the decoder joins it. The paper publishes neither channels
nor depth: they are ours. Its channels are weighted by what a whole patch holds, so that patches
disagree where they meet; here by what lies within a period of the place, so that tiles do not.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d

from groundshift.boxes import cell_sum
from groundshift.nets.cells import mean, repeat
from groundshift.nets.layers import activated, conv, known_alone, masked, narrowed
from groundshift.nets.spans import Span, reach_of

FILTERS = (64, 128, 256, 512)
"""Channels of each level at full width."""
LEVELS = len(FILTERS)
PERIOD = 2 ** (LEVELS - 1)
AROUND = 3
"""Side of the windows in which channels are weighted, periods."""
FEWER = 8
"""Times fewer channels, where weights of channels are found."""
PLACES = 7
"""Side of the convolution that weights places."""


@dataclass(frozen=True)
class CCResSiamConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as `FILTERS`."""
    name: Literal["ccressiam"] = "ccressiam"


class Residual(nn.Module):
    """Two convolutions, added to what they see."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = conv(inside, outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1)
        nn.init.normal_(self.second.weight, std=0.1 / (9 * outside) ** 0.5)
        self.past = nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor, known: Tensor | None) -> Tensor:
        """Apply it to what is known."""
        change = self.second(masked(self.first(x), known))
        return masked(leaky_relu(change + self.past(x), 0.1), known)


class Attention(nn.Module):
    """Weights of channels, then of places, between 0 and 1 (after Woo et al. 2018)."""

    def __init__(self, channels: int, level: int) -> None:
        super().__init__()
        self.cells = PERIOD >> level
        fewer = max(4, channels // FEWER)
        self.channels = nn.Sequential(
            activated(nn.Conv2d(channels, fewer, 1)), nn.Conv2d(fewer, channels, 1)
        )
        self.places = nn.Conv2d(2, 1, PLACES, 1, PLACES // 2)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Weight what is known."""
        cells, side = self.cells, AROUND
        share = mean(cell_sum(known, cells), side).clamp(min=1e-6)
        level = mean(cell_sum(x, cells), side) / share
        x = x * repeat(self.channels(level).sigmoid(), cells)
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1) * known
        return x * self.places(both).sigmoid() * known


class CCResSiam(nn.Module):
    """The net."""

    stride = 1
    """Pixels from one displacement to the next."""
    period = PERIOD
    """Shift of the images that shifts the result alike, pixels."""

    def __init__(self, config: CCResSiamConfig) -> None:
        super().__init__()
        self.config = config
        widths = narrowed(FILTERS, config.width)
        self.down = nn.ModuleList(
            Residual(n, m) for n, m in zip((1, *widths), widths, strict=False)
        )
        self.cross = nn.ModuleList(nn.Conv2d(n, n, 1) for n in widths)
        self.joined = nn.ModuleList(activated(nn.Conv2d(2 * n, n, 1)) for n in widths)
        self.attention = nn.ModuleList(Attention(n, level) for level, n in enumerate(widths))
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(n, m, 2, 2) for n, m in pairs)
        self.up = nn.ModuleList(Residual(2 * m, m) for _, m in pairs)
        self.flow = nn.Conv2d(widths[0], 2, 3, 1, 1)
        nn.init.normal_(self.flow.weight, std=1e-3)
        for each, n in zip(self.cross, widths, strict=True):
            nn.init.normal_(each.weight, std=0.1 / n**0.5)  # type: ignore[arg-type]

    def forward(self, images: Tensor, known: Tensor) -> list[Tensor]:
        """Predict displacements; see :meth:`groundshift.nets.hourglass.Hourglass.forward`."""
        alone = known_alone(known, LEVELS)
        a, b = images.split(1, 1)
        skips = []
        for level, (block, cross, mask) in enumerate(
            zip(self.down, self.cross, alone, strict=True)
        ):
            if level:
                a, b = max_pool2d(a, 2), max_pool2d(b, 2)
            a, b = block(a, mask), block(b, mask)
            a, b = (masked(x + cross(other), mask) for x, other in ((a, b), (b, a)))
            there = max_pool2d(known, 2**level)
            both = masked(self.joined[level](torch.cat([a, b], 1)), mask)
            skips.append(self.attention[level](both, there))
        x = skips[-1]
        for enlarge, block, skip, mask in zip(
            self.enlarge, self.up, skips[-2::-1], alone[-2::-1], strict=True
        ):
            x = block(torch.cat([skip, masked(enlarge(x), mask)], 1), mask)
        return [self.flow(x)]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        span, seen = Span(0, PERIOD - 1).around(1), []
        for _ in self.up:
            span = span.around(2)
            seen.append(span)
            span = span.coarser()
        seen.append(span)
        needed = None
        for level in range(LEVELS - 1, -1, -1):
            skip = seen[level].around(PLACES // 2).cells(PERIOD >> level, AROUND // 2)
            needed = (skip if needed is None else skip.union(needed.finer())).around(2)
        assert needed is not None
        return reach_of(needed, PERIOD)

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate."""
        return 4 * 10 * self.flow.in_channels
