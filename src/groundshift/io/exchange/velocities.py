"""What the cubes of ITS_LIVE and TICOI have in common: velocities of pairs, in time-major chunks.

A metre per year is one in 365 days: autoRIFT, which ITS_LIVE is made with, counts 365 x 24 x 3600
seconds, and TICOI 365 days.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio.crs
import xarray as xr
from dask import config
from odc.geo.geobox import GeoBox
from pyproj import CRS

from groundshift import timeseries
from groundshift.errors import GridError, ImageError
from groundshift.grid import geobox_of
from groundshift.io import cf
from groundshift.io.exchange.labels import DAY, check_dates, grid_of, label_cube
from groundshift.io.exchange.scaled import scaled, spread
from groundshift.io.scratch import TYPE

YEAR = 365 * DAY
PER_YEAR = {"m/y", "m/yr", "m/a", "m/year", "meter/year", "meters/year", "m year-1", "m yr-1"}
PER_DAY = {"m/d", "m/day", "meter/day", "m day-1", "m d-1"}
CHUNK = 1 << 22
"""Bytes of a chunk, roughly: a few cells at all dates."""
BLOCK = 1 << 28
"""Bytes of a block that is converted at a time, at most where cells are so few."""
SIDES = (8, 128)
"""Cells along each side of a chunk, at least and at most."""


def per(dataset: xr.Dataset, name: str) -> np.timedelta64:
    """Return the time in which the velocities of a file make metres.

    Raises
    ------
    ImageError
        If it does not say so.
    """
    found = [
        str(dataset[each].attrs.get("units", dataset[each].attrs.get("unit", ""))).strip().lower()
        for each in ("vx", "vy")
    ]
    for time, known in ((YEAR, PER_YEAR), (DAY, PER_DAY)):
        if known.issuperset(found):
            return time
    raise ImageError(
        f"{name} does not say the units of vx and vy in a way that is known "
        f"({' and '.join(each or 'none' for each in found)}); set their attribute units to m/year "
        "or m/day"
    )


def read(
    path: Path, dataset: xr.Dataset, dates: tuple[str, str], errors: dict[str, str], crs: CRS
) -> xr.Dataset:
    """Return a cube of velocities as a stack of pairs; lazily.

    Parameters
    ----------
    dates
        Names of the variables of both dates.
    errors
        Names of those of the standard deviations, of each pair or each cell, by x and y.

    Raises
    ------
    ImageError
        If dates or units are unknown.
    """
    if any(dataset[name].dtype.kind != "M" for name in dates):
        raise ImageError(
            f"{' and '.join(dates)} of {path.name} are no dates; write them as times of CF, such "
            "as days since 1970-01-01"
        )
    first, second = (dataset[name].values.astype("datetime64[ns]") for name in dates)
    check_dates(first, second, path.name)
    grid = grid_of(dataset["x"].values, dataset["y"].values, crs, path.name)
    share = (second - first) / per(dataset, path.name)
    planes = {f"d{axis}": scaled(_stack(dataset[f"v{axis}"]), share) for axis in "xy"}
    for axis, name in errors.items():
        if name not in dataset:
            continue
        error = dataset[name]
        planes[f"sigma_d{axis}"] = (
            scaled(_stack(error), abs(share))
            if error.ndim == 3
            else spread(error.values * abs(share), (grid.shape.y, grid.shape.x))
        )
    return label_cube(planes, first, second, grid, path.name)


def mapping_of(grid: GeoBox) -> xr.DataArray:
    """Return the variable that tells the grid, as ITS_LIVE writes it.

    Raises
    ------
    GridError
        If the grid has no reference system, or is turned.
    """
    crs = upright(grid)
    attrs = crs.to_cf() | {
        "spatial_ref": crs.to_wkt("WKT1_GDAL"),
        "proj4text": rasterio.crs.CRS.from_wkt(crs.to_wkt()).to_proj4(),
        "GeoTransform": " ".join(f"{value:.17g}" for value in grid.affine.to_gdal()),
    }
    if code := crs.to_epsg(min_confidence=100):
        attrs["spatial_epsg"] = code
    return xr.DataArray(np.int32(0), attrs={k: v for k, v in attrs.items() if v is not None})


def upright(grid: GeoBox) -> CRS:
    """Return the reference system of a grid with rows along x."""
    if grid.crs is None or not grid.axis_aligned:
        raise GridError(
            "only what is on a map, with rows along x, fits that format; export it as csv, or "
            "georeference the images first"
        )
    return grid.crs.proj


def chunked(cube: xr.Dataset, name: str, factor: np.ndarray) -> xr.Variable:
    """Return a variable of a cube, times a number for each pair, in blocks of all pairs."""
    source = cube[name].variable
    lazy = scaled(xr.Variable(("mid_date", "y", "x"), source), factor)
    side = _block(cube)
    return lazy.chunk({"mid_date": -1, "y": side, "x": side})


def write(path: Path, dataset: xr.Dataset) -> None:
    """Write a cube of velocities, netCDF or Zarr version 2, which ITS_LIVE uses."""
    sizes = dataset.sizes
    side = _side(sizes["mid_date"])
    shape = (sizes["mid_date"], min(side, sizes["y"]), min(side, sizes["x"]))
    netcdf = path.suffix.lower() == ".nc"
    for variable in dataset.data_vars.values():
        variable.encoding.setdefault("_FillValue", None)
        if variable.ndim < 3:
            continue
        variable.encoding = {"_FillValue": np.float32("nan"), "dtype": TYPE}
        if netcdf:
            variable.encoding |= {"zlib": True, "complevel": 4, "shuffle": True}
        variable.encoding["chunksizes" if netcdf else "chunks"] = shape
    for name in ("x", "y"):
        dataset[name].encoding = {"_FillValue": None}
    for variable in dataset.variables.values():
        if variable.dtype.kind == "M":
            variable.encoding = dict(cf.TIME)
    with config.set(scheduler="synchronous"):
        if netcdf:
            whole = sum(v.nbytes for v in dataset.data_vars.values())
            cf.reserve(path.with_suffix(".reserve"), whole)
            dataset.to_netcdf(path, engine="h5netcdf")
        else:
            dataset.to_zarr(path, mode="w", zarr_format=2, consolidated=True)


def coordinates_of(cube: xr.Dataset) -> dict[str, xr.Variable]:
    """Return x and y, as they are."""
    geobox_of(cube)
    return {name: cube[name].variable for name in ("y", "x")}


class Spans(NamedTuple):
    """Of pairs, forward in time: a velocity is the same whichever image came first."""

    first: np.ndarray
    second: np.ndarray
    factor: np.ndarray
    """That makes velocities of displacements."""


def spans(cube: xr.Dataset, unit: str = "ns") -> Spans:
    """Return the dates of each pair, in this unit of time."""
    timeseries.dates_of(cube)
    first, second = (cube[name].values.astype(f"datetime64[{unit}]") for name in timeseries.TIMES)
    with np.errstate(divide="ignore"):
        factor = YEAR / (second - first)
    return Spans(np.minimum(first, second), np.maximum(first, second), factor)


def _side(pairs: int) -> int:
    return int(np.clip(np.sqrt(CHUNK / (pairs * TYPE.itemsize)), *SIDES))


def _block(cube: xr.Dataset) -> int:
    """Return cells along each side of a block: whole chunks, about as wide as those of a stack."""
    pairs = cube.sizes["pair"]
    side = _side(pairs)
    many = min(SIDES[1], int(np.sqrt(BLOCK / (pairs * TYPE.itemsize))))
    return max(1, many // side) * side


def _stack(variable: xr.DataArray) -> xr.Variable:
    return xr.Variable(("pair", "y", "x"), variable.variable.transpose("mid_date", "y", "x"))
