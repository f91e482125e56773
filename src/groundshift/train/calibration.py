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
from groundshift.nets.fusion import Fusion
from groundshift.nets.refine import learned
from groundshift.nets.regress import CHANCE, ERRORS, sigma_of
from groundshift.nets.weights import load
from groundshift.synth.stream import Item
from groundshift.train.validation import SEARCH

SHARES = (0.68, 0.95)
"""Of errors that the intervals of a normal distribution should hold."""
BAND = 0.9
"""Share of errors that the conformal band holds."""
EACH = 20_000
"""Errors taken of each sample; fewer, where a part of it could not be measured."""
PARTS = 12
"""Of the errors of a net that tells no sigma, by its score."""
UNLIKE = 48
"""Samples, at least if there are as many, whose images are matched with those of others."""
FEW = 0.5
"""Samples' worth of errors, below which a size of sigma has no factor of its own."""


def errors_of(run: Path, samples: Sequence[Item]) -> Tensor:
    """Take errors of a run's net, as many of each sample as could be measured of it.

    Returns
    -------
    Tensor
        ``(3, n)``: size of the errors of both components, their sigmas, and the score.
    """
    matcher = learned(str(run), SEARCH)
    found = []
    for number, sample in enumerate(samples):
        images = (sample[name].cpu() for name in ("reference", "secondary"))
        estimate = match_whole(matcher, *images)
        flow, sigma = (
            torch.stack(planes) for planes in ((estimate.dy, estimate.dx), estimate[2:4])
        )
        score = estimate.score.expand(flow.shape)
        each = torch.stack([(flow - sample["motion"]).abs(), sigma, score])[..., sample["valid"]]
        known = ~torch.isnan(each[0])
        each, count = each[:, known], round(EACH * float(known.float().mean()))
        if count:
            generator = torch.Generator().manual_seed(number)
            found.append(each[:, torch.randint(each.shape[1], (count,), generator=generator)])
    return torch.cat(found, 1) if found else torch.empty(3, 0)


def chance_of(run: Path, samples: Sequence[Item]) -> float:
    """Find the score that a run's net exceeds on 5 % of what has nothing in common.

    Each reference is matched with the secondary of another sample of the same kind; -1 without one.
    """
    matcher = learned(str(run), SEARCH)
    found = []
    for kind in {int(sample["sensor"]) for sample in samples}:
        own = [sample for sample in samples if int(sample["sensor"]) == kind]
        for one, other in zip(own, own[1:] + own[:1], strict=True):
            if one is not other:
                estimate = match_whole(matcher, one["reference"].cpu(), other["secondary"].cpu())
                found.append(estimate.score[~torch.isnan(estimate.score)])
    scores = torch.cat(found) if found else torch.empty(0)
    if not len(scores):
        return -1.0
    return float(scores.kthvalue(math.ceil(SHARES[1] * len(scores))).values)


def temperature(ratios: Tensor) -> float:
    """Find the least factor for sigma whose normal intervals hold their shares of errors.

    Errors have heavier tails than a normal distribution: a factor that is right for one interval
    is wrong for the other. The larger one is taken, so that neither promises too much.
    """
    return max(quantile_factors(ratios))


def quantile_factors(ratios: Tensor) -> list[float]:
    """Find the factor for sigma that is right for each of `SHARES` alone."""
    ordered = ratios.double().sort().values
    return [
        float(ordered[math.ceil(share * len(ordered)) - 1]) / (math.sqrt(2) * float(erfinv(share)))
        for share in SHARES
    ]


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


def sigma_by_score(error: Tensor, score: Tensor) -> list[tuple[float, float]]:
    """Tabulate sigma against the score, in parts of equal size.

    Of each part it is the least whose normal intervals hold their shares of errors, as of
    `temperature`, and no less than where the score is higher.
    """
    table: list[tuple[float, float]] = []
    least = 0.0
    for part in reversed(score.argsort().tensor_split(PARTS)):
        if not len(part):
            continue
        middle = float(score[part].median())
        least = max(least, temperature(error[part]))
        if not table or middle < table[-1][0]:
            table.append((middle, least))
    return table[::-1]


def calibrate(run: Path, samples: Sequence[Item]) -> dict[str, Any]:
    """Calibrate the net of a run folder on samples that it was not trained on.

    Returns
    -------
    dict
        ``temperatures``: factors for sigma (after Guo et al. 2017), see
        :mod:`groundshift.nets.calibrated`; or, of a net that tells none, ``errors``: sigma by
        score, and ``chance``, see :mod:`groundshift.nets.regress`. ``band``: the multiple of that
        sigma that holds 90 % of the errors (split-conformal, Lei et al. 2018). ``within_68`` and
        ``within_95``: shares of errors within those intervals of it.
    """
    error, sigma, score = errors_of(run, samples)
    if not len(error):
        return {}
    if isinstance(load(str(run)).net, Fusion):
        known = ~torch.isnan(sigma)
        error, sigma = error[known], sigma[known]
        factors = temperatures(error, sigma)
        found: dict[str, Any] = {"temperatures": factors}
        scaled = error / calibrated(sigma, factors)
    else:
        table = sigma_by_score(error, score)
        found = {ERRORS: table, CHANCE: chance_of(run, samples[:: len(samples) // UNLIKE or 1])}
        scaled = error / sigma_of(score, table)
    rank = min(len(scaled), math.ceil(BAND * (len(scaled) + 1)))
    return found | {
        "band": float(scaled.kthvalue(rank).values),
        "within_68": float((scaled <= 1).float().mean()),
        "within_95": float((scaled <= 1.96).float().mean()),
    }
