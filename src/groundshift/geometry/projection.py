"""Metres of a map are not metres on the ground, and its north is not north: both put right."""

from typing import Any

import numpy as np
import xarray as xr
from pyproj import CRS, Geod, Transformer
from scipy import ndimage

from groundshift.errors import GridError
from groundshift.field import check
from groundshift.grid import geobox_of

NODES = 33
"""Along each axis, at which a projection is looked at; between these it is interpolated. More where
that is not enough."""
CLOSE, MOST = 1e-4, 1025
"""By which a metre may be off between nodes, metres, and how many of them there are at most: near a
pole of a map that shows all around it no number is enough."""
STEP = 50.0
"""Metres on the ground by which it is looked at."""
NAMES = ("east", "north", "sigma_east", "sigma_north")


def to_ground(field: xr.Dataset) -> xr.Dataset:
    """Return displacement to true east and north, in metres on the ellipsoid.

    A projected map stretches (UTM by up to 1.001 in its zone, Web Mercator by 2 at 60 degrees) and
    its rows are turned against north (by up to 3 degrees in a zone of UTM).

    Returns
    -------
    xr.Dataset
        ``east, north, sigma_east, sigma_north``; sigma takes dx and dy as independent.

    Raises
    ------
    GridError
        If the field has no CRS.
    """
    check(field)
    grid = geobox_of(field)
    if grid.crs is None:
        raise GridError("without georeferencing nobody knows where north is; georeference first")
    if grid.crs.geographic:
        planes = [field[name].values for name in ("dx", "dy", "sigma_dx", "sigma_dy")]
    else:
        m = _matrix(grid, grid.crs.to_wkt())
        dx, dy, sx, sy = (field[n].values for n in ("dx", "dy", "sigma_dx", "sigma_dy"))
        planes = [
            m[0, 0] * dx + m[0, 1] * dy,
            m[1, 0] * dx + m[1, 1] * dy,
            np.hypot(m[0, 0] * sx, m[0, 1] * sy),
            np.hypot(m[1, 0] * sx, m[1, 1] * sy),
        ]
    about = {
        name: f"{'standard deviation of the ' if 'sigma' in name else ''}displacement to the "
        f"{name.removeprefix('sigma_')}"
        for name in NAMES
    }
    return xr.Dataset(
        {
            name: (("y", "x"), plane.astype(np.float32), {"long_name": about[name], "units": "m"})
            for name, plane in zip(NAMES, planes, strict=True)
        },
        coords=field.coords,
        attrs=dict(field.attrs),
    )


def _matrix(grid: Any, system: str) -> np.ndarray:
    """Return what turns map metres into metres to the east and north, (2, 2, rows, columns)."""
    shape, count, last = grid.shape.yx, NODES, None
    while True:
        nodes = [np.linspace(0, n - 1, min(n, count)) for n in shape]
        exact = _inverse(grid, system, *nodes)
        if last is not None and np.abs(_between(last, *map(len, nodes)) - exact).max() < CLOSE:
            break
        last = exact
        if count >= min(MOST, max(shape)):
            break
        count = 2 * count - 1
    return _between(exact, *shape)


def _inverse(grid: Any, system: str, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the same at some rows and columns."""
    r, c = np.meshgrid(rows + 0.5, columns + 0.5, indexing="ij")
    x = grid.affine.a * c + grid.affine.b * r + grid.affine.c
    y = grid.affine.d * c + grid.affine.e * r + grid.affine.f
    return np.linalg.inv(_forward(system, x, y)).transpose(2, 3, 0, 1)


def _between(nodes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Interpolate, (2, 2, ...), to so many rows and columns from the first node to the last."""
    places = np.meshgrid(
        *(np.linspace(0, k - 1, n) for k, n in zip(nodes.shape[2:], (rows, columns), strict=True)),
        indexing="ij",
    )
    return np.array(
        [[ndimage.map_coordinates(plane, places, order=1) for plane in line] for line in nodes]
    )


def map_metres(system: str, longitude: float, latitude: float) -> np.ndarray:
    """Return the map metres along x and y of a metre to the east and to the north, (2, 2).

    Parameters
    ----------
    system
        CRS as well-known text.
    longitude, latitude
        WGS84, degrees.
    """
    there = Transformer.from_crs(CRS("EPSG:4326"), CRS.from_wkt(system), always_xy=True)
    x, y = there.transform(longitude, latitude)
    return _forward(system, np.array([[x]]), np.array([[y]]))[0, 0]


def _forward(system: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the map metres of a metre to the east and to the north, (rows, columns, 2, 2).

    Coordinates are in the unit of the map; metres are metres, whatever that is.
    """
    crs = CRS.from_wkt(system)
    unit = crs.axis_info[0].unit_conversion_factor
    geodetic = crs.geodetic_crs
    if geodetic is None:
        raise GridError(f"{crs.name} has no ellipsoid; reproject to one that has")
    there = Transformer.from_crs(crs, geodetic, always_xy=True)
    back = Transformer.from_crs(geodetic, crs, always_xy=True)
    ellipsoid = geodetic.get_geod() or Geod(ellps="WGS84")
    lon, lat = there.transform(x, y)
    sides = []
    for bearing in (90.0, 0.0):
        ends = [
            back.transform(
                *ellipsoid.fwd(lon, lat, np.full_like(lon, turn), np.full_like(lon, STEP))[:2]
            )
            for turn in (bearing, bearing + 180)
        ]
        sides.append([(ends[0][k] - ends[1][k]) * unit / (2 * STEP) for k in (0, 1)])
    return np.array(sides).transpose(2, 3, 1, 0)
