"""What a net is trained for: small errors where physics allows them, and a sigma that is true."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, logsigmoid

from groundshift.nets.fusion import Found, Prediction

WINDOW = 32
"""Side of the window whose limit scales errors, pixels."""
FLOOR = 0.008
"""Pixels added to the limit: no error smaller than this is worth more."""
OPTICAL = 0.012
"""Scale of errors of optical images, for which there is no such law, pixels."""
NEAR = 6.0
"""Pixels from a jump within which gradients count more."""

SCALES = (0.005, 0.01, 0.02, 0.08, 0.32)
"""Weights of the end-point errors of scales, from fine to coarse, as published."""

WITHIN = 16
"""Side of the windows in which images are compared without truth, pixels: speckle needs many."""
COARSER = 4
"""Pixels from one of those windows to the next."""
SHARP = 0.02
"""Pixels: a change from one to the next that is larger counts in proportion, not by its square."""

STAGES = 0.8
"""Weight of a stage's error, to that of the next one."""


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss, and how earlier iterations count."""

    likelihood: float = 0.15
    invalid: float = 0.1
    gradient: float = 0.1
    jump: float = 4.0
    """Of gradients within 6 px of a jump."""
    slope: float = 0.02
    settled: float = 0.5
    """Of the error after the first, cheap iteration."""
    decay: float = 0.8
    """Of each earlier one of the others."""


class Truth(NamedTuple):
    """What a batch should give."""

    motion: Tensor
    """``(B, 2, H, W)``, pixels."""
    seen: Tensor
    """Pixels whose ground both dates show, bool ``(B, H, W)``: sigma must be true there."""
    measurable: Tensor
    """Those of them where errors count, bool ``(B, H, W)``; the others should be told."""
    distance: Tensor
    """From the nearest jump, pixels, ``(B, H, W)``."""
    scale: Tensor
    """Size of an unavoidable error, pixels, ``(B, H, W)``."""


def error_scale(coherence: Tensor, bandwidth: Tensor) -> Tensor:
    """Size of an error that cannot be avoided, pixels.

    The mean absolute error at the limit of incoherent tracking in a window of `WINDOW` px, plus
    `FLOOR`; `OPTICAL` where there is no coherence.

    Parameters
    ----------
    coherence
        ``(B, H, W)``; NaN for optical images.
    bandwidth
        ``(B,)``, cycles per pixel; NaN for optical images.
    """
    rho = coherence.clamp(min=0.2) ** 2
    cells = (WINDOW * bandwidth[:, None, None]) ** 2
    sigma = (0.3 / cells * (1 - rho) * (2 + 7 * rho)).sqrt() / (math.pi * rho)
    scale = 0.80 * sigma / bandwidth[:, None, None] + FLOOR
    return torch.where(torch.isnan(scale), OPTICAL, scale)


def loss(found: Found, truth: Truth, weights: Weights) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum the parts over iterations; and the last iteration's parts alone, for the log."""
    parts: dict[str, Tensor] = {}
    rough = _rough(found.settled - truth.motion, truth)
    settled = weights.settled * _mean(rough, truth.measurable)
    total = settled
    for index, prediction in enumerate(reversed(found.predictions)):
        own = _parts(prediction, truth, weights)
        total = total + weights.decay**index * torch.stack(list(own.values())).sum()
        parts = parts or {name: value.detach() for name, value in own.items()}
    return total, {**parts, "settled": settled.detach()}


def _rough(error: Tensor, truth: Truth) -> Tensor:
    """Size of errors in units of those that cannot be avoided, rounded where it is small."""
    scale = truth.scale[:, None]
    return ((error**2 + (0.1 * scale) ** 2).sqrt() / scale).mean(1)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)


def _parts(prediction: Prediction, truth: Truth, weights: Weights) -> dict[str, Tensor]:
    error = prediction.flow - truth.motion
    unknown = 1 - truth.measurable.float()
    invalid = binary_cross_entropy_with_logits(prediction.invalid[:, 0], unknown)
    return {
        "error": _mean(_rough(error, truth), truth.measurable),
        "likelihood": weights.likelihood * _mean(mixture_nll(error, prediction), truth.seen),
        "invalid": weights.invalid * invalid,
        "gradient": weights.gradient * _gradient(error, truth, weights.jump),
        "slope": weights.slope * _slope(prediction.flow, truth),
    }


def mixture_nll(error: Tensor, prediction: Prediction) -> Tensor:
    """Negative log likelihood of both components under the mixture of Laplace distributions.

    The components of a failure fail together (Wang et al. 2024), but each has its own precision.
    """
    size = error.abs()
    good = -(math.log(2) + prediction.narrow + size / prediction.narrow.exp()).sum(1)
    wide = prediction.wide
    bad = -(math.log(2) + wide + size / wide.exp()).sum(1)
    share = prediction.failure[:, 0]
    return -torch.logaddexp(logsigmoid(-share) + good, logsigmoid(share) + bad)


