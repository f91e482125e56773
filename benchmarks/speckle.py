"""Exact SAR pairs at stated coherence: noise, bias, blur, honesty of sigma, pixel locking."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.errors import Errors, Summary, compare, mae, summary
from benchmarks.methods import Method, Plane, fixed_windows, matched, peers
from benchmarks.pairs import moved_texture
from benchmarks.parallel import each
from benchmarks.report import Table
from groundshift.matchers import NCC, Gaussian, Sinc, default
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth import Constant, Fault, Motion, Sum, speckle_sample, tracking_limit
from groundshift.synth.sample import Sample, wavy_fault

SIZE = 640
SEEDS = (101, 102, 103)
WINDOWS = (16, 24, 32, 48, 64, 96, 128)
FAR = 64
"""Distance from the fault, pixels, beyond which motion is smooth."""
LEARNED, DEFAULT = "groundshift learned", "groundshift default"
OURS = (LEARNED, DEFAULT)
MEASURED = (*OURS, "NCC 32", "NCC 64")
"""Methods that are compared with the limit."""
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
measured: weak waves (0.008 px each, 14 to 300 px long, four directions) are added to the motion,
the same speckle is rendered and matched again, and the change of the estimates shows the share of
each wave that is followed. The noise of a weighted mean grows with the integral of its squared
response; the plain window with the same integral is called the effective window (for plain NCC it
should return the true window, a check of the method). The limit is 0.80 sigma of incoherent speckle
tracking with that window; the ratio compares with it the MAE more than {FAR} px from the fault,
blur included.

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


@dataclass(frozen=True)
class Ripples:
    """Weak waves of many lengths and directions, to see which of them an estimate follows."""

    amplitude: float = 0.008
    lengths: tuple[float, ...] = (
        300.0,
        150.0,
        100.0,
        75.0,
        60.0,
        48.0,
        39.0,
        32.0,
        26.0,
        20.0,
        14.0,
    )
    directions: tuple[float, ...] = (0.1, 0.9, 1.7, 2.5)

    def _waves(self, y: Tensor, x: Tensor) -> Tensor:
        """Sines and cosines, ``(waves, 2, *y.shape)``."""
        phases = [
            (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / length)
            for length in self.lengths
            for angle in self.directions
        ]
        return torch.stack([torch.stack((p.sin(), p.cos())) for p in phases])

    def __call__(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement at the coordinates."""
        dy = dx = torch.zeros_like(y)
        for index, length in enumerate(self.lengths):
            for angle in self.directions:
                phase = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / length)
                dy = dy + self.amplitude * (phase + index).sin()
                dx = dx + self.amplitude * (phase + index).cos()
        return dy, dx

    def response(self, change: Plane, at: Errors, keep: NDArray[np.bool_]) -> list[float]:
        """Least-squares share of each wavelength in a change of the estimates."""
        y, x = (torch.from_numpy(plane[keep]) for plane in np.meshgrid(at.y, at.x, indexing="ij"))
        waves = self._waves(y.double(), x.double())
        shift = np.repeat(np.arange(len(self.lengths)), len(self.directions))
        share = np.zeros(len(shift))
        known = ~np.isnan(change[:, keep]).any(0)
        basis = waves.flatten(0, 1).T.numpy()[known]
        for values, sine, cosine in zip(
            change[:, keep],
            (np.cos(shift), -np.sin(shift)),
            (np.sin(shift), np.cos(shift)),
            strict=True,
        ):
            fitted = np.linalg.lstsq(basis, values[known], rcond=None)[0].reshape(-1, 2)
            share += (fitted[:, 0] * sine + fitted[:, 1] * cosine) / self.amplitude / 2
        return share.reshape(len(self.lengths), -1).mean(1).tolist()


RIPPLES = Ripples()


def effective_window(response: NDArray[np.float64]) -> float:
    """Side of the plain window that is as noisy as a kernel with this response.

    The noise of a weighted mean grows with ``sum(k**2)``, which is the integral of the squared
    response over all frequencies, and ``1 / side**2`` for a plain window.
    """
    f = np.concatenate([[0.0], 1 / np.array(RIPPLES.lengths)])
    h = np.concatenate([[1.0], response])
    fine = np.linspace(0, f[-1], 400)
    power = 2 * np.pi * fine * np.interp(fine, f, h) ** 2
    return float(1 / np.sqrt(np.trapezoid(power, fine)))


