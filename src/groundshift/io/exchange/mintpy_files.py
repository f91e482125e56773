"""Stacks and histories as MintPy reads them, with the meaning that offsets of COSI-Corr have.

What they are is said in :mod:`groundshift.io.exchange.mintpy`.
"""

from pathlib import Path

import h5py
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from groundshift import timeseries
from groundshift.errors import OutputError
from groundshift.grid import geobox_of
from groundshift.inversion import Network
from groundshift.io import cf
from groundshift.io.exchange.mintpy import AXES, files_of
from groundshift.io.exchange.scaled import scaled
from groundshift.io.exchange.velocities import upright
from groundshift.io.scratch import TYPE

ROWS = 512
"""Rows that are converted at a time, of one plane."""


def write_stack(path: Path, cube: xr.Dataset) -> None:
    """Write a stack of pairs as ``ifgramStack.h5``; pairs go forward in time."""
    dates = timeseries.dates_of(cube)
    days, about = _days(dates.times)
    pairs = np.array(dates.network.pairs)
    sign = np.where(pairs[:, 0] < pairs[:, 1], 1.0, -1.0)
    planes = {
        f"{theirs}Offset{end}": scaled(cube[f"{ours}{axis}"].variable, factor)
        for axis, theirs in AXES.items()
        for ours, end, factor in (("d", "", sign), ("sigma_d", "Std", abs(sign)))
    }
    more = {
        "date": days[np.sort(pairs, 1)],
        "dropIfgram": np.ones(len(pairs), bool),
        "bperp": np.zeros(len(pairs), np.float32),
    }
    attrs = _attrs(geobox_of(cube), "ifgramStack") | about
    first, last = (day.decode() for day in days[[0, -1]])
    _write(path, planes, more, attrs | {"DATE12": f"{first[2:8]}-{last[2:8]}"})


def write_series(path: Path, series: xr.Dataset) -> None:
    """Write both components of a series; ``std`` is their standard deviation, which is our own."""
    times = series["time"].values.astype("datetime64[ns]")
    days, about = _days(times)
    number = timeseries.nearest(
        timeseries.Dates(times, Network(len(times), ())), series["reference_time"].values
    )
    more = {"date": days, "bperp": np.zeros(len(times), np.float32)}
    attrs = _attrs(geobox_of(series), "timeseries") | about | {"REF_DATE": days[number].decode()}
    for axis, file in files_of(path).items():
        planes = {
            name: scaled(series[f"{ours}{axis}"].variable, np.ones(len(times)))
            for name, ours in (("timeseries", "d"), ("std", "sigma_d"))
        }
        _write(file, planes, more, attrs)


def _write(
    path: Path, planes: dict[str, xr.Variable], more: dict[str, np.ndarray], attrs: dict[str, str]
) -> None:
    shape = next(iter(planes.values())).shape
    cf.reserve(path.with_suffix(".reserve"), len(planes) * int(np.prod(shape)) * TYPE.itemsize)
    chunks = (1, *(min(ROWS, n) for n in shape[1:]))
    with h5py.File(path, "w") as file:
        file.attrs.update(attrs)
        for name, values in more.items():
            file[name] = values
        for name, plane in planes.items():
            data = file.create_dataset(
                name, shape, TYPE, chunks=chunks, compression="gzip", shuffle=True
            )
            for number in range(shape[0]):
                for top in range(0, shape[1], ROWS):
                    rows = slice(top, min(top + ROWS, shape[1]))
                    data[number, rows] = plane[number, rows].values


def _attrs(grid: GeoBox, kind: str) -> dict[str, str]:
    """Say what a file is and where, as MintPy does of COSI-Corr."""
    crs = upright(grid)
    code = crs.to_epsg()
    if code is None:
        raise OutputError(
            f"MintPy knows reference systems by their EPSG code and {crs.name} has none; choose "
            "another format, such as ticoi or geotiffs"
        )
    affine, unit = grid.affine, "degrees" if crs.is_geographic else "meters"
    attrs = {
        "FILE_TYPE": kind,
        "PROCESSOR": "cosicorr",
        "UNIT": "m",
        "LENGTH": grid.shape.y,
        "WIDTH": grid.shape.x,
        "X_FIRST": f"{affine.c:.17g}",
        "Y_FIRST": f"{affine.f:.17g}",
        "X_STEP": f"{affine.a:.17g}",
        "Y_STEP": f"{affine.e:.17g}",
        "X_UNIT": unit,
        "Y_UNIT": unit,
        "EPSG": code,
        "RANGE_PIXEL_SIZE": f"{abs(affine.a):.17g}",
        "AZIMUTH_PIXEL_SIZE": f"{abs(affine.e):.17g}",
        "RLOOKS": 1,
        "ALOOKS": 1,
        "P_BASELINE_TOP_HDR": 0,
        "P_BASELINE_BOTTOM_HDR": 0,
    }
    if crs.utm_zone:
        attrs["UTM_ZONE"] = crs.utm_zone
    return {name: str(value) for name, value in attrs.items()}


def _days(times: np.ndarray) -> tuple[np.ndarray, dict[str, str]]:
    """Write dates as MintPy does: days and one time of day for all, minutes where that differs."""
    days = times.astype("datetime64[D]")
    seconds = (times - days) / np.timedelta64(1, "s")
    if np.ptp(seconds) < 60 and len(set(days)) == len(days):
        text = [day.replace("-", "") for day in days.astype(str)]
        return np.array(text, "S8"), {"CENTER_LINE_UTC": f"{np.median(seconds):.6f}"}
    text = [str(time)[:16] for time in times]
    if len(set(text)) < len(text):
        raise OutputError("MintPy counts in minutes, and two images are of one; leave one out")
    short_ones = [each.replace("-", "").replace(":", "") for each in text]
    return np.array(short_ones, "S13"), {"CENTER_LINE_UTC": "0"}
