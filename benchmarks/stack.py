"""Stacks of seven radar images: all pairs at once, by a net that learned without truth."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from benchmarks import budget, coverage
from benchmarks.report import Table, Value
from groundshift.benchmark.cases import MARGIN
from groundshift.benchmark.run import centres
from groundshift.inversion import agree
from groundshift.matchers import NCC, default
from groundshift.matchers.whole import match_whole
from groundshift.metrics import rise
from groundshift.nets.refine import learned
from groundshift.nets.stack import stacked
from groundshift.nets.weights import STANDARD
from groundshift.synth.motions import (
    Between,
    Constant,
    Fault,
    Motion,
    Scaled,
    Sum,
    Waves,
    distance_of,
    visible,
)
from groundshift.synth.radar import Radar
from groundshift.synth.recipe import Recipe
from groundshift.synth.series import Decay, acquire_series
from groundshift.synth.slides import Bowl, Landslide
from groundshift.train import PRESETS
from groundshift.types import Estimate, Matcher

BUDGET = budget.budget("stack", 60)
MOTIONS = {
    "zero": 0.15,
    "earthquake": 0.3,
    "waves": 0.15,
    "brownian": 0.1,
    "bowl": 0.15,
    "volcano": 0.15,
}
CONFIG = replace(
    PRESETS["voxelmorph-compact"],
    recipe=Recipe(
        256,
        motions=tuple(MOTIONS.items()),
        radar=1.0,
        lost=0.0,
        coherence=(0.15, 1.0),
        moved=(0.5, 3.0),
    ),
    guess="none",
    spoiled=0.0,
)
"""What a co-registered stack shows: displacements of a few pixels, for which nothing searches."""

SIZE, STRIDE, SEARCH = 512, 8, 4
DAYS = tuple(12.0 * k for k in range(7))
EVENT = 40.0
"""Day of the rupture."""
DECAYS = {
    "high": Decay(torch.tensor(0.7), torch.tensor(60.0)),
    "low": Decay(torch.tensor(0.1), torch.tensor(40.0)),
}
Images = list[Tensor]
Found = dict[tuple[int, int], Estimate]


@dataclass(frozen=True)
class Scene:
    """A stack."""

    name: str
    motions: tuple[Motion, ...]
    """Of each date, since the first one."""
    product: Radar
    decay: Decay

    def images(self, seed: int) -> Images:
        """Render all dates; what comes from outside or from nowhere is no data."""
        generator = torch.Generator().manual_seed(seed)
        one = torch.tensor(1.0)
        return acquire_series(self.product, one, self.decay, DAYS, self.motions, SIZE, generator)


def scenes() -> tuple[Scene, ...]:
    """List a slide and a bowl that go on, and a rupture between the fourth date and the fifth."""
    slide = Landslide(
        speed=2.5,
        centre=(250.0, 230.0),
        direction=0.5,
        half_axes=(130.0, 80.0),
        outline=((2, 0.1, 0.3), (5, 0.05, 1.0)),
        shear=0.4,
        margin=4.0,
    )
    bowl = Bowl(1.5, (300.0, 280.0), (90.0, 60.0), 0.4)
    rough = tuple((0.012 * n, n, 1.7 * k) for k, n in enumerate((320.0, 138.0, 63.0, 30.0, 13.0)))
    fault = Fault(1.8, (256.0, 250.0), 0.5, 128.0, rough)
    waves = Waves((0.5, 0.4), (260.0, 310.0))
    steady = tuple(Scaled(Sum((slide, bowl)), day / DAYS[-1]) for day in DAYS)
    broken = tuple(Sum((fault, waves)) if day > EVENT else Constant() for day in DAYS)
    products = {"SLC x2": Radar(bandwidth=0.4), "GRD": Radar(bandwidth=0.5, window=0.73, looks=5)}
    return tuple(
        Scene(f"{name}, {product}, {coherence} coherence", motions, radar, decay)
        for product, radar in products.items()
        for coherence, decay in DECAYS.items()
        for name, motions in (("slide and bowl", steady), ("rupture", broken))
    )


SEARCHED = "unsupervised behind a search, each pixel"
AGREED = ("NCC 64 px, each 8 px", "unsupervised, each pixel", SEARCHED, "learned, each pixel")
TITLE = "Stacks of seven radar images"
TEXT = f"""Speckle of seven dates, each 12 days after the one before, {SIZE} x {SIZE} px, all 21
pairs; coherence falls from .95 or .77 to .79 or .25 over 12 to 72 days ("high", "low"). A slide and
a bowl move by up to 2.5 px in all; a rough rupture jumps by 1.8 px after the fourth date. The
unsupervised net is of the family VoxelMorph (Balakrishnan et al. 2019); it was trained for
{BUDGET.minutes:g} minutes of the processor's time in one thread, on images alone, without truth
(`objective: alike`). Each image goes through its encoder once. "Behind a search" are the compact
weights that come with the package, of 20 minutes, taught in the same way. Speckle tracking is plain
NCC in fixed windows. Seconds are of the processor, for all pairs, in one thread, without reading
and training; errors are means over blocks of {STRIDE} px for all, {MARGIN} px from the border.
"rise" is the distance in which the step of the fault rises from 10 to 90 %, from the first date to
the last. "agreed": all pairs of the method were replaced by what they say together
(`groundshift.inversion.agree`); its seconds are those of the method and of this.
{coverage.TEXT} {budget.TEXT}"""


def pairwise(matcher: Matcher) -> Callable[[Images], Found]:
    """Match pair by pair."""

    def run(images: Images) -> Found:
        return {
            (i, j): match_whole(matcher, images[i], images[j])
            for i, j in combinations(range(len(images)), 2)
        }

    return run


def together(matcher: Matcher) -> Callable[[Images], Found]:
    """Match all pairs at once."""

    def run(images: Images) -> Found:
        pairs = tuple(combinations(range(len(images)), 2))
        operator = stacked(matcher, len(images), pairs)
        assert operator is not None
        size = -(-SIZE // operator.period) * operator.period
        sides = (operator.halo, operator.halo + size - SIZE) * 2
        planes = operator([pad(image, sides, value=torch.nan) for image in images])
        parts = planes[:, :SIZE, :SIZE].unflatten(0, (len(pairs), -1))
        return {pair: Estimate(*each) for pair, each in zip(pairs, parts, strict=True)}

    return run


def methods(weights: str) -> dict[str, Callable[[Images], Found]]:
    """Name what is compared; the first is what the others are compared with."""
    return {
        "NCC 64 px, each 8 px": pairwise(NCC(64, SEARCH, STRIDE, false_alarm=1.0)),
        "NCC 32 px, each 8 px": pairwise(NCC(32, SEARCH, STRIDE, false_alarm=1.0)),
        "NCC 65 px, each pixel": pairwise(NCC(65, SEARCH, 1, false_alarm=1.0)),
        "unsupervised, each pixel": together(learned(weights)),
        SEARCHED: pairwise(learned("voxelmorph-compact", SEARCH, 1)),
        "default, each 8 px": pairwise(default(SEARCH, STRIDE)),
        "learned, each pixel": pairwise(learned(STANDARD, SEARCH, 1)),
    }


def tables() -> list[Table]:
    """Train and measure everything."""
    torch.set_num_threads(1)
    folder = BUDGET.trained("voxelmorph", CONFIG)
    tried = methods(str(folder))
    rows: list[list[Value]] = []
    spent: dict[str, list[float]] = defaultdict(list)
    for seed, scene in enumerate(scenes()):
        images = scene.images(9000 + seed)
        found: dict[str, Found] = {}
        for name, method in tried.items():
            began = time.process_time()
            found[name] = method(images)
            spent[name].append(time.process_time() - began)
            if name in AGREED:
                found[f"{name}, agreed"] = agree(found[name], DAYS)
                spent[f"{name}, agreed"].append(time.process_time() - began)
        rows += _rows(scene, found)
    first = fmean(spent[next(iter(tried))])
    times: list[list[Value]] = [
        [name, fmean(each), fmean(each) / first] for name, each in spent.items()
    ]
    numbers = ("MAE px", "P95 px", "density", "outliers", "rise px")
    fewer = ("raw: kept", "fewer by", "tested: kept", "fewer by (tested)")
    return [
        Table("Time of 21 pairs", ("method", "CPU s", "to the first"), times),
        Table("Results", ("stack", "method", *numbers, *fewer), rows),
    ]


def _rows(scene: Scene, found: dict[str, Found]) -> list[list[Value]]:
    """Score all pairs of a stack as one, and compare outliers with those of the first method."""
    names = list(found)
    errors: dict[str, list[Tensor]] = {name: [] for name in names}
    counts = {name: np.zeros(6) for name in names}
    totals = {name: np.zeros(3) for name in names}
    for pair in found[names[0]]:
        motion = Between(*(scene.motions[k] for k in pair))
        y, x = centres((SIZE // STRIDE,) * 2, STRIDE)
        inner = (torch.minimum(y, x) >= MARGIN) & (torch.maximum(y, x) < SIZE - MARGIN)
        inner &= visible(motion, y, x, distance_of(motion, y, x))
        truth = torch.stack(motion(y, x)).float()
        cells = {name: _cells(found[name][pair]) for name in names}
        fixed = cells[names[0]]
        raw = inner & ~torch.isnan(fixed.dy)
        tested = coverage.passing(fixed, raw)
        for name, own in cells.items():
            measured = inner & ~torch.isnan(own.dy)
            error = (torch.stack([own.dy, own.dx]) - truth)[:, measured].abs()
            errors[name].append(error.flatten())
            n = int(measured.sum())
            totals[name] += [int(inner.sum()), n, coverage.wrong(own, measured, n, truth)]
            for k, kept in enumerate((raw, tested)):
                n = min(int(kept.sum()), int(measured.sum()))
                both = [
                    coverage.wrong(*each, n, truth) for each in ((fixed, kept), (own, measured))
                ]
                counts[name][3 * k : 3 * k + 3] += [n, *both]
    rows: list[list[Value]] = []
    for name in names:
        error = torch.cat(errors[name])
        cells_in_all, measured, bad = totals[name]
        row: list[Value] = [scene.name, name, float(error.mean())]
        row += [float(error.quantile(0.95)), measured / cells_in_all, bad / max(1, measured)]
        row.append(_rise(scene, found[name][0, len(DAYS) - 1]))
        for kept, fixed, own in counts[name].reshape(2, 3):
            row += [kept / cells_in_all, 1 - own / fixed if fixed else None]
        rows.append(row)
    return rows


def _cells(found: Estimate) -> Estimate:
    """Average what was found for every pixel over the cells of the others."""
    times = STRIDE * found.dy.shape[0] // SIZE
    if times == 1:
        return found
    return Estimate(*(avg_pool2d(plane[None], times)[0] for plane in found))


def _rise(scene: Scene, found: Estimate) -> float:
    motion = scene.motions[-1]
    at = torch.arange(SIZE, dtype=torch.float64)
    y, x = torch.meshgrid(at, at, indexing="ij")
    distance = distance_of(motion, y, x)
    if scene.name.startswith("slide"):
        return float("nan")
    edge = torch.minimum(torch.minimum(y, x), SIZE - 1 - torch.maximum(y, x))
    distance = distance.where(edge >= MARGIN, torch.inf)
    flow = torch.stack([found.dy, found.dx])
    return rise(flow, torch.stack(motion(y, x)), distance, SIZE // found.dy.shape[0])
