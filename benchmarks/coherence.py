"""Coherence from detected images: classical estimators on exact simulations of Sentinel-1."""

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.parallel import each
from benchmarks.report import Table, Value
from groundshift.coherent import (
    AmplitudeCorrelation,
    AnyEstimator,
    Calibrated,
    GuarnieriPrati,
    Interferometric,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
    Speckle,
    Windowed,
)
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant, Motion
from groundshift.synth.radar import Radar, Surface, acquire, acquire_looks

SIZE = 256
COHERENCES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
WINDOWS = (5, 7, 9, 11, 15)
PRODUCTS = {"SLC": (sentinel1.slc(2), 1.0), "GRD": (sentinel1.grd(2), 4.87)}
"""Of swath IW2, and their equivalent number of looks."""
SAMPLES = 0.335
"""Independent samples in a pixel of the SLC."""
COMPLEX = "complex, co-registered"
PUBLISHED: dict[tuple[str, str], tuple[float, ...]] = {
    ("SLC", COMPLEX): (0.175, 0.131, 0.104, 0.087, 0.065),
    ("SLC", "GuarnieriPrati"): (0.254, 0.211, 0.182, 0.162, 0.134),
    ("SLC", "Pearson"): (0.238, 0.196, 0.169, 0.149, 0.123),
    ("SLC", "LogCorrelation"): (0.263, 0.219, 0.190, 0.169, 0.139),
    ("SLC", "LogRatio"): (0.326, 0.277, 0.244, 0.220, 0.185),
    ("SLC", "Likelihood"): (0.245, 0.199, 0.169, 0.148, 0.121),
    ("GRD", "GuarnieriPrati"): (0.302, 0.252, 0.219, 0.195, 0.161),
    ("GRD", "Pearson"): (0.259, 0.219, 0.192, 0.171, 0.141),
    ("GRD", "LogCorrelation"): (0.262, 0.222, 0.195, 0.174, 0.145),
    ("GRD", "LogRatio"): (0.308, 0.260, 0.228, 0.204, 0.170),
    ("GRD", "Likelihood"): (0.284, 0.228, 0.196, 0.173, 0.143),
}
"""What an earlier, independent implementation found, by window."""
SPREAD = np.linspace(0.01, 0.97, 25)
"""Coherences of the test of sigma, as likely as each other."""

WHITE, WHITE_SIZE, WHITE_WINDOW = 0.8, 512, 9
"""Coherence, side and windows of a pair like that of isce3's tests."""
EARLIER = {
    "complex, whole image": 0.8002,
    "Pearson, whole image": 0.8004,
    "GuarnieriPrati 9": 0.8008,
    "Likelihood 9": 0.8005,
    "Pearson 9": 0.791,
}
"""What isce3's pair gave: the mean of windows, of their magnitude."""

TITLE = "Coherence from detected images"
TEXT = f"""Uniform ground in products of Sentinel-1 (IW2, from its annotations), {SIZE} x {SIZE} px,
speckle with exact coherence; root mean square errors of the magnitude, 16 px from the border, over
coherences {", ".join(f"{g:g}" for g in COHERENCES)}. Estimators are as published, not divided by a
local mean and not corrected; "earlier" is what an independent implementation found on its own
simulation. "Calibrated" is corrected by a simulation of the product; its sigma is tested on {
    len(SPREAD)
} coherences as likely as each other."""


def estimators(looks: float) -> dict[str, AnyEstimator]:
    """Name them."""
    by_looks = (GuarnieriPrati, AmplitudeCorrelation, LogCorrelation, LogRatio, Likelihood)
    return {"Pearson": Pearson(), **{kind.__name__: kind(looks) for kind in by_looks}}


def surface(coherence: float) -> Surface:
    """Uniform ground."""
    one = torch.tensor(1.0)
    return Surface(one * coherence, one, one, one * 0j)


def detected(
    radar: Radar, coherence: float, seed: int, motion: Motion | None = None
) -> tuple[Tensor, Tensor]:
    """Render amplitudes."""
    generator = torch.Generator().manual_seed(seed)
    pair = acquire(radar, surface(coherence), motion or Constant(), SIZE, generator)
    return pair.reference, pair.secondary


def inner(plane: Tensor, halo: int) -> Tensor:
    """What is reported of an image without context, 16 px from its border."""
    edge = 16 - halo
    return plane[edge : plane.shape[0] - edge, edge : plane.shape[1] - edge]


def errors(product: str, coherence: float) -> dict[tuple[str, int], tuple[float, float]]:
    """Mean square error and bias of each estimator and window."""
    radar, looks = PRODUCTS[product]
    seed = 100 + round(100 * coherence)
    found = {}
    pair = detected(radar, coherence, seed)
    for name, estimator in estimators(looks).items():
        for window in WINDOWS:
            operator = Windowed(estimator, window, normalise=0)
            error = inner(operator(*pair).coherence, operator.halo) - coherence
            found[name, window] = float(error.square().mean()), float(error.mean())
    if product == "SLC":
        generator = torch.Generator().manual_seed(seed)
        looks_of = acquire_looks(radar, surface(coherence), Constant(), SIZE, generator)[:2]
        one, two = (image[0, :: radar.fine, :: radar.fine] for image in looks_of)
        for window in WINDOWS:
            operator = Interferometric(window, samples=0)
            error = inner(operator(one, two).coherence, operator.halo) - coherence
            found[COMPLEX, window] = float(error.square().mean()), float(error.mean())
    return found


