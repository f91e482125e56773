"""Displacement fields: the labelled result, and the one place where signs and units are decided.

    A feature at ``(x, y)`` in the reference is at ``(x + dx, y + dy)`` in the secondary image.
    ``dx, dy`` are metres along the grid's own coordinate axes. NaN means not measured.

On a map grid dx is east and dy is north, whatever the order of the rows: components follow the
*coordinates*, not the array's indices. Kernels measure in pixels, rows downward and columns to the
right; the linear part of the grid's affine turns one into the other, so north-up, south-up and
rotated grids need no special case. Geographic grids use the metres per degree of their ellipsoid at
each cell's latitude. Grids without CRS keep pixels: x to the right, y downward.

Metres are *map* metres. Where a projection stretches (Web Mercator at 60 degrees north: by 2) a map
metre is not a metre on the ground, and `build` warns in the log.
"""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import Geod, Proj
from pyproj.exceptions import ProjError

from groundshift.errors import GridError, GroundshiftError
from groundshift.grid import coordinates, geobox_of, metres_of_unit, output_geobox

log = logging.getLogger(__name__)

SCHEMA = "groundshift-field/1"
CONVENTIONS = "CF-1.11"
YEAR = np.timedelta64(31_556_925_974_678_400, "ns")
"""A year as the units of `velocity` define it: the tropical year of UDUNITS, 365.2422 days."""
STRETCH = 0.02
"""Relative difference between map metres and ground metres from which `build` warns."""

DISPLACEMENTS = ("dx", "dy", "sigma_dx", "sigma_dy", "score")
COHERENCES = ("coherence", "sigma_coherence")
"""Of what was tracked, where it was asked for."""
VELOCITIES = ("vx", "vy", "sigma_vx", "sigma_vy")

_REST = "from the reference to the secondary image"
ATTRS: dict[str, dict[str, str]] = {
    "dx": {
        "long_name": f"displacement along x {_REST}",
        "units": "m",
        "ancillary_variables": "sigma_dx score",
    },
    "dy": {
        "long_name": f"displacement along y {_REST}",
        "units": "m",
        "ancillary_variables": "sigma_dy score",
    },
    "sigma_dx": {"long_name": "standard deviation of the displacement along x", "units": "m"},
    "sigma_dy": {"long_name": "standard deviation of the displacement along y", "units": "m"},
    "score": {"long_name": "quality of the match, 0 to 1", "units": "1"},
    "coherence": {
        "long_name": "coherence of the ground that moved",
        "units": "1",
        "ancillary_variables": "sigma_coherence",
    },
    "sigma_coherence": {"long_name": "standard deviation of the coherence", "units": "1"},
    "filled": {"long_name": "1 where not measured but filled from around", "units": "1"},
    "vx": {
        "long_name": f"mean velocity along x {_REST}",
        "units": "m year-1",
        "ancillary_variables": "sigma_vx",
    },
    "vy": {
        "long_name": f"mean velocity along y {_REST}",
        "units": "m year-1",
        "ancillary_variables": "sigma_vy",
    },
    "sigma_vx": {"long_name": "standard deviation of the velocity along x", "units": "m year-1"},
    "sigma_vy": {"long_name": "standard deviation of the velocity along y", "units": "m year-1"},
    "reference_time": {"long_name": "acquisition time of the reference image"},
    "secondary_time": {"long_name": "acquisition time of the secondary image"},
}
"""Attributes of every variable, on a grid with a CRS. Without one, metres are pixels."""


class Planes(NamedTuple):
    """A field in pixels of the image: dy downward, dx to the right; arrays (rows, columns)."""

    dy: Any
    dx: Any
    sigma_dy: Any
    sigma_dx: Any
    score: Any


class Named(Protocol):
    """Any named tuple of planes."""

    def _asdict(self) -> dict[str, Any]: ...


