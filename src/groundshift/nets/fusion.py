"""The flagship: a net that weighs classical candidates and adds what windows cannot resolve.

A first, cheap iteration settles the displacement (:mod:`groundshift.nets.settle`). Each further one
compares the images under the running displacement (:mod:`groundshift.nets.evidence`) and changes it
by a convex combination of the steps of several windows and a correction for every pixel. Weights
are shared by these. There is no normalisation layer and nothing absolute among the inputs, so that
tiles cannot be told and a shift of both images shifts the result.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pixel_shuffle

from groundshift.nets import settle
from groundshift.nets.cells import CELL, WARP, repeat, squares_of, strips
from groundshift.nets.evidence import CANDIDATES, CHANNELS, TIMES, Comparison
from groundshift.nets.images import Images
from groundshift.nets.layers import (
    Pointwise,
    activated,
    between,
    block,
    conv,
    known_alone,
    masked,
    run,
    twice,
)
from groundshift.nets.parts import Cuts, Part

PERIOD = WARP * settle.DEPTH
"""Shift of the images, pixels, that shifts the result and changes nothing else."""
REACH = 112
"""Pixels around a result that one iteration uses at most: windows 66, the U-Net 44."""
PLANES = 7
"""What is said about each pixel: those of a `Prediction`."""
AREA = 1 << 17
"""Cells whose evidence is worked on at once."""
OUTSIDE, MANY = 0.32, 0.25
"""Share of errors outside of an interval of one sigma; share of failures from which on the interval
reaches for them."""
SURE = 20.0
"""Added to the logit of what cannot be measured, where texture lies along one direction."""
NARROW, WIDE = (-6.0, 0.7), (0.0, 3.0)
"""Logarithms of the scales of the narrow and the wide Laplace distribution, pixels."""


def reach(iterations: int) -> int:
    """Pixels around a result that are used at most: by all iterations, and to standardise."""
    return 34 + settle.REACH + iterations * REACH


@dataclass(frozen=True)
class FusionConfig:
    """Size of the net."""

    widths: tuple[int, int, int] = (24, 40, 80)
    """Channels at 2, 4 and 8 pixels; and of the first iteration, at 4, 8 and 16."""
    iterations: int = 1
    """How often it refines what the first iteration settled; each costs as much."""
    settle: bool = True
    """Whether there is that first iteration."""
    name: Literal["fusion"] = "fusion"


class Prediction(NamedTuple):
    """Displacement of each reference pixel and the distribution of its error."""

    flow: Tensor
    """``(B, 2, H, W)``: dy, dx, pixels."""
    narrow: Tensor
    """Log scale of the Laplace distribution of good matches, ``(B, 2, H, W)``."""
    wide: Tensor
    """Log scale of that of failures, ``(B, 1, H, W)``."""
    failure: Tensor
    """Logit of the share of failures, ``(B, 1, H, W)``."""
    invalid: Tensor
    """Logit that the pixel cannot be measured, ``(B, 1, H, W)``."""

    def sigma(self) -> Tensor:
        """Half width of the interval that holds 68 % of the errors, pixels, ``(B, 2, H, W)``.

        That of the mixture if failures were beyond it, which they are; the deviation of a mixture
        would be that of its failures, however few.
        """
        share = self.failure.sigmoid()
        few = share.clamp(max=MANY)
        good = self.narrow.exp() * ((1 - few) / (OUTSIDE - few)).log()
        bad = self.wide.exp() * math.log(1 / OUTSIDE)
        return good + (share - few) / (1 - MANY) * bad


class Found(NamedTuple):
    """What a net makes of a first guess."""

    settled: Tensor
    """Displacement after the first iteration, ``(B, 2, H, W)``, pixels."""
    predictions: list[Prediction]
    """One for each further iteration."""


class Fusion(nn.Module):
    """Evidence in, a change of the displacement and its certainty out."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.settle = settle.Settle(config.widths) if config.settle else None
        a, b, c = config.widths
        self.first = activated(Pointwise(CHANNELS, a))
        self.stem = nn.Sequential(conv(a, a))
        self.level2 = block(a, b, stride=2)
        self.level3 = nn.Sequential(*block(b, c, stride=2), conv(c, c))
        # Narrowed before they are enlarged, and added: half the cost of what is put side by side.
        self.narrow2, self.narrow1 = nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.up2, self.up1 = nn.Sequential(conv(b, b)), nn.Sequential(conv(a, a))
        self.candidates = CANDIDATES + 1
        self.head = Pointwise(a, self.candidates + CELL**2 * PLANES)
        nn.init.normal_(self.head.weight, std=1e-3)
        # Scales of about 0.1 px and 3 px, few failures, few pixels that cannot be measured.
        bias = torch.zeros(PLANES, CELL**2)
        bias[2:4], bias[4], bias[5], bias[6] = -2.5, 1.0, -3.0, -2.0
        self.head.bias = nn.Parameter(torch.cat([torch.zeros(self.candidates), bias.flatten()]))
        # Three times as fast on the CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self,
        reference: Tensor,
        secondary: Tensor,
        flow: Tensor,
        iterations: int | None = None,
        asked: Cuts | None = None,
    ) -> Found:
        """Refine a displacement.

        Parameters
        ----------
        reference
            Amplitude or brightness ``(B, H, W)``, NaN where there is none; sides are multiples of
            `PERIOD`.
        secondary
            The same, or larger by the same number of pixels on each side: what displacements
            lead to beyond it is unknown.
        flow
            First guess ``(B, 2, H, W)``, pixels, without NaN; right to a pixel or two.
        iterations
            As configured by default.
        asked
            Rows and columns that the last prediction is for; all without.
        """
        images = Images.of(reference, secondary)
        flow = settled = self._settled(images, flow)
        H, W = flow.shape[-2:]
        held, part = Part.of((H, W)), Part.of((H, W), asked)
        found = []
        count = self.config.iterations if iterations is None else iterations
        for left in range(count, 0, -1):
            needed = part.around(left * REACH).whole(PERIOD).within((H, W))
            images, flow = images.within(needed.cuts(held)), needed.out_of(flow, held)
            held = needed
            found.append(self.step(images, flow.detach()))
            flow = found[-1].flow
        if found:
            found[-1] = Prediction(*(part.out_of(plane, held) for plane in found[-1]))
        return Found(settled, found)

    def _settled(self, images: Images, flow: Tensor) -> Tensor:
        """Make the first iteration."""
        if self.settle is None:
            return flow
        shift = squares_of(flow)
        seen = settle.evidence(images, shift)
        with self._half(flow):
            # About the displacement that was followed, not its rounded value.
            change = self.settle(*seen) + shift - avg_pool2d(flow, WARP)
        return flow + between(change, seen[-1], WARP)

    def step(self, images: Images, flow: Tensor) -> Prediction:
        """Make one iteration."""
        known = max_pool2d(images.known[:, None], CELL)
        x, candidates, striped = self._read(images, flow, known)
        masks = known_alone(known, 3)
        with self._half(flow):
            # Rebound each time: what is no longer needed is a tenth of all memory.
            x = run(self.stem, masked(x, masks[0]), masks[0])
            x = self.unet(x, masks)
        change, fine = self._decide(x, candidates)
        # Not in training: the net would learn to contradict it.
        known_not = 0.0 if self.training else SURE * repeat(striped.to(fine.dtype), WARP)
        return Prediction(
            flow + between(change, known, CELL) + fine[:, :2],
            fine[:, 2:4].clamp(*NARROW),
            fine[:, 4:5].clamp(*WIDE),
            fine[:, 5:6],
            fine[:, 6:7] + known_not,
        )

    def _read(self, images: Images, flow: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reduce the evidence of each cell to a few channels; the candidates; squares with stripes.

        In strips: all channels of an image would take several times the memory of the rest.
        """
        with torch.no_grad():
            compared = Comparison.of(images, flow)
        B, _, rows, columns = known.shape
        x = flow.new_empty(B, self.config.widths[0], rows, columns)
        x = x.contiguous(memory_format=torch.channels_last)
        candidates = flow.new_empty(B, CANDIDATES, 2, rows, columns)
        for part in _strips(known):
            with torch.no_grad():
                pixels = slice(CELL * part.start, CELL * part.stop)
                seen = compared.evidence(flow[..., pixels, :], part)
                candidates[..., part, :] = seen.candidates
            with self._half(flow):
                x[..., part, :] = self.first(seen.channels)
        return x, candidates, compared.striped

    def unet(self, one: Tensor, masks: list[Tensor | None]) -> Tensor:
        """Look around, some 40 pixels each way; cells without data are zero at every level.

        That makes no data the same as the end of the image, wherever a tile ends.
        """
        two = run(self.level2, one, masks[1])
        x = run(self.level3, two, masks[2])
        x = run(self.up2, masked(twice(self.narrow2(x), two), masks[1]), masks[1])
        return run(self.up1, masked(twice(self.narrow1(x), one), masks[0]), masks[0])

    def _decide(self, x: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the candidates of cells; and what is said about each pixel."""
        B, _, rows, columns = x.shape
        change = candidates.new_empty(B, 2, rows, columns)
        fine = candidates.new_empty(B, PLANES, CELL * rows, CELL * columns)
        for part in _strips(x):
            with self._half(x):
                out = self.head(x[..., part, :]).float()
            weight = out[:, : self.candidates].softmax(1)[:, :-1]
            change[..., part, :] = (weight[:, :, None] * candidates[..., part, :]).sum(1)
            pixels = slice(CELL * part.start, CELL * part.stop)
            fine[..., pixels, :] = pixel_shuffle(out[:, self.candidates :], CELL)
        return change, fine

    def _half(self, like: Tensor) -> torch.autocast:
        """Half precision in training on a GPU; what is reported deserves all bits."""
        return torch.autocast("cuda", torch.bfloat16, enabled=like.is_cuda and self.training)


def _strips(cells: Tensor) -> list[slice]:
    """Rows to work on at once."""
    return list(strips(cells.shape[-2], cells.shape[0] * cells.shape[-1], AREA, TIMES))
