"""Sigma made true after training: by factors that depend on how large it is.

Small sigmas belong to what was measured, large ones to what probably was not: these err in other
ways, and one factor for all would be a compromise that fits neither.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

SIZES = (0.03, 0.1, 0.3, 1.0)
"""Sigmas that have a factor each, pixels."""
UNCALIBRATED = (1.0,) * len(SIZES)
"""Factors of what training left."""


def calibrated(sigma: Tensor, factors: Sequence[float]) -> Tensor:
    """Multiply by the factor for its size: linear in the logarithm between `SIZES`."""
    if len(factors) != len(SIZES):
        raise ValueError(f"{len(factors)} factors for {len(SIZES)} sizes of sigma")
    size = sigma.clamp(min=1e-9).log()
    found = torch.full_like(sigma, factors[0])
    for (low, one), (high, other) in pairwise(zip(map(math.log, SIZES), factors, strict=True)):
        found += ((size - low) / (high - low)).clamp(0, 1) * (other - one)
    return sigma * found
