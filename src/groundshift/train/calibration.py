"""After training: factors that make the sigma of a net true on samples it has not seen."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from scipy.special import erfinv
from torch import Tensor

from groundshift.matchers.whole import match_whole
from groundshift.nets.calibrated import SIZES, calibrated
from groundshift.nets.refine import learned
from groundshift.synth.stream import Item
from groundshift.train.validation import SEARCH

SHARES = (0.68, 0.95)
"""Of errors that the intervals of a normal distribution should hold."""
BAND = 0.9
"""Share of errors that the conformal band holds."""
EACH = 20_000
"""Errors taken of each sample; fewer, where a part of it could not be measured."""
FEW = 0.5
"""Samples' worth of errors, below which a size of sigma has no factor of its own."""


def errors_of(run: Path, samples: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """Size of the errors of both components and their sigmas, as many of each sample."""
    matcher = learned(str(run), SEARCH)
    found = []
    for number, sample in enumerate(samples):
        images = (sample[name].cpu() for name in ("reference", "secondary"))
        estimate = match_whole(matcher, *images)
        flow, sigma = (
            torch.stack(planes) for planes in ((estimate.dy, estimate.dx), estimate[2:4])
        )
        both = torch.stack([(flow - sample["motion"]).abs(), sigma])[..., sample["valid"]]
        known = ~torch.isnan(both).any(0)
        both, count = both[:, known], round(EACH * float(known.float().mean()))
        if count:
            generator = torch.Generator().manual_seed(number)
            found.append(both[:, torch.randint(both.shape[1], (count,), generator=generator)])
    error, sigma = torch.cat(found, 1) if found else torch.empty(2, 0)
    return error, sigma


def temperature(ratios: Tensor) -> float:
    """Find the factor for sigma whose normal intervals hold their shares of errors best.

    Each interval alone has an exact answer, a quantile; the least sum of squared differences
    lies between these.
    """
    ordered = ratios.double().sort().values
    sizes = [math.sqrt(2) * float(erfinv(share)) for share in SHARES]
    own = [
        float(ordered[round(share * (len(ordered) - 1))]) / size
        for share, size in zip(SHARES, sizes, strict=True)
    ]
    tried = torch.linspace(min(own), max(own), 201, dtype=torch.float64)
    held = torch.searchsorted(ordered, tried[:, None] * torch.tensor(sizes, dtype=torch.float64))
    misfit = ((held / len(ordered) - torch.tensor(SHARES)) ** 2).sum(1)
    return float(tried[misfit.argmin()])


def temperatures(error: Tensor, sigma: Tensor) -> list[float]:
    """Find a factor for each size of sigma, from those nearest to it."""
    nearest = (sigma.log()[:, None] - torch.tensor(SIZES).log()).abs().argmin(1)
    whole = temperature(error / sigma)
    factors = []
    for number in range(len(SIZES)):
        own = nearest == number
        few = int(own.sum()) < FEW * EACH
        factors.append(whole if few else temperature((error / sigma)[own]))
    return factors


def calibrate(run: Path, samples: Sequence[Item]) -> dict[str, Any]:
    """Calibrate the net of a run folder on samples that it was not trained on.

    Returns
    -------
    dict
        ``temperatures``: factors for sigma (after Guo et al. 2017), see
        :mod:`groundshift.nets.calibrated`. ``band``: the multiple of the scaled sigma that holds
        90 % of the errors (split-conformal, Lei et al. 2018). ``within_68`` and ``within_95``:
        shares of errors within those intervals of the scaled sigma.
    """
    error, sigma = errors_of(run, samples)
    if not len(error):
        return {}
    factors = temperatures(error, sigma)
    scaled = error / calibrated(sigma, factors)
    rank = min(len(scaled), math.ceil(BAND * (len(scaled) + 1)))
    return {
        "temperatures": factors,
        "band": float(scaled.kthvalue(rank).values),
        "within_68": float((scaled <= 1).float().mean()),
        "within_95": float((scaled <= 1.96).float().mean()),
    }