def _gradient(error: Tensor, truth: Truth, jump: float) -> Tensor:
    """Error of the gradient, for sharp jumps and smooth surroundings."""
    weight = torch.where(truth.distance < NEAR, jump, 1.0) * truth.measurable / truth.scale
    rows = (error[..., 1:, :] - error[..., :-1, :]).abs().sum(1)
    columns = (error[..., 1:] - error[..., :-1]).abs().sum(1)
    rows = rows * torch.minimum(weight[..., 1:, :], weight[..., :-1, :])
    columns = columns * torch.minimum(weight[..., 1:], weight[..., :-1])
    return (rows.sum() + columns.sum()) / (2 * truth.measurable.sum().clamp(min=1))


def _slope(flow: Tensor, truth: Truth) -> Tensor:
    """Squared departure from one of the regression of estimate on truth, against shrinkage."""
    counts = truth.measurable[:, None].float()
    number = counts.sum((2, 3)).clamp(min=1)
    mean = ((truth.motion * counts).sum((2, 3)) / number)[..., None, None]
    about = (truth.motion - mean) * counts
    variance = (about**2).sum((2, 3)) / number
    own = ((flow * counts).sum((2, 3)) / number)[..., None, None]
    covariance = (about * (flow - own)).sum((2, 3)) / number
    moves = variance > (3 * truth.scale.mean((1, 2))[:, None]) ** 2
    departure = (1 - covariance / variance.clamp(min=1e-6)) ** 2
    return (departure.clamp(max=1) * moves).sum() / moves.numel()


def scales_loss(flows: Sequence[Tensor], target: Tensor, measurable: Tensor) -> Tensor:
    """Sum end-point errors over scales, as the FlowNet family is trained (Dosovitskiy et al. 2015).

    They are summed over the values of each scale, weighted, and divided by what the finest has.

    Parameters
    ----------
    flows
        Displacements ``(B, 2, h, w)``, pixels, from coarse to fine.
    target
        What they should be, ``(B, 2, H, W)``.
    measurable
        Where they count, bool ``(B, H, W)``.
    """
    total = target.new_zeros(())
    counts = measurable[:, None].to(target.dtype)
    for flow, weight in zip(reversed(flows), SCALES, strict=False):
        times = target.shape[-1] // flow.shape[-1]
        share = avg_pool2d(counts, times)
        level = avg_pool2d(target * counts, times) / share.clamp(min=1e-6)
        error = ((flow - level).square().sum(1) + 1e-8).sqrt()
        total = total + weight / SCALES[0] * (error * share[:, 0]).sum()
    finest = target.shape[-1] // flows[-1].shape[-1]
    return total / avg_pool2d(counts, finest).sum().clamp(min=1)


def stages_loss(flows: Sequence[Tensor], target: Tensor, measurable: Tensor) -> Tensor:
    """Sum mean absolute errors over stages, the last one's most (Teed and Deng 2020).

    Parameters
    ----------
    flows
        Displacements ``(B, 2, H, W)``, pixels, of one stage after the other.
    target, measurable
        As for `scales_loss`.
    """
    total = target.new_zeros(())
    for number, flow in enumerate(reversed(flows)):
        total = total + STAGES**number * _mean((flow - target).abs().sum(1), measurable)
    return total


def unlike_loss(
    reference: Tensor, seen: Tensor, known: Tensor, flow: Tensor, told: Tensor, smooth: float
) -> Tensor:
    """Say how unlike images are under a displacement, and how rough that is: no truth is needed.

    One minus their correlation in small windows (Balakrishnan et al. 2019), and the mean size of
    the gradient, rounded where it is small, which lets a fault be sharp (Charbonnier).

    Parameters
    ----------
    reference, seen
        The reference, and the secondary through the displacement, ``(B, H, W)``.
    known
        Where both are, 0 or 1, ``(B, H, W)``.
    flow
        ``(B, 2, H, W)``, pixels.
    told
        Where the net tells it, bool ``(B, H, W)``: it is zero elsewhere, which must not spread.
    smooth
        Weight of the roughness.
    """
    a, b = reference * known, seen * known
    planes = torch.stack([known, a, b, a * a, b * b, a * b], 1)
    n, a, b, aa, bb, ab = avg_pool2d(planes, WITHIN, COARSER).unbind(1)
    share, n = n, n.clamp(min=1e-3)
    spread = (
        (aa / n - (a / n) ** 2).clamp(min=1e-4) * (bb / n - (b / n) ** 2).clamp(min=1e-4)
    ).sqrt()
    correlation = (ab / n - a * b / n**2) / spread
    down = flow[..., 1:, :-1] - flow[..., :-1, :-1]
    along = flow[..., :-1, 1:] - flow[..., :-1, :-1]
    rough = ((down**2 + along**2).sum(1) + SHARP**2).sqrt() - SHARP
    counts = told[..., :-1, :-1] & told[..., 1:, :-1] & told[..., :-1, 1:]
    return _mean(1 - correlation, share > 0.5) + smooth * _mean(rough, counts)