def held(product: str, estimator: str, window: int) -> list[Value]:
    """Test the sigma of a calibrated estimator."""
    radar, looks = PRODUCTS[product]
    speckle = Speckle.of(*(detected(radar, 0.0, 1)))
    speckle = Speckle(looks, speckle.bandwidth)
    operator = Calibrated(Windowed(estimators(looks)[estimator], window, normalise=0), speckle)
    error, ratio, lowest = [], [], []
    for step, coherence in enumerate(SPREAD.tolist()):
        found = operator(*detected(radar, coherence, 500 + step))
        planes = [inner(plane, operator.halo).flatten() for plane in found]
        error.append(planes[0] - coherence)
        ratio.append(error[-1].abs() / planes[1])
        lowest.append(float(planes[2].mean()))
    errors, ratios = torch.cat(error), torch.cat(ratio)
    return [
        float(errors.square().mean().sqrt()),
        float(errors.mean()),
        float((ratios <= 1).float().mean()),
        float((ratios <= 1.96).float().mean()),
        lowest[0],
    ]


def tables() -> list[Table]:
    """Run everything."""
    torch.set_num_threads(1)
    jobs = [(product, g) for product in PRODUCTS for g in COHERENCES]
    found = dict(zip(jobs, each(errors, jobs, os.cpu_count() or 1), strict=True))
    made = []
    for product in PRODUCTS:
        names = list(dict.fromkeys(name for name, _ in found[product, 0.0]))
        rows: list[list[Value]] = []
        for name in names:
            rows.append([name, *(_rmse(found, product, name, w) for w in WINDOWS)])
            earlier = PUBLISHED.get((product, name))
            if earlier:
                rows.append([f"{name}, earlier", *earlier])
        columns = ("estimator", *(f"{w} px" for w in WINDOWS))
        made.append(Table(f"{product}, by window", columns, rows))
        rows = [[name, *(value**0.5 for value in _by(found, product, name, 0))] for name in names]
        columns = ("estimator", *(f"{g:g}" for g in COHERENCES))
        made.append(Table(f"{product}, 9 px, by coherence", columns, rows))
        rows = [[name, *_by(found, product, name, 1)] for name in names]
        made.append(Table(f"{product}, 9 px, bias by coherence", columns, rows))
    return [*made, _calibrated(), _white()]


def _white() -> Table:
    """Estimate on complex white noise of one look, as the synthetic pair of isce3's tests is."""
    generator = torch.Generator().manual_seed(8)
    parts = torch.randn(2, WHITE_SIZE, WHITE_SIZE, 2, generator=generator) / 2**0.5
    kept, lost = torch.view_as_complex(parts)
    one, two = kept, WHITE * kept + (1 - WHITE**2) ** 0.5 * lost
    power = [image.abs() ** 2 for image in (one, two)]
    root = (power[0].mean() * power[1].mean()).sqrt()
    rho = torch.corrcoef(torch.stack([each.flatten() for each in power]))[0, 1]
    found = {
        "complex, whole image": float((one * two.conj()).mean().abs() / root),
        "Pearson, whole image": float(rho.sqrt()),
    }
    for kind in (GuarnieriPrati(1.0), Likelihood(1.0), Pearson()):
        operator = Windowed(kind, WHITE_WINDOW, normalise=0)
        told = operator(one.abs(), two.abs()).coherence
        found[f"{type(kind).__name__} {WHITE_WINDOW}"] = float(told.mean())
    rows = [[name, found[name], EARLIER[name]] for name in EARLIER]
    columns = ("estimator", "mean", "on isce3's pair, earlier")
    return Table(f"White noise of one look, coherence {WHITE}", columns, rows)


def _rmse(
    found: dict[tuple[str, float], dict[tuple[str, int], tuple[float, float]]],
    product: str,
    name: str,
    window: int,
) -> float:
    return float(np.mean([found[product, g][name, window][0] for g in COHERENCES])) ** 0.5


def _by(
    found: dict[tuple[str, float], dict[tuple[str, int], tuple[float, float]]],
    product: str,
    name: str,
    which: int,
) -> Iterator[float]:
    return (found[product, g][name, 9][which] for g in COHERENCES)


def _calibrated() -> Table:
    jobs = [
        (product, estimator, window)
        for product in PRODUCTS
        for estimator in ("Pearson", "LogCorrelation", "LogRatio", "Likelihood")
        for window in (5, 9, 15)
    ]
    results = each(held, jobs, os.cpu_count() or 1)
    rows = [[*job, *result] for job, result in zip(jobs, results, strict=True)]
    columns = ("product", "estimator", "window", "RMSE", "bias", "68 %", "95 %", "valid at none")
    return Table("Calibrated, all coherences alike", columns, rows)
