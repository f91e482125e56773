"""Exact SAR pairs at stated coherence: noise, bias, blur, honesty of sigma, pixel locking."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import Errors, Summary, compare, mae, noise_area, summary
from benchmarks.methods import Method, Plane, fixed_windows, matched, peers
from benchmarks.pairs import moved_texture
from benchmarks.report import Table
from groundshift.matchers import NCC, Gaussian, Sinc, default
from groundshift.synth import Constant, Fault, Motion, Sum, speckle_sample, tracking_limit
from groundshift.synth.sample import wavy_fault

SIZE = 640
SEEDS = (101, 102, 103, 104)
WINDOWS = (16, 24, 32, 48, 64, 96, 128)
FAR = 64
"""Distance from the fault, pixels, beyond which motion is smooth."""
DEFAULT = "groundshift default"
BEST = "NCC, best window with hindsight"

TITLE = "Speckle pairs at stated coherence"
TEXT = f"""Pairs of {SIZE} x {SIZE} px, {len(SEEDS)} per case, of seeds that were used for nothing
else; statistics over both components, px, 80 px from the border, at each method's own nodes (every
fourth pixel of dense fields). Motion: waves and a rough fault step within 2.4 px; the glacier moves
22 px. "2x" is an SLC of bandwidth 0.8 oversampled twice, "1x" the same as it is. Plain NCC has an
exact peak, a stride of 8 px, and keeps every result; the best window is the one of {WINDOWS} with
the least MAE in that case. "bad" is the share of errors beyond 0.5 px, "slope" the regression of
estimate on truth, "68 %" and "95 %" the share of errors within those intervals of the predicted
sigma. "zero motion" is correlated speckle that does not move.

**The limit.** The window that the fused estimate uses differs from place to place, so it is
measured: two renderings of the same motion with independent speckle are matched, and half the
difference of the results is pure noise. The noise of a mean with weights `k` has an autocorrelation
that sums to `1 / sum(k**2)`, the area of the plain window that is as noisy: this is called the
effective window (plain windows return their own size, a check of the method). The limit is
0.80 sigma of incoherent speckle tracking with that window; the ratio compares with it the MAE more
than {FAR} px from the fault, blur included.

