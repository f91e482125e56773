"""The net that tells coherence, against estimators in windows, on land that it has not seen."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.budget import TEXT as BANKS
from benchmarks.mosaics import Mosaic
from benchmarks.parallel import each
from benchmarks.report import Table, Value
from groundshift.coherent import (
    Calibrated,
    Coherence,
    Learned,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
    Speckle,
    Windowed,
)
from groundshift.matchers.whole import run_whole
from groundshift.nets.weights import load
from groundshift.synth import sentinel1
from groundshift.synth.motions import Constant
from groundshift.synth.radar import MARGIN, Radar, Surface, acquire

PAIRS = 24
"""Of each kind."""
WINDOWS = (5, 7, 9, 11, 15)
BINS = np.linspace(0, 1, 11)
SHARES = (0.9945, 1.96)
"""Deviations that hold 68 and 95 %."""
GRD, SLC = "GRD", "SLC"
PRODUCTS: dict[str, Callable[[int], tuple[Radar, float]]] = {
    GRD: lambda k: (sentinel1.grd(1 + k % 3), 4.87),
    SLC: lambda k: (sentinel1.slc(1 + k % 3), 1.0),
    "L band": lambda _k: (Radar(0.62, 0.6, looks=2, overlap=0.0, fine=2, azimuth=(0.35, 0.8)), 2.0),
}
"""Radar and equivalent number of looks of each pair. "L band" is none of the training's: of two
looks without overlap, sharper along one axis than along the other."""
NET = "net"
LEARNED_FROM = 500
"""First seed of the pairs that estimators are corrected on, of the kind that they are tested on."""
PARTS = 200
"""Of their estimates, each with its own correction."""
SHIFTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
EDGE = (0.9, 0.1)
LONG = 2048
"""Side of the images whose time is taken, pixels."""

TITLE = "Coherence by a net"
TEXT = f"""Sentinel-1's products (three swaths in turn) of invented land that the net was not
trained on: leaves that cover each other, lognormal texture and places of the bank's test split,
other times of decorrelation (`benchmarks/mosaics.py`); {PAIRS} pairs of {Mosaic().size} px of each
kind, 12 days apart in VV and co-registered unless it says otherwise. The truth is the coherence of
the ground under the product's response. Estimators in windows are divided by a local mean of 5 px
and calibrated by a simulation of the product with all coherences alike. "Corrected" ones, moreover,
tell the mean truth of what they estimate, learned from {PAIRS} other pairs of the same kind as the
test: no map from their estimates can do better, and the net is not given that. {BANKS}"""

Planes = tuple[Tensor, Tensor]
"""Estimate and its sigma."""


def operators(looks: float) -> dict[str, Windowed]:
    """Name the estimators in windows."""
    kinds = (Pearson(), LogCorrelation(looks), LogRatio(looks), Likelihood(looks))
    return {
        f"{type(kind).__name__} {window}": Windowed(kind, window)
        for kind in kinds
        for window in WINDOWS
    }


@lru_cache(16)
def speckle_of(radar: Radar, looks: float) -> Speckle:
    """Measure the response of a product on uniform ground, as its users would."""
    one, none = torch.tensor(1.0), torch.zeros((), dtype=torch.complex64)
    ground = Surface(0 * one, one, one, none)
    pair = acquire(radar, ground, Constant(), 256, torch.Generator().manual_seed(1))
    return Speckle(looks, Speckle.of(pair.reference, pair.secondary).bandwidth)


def found(name: str, product: str, k: int, pair: Planes) -> Coherence:
    """Estimate by the net, or in windows."""
    if name == NET:
        return run_whole(Learned(), *pair)
    radar, looks = PRODUCTS[product](k)
    return run_whole(Calibrated(operators(looks)[name], speckle_of(radar, looks)), *pair)


def measured(product: str, mosaic: Mosaic, names: tuple[str, ...], seed: int) -> dict[str, Tensor]:
    """Truth, estimate and sigma of each method on a pair, ``(3, n)``."""
    radar, _ = PRODUCTS[product](seed)
    *pair, truth = mosaic.pair(radar, seed)
    known = torch.isfinite(truth)
    made = {}
    for name in names:
        told = found(name, product, seed, (pair[0], pair[1]))
        planes = torch.stack([truth, told.coherence, told.sigma])[:, known]
        made[name] = planes[:, torch.isfinite(planes[1])]
    return made


class Kind(NamedTuple):
    """Pairs of a kind, and what is tried on them."""

    product: str
    mosaic: Mosaic
    names: tuple[str, ...]
    first: int = 0
    """Seed of the first pair."""

    @property
    def jobs(self) -> list[tuple[str, Mosaic, tuple[str, ...], int]]:
        """One for each pair."""
        return [(self.product, self.mosaic, self.names, self.first + k) for k in range(PAIRS)]


Results = dict[Kind, dict[str, Tensor]]


def run(kinds: Sequence[Kind]) -> Results:
    """Measure all pairs of all kinds."""
    jobs = [job for kind in kinds for job in kind.jobs]
    parts = iter(each(measured, jobs, os.cpu_count() or 1))
    made: Results = {}
    for kind in kinds:
        own = [next(parts) for _ in kind.jobs]
        made[kind] = {name: torch.cat([part[name] for part in own], 1) for name in kind.names}
    return made


def rmse(planes: Tensor) -> float:
    """Of the coherence."""
    return float((planes[1] - planes[0]).square().mean().sqrt())


def corrected(planes: Tensor, others: Tensor) -> Tensor:
    """Replace estimates by the mean truth of those that were alike on other pairs."""
    ordered = others[:, others[1].argsort()]
    at, mean = (
        torch.stack([part.mean() for part in ordered[row].double().tensor_split(PARTS)])
        for row in (1, 0)
    )
    told = np.interp(planes[1].numpy(), at.numpy(), mean.numpy())
    return torch.stack([planes[0], torch.from_numpy(told).float(), planes[2]])


def scores(planes: Tensor) -> list[Value]:
    """RMSE, bias, and shares of errors within the intervals of sigma."""
    error = planes[1] - planes[0]
    ratio = error.abs() / planes[2]
    held = [float((ratio <= limit).float().mean()) for limit in SHARES]
    return [rmse(planes), float(error.mean()), *held]


ALL = (NET, *operators(1.0))
FEW = (NET, "Pearson 9", "Pearson 15", "Likelihood 15")
WHOLE = {product: Kind(product, Mosaic(), ALL) for product in (GRD, SLC)}
OTHERS = {product: Kind(product, Mosaic(), ALL[1:], LEARNED_FROM) for product in WHOLE}
SHIFTED = {
    (axis, shift): Kind(GRD, Mosaic(shift=(0.0, shift) if axis == "range" else (shift, 0.0)), FEW)
    for axis in ("range", "azimuth")
    for shift in SHIFTS
}
ELSEWHERE = {
    **{f"GRD, VV, {d} days": Kind(GRD, Mosaic(float(d)), FEW) for d in (0, 6, 12, 24, 36)},
    "GRD, VH, 12 days": Kind(GRD, Mosaic(polarisation="VH"), FEW),
    "SLC, VV, 12 days": Kind(SLC, Mosaic(), FEW),
    "SLC, VH, 12 days": Kind(SLC, Mosaic(polarisation="VH"), FEW),
    "L band, 12 days": Kind("L band", Mosaic(), FEW),
}


def tables() -> list[Table]:
    """Measure everything."""
    torch.set_num_threads(1)
    groups = (WHOLE, OTHERS, SHIFTED, ELSEWHERE)
    results = run(list(dict.fromkeys(kind for group in groups for kind in group.values())))
    made = []
    for product, kind in WHOLE.items():
        made += _overall(product, results[kind], results[OTHERS[product]])
    return [*made, _misregistered(results), _elsewhere(results), _edges(), _times(), _about()]


def _overall(product: str, tested: dict[str, Tensor], others: dict[str, Tensor]) -> list[Table]:
    """Everything on the main kind of pairs of a product."""
    best = rmse(tested[NET])
    rows: list[list[Value]] = [[NET, *scores(tested[NET]), None, None]]
    for name in ALL[1:]:
        better = rmse(corrected(tested[name], others[name]))
        rows.append([name, *scores(tested[name]), better, 1 - best / better])
    lower = 1 - best / np.mean([row[5] for row in rows[1:]])  # type: ignore[arg-type]
    rows.append(["mean of the corrected", *[None] * 4, best / (1 - lower), lower])
    columns = ("method", "RMSE", "bias", "68 %", "95 %", "RMSE, corrected", "the net's is less by")
    shown = (NET, "Pearson 15", "Likelihood 15")
    bins: list[list[Value]] = [
        [f"{a:.1f} to {b:.1f}", *_bin(tested, shown, a, b)] for a, b in _bins()
    ]
    told = (f"{name}: {what}" for name in shown for what in ("bias", "RMSE"))
    return [
        Table(f"{product}, 12 days", columns, rows),
        Table(f"{product}, by coherence", ("coherence", "share", *told), bins),
    ]


def _bins() -> list[tuple[float, float]]:
    return list(zip(BINS[:-1].tolist(), BINS[1:].tolist(), strict=True))


def _bin(
    tested: dict[str, Tensor], shown: tuple[str, ...], low: float, high: float
) -> Iterator[float]:
    """Share of a range of coherence, and errors of each method there."""
    inside = {name: (tested[name][0] >= low) & (tested[name][0] < high) for name in shown}
    yield float(inside[shown[0]].float().mean())
    for name in shown:
        planes = tested[name][:, inside[name]]
        yield float((planes[1] - planes[0]).mean())
        yield rmse(planes)


def _misregistered(results: Results) -> Table:
    """Shift the second date."""
    rows: list[list[Value]] = []
    for (axis, shift), kind in SHIFTED.items():
        values = [rmse(results[kind][name]) for name in FEW]
        first = rmse(results[SHIFTED[axis, 0.0]][NET])
        rows.append([axis, shift, *values, values[0] / first - 1])
    columns = ("along", "shift px", *FEW, "the net's grows by")
    return Table("GRD, misregistered", columns, rows)


def _elsewhere(results: Results) -> Table:
    """Other baselines, noise, and products."""
    rows: list[list[Value]] = []
    for title, kind in ELSEWHERE.items():
        tested = results[kind]
        rows.append([title, *scores(tested[NET]), *(rmse(tested[name]) for name in FEW[1:])])
    columns = ("pairs", "net: RMSE", "bias", "68 %", "95 %", *FEW[1:])
    return Table("Other baselines, polarisations and products", columns, rows)


def profile(name: str, seed: int) -> Tensor:
    """Mean over rows of what a method tells across an edge."""
    radar, _ = PRODUCTS[GRD](1)
    size = 256
    n = size * radar.fine + 2 * MARGIN
    coherence = torch.full((n, n), EDGE[0])
    coherence[:, n // 2 :] = EDGE[1]
    one = torch.tensor(1.0)
    ground = Surface(coherence, one, one, one * 0j)
    pair = acquire(radar, ground, Constant(), size, torch.Generator().manual_seed(seed))
    if name == "truth":
        return pair.coherence.mean(0)
    return found(name, GRD, 1, (pair.reference, pair.secondary)).coherence[32:-32].mean(0)


def width(across: Tensor) -> float:
    """Pixels in which a profile goes from 90 to 10 % of the difference of its ends."""
    high, low = across[24:80].mean(), across[-80:-24].mean()
    share = ((across - low) / (high - low)).double().numpy()[64:-64]
    at = np.arange(len(share))
    falling = np.minimum.accumulate(share)
    places = [np.interp(-level, -falling, at) for level in (0.9, 0.1)]
    return float(places[1] - places[0])


def _edges() -> Table:
    names = ("truth", *ALL)
    rows: list[list[Value]] = []
    for name in names:
        jobs = [(name, 700 + k) for k in range(8)]
        mean = torch.stack(each(profile, jobs, os.cpu_count() or 1)).mean(0)
        rows.append([name, width(mean)])
    return Table(f"Edge from {EDGE[0]} to {EDGE[1]}, GRD", ("method", "10-90 % px"), rows)


def _times() -> Table:
    """Processor time, in one thread."""
    pair = torch.rand(2, LONG, LONG, generator=torch.Generator().manual_seed(1)) + 0.1
    names = (NET, *(name for name in ALL if name.endswith((" 9", " 15"))))
    rows: list[list[Value]] = []
    for name in names:
        found(name, GRD, 1, (pair[0, :256, :256], pair[1, :256, :256]))  # calibrates
        began = time.process_time()
        found(name, GRD, 1, (pair[0], pair[1]))
        spent = (time.process_time() - began) / (LONG / 1000) ** 2
        rows.append([name, spent, 2 / spent])
    return Table("Time", ("method", "CPU s per Mpx", "Mpx per s on two such cores"), rows)


def _about() -> Table:
    net, details = load(Learned().weights)
    count = sum(p.numel() for p in net.parameters())
    row: list[Value] = [count, details["steps"], details["hours"], details["rmse"]]
    return Table("The net", ("parameters", "steps", "hours", "RMSE on validation"), [row])
