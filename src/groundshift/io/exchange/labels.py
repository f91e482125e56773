"""What other programs measured, with our labels: grids, dates, units, attributes."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from groundshift import field, timeseries
from groundshift.errors import GridError, ImageError
from groundshift.field import CONVENTIONS, DISPLACEMENTS
from groundshift.grid import coordinates

DAY = np.timedelta64(1, "D")
REGULAR = 1e-3
"""By which steps between coordinates may differ from their mean, relative to it."""


def label_cube(
    planes: dict[str, xr.Variable],
    first: np.ndarray,
    second: np.ndarray,
    grid: GeoBox,
    source: str,
) -> xr.Dataset:
    """Label a stack of pairs; what is not among its planes is not known, NaN.

    Parameters
    ----------
    planes
        ``dx, dy`` and what there is of ``sigma_dx, sigma_dy, score``, dims (pair, y, x).
    first, second
        Dates of each pair.
    source
        Where it is from.
    """
    times = {
        name: xr.DataArray(days.astype("datetime64[ns]"), dims="pair", attrs=field.ATTRS[name])
        for name, days in zip(timeseries.TIMES, (first, second), strict=True)
    }
    about = {"title": "Ground displacement of many pairs", "schema": timeseries.CUBE}
    return _labelled(planes, grid, times, about | {"history": f"read from {source}"})


def label_field(
    planes: dict[str, xr.Variable], first: Any, second: Any, grid: GeoBox, source: str
) -> xr.Dataset:
    """Label a displacement field, dims (y, x), in the same way."""
    days = zip(timeseries.TIMES, (first, second), strict=True)
    times = {name: field.scalar_time(name, day) for name, day in days}
    about = {"title": "Ground displacement between two satellite images", "schema": field.SCHEMA}
    return _labelled(planes, grid, times, about | {"history": f"read from {source}"})


def _labelled(
    planes: dict[str, xr.Variable],
    grid: GeoBox,
    times: dict[str, xr.DataArray],
    attrs: dict[str, Any],
) -> xr.Dataset:
    like = planes["dx"]
    unknown = xr.Variable(like.dims, np.broadcast_to(np.float32("nan"), like.shape))
    unit = "pixel" if grid.crs is None else "m"
    variables = {}
    for name in DISPLACEMENTS:
        about = dict(field.ATTRS[name])
        about["units"] = unit if about["units"] == "m" else about["units"]
        encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
        plane = planes.get(name, unknown)
        variables[name] = xr.Variable(plane.dims, plane, about, encoding)
    common = {
        "Conventions": CONVENTIONS,
        "software": f"groundshift {version('groundshift')}",
        "matcher": "",
        "stride": 1,
    }
    return xr.Dataset(variables, coordinates(grid) | times, common | attrs)


def grid_of(x: np.ndarray, y: np.ndarray, crs: CRS | None, name: str) -> GeoBox:
    """Return the grid whose cells have these centres, in any order.

    Raises
    ------
    GridError
        If they are not regular, or fewer than two along an axis.
    """
    sides = []
    for axis, values in (("x", np.asarray(x, float)), ("y", np.asarray(y, float))):
        if values.size < 2:
            raise GridError(f"{name} has {values.size} cell(s) along {axis}; give two or more")
        step = (values[-1] - values[0]) / (values.size - 1)
        if not np.allclose(np.diff(values), step, rtol=REGULAR, atol=0):
            raise GridError(f"{axis} of {name} is not regularly spaced; resample it first")
        sides.append((step, values[0] - step / 2))
    (across, left), (down, top) = sides
    affine = Affine(across, 0, left, 0, down, top)
    return GeoBox((len(y), len(x)), affine, None if crs is None else short(crs))


def short(crs: CRS) -> str | CRS:
    """Return the code of a system that has one."""
    code = crs.to_epsg(min_confidence=100)
    return f"EPSG:{code}" if code else crs


def crs_of(attrs: Mapping[Any, Any], name: str) -> CRS:
    """Read the reference system from attributes, whatever it is written as there.

    Raises
    ------
    GridError
        If there is none.
    """
    for key in ("spatial_epsg", "EPSG", "crs_wkt", "spatial_ref", "proj4text", "proj4"):
        if str(attrs.get(key, "")).strip():
            try:
                return CRS.from_user_input(_code(attrs[key]))
            except CRSError as error:
                raise GridError(f"{name}: {key} is no reference system ({error})") from error
    if "grid_mapping_name" in attrs:
        return CRS.from_cf(dict(attrs))
    raise GridError(
        f"{name} does not say its coordinate reference system; add the attribute spatial_epsg to "
        "its variable mapping, or proj4 to the file"
    )


def check_dates(first: np.ndarray, second: np.ndarray, name: str) -> None:
    """Refuse pairs without dates, or of one date."""
    for wrong, said in (
        (np.isnat(first) | np.isnat(second), "do not know both of their dates"),
        (first == second, "are of one date"),
    ):
        if wrong.any():
            raise ImageError(
                f"{wrong.sum()} of {len(first)} pairs in {name} {said}, the first of them is "
                f"number {np.flatnonzero(wrong)[0]}; leave them out of the file"
            )


def _code(value: Any) -> Any:
    text = str(value).strip()
    return int(float(text)) if text.replace(".", "", 1).isdecimal() else text
