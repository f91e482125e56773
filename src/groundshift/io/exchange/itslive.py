"""Velocities of ITS_LIVE: cubes of pairs (Zarr, netCDF) and the netCDF file of one pair.

Variables ``vx, vy`` are along x and y of the map, dims (mid_date, y, x), with dates and one error
for each pair; 16-bit integers with -32767 for no data, which xarray decodes. After the files
themselves and its_live_production. Centres of cells are ``x, y``; the GeoTransform of a pair begins
at the centre of its first cell and not, as elsewhere, at the corner, and is not used. What we write
is like that but for the latter, in single precision, and has the standard deviation of each cell as
well, ``sigma_vx, sigma_vy``.

autoRIFT takes the stretch of the projection out: metres are those on the ground, along the axes of
the map. They are taken as they are, which in polar stereographic differs by up to 3 %.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groundshift.errors import ImageError
from groundshift.grid import geobox_of
from groundshift.io.exchange import velocities
from groundshift.io.exchange.labels import DAY, check_dates, crs_of, grid_of, label_field

INFO, DATES = "img_pair_info", ("acquisition_date_img1", "acquisition_date_img2")
MAPPINGS = ("mapping", "Polar_Stereographic", "UTM_Projection")
"""Names of the variable of the grid, the older ones last."""
CELLS = 1000
"""Rows and columns of a pair that its one error is told from, at most."""


def matches(dataset: xr.Dataset) -> bool:
    """Whether a file is of this kind."""
    names = set(dataset.variables)
    return {"vx", "vy"} <= names and (INFO in names or set(DATES) <= names)


def read(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    """Return a cube as a stack of pairs, the file of a pair as a field; lazily.

    Raises
    ------
    ImageError
        If dates or units are unknown.
    """
    return _pair(path, dataset) if INFO in dataset.variables else _cube(path, dataset)


def _cube(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    errors = {
        axis: f"sigma_v{axis}" if f"sigma_v{axis}" in dataset else f"v{axis}_error" for axis in "xy"
    }
    return velocities.read(path, dataset, DATES, errors, _crs(dataset, path))


def _pair(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    info = dataset[INFO].attrs
    try:
        first, second = (np.datetime64(datetime.fromisoformat(info[name]), "ns") for name in DATES)
    except (KeyError, ValueError) as error:
        raise ImageError(f"{path.name} does not know both of its dates ({error})") from error
    check_dates(np.array([first]), np.array([second]), path.name)
    grid = grid_of(dataset["x"].values, dataset["y"].values, _crs(dataset, path), path.name)
    share = np.float32((second - first) / velocities.per(dataset, path.name))
    planes = {}
    for axis in "xy":
        velocity = dataset[f"v{axis}"]
        planes[f"d{axis}"] = velocity.variable.chunk({}) * share
        error = np.float32(velocity.attrs.get("error", np.nan))
        planes[f"sigma_d{axis}"] = planes[f"d{axis}"] * 0 + error * abs(share)
    return label_field(planes, first, second, grid, path.name)


def write(path: Path, cube: xr.Dataset) -> None:
    """Write a stack of pairs as a cube.

    The error of a pair is the median of the standard deviations of its cells.
    """
    first, second, share = velocities.spans(cube)
    days = xr.Variable("mid_date", (second - first) / DAY, {"units": "days"})
    known = {"units": "meter/year", "grid_mapping": "mapping"}
    variables: dict[str, Any] = {"mapping": velocities.mapping_of(geobox_of(cube))}
    for axis in "xy":
        plane = velocities.chunked(cube, f"d{axis}", share)
        plane.attrs = known | {
            "standard_name": f"land_ice_surface_{axis}_velocity",
            "description": f"velocity component in {axis} direction, a year of 365 days",
        }
        sigma = velocities.chunked(cube, f"sigma_d{axis}", abs(share))
        sigma.attrs = known | {"description": f"standard deviation of v{axis}"}
        typical = (_typical(cube[f"sigma_d{axis}"]) * abs(share)).astype(np.float32)
        error = xr.Variable("mid_date", typical, {"units": "meter/year"})
        error.attrs["description"] = f"median of sigma_v{axis}"
        variables |= {f"v{axis}": plane, f"sigma_v{axis}": sigma, f"v{axis}_error": error}
    speed = np.hypot(variables["vx"], variables["vy"])
    speed.attrs = known | {"description": "velocity magnitude"}
    variables |= {"v": speed, "date_dt": days}
    variables |= {
        name: xr.Variable("mid_date", day, {"description": f"acquisition date of image {number}"})
        for number, (name, day) in enumerate(zip(DATES, (first, second), strict=True), 1)
    }
    coords = velocities.coordinates_of(cube) | {
        "mid_date": xr.Variable("mid_date", first + (second - first) // 2)
    }
    attrs = {
        "Conventions": "CF-1.8",
        "GDAL_AREA_OR_POINT": "Area",
        "title": "Velocities of image pairs, in the format of ITS_LIVE datacubes",
        "source": cube.attrs.get("software", "groundshift"),
        "history": cube.attrs.get("history", ""),
    }
    velocities.write(path, xr.Dataset(variables, coords, attrs))


def _crs(dataset: xr.Dataset, path: Path) -> Any:
    name = next((name for name in MAPPINGS if name in dataset.variables), None)
    return crs_of(dataset.attrs if name is None else dataset[name].attrs, path.name)


def _typical(sigma: xr.DataArray) -> np.ndarray:
    """Return the median of each pair, of every so many cells; NaN where none is known."""
    steps = tuple(max(1, n // CELLS) for n in sigma.shape[1:])
    found = np.full(sigma.shape[0], np.nan)
    for number in range(len(found)):
        thin = sigma.variable[number, :: steps[0], :: steps[1]].compute(scheduler="sync").values
        known = thin[np.isfinite(thin)]
        found[number] = np.median(known) if known.size else np.nan
    return found
