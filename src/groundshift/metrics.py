"""How good an estimate is, against a truth that is known everywhere.

All functions take planes of one shape and leave unknown values (NaN) out.
"""

import math
from typing import NamedTuple

import torch
from scipy.fft import dctn
from scipy.optimize import minimize_scalar
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
RISE = 2.5631
"""Standard deviations from 10 to 90 % of a Gaussian's integral."""
WIDTHS = (0.0, *(0.5 * 2 ** (k / 2) for k in range(15)))
"""Standard deviations of Gaussians that are tried first, pixels: 0 to 64."""
CORE = 10.0
"""Distance from a jump, pixels, within which it must show, and half of the cells be measured."""
LEAST_STEP = 0.1
"""Pixels by which smoothing over `CORE` must change the truth there: a jump of about 0.3 px."""


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
    return (median_residual(error) > OUTLIER_RESIDUAL) | (error.abs().amax(0) > OUTLIER_ERROR)


def median_residual(vectors: Tensor) -> Tensor:
    """Larger normalised median residual (Westerweel & Scarano 2005) of both components.

    Of planes ``(2, rows, columns)``, in 5 x 5 neighbourhoods; zero where nothing is known.
    """
    worst = torch.zeros_like(vectors[0])
    for plane in vectors:
        wide = pad(plane[None, None], (2,) * 4, value=torch.nan)[0, 0]
        around = wide.unfold(0, 5, 1).unfold(1, 5, 1).flatten(-2)
        others = torch.cat([around[..., :12], around[..., 13:]], dim=-1)
        median = others.nanmedian(-1).values
        spread = (others - median.unsqueeze(-1)).abs().nanmedian(-1).values
        residual = (plane - median).abs() / (spread + NOISE_LEVEL)
        worst = torch.maximum(worst, torch.nan_to_num(residual))
    return worst


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


def roc_auc(values: Tensor, labels: Tensor) -> float:
    """Area under the receiver operating characteristic: how well values tell two classes apart.

    The probability that a value of the one class exceeds one of the other, ties counted half
    (Hanley & McNeil 1982).

    Parameters
    ----------
    values
        Any number of finite values.
    labels
        Bool, as many: True should have the larger values.

    Returns
    -------
    float
        0.5 if values tell nothing, 1 if they tell all; NaN where one class is missing.
    """
    positives = int(labels.sum())
    negatives = labels.numel() - positives
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    # Mean rank of what ties.
    ranks = counts.double().cumsum(0) - (counts.double() - 1) / 2
    total = float(ranks[inverse][labels].sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def rise(
    estimate: Tensor, truth: Tensor, distance: Tensor, stride: int = 1, reach: float = 40.0
) -> float:
    """How sharp an estimate shows a fault: the distance in which its step rises from 10 to 90 %.

    It is that of the Gaussian whose smoothing of the truth fits the estimate best (least squares
    over both components), so that curved traces, varying slip and motion beside the fault are no
    trouble. A window of side ``w`` that takes the mean has ``0.8 w``.

    Parameters
    ----------
    estimate
        ``dy, dx`` in pixels, ``(2, rows, columns)``, at the centres of cells; NaN is not measured.
    truth
        Of each pixel, ``(2, H, W)``.
    distance
        Of each pixel from the nearest jump, pixels, ``(H, W)``; infinite without one.
    stride
        Pixels per cell.
    reach
        Distance from the jump within which cells are compared, pixels.

    Returns
    -------
    float
        Pixels, 0 to 164; NaN where nothing jumps by about 0.3 px or more, or where less than half
        of the cells beside the jump are measured.

    Notes
    -----
    Smoothing between mirrors is a product in the cosine domain (DCT-II), whose waves are known at
    the centres of cells as well.
    """
    size, device = truth.shape[-2:], truth.device
    places = [
        torch.arange(cells, dtype=torch.float64, device=device) * stride + (stride - 1) / 2
        for cells in estimate.shape[-2:]
    ]
    places = [at[at <= n - 1] for at, n in zip(places, size, strict=True)]
    rows, columns = (at.long() for at in places)
    found = estimate[:, : len(rows), : len(columns)].double()
    away = distance.abs()[rows][:, columns]
    known, core = torch.isfinite(found).all(0), away <= CORE
    waves = dctn(truth.double().cpu().numpy(), axes=(1, 2), norm="ortho")
    waves = torch.from_numpy(waves).to(device)
    bases = [_cosines(at, n) for at, n in zip(places, size, strict=True)]

    def smoothed(width: float) -> Tensor:
        left, right = (
            basis * torch.exp(-0.5 * (width * math.pi / n * torch.arange(n, device=device)) ** 2)
            for basis, n in zip(bases, size, strict=True)
        )
        return left @ waves @ right.T

    if not core.any() or float(known[core].double().mean()) < 0.5:
        return math.nan
    shown = (smoothed(0) - smoothed(CORE))[:, core]
    if float((shown**2).sum(0).mean()) < LEAST_STEP**2:
        return math.nan
    compared = known & (away <= reach)

    def misfit(width: float) -> float:
        return float(((smoothed(width) - found)[:, compared] ** 2).mean())

    tried = [misfit(width) for width in WIDTHS]
    best = tried.index(min(tried))
    between = WIDTHS[max(best - 1, 0)], WIDTHS[min(best + 1, len(WIDTHS) - 1)]
    fit = minimize_scalar(misfit, bounds=between, method="bounded", options={"xatol": 0.01})
    return RISE * (float(fit.x) if fit.fun < tried[best] else WIDTHS[best])


def _cosines(at: Tensor, n: int) -> Tensor:
    """Orthonormal waves of a DCT-II of length ``n`` at places between 0 and ``n - 1``."""
    k = torch.arange(n, dtype=at.dtype, device=at.device)
    scale = torch.where(k == 0, 1.0, math.sqrt(2)) / math.sqrt(n)
    return scale * torch.cos(math.pi / n * k * (at[:, None] + 0.5))


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