class Linear(NamedTuple):
    """Metres per pixel: ``x = xx * column + xy * row``, ``y = yx * column + yy * row``."""

    xx: Any
    xy: Any
    yx: Any
    yy: Any


def build(
    planes: Mapping[str, Any] | Named,
    geobox: GeoBox,
    *,
    stride: int,
    reference_time: np.datetime64 | None = None,
    secondary_time: np.datetime64 | None = None,
    matcher: str = "",
    history: str = "",
) -> xr.Dataset:
    """Label what a matcher measured, and turn pixels into metres.

    Parameters
    ----------
    planes
        ``dy, dx, sigma_dy, sigma_dx, score``, and ``coherence, sigma_coherence`` where they are
        known; numpy or dask arrays of shape (rows, columns), in pixels of the image.
    geobox
        Grid of the *image*; the field's cells are `stride` pixels wide and begin at its corner.
    reference_time, secondary_time
        Acquisition times; unknown when None or NaT.
    matcher
        ``repr`` of the matcher.
    history
        What was done to the images before, one step a line.

    Raises
    ------
    GridError
        When the planes do not fit the grid.
    """
    named = planes if isinstance(planes, Mapping) else planes._asdict()
    grid = output_geobox(geobox, stride)
    shape = tuple(named["dx"].shape)
    if shape not in {grid.shape.yx, tuple(n // stride for n in geobox.shape.yx)}:
        raise GridError(
            f"planes of {shape[0]} x {shape[1]} cells do not fit an image of "
            f"{geobox.shape.y} x {geobox.shape.x} pixels at a stride of {stride}"
        )
    grid = grid[: shape[0], : shape[1]]
    variables = _linear(named, metres_per_pixel(geobox, grid))
    same = ["score", *(name for name in COHERENCES if name in named)]
    variables |= {name: named[name] for name in same}
    unit = "pixel" if geobox.crs is None else "m"
    field = xr.Dataset(
        {
            name: _variable(name, variables[name], unit, grid)
            for name in (*DISPLACEMENTS, *same[1:])
        },
        coords=coordinates(grid)
        | {
            "reference_time": scalar_time("reference_time", reference_time),
            "secondary_time": scalar_time("secondary_time", secondary_time),
        },
        attrs={
            "Conventions": CONVENTIONS,
            "title": "Ground displacement between two satellite images",
            "schema": SCHEMA,
            "software": f"groundshift {version('groundshift')}",
            "matcher": matcher,
            "stride": int(stride),
            "history": history,
        },
    )
    _warn_of_stretch(geobox)
    return field


def check(field: xr.Dataset) -> xr.Dataset:
    """Return `field` if it is a displacement field; say what is missing if not."""
    missing = [name for name in DISPLACEMENTS if name not in field.data_vars]
    if missing:
        raise GroundshiftError(
            f"not a displacement field: {', '.join(missing)} missing (found "
            f"{', '.join(map(str, field.data_vars)) or 'no variables'}); pass the output of "
            "`groundshift track`"
        )
    for name in DISPLACEMENTS:
        if field[name].dims != ("y", "x"):
            raise GroundshiftError(
                f"not a displacement field: {name} has dimensions {field[name].dims}, not "
                "('y', 'x'); select one pair first"
            )
    geobox_of(field)
    return field


def pixels(field: xr.Dataset) -> Planes:
    """Undo `build`: a field in pixels of the image that it was measured on."""
    check(field)
    grid = geobox_of(field)
    stride = int(field.attrs.get("stride", 1))
    image = GeoBox(grid.shape, grid.affine * grid.affine.scale(1 / stride), grid.crs)
    m = metres_per_pixel(image, grid)
    det = m.xx * m.yy - m.xy * m.yx
    inverse = Linear(m.yy / det, -m.xy / det, -m.yx / det, m.xx / det)
    named = {name: field[name].data for name in DISPLACEMENTS}
    back = _linear(named, inverse)
    if np.any(m.xy != 0) or np.any(m.yx != 0):
        # Squared weights turned sigma forward, so they have to be inverted as squares.
        back |= _unturn_sigma(named, m)
    return Planes(
        **{n: back[n].astype(np.float32) for n in ("dy", "dx", "sigma_dy", "sigma_dx")},
        score=field["score"].data,
    )


def velocity(field: xr.Dataset) -> xr.Dataset:
    """Add ``vx, vy, sigma_vx, sigma_vy``: displacement per year between the two dates.

    Velocities point forward in time, also where the reference is the later image.

    Raises
    ------
    GroundshiftError
        When a date is unknown, or both are the same.
    """
    check(field)
    unknown = np.datetime64("NaT")
    years = np.float32(
        years_between(
            *(
                field[name].values if name in field.coords else unknown
                for name in ("reference_time", "secondary_time")
            )
        )
    )
    grid = geobox_of(field)
    unit = "pixel" if grid.crs is None else "m"
    return field.assign(
        {
            name: _variable(
                name, field[source].data / (abs(years) if "sigma" in name else years), unit, grid
            )
            for name, source in zip(VELOCITIES, ("dx", "dy", "sigma_dx", "sigma_dy"), strict=True)
        }
    )


def measured(field: xr.Dataset) -> xr.DataArray:
    """Share of the cells that have a displacement; lazy where the field is."""
    return (np.isfinite(field["dx"]) & np.isfinite(field["dy"])).mean()


def percent(share: float) -> str:
    """Write a share so that 0 and 100 % mean none and all.

    Examples
    --------
    >>> percent(1.0), percent(0.99999)
    ('100.0 %', '99.9 %')
    """
    shown = 100 * share
    return f"{shown if share in (0, 1) else min(max(shown, 0.1), 99.9):.1f} %"


def years_between(reference_time: Any, secondary_time: Any) -> float:
    """Years from the reference to the secondary image, as `velocity` counts them.

    Raises
    ------
    GroundshiftError
        When a date is unknown, or both are the same.
    """
    given = {"reference": reference_time, "secondary": secondary_time}
    times = {role: np.asarray(time, "datetime64[ns]") for role, time in given.items()}
    unknown = [role for role, time in times.items() if np.isnat(time)]
    if unknown:
        raise GroundshiftError(
            f"velocity needs both dates and that of the {' and the '.join(unknown)} is unknown; "
            f"{_dates_by_hand(unknown)}"
        )
    span = times["secondary"] - times["reference"]
    if span == np.timedelta64(0):
        raise GroundshiftError(
            "velocity needs two different dates and both images are of "
            f"{np.datetime_as_string(times['reference'], unit='s')}; "
            f"{_dates_by_hand(list(times))}"
        )
    return float(span / YEAR)


def metres_per_pixel(image: GeoBox, grid: GeoBox) -> Linear:
    """Metres that one column and one row of `image` make, at each cell of `grid`.

    Scalars on a projected grid; arrays that broadcast against (y, x) on a geographic one. A grid
    without CRS gives its own coordinate steps, one for an ordinary image.
    """
    a = image.affine
    if image.crs is None:
        return Linear(a.a, a.b, a.d, a.e)
    crs = image.crs.proj
    unit = metres_of_unit(image)
    if not image.crs.geographic:
        return Linear(a.a * unit, a.b * unit, a.d * unit, a.e * unit)
    row = np.arange(grid.shape.y)[:, None] + 0.5
    column = np.arange(grid.shape.x)[None, :] + 0.5 if grid.affine.d else 0.5
    latitude = (grid.affine.d * column + grid.affine.e * row + grid.affine.f) * unit
    ellipsoid = crs.get_geod() or Geod(ellps="WGS84")
    bend = 1 - ellipsoid.es * np.sin(latitude) ** 2
    # Radii of curvature: across the meridian for longitude, along it for latitude.
    east = ellipsoid.a / np.sqrt(bend) * np.cos(latitude) * unit
    north = ellipsoid.a * (1 - ellipsoid.es) / bend**1.5 * unit
    return Linear(a.a * east, a.b * east, a.d * north, a.e * north)


def _dates_by_hand(roles: list[str]) -> str:
    dates = " and ".join(f"time='YYYY-MM-DD' for the {role}" for role in roles)
    return f"pass {dates} to open_image"


def _linear(planes: Mapping[str, Any], m: Linear) -> dict[str, Any]:
    dx, dy = planes["dx"], planes["dy"]
    sx, sy = planes["sigma_dx"], planes["sigma_dy"]
    result = {
        "dx": _combine(m.xx, dx, m.xy, dy),
        "dy": _combine(m.yy, dy, m.yx, dx),
        "sigma_dx": _spread(m.xx, sx, m.xy, sy),
        "sigma_dy": _spread(m.yy, sy, m.yx, sx),
    }
    return {name: value.astype(np.float32) for name, value in result.items()}


def _combine(main: Any, value: Any, cross: Any, other: Any) -> Any:
    # A component that does not enter must not spread its NaN.
    if not np.any(cross):
        return main * value
    return main * value + cross * other if np.any(main) else cross * other


def _spread(main: Any, sigma: Any, cross: Any, other: Any) -> Any:
    if not np.any(cross):
        return abs(main) * sigma
    if not np.any(main):
        return abs(cross) * other
    return np.sqrt((main * sigma) ** 2 + (cross * other) ** 2)


def _unturn_sigma(planes: Mapping[str, Any], m: Linear) -> dict[str, Any]:
    xx, xy, yx, yy = (np.square(value) for value in m)
    vx, vy = planes["sigma_dx"] ** 2, planes["sigma_dy"] ** 2
    det = xx * yy - xy * yx
    # Rotated by 45 degrees both sigmas are one and the same mixture: share it equally.
    if np.any(np.abs(det) < 1e-3 * (xx + xy) * (yx + yy)):
        both = np.sqrt((vx / (xx + xy) + vy / (yx + yy)) / 2)
        return {"sigma_dx": both, "sigma_dy": both}
    return {
        "sigma_dx": np.sqrt(np.maximum((yy * vx - xy * vy) / det, 0)),
        "sigma_dy": np.sqrt(np.maximum((xx * vy - yx * vx) / det, 0)),
    }


def _variable(name: str, data: Any, unit: str, grid: GeoBox) -> tuple[Any, ...]:
    attrs = dict(ATTRS[name])
    attrs["units"] = attrs["units"].replace("m", unit, 1)
    encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
    return ("y", "x"), data.astype(np.float32), attrs, encoding


def scalar_time(name: str, time: np.datetime64 | None) -> xr.DataArray:
    """Return the coordinate "reference_time" or "secondary_time"; NaT where it is not known."""
    value = np.datetime64("NaT") if time is None else np.datetime64(time)
    return xr.DataArray(value.astype("datetime64[ns]"), attrs=ATTRS[name])


def _warn_of_stretch(geobox: GeoBox) -> None:
    if geobox.crs is None or geobox.crs.geographic:
        return
    try:
        projection = Proj(geobox.crs.proj)
        centre = geobox.affine * (geobox.shape.x / 2, geobox.shape.y / 2)
        factors = projection.get_factors(*projection(*centre, inverse=True))
    except ProjError:  # local systems, projections without an inverse
        return
    stretch = max(abs(factors.meridional_scale - 1), abs(factors.parallel_scale - 1))
    if np.isfinite(stretch) and stretch > STRETCH:
        log.warning(
            "a metre of this map (%s) is not a metre on the ground: they differ by %.0f %%; "
            "choose a projection such as UTM where that matters",
            geobox.crs.proj.name,
            100 * stretch,
        )
