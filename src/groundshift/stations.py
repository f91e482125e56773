"""Instruments on the ground, and how far a series of displacement agrees with them.

A station knows east, north and up at its own dates, in metres, as GNSS does, or the displacement in
one direction, as an extensometer does. Neither knows where zero is: series and station are compared
after the mean of their difference over common dates was taken away. A reference station takes away
as well what is wrong with all of an image.
"""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from groundshift.errors import GridError, GroundshiftError
from groundshift.field import YEAR
from groundshift.geometry.projection import map_metres
from groundshift.grid import geobox_of, metres_of_unit

FEWEST = 3
"""Common dates."""
DAY = np.timedelta64(1, "D")
WALK = 6 / 5
"""Variance of the slope of a line fitted to a random walk, times that of what its ends say."""


log = logging.getLogger(__name__)


class Station(NamedTuple):
    """What an instrument measured."""

    name: str
    longitude: float
    latitude: float
    times: np.ndarray
    """Ascending, datetime64."""
    values: np.ndarray
    """East, north and up, metres, ``(times, 3)``; NaN in the directions that it does not know."""
    sigma: np.ndarray
    """Standard deviations, of that shape; NaN if not known."""
    direction: tuple[float, float, float] | None = None
    """Of an instrument that measures along one direction: east, north and up of a unit vector;
    `values` are its readings times that. The ground is taken to move along it, as a slide does: of
    a series, which is horizontal, that much more than it shows."""


class Agreement(NamedTuple):
    """How far a series agrees with a station, in one component."""

    station: str
    component: str
    dates: int
    rmse: float
    """Of the differences, their mean taken away, metres."""
    velocity: float
    """Of the series at the common dates, metres per year."""
    velocity_station: float
    sigma_velocity: float
    """Standard deviation of the difference of both velocities: from the scatter of differences, or,
    if that is more, from how sure first and last date are, as errors of a series add up from date
    to date."""
    within_68: float
    """Share of the differences within .9945 standard deviations of the series and the station; NaN
    where the series does not know its own, as displacement along a line of sight."""
    within_95: float
    """Within 1.96."""
    times: np.ndarray
    """Common dates."""
    series: np.ndarray
    """Displacement at these, metres; mean 0."""
    measured: np.ndarray
    """By the station; mean 0."""
    sigma: np.ndarray
    """Of their difference."""


def compare(
    series: xr.Dataset,
    stations: Sequence[Station],
    *,
    radius: float = 0.0,
    days: float = 1.0,
    relative: str | None = None,
) -> list[Agreement]:
    """Compare a series with stations, component by component.

    Parameters
    ----------
    series
        Of :func:`groundshift.invert`, or displacement along a line of sight, ``los`` with the
        vector ``los_east, los_north, los_up`` (:func:`groundshift.io.sights.open_los`).
    radius
        Metres around a station whose cells are averaged; by default the nearest cell alone.
    days
        A station is interpolated to a date of the series if it has readings so near on both sides,
        or one within half of it.
    relative
        Name of a station to which all, and the series, are taken relative.

    Raises
    ------
    GroundshiftError
        If no station is on the map, or none has common dates.
    """
    if "time" not in series.dims:
        raise GroundshiftError(
            "this is no series: it has no dates; give what groundshift invert makes of the pairs"
        )
    grid = geobox_of(series)
    if grid.crs is None:
        raise GridError("a series without georeferencing cannot be compared; georeference it first")
    _check_names(stations)
    seen = {each.name: _see(series, grid, each, radius, days) for each in stations}
    if outside := [name for name, components in seen.items() if not components]:
        log.warning("not on the map, or with nothing in common: %s", ", ".join(outside))
    base: dict[str, _Seen] = {}
    if relative is not None:
        _check_base(relative, seen)
        base = seen.pop(relative)
    found = []
    for name, components in seen.items():
        for component, one in components.items():
            if relative is not None and component not in base:
                continue
            both = one if relative is None else _minus(one, base[component])
            if (told := _agreement(name, component, series["time"].values, both)) is not None:
                found.append(told)
    if not found:
        raise GroundshiftError(
            f"none of {len(stations)} station(s) is on the map with {FEWEST} common dates or more; "
            "give stations within it, or a larger days= or radius="
        )
    return found


