"""How good a net that regresses coherence is, and the factor that makes its sigma true."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundshift.coherent.learned import FACTOR, Learned
from groundshift.matchers.whole import run_whole
from groundshift.synth.stream import Item
from groundshift.train.calibration import SHARES, quantile_factors

EACH = 20_000
"""Errors taken of each sample for the factor."""
TRIED = 65
"""Factors."""


def errors_of(run: Path, samples: Sequence[Item]) -> list[Tensor]:
    """Errors of the coherence and their sigma, ``(2, n)``, of each sample."""
    operator = Learned(str(run))
    found = []
    for sample in samples:
        images = (sample[name].cpu() for name in ("reference", "secondary"))
        told = run_whole(operator, *images)
        error = told.coherence - sample["coherence"].cpu()
        known = sample["valid"].cpu() & torch.isfinite(error)
        found.append(torch.stack([error, told.sigma])[:, known])
    return found


def validate(run: Path, samples: Sequence[Item]) -> dict[str, float]:
    """Score the net of a run folder over all pixels of the samples."""
    error, sigma = torch.cat(errors_of(run, samples), 1)
    ratio = error.abs() / sigma
    return {
        "rmse": float(error.square().mean().sqrt()),
        "bias": float(error.mean()),
        **_held(ratio),
    }


def calibrate(run: Path, samples: Sequence[Item]) -> dict[str, Any]:
    """Calibrate the net of a run folder on samples that it was not trained on.

    Returns
    -------
    dict
        The factor for its sigma, the root mean square error, and the shares of errors within the
        68 and 95 % intervals.
    """
    parts = []
    for number, each in enumerate(errors_of(run, samples)):
        generator = torch.Generator().manual_seed(number)
        if each.shape[1]:
            parts.append(each[:, torch.randint(each.shape[1], (EACH,), generator=generator)])
    if not parts:
        return {}
    error, sigma = torch.cat(parts, 1)
    ratio = error.abs() / sigma
    factor = balanced(ratio)
    return {
        FACTOR: factor,
        "rmse": float(error.square().mean().sqrt()),
        **_held(ratio / factor),
    }


def balanced(ratio: Tensor) -> float:
    """Find the factor for sigma with which both intervals miss their shares by the same, or less.

    Errors have heavier tails than a normal distribution, and no factor is right for both.
    """
    low, high = sorted(quantile_factors(ratio))
    tried = torch.linspace(low, high, TRIED).tolist()
    return min(
        tried,
        key=lambda factor: max(
            abs(held - share)
            for held, share in zip(_held(ratio / factor).values(), SHARES, strict=True)
        ),
    )


def _held(ratio: Tensor) -> dict[str, float]:
    """Shares of errors within the intervals that should hold `SHARES` of them."""
    wide = [math.sqrt(2) * float(torch.erfinv(torch.tensor(share))) for share in SHARES]
    names = ("within_68", "within_95")
    return {
        name: float((ratio <= limit).float().mean())
        for name, limit in zip(names, wide, strict=True)
    }
