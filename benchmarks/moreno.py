"""Perito Moreno on five dates: all ten pairs, whether they agree, and how fast the glacier was."""

import os
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import groundshift
from benchmarks.report import Plot, Table, Value
from groundshift import api, tile
from groundshift.quality.cells import nmad

FOLDER = Path(os.environ.get("GROUNDSHIFT_PAIRS", "../shared/data/pairs"))
FILES = [
    FOLDER / "glacier_perito_moreno_s2" / f"{date}.jpg"
    for date in ("20200101", "20200207", "20200220", "20200227", "20200313")
]
PIXEL, DAY = 6.0, np.timedelta64(1, "D")
"""Metres, about: the images tell no coordinates."""
STRIDE = 8
PLACES = {"upper": (850, 330), "middle": (500, 800), "tongue": (300, 1400), "margin": (250, 800)}
"""Rows and columns, pixels."""
RATES = "velocity_x", "velocity_y"
SHOWN = 0.15
"""Largest sigma of a place that the table of closure counts, pixels."""

TITLE = "Perito Moreno through time"
TEXT = f"""Five images of Sentinel-2 (`GROUNDSHIFT_PAIRS`, no part of the package), all ten pairs of
`groundshift stack` with the default matcher and a result each {STRIDE} px, `groundshift invert` and
`groundshift fit`. Around a triangle of dates the displacement of two pairs less that of the third
is zero but for errors, and for the way by which the ice left the place meanwhile; pixels are about
{PIXEL:g} m. "Within" are the shares of triangles whose sum is below one and 1.96 of the sigma that
their pairs promise, where that is at most {SHOWN} px for each."""


def triangles(cube: xr.Dataset) -> list[list[Value]]:
    """Say for each triangle of dates how well its pairs agree."""
    pairs = list(
        zip(cube.reference_time.values.tolist(), cube.secondary_time.values.tolist(), strict=True)
    )
    dates = sorted({date for pair in pairs for date in pair})
    moved = np.stack([cube.dx.values, cube.dy.values])
    sigma = np.stack([cube.sigma_dx.values, cube.sigma_dy.values])
    rows: list[list[Value]] = []
    for i, j, k in combinations(dates, 3):
        one, two, both = (pairs.index(pair) for pair in ((i, j), (j, k), (i, k)))
        total = moved[:, one] + moved[:, two] - moved[:, both]
        parts = sigma[:, [one, two, both]]
        good = np.isfinite(total) & (parts.max(1) < SHOWN)
        total, promised = total[good], np.sqrt((parts**2).sum(1))[good]
        ratio = np.abs(total) / promised
        days = [str(np.datetime64(date, "ns").astype("M8[D]")) for date in (i, j, k)]
        rows.append(
            [
                ", ".join(days),
                float(np.median(total)),
                nmad(total),
                float(np.quantile(np.abs(total), 0.95)),
                float((ratio <= 1).mean()),
                float((ratio <= 1.96).mean()),
                int(good.sum()),
            ]
        )
    return rows


def speeds(cube: xr.Dataset, fitted: xr.Dataset) -> list[list[Value]]:
    """Compare the rate at places with the velocity of every pair there."""
    days = (cube.secondary_time.values - cube.reference_time.values) / DAY
    single = np.hypot(cube.dx.values, cube.dy.values) / days[:, None, None] * PIXEL
    rows: list[list[Value]] = []
    for name, (row, column) in PLACES.items():
        cell = row // STRIDE, column // STRIDE
        rate = [float(fitted[each].values[cell]) * PIXEL / 365.2422 for each in RATES]
        sigma = [float(fitted[f"sigma_{each}"].values[cell]) * PIXEL / 365.2422 for each in RATES]
        of_pairs = single[:, cell[0], cell[1]]
        rows.append(
            [
                name,
                float(np.hypot(*rate)),
                float(np.hypot(*sigma)),
                float(np.nanmin(of_pairs)),
                float(np.nanmedian(of_pairs)),
                float(np.nanmax(of_pairs)),
            ]
        )
    return rows


def drawn(fitted: xr.Dataset) -> Figure:
    """Draw the velocity and its sigma."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for panel, names, title, limit in (
        (left, RATES, "velocity, m/day", None),
        (right, [f"sigma_{each}" for each in RATES], "sigma, m/day", 0.05),
    ):
        size = np.hypot(*(fitted[each].values for each in names)) * PIXEL / 365.2422
        shown = panel.imshow(size, vmin=0, vmax=limit, cmap="viridis", interpolation="none")
        figure.colorbar(shown, ax=panel, shrink=0.8)
        panel.set_title(title, fontsize=9)
        panel.set_axis_off()
    return figure


def tables() -> list[Table]:
    """Measure what is there."""
    if missing := [str(file) for file in FILES if not file.exists()]:
        sys.exit(f"{missing[0]} is missing; set GROUNDSHIFT_PAIRS to the folder of real pairs")
    images = [groundshift.open_image(file, band="green") for file in FILES]
    with tempfile.TemporaryDirectory() as folder, tile.computing(progress=False):
        cube = groundshift.stack(
            images,
            Path(folder) / "pairs.zarr",
            longest=100,
            stride=STRIDE,
            matcher="default",
        )
        quality = api.quality(cube)
        series = groundshift.invert(cube).compute()
        fitted = groundshift.fit(cube).compute()
        agreed, places = triangles(cube), speeds(cube, fitted)
        closure = float(np.nanmedian(quality["closure"].values)) / 0.6745
    last = np.hypot(series.dx.values[-1], series.dy.values[-1])
    whole: list[Value] = [
        float(np.isfinite(last).mean()),
        float(np.nanmedian(last)),
        float(np.nanquantile(last, 0.95)),
        float(np.nanmedian(series.sigma_dx.values[-1])),
        float(np.nanmedian(series.misfit.values)),
        closure,
    ]
    names = ("measured", "moved, median px", "95th percentile px", "sigma px", "misfit", "closure")
    sums = ("dates", "median px", "NMAD px", "P95 px", "within 1", "within 1.96", "values")
    rates = ("place", "m/day", "sigma", "of pairs: least", "median", "most")
    return [
        Table("From 2020-01-01 to 2020-03-13", names, [whole]),
        Table("Triangles of dates", sums, agreed),
        Table("Speed", rates, places, plot=Plot("velocity", drawn(fitted), "Perito Moreno")),
    ]
