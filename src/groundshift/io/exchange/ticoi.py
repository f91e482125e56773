"""Cubes of velocities as TICOI 0.1 loads them: netCDF or Zarr, dims (mid_date, y, x).

``vx, vy`` along x and y of the map, ``errorx, errory`` for each pair or cell, ``date1, date2``, the
attribute ``proj4``. TICOI counts in whole days: it drops the time of day of dates, and what is left
of a pair's span after that. Dates are therefore written as days, and velocities to these, so that
its displacements are ours. It takes a velocity of exactly 0 as not measured.
"""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from groundshift.errors import OutputError
from groundshift.grid import geobox_of
from groundshift.io.exchange import velocities
from groundshift.io.exchange.labels import crs_of

DATES = ("date1", "date2")
MAPPINGS = ("grid_mapping", "mapping", "spatial_ref")


def matches(dataset: xr.Dataset) -> bool:
    """Whether a file is of this kind."""
    return {"vx", "vy", *DATES} <= set(dataset.variables)


def read(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    """Return a cube as a stack of pairs; lazily.

    Raises
    ------
    ImageError
        If dates or units are unknown.
    """
    errors = {axis: f"error{axis}" for axis in "xy"}
    return velocities.read(path, dataset, DATES, errors, crs_of(_mapping(dataset), path.name))


def write(path: Path, cube: xr.Dataset) -> None:
    """Write a stack of pairs.

    Raises
    ------
    OutputError
        If both images of a pair are of one day.
    """
    first, second, share = velocities.spans(cube, "D")
    if (same := np.flatnonzero(first == second)).size:
        raise OutputError(
            f"both images of pair {same[0]} are of {first[same[0]]}, and TICOI counts whole days; "
            "leave such pairs out"
        )
    mapping = velocities.mapping_of(geobox_of(cube))
    variables: dict[str, Any] = {"mapping": mapping}
    for axis in "xy":
        for name, source, factor in (
            (f"v{axis}", f"d{axis}", share),
            (f"error{axis}", f"sigma_d{axis}", abs(share)),
        ):
            variables[name] = velocities.chunked(cube, source, factor)
            variables[name].attrs = {"units": "m/y", "grid_mapping": "mapping"}
    days = tuple(day.astype("datetime64[ns]") for day in (first, second))
    variables |= {name: ("mid_date", day) for name, day in zip(DATES, days, strict=True)}
    coords = velocities.coordinates_of(cube) | {
        "mid_date": xr.Variable("mid_date", days[0] + (days[1] - days[0]) // 2)
    }
    attrs = {
        "Conventions": "CF-1.8",
        "title": "Velocities of image pairs, in the format of TICOI",
        "author": "groundshift",
        "source": cube.attrs.get("software", "groundshift"),
        "sensor": "Unknown",
        "proj4": mapping.attrs["proj4text"],
        "history": cube.attrs.get("history", ""),
    }
    velocities.write(path, xr.Dataset(variables, coords, attrs))


def _mapping(dataset: xr.Dataset) -> dict[Any, Any]:
    name = next((name for name in MAPPINGS if name in dataset.variables), None)
    return dataset.attrs if name is None else dataset.attrs | dataset[name].attrs
