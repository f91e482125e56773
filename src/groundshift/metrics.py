"""How good an estimate is, against a truth that is known everywhere.

All functions take planes of one shape and leave unknown values (NaN) out.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

ONE_SIGMA, TWO_SIGMA = 0.9945, 1.9600
"""Deviations that hold 68 and 95 % of a Gaussian."""
OUTLIER_RESIDUAL = 3.0
"""Normalised median residual (Westerweel & Scarano 2005) above which a vector is an outlier."""
OUTLIER_ERROR = 1.0
"""Pixels."""
NOISE_LEVEL = 0.1
"""Pixels added to the median residual before it divides: the customary level of noise."""
NEAR = ((0.0, 2.0), (2.0, 6.0), (6.0, 20.0))
"""Ranges of distance from a fault, pixels."""


class Score(NamedTuple):
    """Statistics of an estimate; errors in pixels, over both components unless they are named."""

    mae: float
    median: float
    p95: float
    rmse_dy: float
    rmse_dx: float
    over_half: float
    """Share of errors beyond 0.5 px."""
    over_one: float
    """Share of errors beyond 1 px."""
    bias_dy: float
    bias_dx: float
    slope_dy: float
    """Of the estimate against the truth; NaN where the truth does not vary."""
    slope_dx: float
    density: float
    """Share of the cells that have an estimate."""
    outliers: float
    """Share of vectors that disagree with their neighbours, or err by more than 1 px."""
    within_68: float
    """Share of errors inside the interval that should hold 68 %."""
    within_95: float
    ause: float
    """Area under the sparsification error: 0 if sigma ranks errors perfectly."""
    near_2: float
    """MAE within 2 px of a fault."""
    near_6: float
    """MAE from 2 to 6 px."""
    near_20: float
    """MAE from 6 to 20 px."""


def score(
    estimate: Tensor,
    truth: Tensor,
    sigma: Tensor | None = None,
    distance: Tensor | None = None,
    scored: Tensor | None = None,
) -> Score:
    """Compare an estimate with the truth.

    Parameters
    ----------
    estimate, truth
        ``dy, dx`` in pixels, ``(2, rows, columns)``; NaN in the estimate is not measured.
    sigma
        Predicted deviations of both components, the same shape.
    distance
        Of each cell from the nearest fault, pixels, ``(rows, columns)``.
    scored
        Cells that count: where the truth can be measured at all.
    """
    if scored is None:
        scored = torch.ones_like(truth[0], dtype=torch.bool)
    error = torch.where(scored, estimate - truth, torch.nan).double()
    known = ~torch.isnan(error)
    size = error.abs()[known]
    nothing = float("nan")
    if not size.numel():
        values = dict.fromkeys(Score._fields, nothing)
        return Score(**{**values, "density": 0.0})
    slopes = [_slope(t[k], (t + e)[k]) for t, e, k in zip(truth, error, known, strict=True)]
    ratio = torch.empty(0) if sigma is None else _known(error.abs() / sigma)
    near = [nothing] * len(NEAR)
    if distance is not None:
        away = distance.abs().expand_as(error)
        near = [_mean(size[((away >= low) & (away < high))[known]]) for low, high in NEAR]
    each = [_known(e) for e in error]
    return Score(
        mae=_mean(size),
        median=float(size.median()),
        p95=_quantile(size, 0.95),
        rmse_dy=_mean(each[0] ** 2) ** 0.5,
        rmse_dx=_mean(each[1] ** 2) ** 0.5,
        over_half=_mean((size > 0.5).double()),
        over_one=_mean((size > 1).double()),
        bias_dy=_mean(each[0]),
        bias_dx=_mean(each[1]),
        slope_dy=slopes[0],
        slope_dx=slopes[1],
        density=float(known.all(0).sum() / scored.sum()),
        outliers=_mean(outliers(estimate, truth)[known.all(0)].double()),
        within_68=_mean((ratio <= ONE_SIGMA).double()),
        within_95=_mean((ratio <= TWO_SIGMA).double()),
        ause=nothing if sigma is None else ause(error, sigma),
        near_2=near[0],
        near_6=near[1],
        near_20=near[2],
    )


def outliers(estimate: Tensor, truth: Tensor) -> Tensor:
    """Vectors that disagree with their 5 x 5 neighbourhood or with the truth: ``(rows, columns)``.

    The neighbourhood is judged on errors: real gradients are no outliers.
    """
    error = estimate - truth
    worst = torch.zeros_like(error[0])
    for plane in error:
        wide = pad(plane[None, None], (2,) * 4, value=torch.nan)[0, 0]
        around = wide.unfold(0, 5, 1).unfold(1, 5, 1).flatten(-2)
        others = torch.cat([around[..., :12], around[..., 13:]], dim=-1)
        median = others.nanmedian(-1).values
        spread = (others - median.unsqueeze(-1)).abs().nanmedian(-1).values
        residual = (plane - median).abs() / (spread + NOISE_LEVEL)
        worst = torch.maximum(worst, torch.nan_to_num(residual))
    return (worst > OUTLIER_RESIDUAL) | (error.abs().amax(0) > OUTLIER_ERROR)


def ause(error: Tensor, sigma: Tensor, steps: int = 50) -> float:
    """Area under the sparsification error (Ilg et al. 2018), relative to the mean error.

    Cells are removed in the order of their predicted sigma, and of their true error; the curves of
    what remains are compared.
    """
    size, predicted = torch.hypot(error[0], error[1]), torch.hypot(sigma[0], sigma[1])
    known = ~(torch.isnan(size) | torch.isnan(predicted))
    size, predicted = size[known], predicted[known]
    if size.numel() < steps:
        return float("nan")
    curves = []
    for order in (predicted, size):
        kept = size[order.argsort()].cumsum(0)
        counts = torch.linspace(1, 1 / steps, steps).mul(size.numel()).long().clamp(min=1)
        curves.append(kept[counts - 1] / counts)
    return float((curves[0] - curves[1]).mean() / size.mean())


def _known(values: Tensor) -> Tensor:
    return values[~torch.isnan(values)]


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else float("nan")


def _quantile(values: Tensor, share: float) -> float:
    """Like ``torch.quantile``, which refuses more than 16 million values."""
    return float(values.kthvalue(max(1, round(share * values.numel()))).values)


def _slope(truth: Tensor, found: Tensor) -> float:
    truth = truth.double()
    if truth.numel() < 2 or float(truth.var(correction=0)) < 1e-6:
        return float("nan")
    t, f = truth - truth.mean(), found - found.mean()
    return float((t * f).mean() / (t * t).mean())
