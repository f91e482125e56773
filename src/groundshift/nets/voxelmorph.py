"""A registration net of the VoxelMorph family (Balakrishnan et al. 2019), to train without truth.

As published a narrow U-Net sees both images at once. Here each image goes through one encoder by
itself, so that a stack is encoded image by image and decoded pair by pair (`encode`, `decode`).
What both have in common at a shift, their product, is what such nets take longest to find: the
decoder can be shown it, at small shifts and averaged over the pixels of each level, and where the
largest of these means are.

What it predicts can be integrated as a velocity, which makes a map that folds nowhere, and cannot
show the jump of a fault: that is off by default.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

from groundshift.errors import MatcherError
from groundshift.nets.layers import conv, known_alone, masked, narrowed
from groundshift.nets.spans import Span, reach_of

ENCODER = (16, 32, 32, 32, 32)
"""Channels of each level at full width, from the full resolution down."""
DECODER = (32, 32, 32, 32)
LAST = (16, 16)
"""Channels of what follows at full resolution."""
LEVELS = len(ENCODER)
SHARP = (1.0, 0.25)
"""Of the weights by which products are averaged to a place: how much more a product counts that is
larger by a deviation of its noise, natural logarithm, to begin with."""
GRAIN = 2.0
"""Pixels, of speckle: products of as many pixels each way are one sample."""
LARGEST = 1.0
"""Pixels by which a velocity that is integrated can lead in a step."""


@dataclass(frozen=True)
class VoxelMorphConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as `ENCODER` and `DECODER`."""
    lags: int = 0
    """Shifts each way, pixels, at which products of both images are shown to the decoder; 0, as
    published, shows none."""
    integrate: int = 0
    """How often a velocity is doubled (scaling and squaring); 0 predicts displacement itself."""
    name: Literal["voxelmorph"] = "voxelmorph"

    def __post_init__(self) -> None:
        """Refuse what takes for ever."""
        if not 0 <= self.integrate <= 10:
            raise MatcherError(
                f"integrate={self.integrate} is not offered; pass 0 to 10, such as 7"
            )
        if not 0 <= self.lags <= 8:
            raise MatcherError(f"lags={self.lags} is not offered; pass 0 to 8, such as 3")


