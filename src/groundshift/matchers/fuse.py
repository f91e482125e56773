"""One displacement from several window sizes: the window of least expected error, cell by cell.

Small windows are noisy, large ones blur. The noise is predicted (the matcher's sigma). The blur is
measured: where the estimates of two windows differ by more than their noise explains, and their
neighbours' do as well, the larger window is biased (empirical-bias bandwidth selection, Ruppert
1997). This is what multi-kernel offset tracking does with medians of fixed kernels, with the
weight of each kernel following from the data.

Picking the first window whose estimate leaves the confidence intervals of the smaller ones (Lepski
1990) did far worse: at coherence 0.6 an error of 0.15 px against 0.09, because single cells are
fooled by noise; neighbours are what tells blur from noise.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from groundshift.boxes import box_sum
from groundshift.matchers.stage import where
from groundshift.matchers.windows import Window, kernel_of, noise_of_difference
from groundshift.types import Estimate

CAUTION = 3.0
"""Standard errors by which a difference must exceed its noise before it counts as blur."""
HIDDEN = 0.2
"""Standard errors by which the blur in sigma exceeds its mean: intervals of 68 % hold 67 to 72 % of
errors on validation pairs at coherence 0.4 to 0.95."""
RELUCTANCE = 1.5
"""Weight of noise against blur in the choice: differences show only part of the blur."""


class Agreement(NamedTuple):
    """Neighbourhood, in cells, over which differences between windows are averaged."""

    radius: int
    again: int

    @classmethod
    def of(cls, pixels: int, stride: int) -> "Agreement":
        """Two passes of a mean that together reach `pixels` to each side."""
        radius = max(1, round(pixels / stride * 2 / 3))
        return cls(radius, max(1, round(pixels / stride) - radius))

    @property
    def reach(self) -> int:
        """Cells of context needed on each side."""
        return self.radius + self.again

    @property
    def width(self) -> float:
        """Side of the square whose mean is as noisy, cells."""
        variance = sum((2 * r + 1) ** 2 - 1 for r in self) / 12
        return 2 * math.sqrt(math.pi * variance)

    def mean(self, values: Tensor) -> Tensor:
        """Local mean of the known values."""
        return _local_mean(_local_mean(values, self.radius), self.again)


def _local_mean(values: Tensor, radius: int) -> Tensor:
    known = ~torch.isnan(values)
    planes = pad(torch.stack([torch.nan_to_num(values), known.to(values.dtype)]), (radius,) * 4)
    total, share = box_sum(planes, 2 * radius + 1)
    return torch.where(share > 0.5, total / share.clamp(min=0.5), torch.nan)


def expected_error_fusion(
    estimates: list[Estimate],
    windows: tuple[Window, ...],
    cell: int,
    stride: int,
    agreement: Agreement,
) -> Estimate:
    """Average the estimates, each weighted by how little error it is expected to have.

    Parameters
    ----------
    estimates
        One per window.
    windows
        The windows, in the same order.
    cell
        Pixels from which the windows were put together.
    stride
        Pixels between estimates.
    agreement
        Neighbourhood in which blur is told from noise.

    Returns
    -------
    Estimate
        Sigmas hold the noise and the remaining blur.
    """
    order = sorted(range(len(windows)), key=lambda i: _noise(windows[i], cell), reverse=True)
    estimates, windows = [estimates[i] for i in order], tuple(windows[i] for i in order)
    noise = torch.stack([e.sigma_dy**2 + e.sigma_dx**2 for e in estimates])
    noise_around = [agreement.mean(plane) for plane in noise]
    blurs = [Blur(torch.zeros_like(noise[0]), torch.zeros_like(noise[0]))]
    for k in range(1, len(windows)):
        evidence = []
        for j in range(k):
            by_noise = noise_of_difference(windows[j], windows[k], cell) * noise_around[j]
            side = cell / math.sqrt(_noise(windows[j], cell))
            independent = 1 + (agreement.width * stride / side) ** 2
            difference = agreement.mean(
                (estimates[k].dy - estimates[j].dy) ** 2 + (estimates[k].dx - estimates[j].dx) ** 2
            )
            evidence.append((difference - by_noise, by_noise / math.sqrt(independent)))
        blurs.append(Blur.of(evidence))
    error = RELUCTANCE * noise + torch.stack([blur.certain for blur in blurs])
    known = ~torch.isnan(error)
    best = torch.where(known, error, torch.inf).amin(0)
    weight = torch.where(known, torch.exp(1 - error / best), 0.0)
    weight = weight / weight.sum(0)
    planes = [
        (torch.nan_to_num(torch.stack([e[i] for e in estimates])) * weight).sum(0) for i in range(5)
    ]
    # Nested windows share their noise: that of a weighted mean is near its parts' weighted mean.
    remaining = (torch.stack([blur.likely for blur in blurs]) * weight).sum(0) / 2
    planes[2], planes[3] = ((planes[i] ** 2 + remaining).sqrt() for i in (2, 3))
    return where(known.any(0), Estimate(*planes))


class Blur(NamedTuple):
    """Squared error of a window beyond its noise, both components together."""

    certain: Tensor
    """What chance does not explain: decides the choice of the window."""
    likely: Tensor
    """Best guess, which goes into sigma."""

    @classmethod
    def of(cls, evidence: list[tuple[Tensor, Tensor]]) -> "Blur":
        """Combine excess squared differences from smaller windows and their standard errors."""
        certain = torch.stack([torch.nan_to_num(d - CAUTION * e) for d, e in evidence])
        certain = certain.amax(0).clamp(min=0)
        weights = torch.stack([torch.nan_to_num(1 / e.clamp(min=1e-9) ** 2) for _, e in evidence])
        # Somewhat above the mean: what a window hides from the smaller ones.
        guesses = torch.stack([torch.nan_to_num(d + HIDDEN * e) for d, e in evidence])
        likely = (guesses * weights).sum(0) / weights.sum(0).clamp(min=1e-9)
        return cls(certain, torch.maximum(likely.clamp(min=0), certain))


def _noise(window: Window, cell: int) -> float:
    """Relative noise variance of a window."""
    return float((kernel_of(window, cell) ** 2).sum())
