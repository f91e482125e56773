"""A landslide that creeps, seen by radar on twelve dates, against extensometers on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks import nets
from benchmarks.report import Table, Value
from groundshift.matchers import NCC, default
from groundshift.matchers.whole import match_whole
from groundshift.nets.refine import learned
from groundshift.nets.weights import STANDARD
from groundshift.synth.motions import Between, Motion, Scaled
from groundshift.synth.radar import Radar
from groundshift.synth.series import Decay, acquire_series
from groundshift.synth.slides import Landslide
from groundshift.train import PRESETS
from groundshift.types import Matcher

SIZE, STRIDE, SEARCH = 448, 4, 8
DATES, REVISIT = 12, 12.0
LINKS = 3
"""Each date is paired with as many of the next ones."""
RATE, SEASON = 15.0, 5.0
"""Of the slide, mm/day: mean, and how much faster and slower it gets in turn."""
YEAR = 365.25
PRECISION = 0.7
"""Of an extensometer, mm."""
SLIDE = Landslide(
    speed=1.0,
    centre=(220.0, 230.0),
    direction=0.6,
    half_axes=(150.0, 55.0),
    outline=((2, 0.1, 0.3), (5, 0.05, 1.0)),
    shear=0.3,
    margin=6.0,
)
"""Displacement where the middle moves by one."""
STATIONS = {"upper": -80.0, "middle": 0.0, "lower": 80.0}
"""Place of each along the slide, from its middle, pixels."""
AROUND = 4
"""Side of the square that is averaged at a station, cells."""
RADAR = Radar(bandwidth=0.4)
DECAY = Decay(torch.tensor(0.3), torch.tensor(60.0))


@dataclass(frozen=True)
class Sensor:
    """What a pixel of an SLC oversampled twice is."""

    name: str
    pixel: float
    """Metres."""

    def displacement(self, day: float) -> float:
        """Displacement of the middle since the first date, pixels."""
        phase = 2 * np.pi * day / YEAR
        metres = (RATE * day + SEASON * YEAR / (2 * np.pi) * np.sin(phase)) / 1e3
        return float(metres) / self.pixel

    def motions(self) -> list[Motion]:
        """Displacement on each date."""
        return [Scaled(SLIDE, self.displacement(REVISIT * k)) for k in range(DATES)]


SENSORS = (
    Sensor("spotlight, 0.3 m", 0.3),
    Sensor("stripmap, and Sentinel-1 along range, 1.2 m", 1.2),
    Sensor("Sentinel-1 along azimuth, 7 m", 7.0),
)
NETS = ("unet", "unetpp", "ccressiam", "flownetsd", "microflow", "voxelmorph")

TITLE = "A creeping landslide against extensometers"
TEXT = f"""Speckle of {DATES} dates, {REVISIT:g} days apart, in an SLC oversampled twice ({SIZE} x
{SIZE} px), that a slide moves at {RATE - SEASON:g} to {RATE + SEASON:g} mm/day, as Slumgullion does
(Hu et al. 2020); coherence falls to .3 for good, in 60 days. Each date is matched with the next
{LINKS}, and displacement since the first date is solved for by least squares (weights 1 / sigma^2
where a matcher tells sigma). Extensometers at three places have an error of {PRECISION} mm. What is
compared at a station is the mean over {AROUND * STRIDE} px. "pair" is the error of single pairs at
stations, pixels (both components, root mean square); "series" that of the displacement since the
first date, "of it" its share of the whole displacement; "rate" the error of the mean velocity. A
sensor sees the slide where a pair moves by more than a pair's error. Nets are those of
`python -m benchmarks nets`: compact, {nets.BUDGET.minutes:g} minutes of one thread each."""


class Read(NamedTuple):
    """Displacement at the stations, ``(stations, 2)``, and its variance."""

    flow: NDArray[np.float64]
    variance: NDArray[np.float64]


def matchers() -> dict[str, Matcher]:
    """Name what is compared."""
    trained = {
        name: learned(str(nets.BUDGET.trained(name, PRESETS[f"{name}-compact"])), SEARCH, STRIDE)
        for name in NETS
    }
    return {
        **trained,
        f"the flagship ({STANDARD})": learned(STANDARD, SEARCH, STRIDE),
        "default": default(SEARCH, STRIDE),
        "NCC 64 px": NCC(64, SEARCH, STRIDE),
    }


def places() -> tuple[Tensor, Tensor]:
    """Rows and columns of the stations."""
    along = torch.tensor(list(STATIONS.values()), dtype=torch.float64)
    y = SLIDE.centre[0] + along * np.sin(SLIDE.direction)
    return y, SLIDE.centre[1] + along * np.cos(SLIDE.direction)


def read(matcher: Matcher, one: Tensor, other: Tensor, at: tuple[Tensor, Tensor]) -> Read:
    """Match a pair and average around the stations, wherever they are on the first date."""
    found = match_whole(matcher, one, other)
    planes = torch.stack([found.dy, found.dx, found.sigma_dy**2, found.sigma_dx**2])
    known = ~torch.isnan(planes[:1])
    # Sums of what is known around each cell: of an even square, at its lower right one.
    total = avg_pool2d(torch.cat([torch.nan_to_num(planes), known.float()]), AROUND, 1)
    rows, columns = ((p / STRIDE - AROUND / 2 + 0.5).round().long() for p in at)
    values = total[:, rows, columns].double()
    values = torch.where(values[4] > 0.25, values[:4] / values[4], torch.nan).numpy()
    return Read(values[:2].T, values[2:].T)


def solved(reads: dict[tuple[int, int], Read]) -> NDArray[np.float64]:
    """Displacement since the first date, ``(dates, stations, 2)``: weighted least squares."""
    pairs = np.array(list(reads))
    flow, variance = (np.stack([getattr(r, name) for r in reads.values()]) for name in Read._fields)
    design = np.zeros((len(pairs), DATES))
    design[np.arange(len(pairs)), pairs[:, 1]] = 1
    design[np.arange(len(pairs)), pairs[:, 0]] -= 1
    found = np.full((DATES, *flow.shape[1:]), np.nan)
    for place in np.ndindex(flow.shape[1:]):
        values, spread = flow[(slice(None), *place)], variance[(slice(None), *place)]
        known = np.isfinite(values)
        weight = 1 / np.sqrt(spread[known]) if np.isfinite(spread[known]).all() else known[known]
        lines, _, rank, _ = np.linalg.lstsq(
            design[known][:, 1:] * weight[:, None], values[known] * weight, rcond=None
        )
        if rank == DATES - 1:
            found[(slice(None), *place)] = [0.0, *lines]
    return found


def tables() -> list[Table]:
    """Train and measure everything."""
    rows = [row for sensor in SENSORS for row in _rows(sensor)]
    columns = ("pixels", "moves per pair px", "matcher", "pair px", "series px", "series mm")
    return [Table("Results", (*columns, "of it", "rate mm/day", "measured"), rows)]


def _rows(sensor: Sensor) -> Iterator[list[Value]]:
    motions = sensor.motions()
    days = [REVISIT * k for k in range(DATES)]
    generator = torch.Generator().manual_seed(77)
    images = acquire_series(RADAR, torch.tensor(1.0), DECAY, days, motions, SIZE, generator)
    start = places()
    # Extensometers move with the ground.
    moved = [torch.stack(motion(*start)).numpy().T for motion in motions]
    noise = np.random.default_rng(77).normal(0, PRECISION / 1e3 / sensor.pixel, (DATES, 3, 2))
    told = np.stack(moved) + noise
    told -= told[0]
    pairs = [(i, j) for i, j in combinations(range(DATES), 2) if j - i <= LINKS]
    for name, matcher in matchers().items():
        reads, errors = {}, []
        for i, j in pairs:
            at = tuple(p + torch.from_numpy(moved[i][:, k]) for k, p in enumerate(start))
            reads[i, j] = read(matcher, images[i], images[j], at)
            truth = torch.stack(Between(motions[i], motions[j])(*at)).numpy().T
            errors.append(reads[i, j].flow - truth)
        series = solved(reads)
        error = np.array(errors)
        pair = float(np.sqrt(np.nanmean(error**2)))
        off = float(np.sqrt(np.nanmean((series - told)[1:] ** 2)))
        length = float(np.sqrt(np.mean(told[-1] ** 2)))
        rates = np.polyfit(days, (series - told).reshape(DATES, -1), 1)[0]
        rate = float(np.sqrt(np.nanmean(rates**2))) * sensor.pixel * 1e3
        share = float(np.isfinite(error).mean())
        step = sensor.displacement(REVISIT)
        millimetres = off * sensor.pixel * 1e3
        yield [sensor.name, step, name, pair, off, millimetres, off / length, rate, share]