class VoxelMorph(nn.Module):
    """The net."""

    stride = 1
    """Pixels from one displacement to the next."""
    period = 2 ** (LEVELS - 1)
    """Shift of the images that shifts the result alike, pixels."""

    def __init__(self, config: VoxelMorphConfig) -> None:
        super().__init__()
        self.config = config
        seen, made, last = (narrowed(each, config.width) for each in (ENCODER, DECODER, LAST))
        self.down = nn.ModuleList(
            conv(n, m, stride=2 if level else 1)
            for level, (n, m) in enumerate(zip((1, *seen), seen, strict=False))
        )
        shown = _shown(config.lags)
        self.sharp = nn.ParameterList(
            nn.Parameter(torch.tensor(SHARP).log()) for _ in range(LEVELS - 1) if config.lags
        )
        inside = (2 * seen[-1] + shown, *made)
        skips = [2 * skip + shown * (level > 0) for level, skip in enumerate(seen[:-1])]
        self.up = nn.ModuleList(
            conv(n + skip, m) for n, skip, m in zip(inside, skips[::-1], made, strict=False)
        )
        self.last = nn.ModuleList(conv(n, m) for n, m in zip((made[-1], *last), last, strict=False))
        self.flow = nn.Conv2d(last[-1], 2, 3, 1, 1)
        nn.init.normal_(self.flow.weight, std=1e-3)
        nn.init.zeros_(self.flow.bias)  # type: ignore[arg-type]

    def encode(self, image: Tensor, known: Tensor) -> list[Tensor]:
        """See one image ``(B, 1, H, W)``: itself, and each level from fine to coarse."""
        seen = [image]
        for layer, mask in zip(self.down, known_alone(known, LEVELS), strict=True):
            seen.append(masked(layer(seen[-1]), mask))
        return seen

    def decode(self, one: list[Tensor], other: list[Tensor], known: Tensor) -> Tensor:
        """Predict the displacement ``(B, 2, H, W)`` from what was seen of both images."""
        masks = known_alone(known, LEVELS)
        (a, *fine_a), (b, *fine_b) = one, other
        levels = [list(both) for both in zip(fine_a, fine_b, strict=True)]
        if self.config.lags:
            products = masked(_products(a, b, self.config.lags), masks[1])
            for depth, sharp in enumerate(self.sharp, 1):
                places = _places(products, sharp.exp(), 2**depth)
                levels[depth] += [products, masked(places, masks[depth])]
                products = avg_pool2d(products, 2)
        x = torch.cat(levels[-1], 1)
        for layer, level, mask in zip(self.up, levels[-2::-1], masks[-2::-1], strict=True):
            larger = interpolate(x, scale_factor=2.0, mode="nearest")
            x = masked(layer(torch.cat([larger, *level], 1)), mask)
        for layer in self.last:
            x = masked(layer(x), masks[0])
        flow = masked(self.flow(x), masks[0])
        return flow if self.config.integrate == 0 else _integrated(flow, self.config.integrate)

    def forward(self, images: Tensor, known: Tensor) -> list[Tensor]:
        """Predict displacements; see :meth:`groundshift.nets.hourglass.Hourglass.forward`."""
        one, other = (self.encode(image, known) for image in images.split(1, 1))
        return [self.decode(one, other, known)]

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        moved = _carried(self.config.integrate) if self.config.integrate else 0
        span, seen = Span(0, self.period - 1).around(moved + 1 + len(LAST)), []
        for _ in DECODER:
            span = span.around(1)
            seen.append(span)
            span = span.coarser()
        compared = span.around(1)
        for level in range(LEVELS - 1, -1, -1):
            span = span.around(1) if level == 0 else span.starts(2).around(1)
            if level:
                compared = compared.finer().union(seen[level - 1].around(1))
                span = span.union(seen[level - 1])
        return reach_of(span.union(compared.around(self.config.lags)), self.period)

    @property
    def bytes_of_image(self) -> int:
        """Memory of what `encode` sees, for each pixel of the image, an upper estimate."""
        widths = narrowed(ENCODER, self.config.width)
        return math.ceil(4 * (1 + sum(n / 4**level for level, n in enumerate(widths))))

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate."""
        shown = _shown(self.config.lags)
        return 4 * (3 * (self.flow.in_channels + DECODER[-1] + 2 * ENCODER[0]) + shown)


def _shown(lags: int) -> int:
    """Count the planes that tell a level of products."""
    return (2 * lags + 1) ** 2 + 3 * len(SHARP) if lags else 0


def _places(products: Tensor, sharp: Tensor, cell: int) -> Tensor:
    """Mean shift of the products of cells and their neighbours, the largest counting most.

    For each sharpness its rows, columns, and the mean product itself: ``(B, 3 * n, h, w)``.
    """
    lags = round(products.shape[1] ** 0.5) // 2
    means = avg_pool2d(products, 3, 1, 1)
    at = torch.arange(-lags, lags + 1, device=products.device, dtype=products.dtype)
    down, along = (each.flatten() for each in torch.meshgrid(at, at, indexing="ij"))
    told = []
    for each in sharp:
        weights = (means * (each * 3 * cell / GRAIN)).softmax(1)
        told += [torch.einsum("bnhw,n->bhw", weights, axis) for axis in (down, along)]
        told.append((weights * means).sum(1))
    return torch.stack(told, 1)


def _products(a: Tensor, b: Tensor, lags: int) -> Tensor:
    """Multiply one image with the other at each shift, and average over squares of 2 x 2."""
    H, W = a.shape[-2:]
    wide = pad(b, (lags,) * 4)
    shifts = product(range(2 * lags + 1), repeat=2)
    return torch.cat(
        [avg_pool2d(a * wide[..., dy : dy + H, dx : dx + W], 2) for dy, dx in shifts], 1
    )


def _integrated(velocity: Tensor, doublings: int) -> Tensor:
    """Follow a velocity for one unit of time: halve it often, and go each way twice as often."""
    limit = LARGEST * 2**doublings
    flow = velocity.clamp(-limit, limit) / 2**doublings
    for _ in range(doublings):
        flow = flow + carried(flow, flow)
    return flow


def _carried(doublings: int) -> int:
    """Count the pixels from which an integral can come."""
    return int(sum(LARGEST * 2**k + 1 for k in range(doublings)))


def carried(planes: Tensor, flow: Tensor, margin: int = 0, mode: str = "bilinear") -> Tensor:
    """See planes through a displacement; outside of them is zero. Gradients pass.

    Parameters
    ----------
    planes
        ``(B, C, H, W)``, with `margin` pixels more than the flow on each side.
    flow
        ``(B, 2, h, w)``, ``dy`` first, pixels.
    margin
        Pixels.
    mode
        "bilinear", or "bicubic".
    """
    rows, columns = planes.shape[-2:]
    down, along = (torch.arange(n, device=flow.device, dtype=flow.dtype) for n in flow.shape[-2:])
    y = down[:, None] + margin + flow[:, 0]
    x = along + margin + flow[:, 1]
    grid = torch.stack([(2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1], -1)
    return grid_sample(planes, grid, mode=mode, padding_mode="zeros", align_corners=False)
