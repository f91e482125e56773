"""Layers that know where there are no data, so that a tile's end is like an image's."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from groundshift.errors import MatcherError

FEWEST = 8
"""Channels that a narrow net keeps."""
WIDEST = 8.0
"""Times as many channels as published, at most."""


class Pointwise(nn.Conv2d):
    """A convolution of 1 x 1, as a product: planes in any order, without a copy of them."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        assert self.bias is not None
        out = self.weight.flatten(1) @ input.flatten(2) + self.bias[:, None]
        return out.unflatten(2, input.shape[2:])


def conv(inside: int, outside: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution of 3 x 3 and a leaky rectifier."""
    return activated(nn.Conv2d(inside, outside, 3, stride, 1))


def activated(layer: nn.Conv2d) -> nn.Sequential:
    """Give a convolution its rectifier, and weights to begin with that go with it."""
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    return nn.Sequential(layer, nn.LeakyReLU(0.1, inplace=True))


def block(inside: int, outside: int, *, stride: int) -> nn.Sequential:
    """Two convolutions, the first one in steps."""
    return nn.Sequential(conv(inside, outside, stride=stride), conv(outside, outside))


def narrowed(filters: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Return as many channels of each level as a width leaves; 1 is as published."""
    if not 0 < width <= WIDEST:
        raise MatcherError(
            f"width={width} must be above 0 and at most {WIDEST:g}; 1 is as published"
        )
    return tuple(n if width == 1 else max(FEWEST, round(n * width)) for n in filters)


def known_alone(known: Tensor, levels: int) -> list[Tensor | None]:
    """Masks of each level, each half as fine as the one before; None where all is known."""
    if bool(known.all()):
        return [None] * levels
    return [known, *(max_pool2d(known, 2**level) for level in range(1, levels))]


def run(layers: nn.Sequential, x: Tensor, known: Tensor | None) -> Tensor:
    """Apply convolutions, each to what is known; the last one's result is masked as well."""
    for layer in layers:
        x = masked(layer(x), known)
    return x


def masked(x: Tensor, known: Tensor | None) -> Tensor:
    """Zero where nothing is known."""
    return x if known is None else x * known


def twice(x: Tensor, fine: Tensor) -> Tensor:
    """Enlarge, and add what is as fine."""
    return interpolate(x, scale_factor=2.0, mode="nearest").add_(fine)


def between(change: Tensor, known: Tensor, times: int) -> Tensor:
    """Interpolate from cells to finer ones, leaving cells without data out."""
    planes = torch.cat([change * known, known], 1)
    planes = interpolate(planes, scale_factor=float(times), mode="bilinear")
    return planes[:, :-1] / planes[:, -1:].clamp(min=1e-3)