class Case(NamedTuple):
    """One row of the comparison."""

    name: str
    coherence: float
    motion: Callable[[int], Motion]
    bandwidth: float = 0.4
    search: int = 6
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
    Case("glacier, coherence 0.7", 0.7, _glacier, search=24, bar=0.672),
    Case("zero motion, coherence 0.5", 0.5, _still, bar=0.157),
)


class Found(NamedTuple):
    """Errors of one method on one pair, and what belongs to them."""

    errors: Errors
    distance: Plane
    response: list[float] | None
    """Share that is left of each of the waves of `RIPPLES`."""


def methods(case: Case) -> dict[str, Method]:
    """Name what is compared in a case."""
    large = case.search > 6
    fixed = fixed_windows((32, 64) if large else WINDOWS, SIZE, case.search, 16 if large else 8)
    named = {f"NCC {window}": method for window, method in fixed.items()}
    ours = {LEARNED: learned(STANDARD, 64, stride=4), DEFAULT: default()}
    return {**{name: matched(m) for name, m in ours.items()}, **named, **peers(case.search + 4)}


def one_pair(case: Case, seed: int) -> dict[str, Found]:
    """Run everything on one pair."""
    motion = case.motion(seed)
    pair = _render(case, motion, seed)
    rippled = _render(case, Sum((motion, RIPPLES)), seed) if case in MAIN else None
    found = {}
    for name, method in methods(case).items():
        errors = compare(method(pair.reference, pair.secondary), motion, (SIZE, SIZE))
        distance = _distance(motion, errors)
        response = None
        if rippled and name in MEASURED:
            again = compare(method(rippled.reference, rippled.secondary), motion, (SIZE, SIZE))
            response = RIPPLES.response(again.error - errors.error, errors, distance > FAR)
        found[name] = Found(errors, distance, response)
    return found


def _render(case: Case, motion: Motion, seed: int) -> Sample:
    return speckle_sample(
        motion, size=SIZE, coherence=case.coherence, seed=seed, bandwidth=case.bandwidth
    )


def _is_peer(name: str) -> bool:
    return not name.startswith((*OURS, "NCC"))


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
    for (case, _), result in zip(jobs, each(one_pair, jobs), strict=True):
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
    return [name for name in rows if _is_peer(name) or name in MEASURED]


def _overview(sums: dict[str, dict[str, Summary]], best: dict[str, str]) -> Table:
    names = _shown(next(iter(sums.values())))
    rows = []
    for case in MAIN + EXTRA:
        values = sums[case.name]
        top = best[case.name]
        rows.append(
            [
                case.name,
                *(_with_density(values[name]) for name in OURS),
                f"{values[top].mae:.3f} ({top.split()[1]} px)",
                *(_with_density(values[name]) for name in names if name not in OURS),
                case.bar,
            ]
        )
    others = [name for name in names if name not in OURS]
    columns = ("case", *OURS, BEST, *others, "best peer of an earlier comparison")
    text = "In brackets: share of nodes with a result, where below 0.995."
    return Table("MAE", columns, rows, text)


def _with_density(value: Summary) -> str:
    return f"{value.mae:.3f}" + (f" ({value.density:.2f})" if value.density < 0.995 else "")


def _limits(found: dict[str, dict[str, list[Found]]]) -> Table:
    rows = []
    for case in MAIN:
        for name in MEASURED:
            pairs = found[case.name][name]
            far = np.concatenate([f.errors.error[:, f.distance > FAR].ravel() for f in pairs])
            side = effective_window(np.mean([f.response for f in pairs], axis=0))
            cells = (side * case.bandwidth) ** 2
            limit = 0.80 * tracking_limit(case.coherence, cells) / case.bandwidth
            rows.append([case.name, name, side, limit, mae(far), mae(far) / limit])
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
    names.insert(len(OURS), best[case])
    rows = []
    for index, name in enumerate(names):
        title = f"{BEST}: {name.split()[1]} px" if index == len(OURS) else name
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
        LEARNED: learned(STANDARD, 8, stride=4),
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
