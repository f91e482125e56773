"""How good a net that regresses coherence is, and the factor that makes its sigma true."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundshift.coherent.calibrated import CERTAIN
from groundshift.coherent.learned import BEYOND, FACTOR, Learned
from groundshift.matchers.whole import run_whole
from groundshift.synth.stream import Item
from groundshift.train.calibration import SHARES, quantile_factors

EACH = 20_000
"""Errors taken of each sample for the factor."""
TRIED = 65
"""Factors."""
NONE, SURE = 0.05, 0.95
"""Largest coherence that counts as none, and the share of it that is not told from none."""
ENOUGH = 1000
"""Pixels of none, in a sample that counts: each as much, for errors are those of a scene."""


def errors_of(run: Path, samples: Sequence[Item]) -> list[Tensor]:
    """Errors of the coherence, their sigma and the truth, ``(3, n)``, of each sample."""
    operator = Learned(str(run))
    found = []
    for sample in samples:
        images = (sample[name].cpu() for name in ("reference", "secondary"))
        told = run_whole(operator, *images)
        truth = sample["coherence"].cpu()
        error = told.coherence - truth
        known = sample["valid"].cpu() & torch.isfinite(error)
        found.append(torch.stack([error, told.sigma, truth])[:, known])
    return found


def validate(run: Path, samples: Sequence[Item]) -> dict[str, float]:
    """Score the net of a run folder over all pixels of the samples."""
    error, sigma, _ = torch.cat(errors_of(run, samples), 1)
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
        The factor for its sigma, beyond how many sigma a coherence is told from none, the root
        mean square error, and the shares of errors within the 68 and 95 % intervals.
    """
    parts = []
    for number, each in enumerate(errors_of(run, samples)):
        generator = torch.Generator().manual_seed(number)
        if each.shape[1]:
            parts.append(each[:, torch.randint(each.shape[1], (EACH,), generator=generator)])
    if not parts:
        return {}
    error, sigma, _ = torch.cat(parts, 1)
    ratio = error.abs() / sigma
    factor = balanced(ratio)
    return {
        FACTOR: factor,
        BEYOND: max(CERTAIN, _beyond(parts, factor)),
        "rmse": float(error.square().mean().sqrt()),
        **_held(ratio / factor),
    }


def _beyond(parts: list[Tensor], factor: float) -> float:
    """Sigmas that `SURE` of what has no coherence does not exceed, on the mean of the samples."""
    sigmas, weights = [], []
    for error, sigma, truth in parts:
        none = truth < NONE
        if int(none.sum()) >= ENOUGH:
            sigmas.append((error + truth)[none] / (factor * sigma[none]))
            weights.append(torch.full_like(sigmas[-1], 1 / len(sigmas[-1])))
    if not sigmas:
        return 0.0
    ordered, places = torch.cat(sigmas).sort()
    share = torch.cat(weights)[places].double().cumsum(0)
    return float(ordered[int((share < SURE * share[-1]).sum())])


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