def _check_names(stations: Sequence[Station]) -> None:
    names = [each.name for each in stations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise GroundshiftError(
            f"several stations are called {' or '.join(twice)}, and could not be told apart; give "
            "each a name of its own in its file"
        )


def _check_base(name: str, seen: dict[str, dict[str, "_Seen"]]) -> None:
    """Refuse a reference station that is not there."""
    if name not in seen:
        raise GroundshiftError(
            f"the reference station {name!r} is not among those given ({', '.join(seen)}); give "
            "its file as well"
        )
    if not seen[name]:
        raise GroundshiftError(
            f"the reference station {name!r} is not on the map; choose one of "
            f"{', '.join(each for each, found in seen.items() if found) or 'none'}"
        )


def to_ground(grid: GeoBox, longitude: float, latitude: float) -> np.ndarray:
    """Return what turns metres along x and y of a map into metres to the east and north, (2, 2)."""
    if grid.crs.geographic:  # type: ignore[union-attr] - not for grids without
        return np.eye(2)
    return np.linalg.inv(map_metres(grid.crs.to_wkt(), longitude, latitude))  # type: ignore[union-attr]


class _Seen(NamedTuple):
    """A component at all dates of the series."""

    series: np.ndarray
    station: np.ndarray
    variance: np.ndarray


def _see(
    series: xr.Dataset, grid: GeoBox, station: Station, radius: float, days: float
) -> dict[str, _Seen]:
    """Return the components that series and station have in common; none off the map."""
    cells = _cells(grid, station, radius)
    if cells is None:
        return {}
    values, sigma = _at(station, series["time"].values, days)
    found = {}
    for name, vector, (plane, noise) in _components(series, cells, station, grid):
        part = station.direction
        if part is not None and abs(np.dot(part, vector)) < 0.99:
            continue
        along = np.asarray(vector if part is None else part)
        counted = along != 0  # what does not count may be unknown
        found[name] = _Seen(
            plane,
            values[:, counted] @ along[counted],
            noise**2 + np.nan_to_num(sigma**2) @ np.asarray(vector) ** 2,
        )
    return found


def _components(series: xr.Dataset, cells: Any, station: Station, grid: GeoBox) -> list[Any]:
    """List the components of a series at a station: name, unit vector, displacement, sigma."""

    def mean(name: str) -> np.ndarray:
        values = series[name].isel(y=cells[0], x=cells[1])
        return values.mean(("y", "x")).values.astype(float)

    if "los" in series:
        parts = [mean(f"los_{name}") for name in ("east", "north", "up")]
        vector = tuple(float(part) for part in parts)
        return [("los", vector, (mean("los"), np.full(series.sizes["time"], np.nan)))]
    turn = to_ground(grid, station.longitude, station.latitude)
    plane = np.stack([mean("dx"), mean("dy")])
    noise = np.stack([mean("sigma_dx"), mean("sigma_dy")])
    if station.direction is not None:
        along = np.array(station.direction[:2]) / np.hypot(*station.direction[:2])
        weights = along @ turn
        slope = np.hypot(*station.direction[:2])
        return [
            (
                "along",
                station.direction,
                ((weights @ plane) / slope, np.hypot(*(weights[:, None] * noise)) / slope),
            )
        ]
    return [
        (
            name,
            vector,
            (turn[k] @ plane, np.sqrt((turn[k][:, None] ** 2 * noise**2).sum(0))),
        )
        for k, (name, vector) in enumerate((("east", (1, 0, 0)), ("north", (0, 1, 0))))
    ]


def _cells(grid: GeoBox, station: Station, radius: float) -> tuple[slice, slice] | None:
    """Return the cells around a station; None off the map."""
    there = Transformer.from_crs(CRS("EPSG:4326"), CRS(grid.crs.to_wkt()), always_xy=True)  # type: ignore[union-attr]
    x, y = there.transform(station.longitude, station.latitude)
    affine = ~grid.affine
    column = affine.a * x + affine.b * y + affine.c - 0.5
    row = affine.d * x + affine.e * y + affine.f - 0.5
    unit = 111_320.0 if grid.crs.geographic else metres_of_unit(grid)  # type: ignore[union-attr]
    metres = abs(grid.affine.a) * unit
    reach = round(radius / metres)
    places = [round(row), round(column)]
    if not all(np.isfinite(places)) or any(
        not 0 <= place < n for place, n in zip(places, grid.shape.yx, strict=True)
    ):
        return None
    down, across = (slice(max(0, place - reach), place + reach + 1) for place in places)
    return down, across


def _at(station: Station, times: np.ndarray, days: float) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate readings to dates; NaN where there is none near enough."""
    own = (station.times - station.times[0]) / DAY
    wanted = (times.astype("datetime64[ns]") - station.times[0]) / DAY
    after = np.searchsorted(own, wanted).clip(1, max(1, own.size - 1))
    before = after - 1
    after = after.clip(max=own.size - 1)
    gap = np.maximum(own[after] - own[before], 1e-9)
    share = np.clip((wanted - own[before]) / gap, 0, 1)[:, None]
    near = np.minimum(np.abs(wanted - own[before]), np.abs(wanted - own[after])) <= days / 2
    around = (wanted >= own[before]) & (wanted <= own[after]) & (gap <= 2 * days)
    good = (near | around)[:, None]
    found = []
    for values in (station.values, station.sigma):
        mixed = values[before] * (1 - share) + values[after] * share
        found.append(np.where(good, mixed, np.nan))
    return found[0], found[1]


def _minus(one: _Seen, base: _Seen) -> _Seen:
    return _Seen(one.series - base.series, one.station - base.station, one.variance + base.variance)


def _agreement(name: str, component: str, times: np.ndarray, seen: _Seen) -> Agreement | None:
    known = np.isfinite(seen.series) & np.isfinite(seen.station)
    if known.sum() < FEWEST:
        return None
    series, station = (plane[known] - plane[known].mean() for plane in seen[:2])
    rest, spread = series - station, np.sqrt(seen.variance[known])
    years = (times[known] - times[known][0]) / YEAR
    centred = years - years.mean()
    weight = (centred**2).sum()
    slopes = [float((centred * plane).sum() / weight) for plane in (series, station)]
    left = rest - (slopes[0] - slopes[1]) * centred
    count = int(known.sum())
    scatter = np.sqrt((left**2).sum() / max(1, count - 2) / weight)
    ends = seen.variance[known][[0, -1]].sum()
    adding = np.sqrt(WALK * ends) / np.ptp(years) if np.isfinite(ends) else 0.0
    ratio = np.abs(rest) / np.where(spread > 0, spread, np.nan)
    told = np.isfinite(ratio)
    shares = [
        float((ratio[told] <= limit).mean()) if told.any() else np.nan for limit in (0.9945, 1.96)
    ]
    return Agreement(
        name,
        component,
        count,
        float(np.sqrt((rest**2).sum() / (count - 1))),
        slopes[0],
        slopes[1],
        float(max(scatter, adding)),
        shares[0],
        shares[1],
        times[known],
        series,
        station,
        spread,
    )