**Pixel locking.** A ramp of 3 px over 1024 px in both components: Kolmogorov distance of the
fractional part of the estimates from the uniform distribution of the truth, over two full periods;
the larger of both components."""


@dataclass(frozen=True)
class Glacier:
    """A stream that moves fastest in its middle, with shear margins at both sides."""

    size: int
    speed: float = 22.0
    direction: float = 0.4

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        c, s = np.cos(self.direction), np.sin(self.direction)
        across = ((y - self.size / 2) * c - (x - self.size / 2) * s) / (0.3 * self.size)
        along = ((y - self.size / 2) * s + (x - self.size / 2) * c) / self.size
        speed = self.speed * torch.exp(-(across**4)) * (1 - 0.3 * torch.sin(3 * along) ** 2)
        return speed * s, speed * c


@dataclass(frozen=True)
class Ramp:
    """Both components grow linearly, each along its own axis."""

    strain: float

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        return self.strain * y, self.strain * x


class Case(NamedTuple):
    """One row of the comparison."""

    name: str
    coherence: float
    motion: Callable[[int], Motion]
    bandwidth: float = 0.4
    search: int = 10
    bar: float | None = None
    """Least MAE that any peer reached on pairs made alike, in an earlier comparison."""


def _wavy(seed: int) -> Motion:
    return wavy_fault(seed, SIZE)


def _still(seed: int) -> Motion:
    return Constant()


def _glacier(seed: int) -> Motion:
    return Glacier(SIZE)


MAIN = (
    Case("2x, coherence 0.95", 0.95, _wavy, bar=0.049),
    Case("2x, coherence 0.8", 0.8, _wavy, bar=0.074),
    Case("2x, coherence 0.6", 0.6, _wavy, bar=0.170),
    Case("2x, coherence 0.4", 0.4, _wavy, bar=0.269),
)
EXTRA = (
    Case("2x, coherence 0.3", 0.3, _wavy, bar=0.377),
    Case("1x, coherence 0.8", 0.8, _wavy, bandwidth=0.8, bar=0.056),
    Case("glacier, coherence 0.7", 0.7, _glacier, search=28, bar=0.672),
    Case("zero motion, coherence 0.5", 0.5, _still, bar=0.157),
)


class Found(NamedTuple):
    """Errors of one method on one pair, and what belongs to them."""

    errors: Errors
    distance: Plane
    noise: Plane | None
    """Errors without what a second rendering has in common with them."""


def methods(case: Case) -> dict[str, Method]:
    """Name what is compared in a case."""
    windows = WINDOWS if case.search <= 10 else (32, 64, 96)
    fixed = {f"NCC {w}": m for w, m in fixed_windows(windows, SIZE, case.search).items()}
    return {DEFAULT: matched(default()), **fixed, **peers(max(10, case.search))}


def one_pair(case: Case, seed: int) -> dict[str, Found]:
    """Run everything on one pair."""
    motion = case.motion(seed)
    first, second = (
        speckle_sample(
            motion, size=SIZE, coherence=case.coherence, seed=s, bandwidth=case.bandwidth
        )
        for s in (seed, seed + 1000)
    )
    found = {}
    for name, method in methods(case).items():
        errors = compare(method(first.reference, first.secondary), motion, (SIZE, SIZE))
        noise = None
        if case in MAIN and not _is_peer(name):
            again = compare(method(second.reference, second.secondary), motion, (SIZE, SIZE))
            noise = (errors.error - again.error) / np.sqrt(2).astype(np.float32)
        found[name] = Found(errors, _distance(motion, errors), noise)
    return found


def _is_peer(name: str) -> bool:
    return not name.startswith((DEFAULT, "NCC"))


def _distance(motion: Motion, errors: Errors) -> Plane:
    """Distance of each node from the fault, infinite where there is none."""
    y, x = np.meshgrid(errors.y, errors.x, indexing="ij")
    fault = motion.motions[1] if isinstance(motion, Sum) else None
    if not isinstance(fault, Fault):
        return np.full_like(y, np.inf)
    return fault.distance(torch.from_numpy(y), torch.from_numpy(x)).abs().numpy()


def all_pairs() -> dict[str, dict[str, list[Found]]]:
    """Run everything: case -> method -> pairs."""
    jobs = [(case, seed) for seed in SEEDS for case in MAIN + EXTRA]
    found: dict[str, dict[str, list[Found]]] = {}
    with ProcessPoolExecutor(
        2, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for (case, _), result in zip(
            jobs, pool.map(one_pair, *zip(*jobs, strict=True)), strict=True
        ):
            for name, value in result.items():
                found.setdefault(case.name, {}).setdefault(name, []).append(value)
    return found


def tables() -> list[Table]:
    """Run everything."""
    found = all_pairs()
    sums = {
        case: {name: summary([f.errors for f in pairs]) for name, pairs in rows.items()}
        for case, rows in found.items()
    }
    best = {
        case: min((n for n in rows if n.startswith("NCC")), key=lambda n, rows=rows: rows[n].mae)
        for case, rows in sums.items()
    }
    return [
        _overview(sums, best),
        _limits(found),
        *(_details(case.name, found, sums, best) for case in MAIN + EXTRA),
        _locking(),
    ]


def _shown(rows: dict[str, Summary]) -> list[str]:
    """Methods that every case has."""
    return [name for name in rows if _is_peer(name) or name in (DEFAULT, "NCC 32", "NCC 64")]


def _overview(sums: dict[str, dict[str, Summary]], best: dict[str, str]) -> Table:
    names = _shown(next(iter(sums.values())))
    rows = []
    for case in MAIN + EXTRA:
        values = sums[case.name]
        top = best[case.name]
        rows.append(
            [
                case.name,
                *(_with_density(values[name]) for name in names[:1]),
                f"{values[top].mae:.3f} ({top.split()[1]} px)",
                *(_with_density(values[name]) for name in names[1:]),
                case.bar,
            ]
        )
    columns = ("case", DEFAULT, BEST, *names[1:], "best peer of an earlier comparison")
    text = "In brackets: share of nodes with a result, where below 0.995."
    return Table("MAE", columns, rows, text)


def _with_density(value: Summary) -> str:
    return f"{value.mae:.3f}" + (f" ({value.density:.2f})" if value.density < 0.995 else "")


def _limits(found: dict[str, dict[str, list[Found]]]) -> Table:
    rows = []
    for case in MAIN:
        for name in (DEFAULT, "NCC 32", "NCC 64"):
            pairs = found[case.name][name]
            areas, far = [], []
            for errors, distance, noise in pairs:
                keep = distance > FAR
                step = float(errors.y[1] - errors.y[0])
                assert noise is not None
                areas.append(noise_area(noise, keep, step))
                far.append(errors.error[:, keep].ravel())
            area = float(np.mean(areas))
            cells = area * case.bandwidth**2
            limit = 0.80 * tracking_limit(case.coherence, cells) / case.bandwidth
            error = mae(np.concatenate(far))
            rows.append([case.name, name, float(np.sqrt(area)), limit, error, error / limit])
    columns = ("case", "method", "effective window", "limit", f"MAE > {FAR} px off", "ratio")
    return Table("Against the limit of incoherent tracking", columns, rows)


def _details(
    case: str,
    found: dict[str, dict[str, list[Found]]],
    sums: dict[str, dict[str, Summary]],
    best: dict[str, str],
) -> Table:
    columns = (
        "method",
        "MAE",
        "median",
        "P95",
        "bad",
        "bias dy",
        "bias dx",
        "slope dy",
        "slope dx",
    )
    columns += ("density", "68 %", "95 %", "MAE 0-6 px", "6-20 px", "> 20 px")
    names = _shown(sums[case])
    names.insert(1, best[case])
    rows = []
    for index, name in enumerate(names):
        title = f"{BEST}: {name.split()[1]} px" if index == 1 else name
        near = [
            mae(np.concatenate([_between(f, low, high) for f in found[case][name]]))
            for low, high in ((0, 6), (6, 20), (20, np.inf))
        ]
        rows.append([title, *sums[case][name], *near])
    return Table(case, columns, rows)


def _between(found: Found, low: float, high: float) -> Plane:
    """Errors at these distances from the fault; none where there is no fault."""
    inside = (found.distance >= low) & (found.distance < high)
    return found.errors.error[:, inside].ravel()


def _locking() -> Table:
    size = 1024
    ramp = Ramp(3 / size)
    speckle = {
        f"speckle 2x, coherence {g}": speckle_sample(ramp, size=size, coherence=g, seed=SEEDS[0])
        for g in (0.95, 0.8)
    }
    pairs = {**speckle, "texture, no noise": moved_texture(size, SEEDS[0], ramp)}
    tried = {
        DEFAULT: default(),
        "NCC 32, exact peak": NCC(window=32, search=8, stride=4, peak=Sinc()),
        "NCC 32, 3-point peak": NCC(window=32, search=8, stride=4, peak=Gaussian()),
    }
    rows = []
    for name, matcher in tried.items():
        distances = []
        for pair in pairs.values():
            measured = matched(matcher)(pair.reference, pair.secondary)
            distances.append(_kolmogorov(compare(measured, ramp, (size, size))))
        rows.append([name, *distances])
    return Table("Pixel locking: Kolmogorov distance", ("method", *pairs), rows)


def _kolmogorov(errors: Errors) -> float:
    """Distance from uniform of the fractions, over the true displacements 0.5 ... 2.5 px."""
    worst = 0.0
    for error, truth in zip(errors.error, errors.truth, strict=True):
        inside = (truth >= 0.5) & (truth < 2.5) & ~np.isnan(error)
        fraction = np.sort((error + truth)[inside] % 1)
        rank = np.arange(len(fraction) + 1) / len(fraction)
        worst = max(
            worst,
            float(np.abs(rank[1:] - fraction).max()),
            float(np.abs(rank[:-1] - fraction).max()),
        )
    return worst
