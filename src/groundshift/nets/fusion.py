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

from groundshift.nets.cells import CELL
from groundshift.nets.evidence import CANDIDATES, CHANNELS, Images, evidence

DEPTH = 8
"""Cells of the coarsest level of the U-Net each way."""
PERIOD = CELL * DEPTH
"""Shift of the images, pixels, that shifts the result and changes nothing else."""
REACH = 224
"""Pixels around a result that one iteration uses at most: the U-Net 120, windows 68, levels 31."""
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


class Fusion(nn.Module):
    """Evidence in, a change of the displacement and its certainty out."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.stem = _block(CHANNELS, a, kernel=1)
        self.level2 = _block(a, b, stride=2)
        self.level3 = _block(b, c, stride=2)
        self.level4 = nn.Sequential(*_block(c, d, stride=2), _conv(d, d, dilation=2))
        # Narrowed before they are enlarged, and added: half the cost of what is put side by side.
        self.narrow3, self.narrow2, self.narrow1 = (
            nn.Conv2d(wide, narrow, 1) for wide, narrow in ((d, c), (c, b), (b, a))
        )
        self.up3, self.up2, self.up1 = (nn.Sequential(_conv(n, n)) for n in (c, b, a))
        self.candidates = CANDIDATES + 1
        self.head = nn.Conv2d(a, self.candidates + CELL**2 * 7, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        # Scales of about 0.1 px and 3 px, few failures, few pixels that cannot be measured.
        bias = torch.zeros(7, CELL**2)
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
        with torch.no_grad():
            seen = evidence(images, flow)
            known = max_pool2d(images.known[:, None], CELL)
        cuda = seen.channels.is_cuda and self.training
        with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
            out = self.unet(seen.channels, known).float()
        weight = out[:, : self.candidates].softmax(1)[:, :-1]
        change = (weight[:, :, None] * seen.candidates).sum(1)
        fine = pixel_shuffle(out[:, self.candidates :], CELL)
        return Prediction(
            flow + _between(change, known) + fine[:, :2],
            fine[:, 2:4].clamp(*NARROW),
            fine[:, 4:5].clamp(*WIDE),
            fine[:, 5:6],
            fine[:, 6:7],
        )

    def unet(self, x: Tensor, known: Tensor) -> Tensor:
        """Look around, some 120 pixels each way; cells without data are zero at every level.

        That makes no data the same as the end of the image, wherever a tile ends.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        masks = [known]
        for _ in range(3):
            masks.append(max_pool2d(masks[-1], 2))
        one = _run(self.stem, x, masks[0])
        two = _run(self.level2, one, masks[1])
        three = _run(self.level3, two, masks[2])
        four = _run(self.level4, three, masks[3])
        three = _run(self.up3, three + _twice(self.narrow3(four)) * masks[2], masks[2])
        two = _run(self.up2, two + _twice(self.narrow2(three)) * masks[1], masks[1])
        one = _run(self.up1, one + _twice(self.narrow1(two)) * masks[0], masks[0])
        return self.head(one)


def _run(layers: nn.Sequential, x: Tensor, known: Tensor) -> Tensor:
    """Apply convolutions, each to what is known; the last one's result is masked as well."""
    for layer in layers:
        x = layer(x) * known
    return x


def _between(change: Tensor, known: Tensor) -> Tensor:
    """Interpolate between cells to pixels, leaving cells without data out."""
    planes = interpolate(
        torch.cat([change * known, known], 1), scale_factor=float(CELL), mode="bilinear"
    )
    return planes[:, :-1] / planes[:, -1:].clamp(min=1e-3)


def _conv(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    layer = nn.Conv2d(inside, outside, kernel, stride, dilation * (kernel // 2), dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    return nn.Sequential(layer, nn.LeakyReLU(0.1, inplace=True))


def _block(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(inside, outside, kernel, stride), _conv(outside, outside))


def _twice(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2.0, mode="nearest")
