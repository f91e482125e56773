"""Memory and time of an inversion that is far larger than memory, simulated as it is read."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import groundshift
from benchmarks.memory import resident
from benchmarks.report import Table, Value
from groundshift import process, tile, timeseries
from groundshift.grid import coordinates

DATES, PAIRS, REVISIT, CHUNK = 40, 500, 12, 128
NOISE, SPEED = 0.3, 5.0
"""Metres of a pair, and metres a year."""
MEMORY = 2 << 30
RUNS = (("none", (1250, 2500, 5000)), ("tukey", (625, 1250)))
"""Losses, and cells along each side."""
LOOKED_AT = 4
"""Places along the diagonal where the result is compared with the truth."""

TITLE = "A stack far larger than memory"
TEXT = f"""`groundshift.invert(cube, memory=2 GiB)` of {PAIRS} pairs of {DATES} dates,
{REVISIT} days apart, saved as Zarr: ground that moves by {SPEED:g} m a year, as it likes, with
noise of {NOISE:g} m in each pair. The pairs are made when they are read, in chunks of {CHUNK} x
{CHUNK} cells; at 5000 cells along each side they are {PAIRS * 4 * 4 * 5000**2 / 1e9:.0f} GB. Peak
resident memory of the process, torch and all, sampled every 0.2 s; loss "none" is weighted least
squares, "tukey" the default. The error is that of positions, of least squares in theory and as
found."""


def network() -> list[tuple[int, int]]:
    """Each date with those that follow, the nearest first."""
    every = [(i, j) for i in range(DATES) for j in range(i + 1, DATES)]
    return sorted(sorted(every, key=lambda pair: (pair[1] - pair[0], pair))[:PAIRS])


def speed(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Metres a year."""
    return SPEED * np.sin(rows[:, None] / 300) * np.cos(columns / 400)


def cube(side: int) -> xr.Dataset:
    """Simulate, lazily."""
    grid = GeoBox((side, side), Affine(10, 0, 5e5, 0, -10, 6e6), "EPSG:32633")
    pairs = np.array(network())
    years = (pairs[:, 1] - pairs[:, 0]) * REVISIT / 365.2425
    noise = NOISE * np.random.default_rng(1).standard_normal((PAIRS, CHUNK, CHUNK), np.float32)

    def made(turn: int, block_info: dict | None = None) -> np.ndarray:
        (_, _), (top, bottom), (left, right) = (block_info or {})[None]["array-location"]
        there = speed(np.arange(top, bottom), np.arange(left, right))
        own = np.roll(noise, (top // CHUNK * 7 + turn, left // CHUNK * 5), (1, 2))
        own = own[:, : bottom - top, : right - left]
        return (years[:, None, None] * there + own).astype(np.float32)

    chunks = da.core.normalize_chunks((PAIRS, CHUNK, CHUNK), (PAIRS, side, side))
    one = {"chunks": chunks, "dtype": np.float32, "meta": np.empty((0, 0, 0), np.float32)}
    planes = {name: da.map_blocks(made, turn, **one) for turn, name in enumerate(("dx", "dy"))}
    sigma = da.full((PAIRS, side, side), np.float32(NOISE), chunks=chunks)
    days = np.datetime64("2020-01-05", "ns") + REVISIT * np.arange(DATES).astype("timedelta64[D]")
    whole = {**planes, "sigma_dx": sigma, "sigma_dy": sigma}
    return xr.Dataset(
        {name: (("pair", "y", "x"), plane) for name, plane in whole.items()},
        coords=coordinates(grid)
        | {
            "reference_time": ("pair", days[pairs[:, 0]]),
            "secondary_time": ("pair", days[pairs[:, 1]]),
        },
        attrs={"schema": timeseries.CUBE, "stride": 1},
    )


def law() -> float:
    """Standard deviation of a position, root mean square over dates but the first."""
    design = np.zeros((PAIRS, DATES))
    for row, (i, j) in zip(design, network(), strict=True):
        row[i], row[j] = -1, 1
    inverse = np.linalg.inv(design[:, 1:].T @ design[:, 1:])
    return NOISE * float(np.sqrt(np.mean(np.diag(inverse))))


def error(path: Path, side: int) -> float:
    """Root mean square of the errors of positions along x, in places along the diagonal."""
    series, squares = groundshift.open_field(path), []
    years = (series.time - series.time[0]).values / timeseries.YEAR
    for start in np.linspace(0, side - CHUNK, LOOKED_AT).astype(int):
        cut = slice(start, start + CHUNK)
        there = speed(np.arange(cut.start, cut.stop), np.arange(cut.start, cut.stop))
        found = series.dx[1:, cut, cut].values - years[1:, None, None] * there
        squares.append(np.mean(found**2))
    return float(np.sqrt(np.mean(squares)))


def tables() -> list[Table]:
    """Run each in a process of its own."""
    rows: list[list[Value]] = []
    for loss, sides in RUNS:
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "history.zarr"
                words = (sys.executable, "-m", "benchmarks.cubes", loss, str(side), str(out))
                began, peak = time.monotonic(), 0.0
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                running = subprocess.Popen(words)
                while running.poll() is None:
                    peak = max(peak, resident(running.pid))
                    time.sleep(0.2)
                if running.returncode:
                    raise RuntimeError(f"the inversion ended with {running.returncode}")
                taken = time.monotonic() - began
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                spent = sum(
                    getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime")
                )
                rate = spent / side**2 * 1e6
                rows.append([loss, side, peak, taken, spent, rate, error(out, side), law()])
    columns = (
        "loss",
        "cells along each side",
        "peak GiB",
        "seconds",
        "CPU s",
        "CPU s per million cells",
        "RMSE m",
        "in theory",
    )
    return [Table("Inversions", columns, rows)]


def main() -> None:
    """Invert one cube: loss, cells along each side, output."""
    loss, side, out = sys.argv[1:]
    process.prepare()
    with tile.computing(progress=False):
        found = groundshift.invert(cube(int(side)), loss=loss, memory=MEMORY)
        groundshift.save(found, out)


if __name__ == "__main__":
    main()
