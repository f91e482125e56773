"""From images to histories: a landslide and an earthquake on twelve dates, radar and optical."""

import tempfile
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr
from pyproj import CRS, Transformer
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor

import groundshift
from benchmarks.pairs import BRIGHTNESS, CONTRAST, oversampled, periodic, spectrum
from benchmarks.report import Table, Value
from groundshift import api, stations, tile, timeseries
from groundshift.stations import Station
from groundshift.synth.motions import Between, Constant, Fault, Motion, Scaled, Sum, origin_of
from groundshift.synth.radar import Radar
from groundshift.synth.series import Decay, acquire_series
from groundshift.synth.slides import Landslide

SIZE, DATES, REVISIT, PIXEL = 512, 12, 12, 10.0
NETWORKS = (3, 11)
"""Images that follow and make pairs; the last is all."""
EVENT, SLIP = 6, 2.0
"""Date from which on the ground has jumped, and by how many pixels."""
STEP, SEASON = 0.25, 0.1
"""Pixels from date to date in the middle of the slide: mean, and how much it varies."""
EDGE = 12
"""Cells along the sides that do not count."""
SLIDE = Landslide(
    speed=1.0,
    centre=(150.0, 250.0),
    direction=0.6,
    half_axes=(110.0, 60.0),
    outline=((2, 0.1, 0.3),),
    shear=0.3,
    margin=8.0,
)
FAULT = Fault(slip=SLIP, centre=(390.0, 256.0), strike=0.1, depth=60.0)
DECAY = Decay(torch.tensor(0.3), torch.tensor(90.0))
NOISE = 0.2
"""Of the optical images, a share of their contrast."""
GNSS = 0.003
"""Standard deviation of a station, metres."""
PLACES = {"slide": (150, 250), "left of the fault": (360, 120), "right of the fault": (430, 400)}
SHARES = (0.9945, 1.96)
AROUND, ALIKE = 32, 0.25
"""Pixels each way within which displacements differ by less, where the motion is called smooth."""

TITLE = "From images to histories"
TEXT = f"""{DATES} simulated images of {SIZE} px, {REVISIT} days apart: a landslide of
{STEP - SEASON:g} to {STEP + SEASON:g} px from date to date, and a fault that slips by {SLIP:g} px
before date {EVENT + 1}. Radar: speckle of .4 cycles per pixel whose coherence falls to .3 for good,
in 90 days; optical: 1/f texture with {100 * NOISE:.0f} % noise of its own in each image.
`groundshift stack` (each image with the next {NETWORKS[0]}, or all pairs; a result each 4 px, ±8
px), `invert`, `fit --find` and `compare`. The history of a place is that of the ground that passes
it: the truth sums from date to date what is there on the first of both. Errors are of both
components, pixels, {4 * EDGE} px along the sides not counted; "smooth" is where displacements
within {AROUND} px differ by less than {ALIKE} px, the rest is beside the fault and the margins of
the slide. "Direct" are pairs of the first date with each of the others, which tell the same as the
dates do; "by the law" is what the errors of the pairs would leave at the dates if they were
independent. Closure is 1 where they are, and the sigma of the pairs is right; near 0 pairs agree
with each other, and err together: by what an image has of its own, or by speckle that changes from
date to date. Stations go with the ground, and measure with {1000 * GNSS:g} mm."""


def motions() -> list[Motion]:
    """Displacement since the first date."""
    found: list[Motion] = []
    for k in range(DATES):
        far = STEP * k + SEASON * DATES / 6.283 * np.sin(6.283 * k / DATES)
        jump = Scaled(FAULT, 1.0) if k >= EVENT else Constant(0.0, 0.0)
        found.append(Sum((Scaled(SLIDE, float(far)), jump)))
    return found


def radar(moved: list[Motion]) -> list[Tensor]:
    """Speckle of each date."""
    generator = torch.Generator().manual_seed(91)
    days = [float(REVISIT * k) for k in range(DATES)]
    return acquire_series(
        Radar(bandwidth=0.4), torch.tensor(1.0), DECAY, days, moved, SIZE, generator
    )


def optical(moved: list[Motion]) -> list[Tensor]:
    """Texture of each date."""
    fine, generator = oversampled(spectrum(SIZE, 92)), torch.Generator().manual_seed(93)
    rows = torch.arange(SIZE, dtype=torch.float64)
    y, x = torch.meshgrid(rows, rows, indexing="ij")
    images = []
    for motion in moved:
        py, px, _ = origin_of(motion, y, x)
        noise = NOISE * CONTRAST * torch.randn(SIZE, SIZE, generator=generator)
        images.append(periodic(fine, 2 * py, 2 * px) + noise + BRIGHTNESS)
    return images


def write(images: list[Tensor], folder: Path) -> list[Path]:
    """Write GeoTIFFs with dates in their names."""
    paths = []
    for day, image in zip(days(), images, strict=True):
        path = folder / f"image_{str(day)[:10].replace('-', '')}.tif"
        profile = {"driver": "GTiff", "width": SIZE, "height": SIZE, "count": 1, "dtype": "float32"}
        profile |= {
            "crs": "EPSG:32633",
            "transform": rasterio.Affine(PIXEL, 0, 5e5, 0, -PIXEL, 5e6),
        }
        with rasterio.open(path, "w", **profile) as file:
            file.write(image.numpy(), 1)
        paths.append(path)
    return paths


def days() -> np.ndarray:
    """Dates."""
    return np.datetime64("2020-01-05") + REVISIT * np.arange(DATES).astype("timedelta64[D]")


