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

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from groundshift.matchers.windows import Window, kernel_of, noise_of_difference
from groundshift.types import Estimate

LAW = 0.8
"""Measured variance of amplitude matching over the law for intensities, at high coherence."""


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

    def mean(self, values: Tensor) -> Tensor:
        """Local mean of the known values."""
        return _local_mean(_local_mean(values, self.radius), self.again)


def _local_mean(values: Tensor, radius: int) -> Tensor:
    known = ~torch.isnan(values)
    planes = torch.stack([torch.nan_to_num(values), known.to(values.dtype)])[:, None]
    total, share = avg_pool2d(planes, 2 * radius + 1, stride=1, padding=radius).squeeze(1)
    return torch.where(share > 0, total / share.clamp(min=1e-9), torch.nan)


def expected_error_fusion(
    estimates: list[Estimate], windows: tuple[Window, ...], cell: int, agreement: Agreement
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
    agreement
        Neighbourhood in which blur is told from noise.

    Returns
    -------
    Estimate
        Sigmas hold the noise and the remaining blur.
    """
    order = sorted(range(len(windows)), key=lambda i: _noise(windows[i], cell), reverse=True)
    estimates, windows = [estimates[i] for i in order], tuple(windows[i] for i in order)
    expected: list[Tensor] = []
    for k, large in enumerate(estimates):
        noise = LAW * (large.sigma_dy**2 + large.sigma_dx**2)
        blur = torch.zeros_like(noise)
        for j, small in enumerate(estimates[:k]):
            share = noise_of_difference(windows[j], windows[k], cell)
            by_noise = LAW * share * (small.sigma_dy**2 + small.sigma_dx**2)
            difference = (large.dy - small.dy) ** 2 + (large.dx - small.dx) ** 2
            excess = agreement.mean(difference - by_noise)
            blur = torch.maximum(blur, torch.nan_to_num(excess))
        expected.append(noise + blur)
    error = torch.stack(expected)
    known = ~torch.isnan(error)
    best = torch.where(known, error, torch.inf).amin(0)
    weight = torch.where(known, torch.exp(1 - error / best), 0.0)
    weight = weight / weight.sum(0)
    planes = [
        (torch.nan_to_num(torch.stack([e[i] for e in estimates])) * weight).sum(0) for i in range(5)
    ]
    # The noise of a weighted mean of nested windows is near that of its parts' weighted mean;
    # blur adds to it, shared between the two components.
    blur = (error - LAW * torch.stack([e.sigma_dy**2 + e.sigma_dx**2 for e in estimates])) / 2
    blur = (torch.nan_to_num(blur) * weight).sum(0)
    planes[2], planes[3] = ((LAW * planes[i] ** 2 + blur).sqrt() for i in (2, 3))
    some = known.any(0)
    return Estimate(*(torch.where(some, plane, torch.nan) for plane in planes))


def _noise(window: Window, cell: int) -> float:
    """Relative noise variance of a window."""
    return float((kernel_of(window, cell) ** 2).sum())
