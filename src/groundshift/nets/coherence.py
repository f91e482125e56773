"""A residual U-Net that regresses coherence and its standard deviation from two detected images.

After Sica, Pulella and Schmitt (2026), who train one on coherence estimated from complex images.
This one sees products and ratios at small shifts (:mod:`groundshift.nets.lagged`), works on cells
of 2 x 2 pixels, and says how sure it is: no variance of what lies between 0 and 1 is above
``g (1 - g)``, and the net tells the share of it.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pixel_shuffle

from groundshift.nets.lagged import CELL, CONTEXT, COUNT, shown
from groundshift.nets.layers import known_alone, masked, narrowed, twice
from groundshift.nets.parts import Cuts, Part
from groundshift.nets.spans import Span, reach_of

WIDTHS = (32, 56, 80, 96)
"""Channels of each level at full width, from cells to eight times as coarse."""
BLOCKS = 2
"""On the way down, at each level; one on the way up."""
LEAST = 0.01
"""Standard deviation that is never undercut."""


@dataclass(frozen=True)
class CoherenceConfig:
    """Size of the net."""

    width: float = 1.0
    """Times as many channels as `WIDTHS`."""
    name: Literal["coherence"] = "coherence"


class Regressed(NamedTuple):
    """Of each pixel, ``(B, H, W)``."""

    coherence: Tensor
    sigma: Tensor


class Residual(nn.Module):
    """Two convolutions whose result is added; nothing to begin with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        nn.init.kaiming_normal_(self.layers[0].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, known: Tensor | None) -> Tensor:
        """Apply it to what is known."""
        first, second = self.layers
        change = masked(first(x.relu()).relu_(), known)
        return masked(second(change), known).add_(x)


class CoherenceNet(nn.Module):
    """The net."""

    period = CELL * 2 ** (len(WIDTHS) - 1)
    """Shift of the images that shifts the result alike, pixels."""

    def __init__(self, config: CoherenceConfig) -> None:
        super().__init__()
        self.config = config
        widths = narrowed(WIDTHS, config.width)
        inside = (COUNT, *widths)
        self.enter = nn.ModuleList(
            nn.Conv2d(n, m, 3 if level == 0 else 2, 1 if level == 0 else 2, int(level == 0))
            for level, (n, m) in enumerate(zip(inside, widths, strict=False))
        )
        self.down = nn.ModuleList(nn.ModuleList(Residual(m) for _ in range(BLOCKS)) for m in widths)
        self.rise = nn.ModuleList(
            nn.Conv2d(n, m, 1) for n, m in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(Residual(m) for m in widths[-2::-1])
        self.told = nn.Conv2d(widths[0], 2 * CELL**2, 1)

    def forward(self, reference: Tensor, secondary: Tensor, asked: Cuts | None = None) -> Regressed:
        """Estimate coherence.

        Parameters
        ----------
        reference, secondary
            Amplitudes ``(B, H, W)``, NaN where not known; sides of whole periods.
        asked
            Rows and columns that are asked for, and computed; all without.
        """
        seen = torch.isfinite(reference) & torch.isfinite(secondary)
        seen &= (reference > 0) & (secondary > 0)
        known = seen.to(reference.dtype)
        H, W = reference.shape[-2:]
        shape = H // CELL, W // CELL
        wanted = Part.of((H, W), asked)
        cells = wanted.coarser()
        down, up = _parts(cells, shape)
        masks = known_alone(max_pool2d(known[:, None], CELL), len(WIDTHS))
        held = down[0].around(1 - (-CONTEXT // CELL)).within(shape)
        x = shown(*(held.finer().out_of(image) for image in (reference, secondary, known)))
        levels = []
        for level, (enter, blocks, part) in enumerate(
            zip(self.enter, self.down, down, strict=True)
        ):
            x = enter(part.finer().out_of(x, held)) if level else part.out_of(enter(x), held)
            mask = part.of_mask(masks[level])
            x, held = masked(x, mask), part
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, mask)
            levels.append(x)
        for rise, block, level in zip(self.rise, self.up, range(len(up))[::-1], strict=True):
            part, mask = up[level], up[level].of_mask(masks[level])
            x = rise(part.coarser().out_of(x, held))
            x = twice(x, part.out_of(levels[level], down[level]))
            x, held = block(masked(x, mask), mask), part
        told = pixel_shuffle(self.told(cells.out_of(x, held).relu()), CELL)
        told = wanted.out_of(told, cells.finer())
        coherence, share = told.sigmoid().unbind(1)
        variance = coherence * (1 - coherence) * share
        return Regressed(coherence, (variance + LEAST**2).sqrt())

    @property
    def reach(self) -> int:
        """Pixels around a period of results that these depend on, at most."""
        span, seen = Span(0, self.period - 1).coarser(), []
        for _ in self.up:
            span = span.around(2)
            seen.append(span)
            span = span.coarser()
        span = span.around(2 * BLOCKS)
        for skip in reversed(seen):
            span = span.finer().union(skip).around(2 * BLOCKS)
        return reach_of(span.around(1).finer(), self.period) + CONTEXT

    @property
    def bytes_per_pixel(self) -> int:
        """Memory for each pixel of the images, an upper estimate."""
        return 4 * (28 + (COUNT + 3 * self.told.in_channels) // CELL**2)


def _parts(asked: Part, shape: tuple[int, int]) -> tuple[list[Part], list[Part]]:
    """Return what is to be computed of each level, on the way down and up, for the cells asked."""
    shapes = [(shape[0] >> level, shape[1] >> level) for level in range(len(WIDTHS))]
    part, up = asked, []
    for coarser in shapes[1:]:
        part = part.around(2).coarser().within(coarser)
        up.append(part.finer())
    down = [part.around(2 * BLOCKS).within(shapes[-1])]
    for seen, finer in zip(reversed(up), shapes[-2::-1], strict=True):
        down.append(down[-1].finer().union(seen).around(2 * BLOCKS).within(finer))
    return down[::-1], up


def regressed_loss(found: Regressed, truth: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square error of the coherence, and how badly sigma tells errors, of what is known.

    The latter is the negative logarithm of a Laplace density of the errors, in which a few large
    ones count less than in a normal one. It takes errors as they are: what makes sigma right does
    not move the coherence.
    """
    count = known.sum().clamp(min=1)
    error = torch.where(known, found.coherence - truth, 0.0)
    unlikely = found.sigma.log() + error.detach().abs() / found.sigma
    return error.square().sum() / count, (unlikely * known).sum() / count
