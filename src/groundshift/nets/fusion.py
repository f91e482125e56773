"""The flagship: a net that weighs classical candidates and adds what windows cannot resolve.

Each iteration compares the images under the running displacement (:mod:`groundshift.nets.evidence`)
and changes it by a convex combination of the steps of several windows and a correction for every
pixel. Weights are shared by all iterations. There is no normalisation layer and nothing absolute
among the inputs, so that tiles cannot be told and a shift of both images shifts the result.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, pixel_shuffle

from groundshift.nets.cells import CELL, strips
from groundshift.nets.evidence import CANDIDATES, CHANNELS, TIMES, Comparison
from groundshift.nets.images import Images

DEPTH = 8
"""Cells of the coarsest level of the U-Net each way."""
PERIOD = CELL * DEPTH
"""Shift of the images, pixels, that shifts the result and changes nothing else."""
REACH = 224
"""Pixels around a result that one iteration uses at most: the U-Net 120, windows 68, levels 33."""
PLANES = 7
"""What is said about each pixel: those of a `Prediction`."""
AREA = 1 << 17
"""Cells whose evidence is worked on at once."""
NARROW, WIDE = (-6.0, 0.7), (0.0, 3.0)
"""Logarithms of the scales of the narrow and the wide Laplace distribution, pixels."""


@dataclass(frozen=True)
class FusionConfig:
    """Size of the net."""

    widths: tuple[int, int, int, int] = (24, 40, 64, 96)
    """Channels at 2, 4, 8 and 16 pixels."""
    iterations: int = 1
    """How often it refines what it is given; each costs as much as the first."""


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

    def variance(self) -> Tensor:
        """Variance of each component under the mixture, px^2, ``(B, 2, H, W)``."""
        share = self.failure.sigmoid()
        return 2 * ((1 - share) * (2 * self.narrow).exp() + share * (2 * self.wide).exp())


class Pointwise(nn.Conv2d):
    """A convolution of 1 x 1, as a product: planes in any order, without a copy of them."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1)

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        assert self.bias is not None
        out = self.weight.flatten(1) @ input.flatten(2) + self.bias[:, None]
        return out.unflatten(2, input.shape[2:])


class Fusion(nn.Module):
    """Evidence in, a change of the displacement and its certainty out."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.first = nn.Sequential(
            _kaiming(Pointwise(CHANNELS, a)), nn.LeakyReLU(0.1, inplace=True)
        )
        self.stem = nn.Sequential(_conv(a, a))
        self.level2 = _block(a, b, stride=2)
        self.level3 = _block(b, c, stride=2)
        self.level4 = nn.Sequential(*_block(c, d, stride=2), _conv(d, d, dilation=2))
        # Narrowed before they are enlarged, and added: half the cost of what is put side by side.
        self.narrow3, self.narrow2, self.narrow1 = (
            nn.Conv2d(wide, narrow, 1) for wide, narrow in ((d, c), (c, b), (b, a))
        )
        self.up3, self.up2, self.up1 = (nn.Sequential(_conv(n, n)) for n in (c, b, a))
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
        self, reference: Tensor, secondary: Tensor, flow: Tensor, iterations: int | None = None
    ) -> list[Prediction]:
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

        Returns
        -------
        list of Prediction
            One for each iteration.
        """
        images = Images.of(reference, secondary)
        found = []
        for _ in range(self.config.iterations if iterations is None else iterations):
            found.append(self.step(images, flow.detach()))
            flow = found[-1].flow
        return found

    def step(self, images: Images, flow: Tensor) -> Prediction:
        """Make one iteration."""
        known = max_pool2d(images.known[:, None], CELL)
        x, candidates = self._read(images, flow, known)
        masks: list[Tensor | None] = [None] * 4
        if not bool(known.all()):
            masks = [known, *(max_pool2d(known, 2**level) for level in (1, 2, 3))]
        with self._half(flow):
            # Rebound each time: what is no longer needed is a tenth of all memory.
            x = _run(self.stem, _masked(x, masks[0]), masks[0])
            x = self.unet(x, masks)
        change, fine = self._decide(x, candidates)
        return Prediction(
            flow + _between(change, known) + fine[:, :2],
            fine[:, 2:4].clamp(*NARROW),
            fine[:, 4:5].clamp(*WIDE),
            fine[:, 5:6],
            fine[:, 6:7],
        )

    def _read(self, images: Images, flow: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Reduce the evidence of each cell to a few channels; and the candidates.

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
        return x, candidates

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

    def unet(self, one: Tensor, masks: list[Tensor | None]) -> Tensor:
        """Look around, some 120 pixels each way; cells without data are zero at every level.

        That makes no data the same as the end of the image, wherever a tile ends.
        """
        two = _run(self.level2, one, masks[1])
        three = _run(self.level3, two, masks[2])
        x = _run(self.level4, three, masks[3])
        x = _run(self.up3, _masked(_twice(self.narrow3(x)).add_(three), masks[2]), masks[2])
        x = _run(self.up2, _masked(_twice(self.narrow2(x)).add_(two), masks[1]), masks[1])
        return _run(self.up1, _masked(_twice(self.narrow1(x)).add_(one), masks[0]), masks[0])


def _strips(cells: Tensor) -> list[slice]:
    """Rows to work on at once."""
    return list(strips(cells.shape[-2], cells.shape[0] * cells.shape[-1], AREA, TIMES))


def _run(layers: nn.Sequential, x: Tensor, known: Tensor | None) -> Tensor:
    """Apply convolutions, each to what is known; the last one's result is masked as well."""
    for layer in layers:
        x = _masked(layer(x), known)
    return x


def _masked(x: Tensor, known: Tensor | None) -> Tensor:
    """Zero where nothing is known."""
    return x if known is None else x * known


def _between(change: Tensor, known: Tensor) -> Tensor:
    """Interpolate between cells to pixels, leaving cells without data out."""
    planes = interpolate(
        torch.cat([change * known, known], 1), scale_factor=float(CELL), mode="bilinear"
    )
    return planes[:, :-1] / planes[:, -1:].clamp(min=1e-3)


def _conv(inside: int, outside: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inside, outside, 3, stride, dilation, dilation=dilation)
    return nn.Sequential(_kaiming(layer), nn.LeakyReLU(0.1, inplace=True))


def _kaiming(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    return layer


def _block(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_conv(inside, outside, stride=stride), _conv(outside, outside))


def _twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")
