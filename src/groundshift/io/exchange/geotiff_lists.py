"""Stacks and histories as folders of cloud-optimised GeoTIFFs, both dates in each name."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groundshift import timeseries
from groundshift.errors import OutputError
from groundshift.field import DISPLACEMENTS
from groundshift.grid import geobox_of
from groundshift.io.exchange.labels import label_field
from groundshift.io.fields import save

TILE = 2048
"""Rows and columns that are converted at a time."""


def write_stack(folder: Path, cube: xr.Dataset) -> None:
    """Write the field of each pair, ``20160711_20160723.tif``."""
    first, second = (cube[name].values for name in timeseries.TIMES)
    for number, name in enumerate(_names(first, second)):
        _save(cube.isel(pair=number), first[number], second[number], folder / name)


def write_series(folder: Path, series: xr.Dataset) -> None:
    """Write the displacement from the reference date to each other date, where it is not 0."""
    times = series["time"].values
    start = series["reference_time"].values
    others = np.flatnonzero(times != start)
    names = _names(np.full(others.size, start), times[others])
    for number, name in zip(others, names, strict=True):
        _save(series.isel(time=number), start, times[number], folder / name)


def _save(one: xr.Dataset, first: Any, second: Any, path: Path) -> None:
    tiles = one[[name for name in DISPLACEMENTS if name in one]].chunk({"y": TILE, "x": TILE})
    planes = {str(name): variable.variable for name, variable in tiles.data_vars.items()}
    whole = label_field(planes, first, second, geobox_of(one), "a stack")
    known = ("matcher", "stride", "history", "inversion")
    attrs = {name: one.attrs[name] for name in known if name in one.attrs}
    save(whole.assign_attrs(attrs), path)


def _names(first: np.ndarray, second: np.ndarray) -> list[str]:
    """Call each by its days, with the time of day where days are not enough."""
    for digits in (10, 19):
        days = [[str(day)[:digits] for day in side] for side in (first, second)]
        names = [f"{a}_{b}.tif" for a, b in zip(*days, strict=True)]
        if len(set(names)) == len(names) and not any(a == b for a, b in zip(*days, strict=True)):
            return [name.replace("-", "").replace(":", "") for name in names]
    raise OutputError("two pairs are of the same two dates; leave one of them out")
