"""First guesses: what a search found, or truth that is spoiled as a search spoils it."""

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from groundshift.boxes import box_sum, cell_sum
from groundshift.nets.cells import repeat

BLUR = (8, 48)
"""Range of the radius over which the truth is averaged, pixels."""
LEAST = 0.02
"""Least deviation of the error, pixels."""
CELL = 32
"""Distance of the nodes of the error, pixels."""
WRONG = 0.03
"""Share of nodes that are off by far more."""
SQUARE = 4
"""Pixels each way, of squares that are filled alike."""
GAP = 17
"""Side of the windows whose known values fill gaps, squares."""


def filled(prior: Tensor) -> tuple[Tensor, Tensor]:
    """Fill the gaps of displacements ``(..., 2, H, W)`` from around; tell where that is possible.

    Sides are multiples of `SQUARE`.

    Returns
    -------
    tuple of Tensor
        Displacements, 0 where nothing is known nearby; and whether something is, bool
        ``(..., H, W)``.
    """
    known = ~torch.isnan(prior[..., :1, :, :])
    if bool(known.all()):
        return prior, known[..., 0, :, :]
    planes = torch.cat([torch.nan_to_num(prior), known.to(prior.dtype)], dim=-3)
    sums = box_sum(pad(cell_sum(planes, SQUARE), (GAP // 2,) * 4), GAP)
    total, share = sums.split((2, 1), dim=-3)
    around, near = (repeat(each, SQUARE) for each in (total / share.clamp(min=1), share > 0))
    return torch.where(known, planes[..., :2, :, :], around), near[..., 0, :, :]


def first_guess(motion: Tensor, generator: torch.Generator, largest: float) -> Tensor:
    """Spoil a true displacement ``(B, 2, H, W)``, each sample by amounts of its own.

    Parameters
    ----------
    motion
        Pixels.
    generator
        Of random numbers.
    largest
        Deviation of the error, at most, pixels.
    """
    return torch.stack([_spoiled(each, generator, largest) for each in motion])


def _spoiled(motion: Tensor, generator: torch.Generator, largest: float) -> Tensor:
    device = motion.device
    chance = torch.rand(3, generator=generator, device=device).tolist()
    radius = round(_between(BLUR, chance[0]))
    smooth = _mean(motion, radius)
    nodes = [-(-n // CELL) + 1 for n in motion.shape[-2:]]
    error = torch.randn(1, 2, *nodes, generator=generator, device=device)
    error *= _between((LEAST, largest), chance[1])
    wrong = torch.rand(1, 1, *nodes, generator=generator, device=device) < WRONG * chance[2]
    error = torch.where(wrong, 4 * torch.sign(error) * error.abs().sqrt(), error)
    wide = interpolate(error, scale_factor=float(CELL), mode="bicubic", align_corners=False)
    return smooth + wide[0, :, : motion.shape[-2], : motion.shape[-1]]


def _mean(planes: Tensor, radius: int) -> Tensor:
    """Mean of what lies within `radius` pixels along rows and columns."""
    inside = torch.cat([planes, torch.ones_like(planes[:1])])
    sums = box_sum(pad(inside, (radius,) * 4), 2 * radius + 1)
    return sums[:-1] / sums[-1:]


def _between(ends: tuple[float, float], chance: float) -> float:
    low, high = map(math.log, ends)
    return math.exp(low + (high - low) * chance)