def moves(motion: Motion, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """East and north, pixels, (2, ...)."""
    dy, dx = motion(*(torch.from_numpy(np.asarray(plane, float)) for plane in (y, x)))
    return np.stack([dx.numpy(), -dy.numpy()])


def passing(moved: list[Motion], y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """How far the ground that passes places went since the first date, (dates, 2, ...)."""
    parts = [moves(Between(one, other), y, x) for one, other in pairwise(moved)]
    return np.cumsum([np.zeros_like(parts[0]), *parts], 0)


def cells(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the centres of cells, pixels."""
    rows, columns = (np.arange(dataset.sizes[axis]) * 4 + 1.5 for axis in ("y", "x"))
    found = np.meshgrid(rows, columns, indexing="ij")
    return found[0], found[1]


def inner(planes: np.ndarray) -> np.ndarray:
    """What lies away from the sides."""
    return planes[..., EDGE:-EDGE, EDGE:-EDGE]


def smooth(moved: list[Motion], y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whether the displacement of the last date is alike all around."""
    last, side = moves(Between(moved[0], moved[-1]), y, x), 2 * AROUND // 4 + 1
    spread = [maximum_filter(plane, side) - minimum_filter(plane, side) for plane in last]
    return np.maximum(*spread) < ALIKE


def rms(values: np.ndarray) -> float:
    """Root mean square of what is known."""
    return float(np.sqrt(np.nanmean(values**2)))


def law(following: int) -> float:
    """Standard deviation of a date, of pairs of unit variance; root mean square over dates."""
    pairs = [(i, j) for i, j in combinations(range(DATES), 2) if j - i <= following]
    design = np.zeros((len(pairs), DATES))
    for row, (i, j) in zip(design, pairs, strict=True):
        row[i], row[j] = -1, 1
    inverse = np.linalg.inv(design[:, 1:].T @ design[:, 1:])
    return float(np.sqrt(np.mean(np.diag(inverse))))


def gnss(moved: list[Motion]) -> list[Station]:
    """Stations that go with the ground."""
    back = Transformer.from_crs(CRS("EPSG:32633"), CRS("EPSG:4326"), always_xy=True)
    rng, found = np.random.default_rng(94), []
    for name, (row, column) in PLACES.items():
        where = back.transform(5e5 + PIXEL * (column + 0.5), 5e6 - PIXEL * (row + 0.5))
        metres = PIXEL * np.stack([moves(each, np.array(row), np.array(column)) for each in moved])
        values = np.concatenate([metres, np.zeros((DATES, 1))], 1)
        values += rng.normal(0, GNSS, values.shape)
        times = days().astype("datetime64[ns]")
        found.append(Station(name, *where, times, values, np.full(values.shape, GNSS)))
    return found


def rows_of(
    kind: str, images: list[Tensor], moved: list[Motion], following: int
) -> tuple[list[list[Value]], list[Value]]:
    """Run everything on the images of a sensor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        opened = [groundshift.open_image(path) for path in write(images, folder)]
        options = {"radiometry": "amplitude" if kind == "radar" else "optical", "search": 8}
        cube = groundshift.stack(opened, folder / "pairs.zarr", following=following, **options)
        far = groundshift.stack(
            opened,
            folder / "direct.zarr",
            pairs=[(opened[0].time.values, each.time.values) for each in opened[1:]],
            **options,
        )
        table = api.quality(cube)
        with tile.computing(progress=False):
            series = groundshift.invert(cube).compute()
            fitted = groundshift.fit(cube, find=True).compute()
        places, network = cells(series), timeseries.dates_of(cube).network
        single = np.stack([cube.dx.values, cube.dy.values], 1) / PIXEL
        single -= [moves(Between(moved[i], moved[j]), *places) for i, j in network.pairs]
        direct = np.stack([far.dx.values, far.dy.values], 1) / PIXEL
        direct -= [moves(Between(moved[0], each), *places) for each in moved[1:]]
        found = np.stack([series.dx.values, series.dy.values], 1) / PIXEL
        found -= passing(moved, *places)
        sigma = np.stack([series.sigma_dx.values, series.sigma_dy.values], 1) / PIXEL
        ratio = np.abs(found[1:] / sigma[1:])
        agreed = stations.compare(series, gnss(moved), radius=30)
        calm = smooth(moved, *places)
    closure = float(np.nanmedian(table["closure"].values)) / 0.6745
    first: list[list[Value]] = []
    for where, there in (("everywhere", np.ones_like(calm)), ("smooth", calm)):
        pair, date, held, long = (
            inner(np.where(there, planes, np.nan)) for planes in (single, found[1:], ratio, direct)
        )
        shares = [float((held[np.isfinite(held)] <= limit).mean()) for limit in SHARES]
        errors = [rms(pair), rms(long), rms(date), rms(pair) * law(following)]
        typical = [float(np.nanmedian(np.abs(part))) for part in (pair, long, date)]
        first.append([kind, len(network.pairs), where, *errors, *typical, *shares, closure])
    second: list[Value] = [kind, len(network.pairs), fitted.attrs["found_step"]]
    second += [max(one.rmse for one in agreed if one.station == place) for place in PLACES]
    return first, second


def tables() -> list[Table]:
    """Measure both."""
    moved = motions()
    seen = {"radar": radar(moved), "optical": optical(moved)}
    found = [rows_of(kind, seen[kind], moved, each) for kind in seen for each in NETWORKS]
    columns = (
        "images",
        "number of pairs",
        "where",
        "pairs: RMSE px",
        "direct",
        "dates",
        "by the law",
        "pairs: median of absolute errors",
        "direct",
        "dates",
        "68 %",
        "95 %",
        "closure",
    )
    names = (
        "images",
        "number of pairs",
        "jump found between",
        *(f"{place}: RMSE m" for place in PLACES),
    )
    return [
        Table("Errors", columns, [row for rows, _ in found for row in rows]),
        Table("Event and stations", names, [second for _, second in found]),
    ]
