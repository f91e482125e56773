"""Stacks of pairs on one grid, and the history of the ground that follows from them.

A *cube* is many displacement fields side by side, dims (pair, y, x), each with its two dates; signs
and units are those of a field (:mod:`groundshift.field`). A *series*, dims (time, y, x), tells how
far the ground is at each date, along x and along y, from where it was at the reference date.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from groundshift import field
from groundshift.errors import GridError, GroundshiftError
from groundshift.field import CONVENTIONS, DISPLACEMENTS, YEAR
from groundshift.grid import geobox_of
from groundshift.inversion import Network
from groundshift.inversion.network import components

CUBE, SERIES = "groundshift-pairs/1", "groundshift-series/1"
TIMES = ("reference_time", "secondary_time")
_REST = "since the reference date"
ATTRS: dict[str, dict[str, str]] = {
    "dx": {
        "long_name": f"displacement along x {_REST}",
        "units": "m",
        "ancillary_variables": "sigma_dx",
    },
    "dy": {
        "long_name": f"displacement along y {_REST}",
        "units": "m",
        "ancillary_variables": "sigma_dy",
    },
    "sigma_dx": {
        "long_name": f"standard deviation of the displacement along x {_REST}",
        "units": "m",
    },
    "sigma_dy": {
        "long_name": f"standard deviation of the displacement along y {_REST}",
        "units": "m",
    },
    "misfit": {
        "long_name": "standard deviation of the residuals of the pairs in units of sigma",
        "units": "1",
    },
    "closure": {
        "long_name": "root mean square misfit of triangles of pairs in units of sigma, at most 3",
        "units": "1",
    },
    "pairs": {"long_name": "number of pairs that were measured and not left out", "units": "1"},
    "time": {"long_name": "date", "standard_name": "time"},
    "reference_time": {"long_name": "reference date, at which displacement is 0"},
}
"""Attributes of every variable of a series. Without a CRS metres are pixels."""
MOVING = ("dx", "dy", "sigma_dx", "sigma_dy")
"""Those with a date."""
STILL = ("misfit", "closure", "pairs")


class Dates(NamedTuple):
    """When the images of a cube were taken, and which pairs they make."""

    times: np.ndarray
    """Ascending, datetime64."""
    network: Network

    @property
    def years(self) -> np.ndarray:
        """Since the first date."""
        return (self.times - self.times[0]) / YEAR


def stack(fields: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put displacement fields of one grid side by side.

    Raises
    ------
    GroundshiftError
        If grids differ, or a date is unknown.
    """
    if not fields:
        raise GroundshiftError("there are no fields to stack; give the outputs of track")
    parts = [field.check(each) for each in fields]
    grid, stride = geobox_of(parts[0]), parts[0].attrs.get("stride", 1)
    for number, part in enumerate(parts, 1):
        name = f"field {number} ({_name(part)})"
        if geobox_of(part) != grid or part.attrs.get("stride", 1) != stride:
            raise GridError(
                f"{name} is on another grid than the first ({_name(parts[0])}); track all pairs "
                "with one reference grid and one stride"
            )
        if any(np.isnat(_time(part, which)) for which in TIMES):
            raise GroundshiftError(
                f"{name} does not know both of its dates; pass time='YYYY-MM-DD' to open_image "
                "before tracking"
            )
    kept = [part[list(DISPLACEMENTS)].drop_vars(TIMES, errors="ignore") for part in parts]
    cube = xr.concat(kept, "pair", join="override", combine_attrs="override")
    times = {
        which: ("pair", np.array([_time(part, which) for part in parts]), field.ATTRS[which])
        for which in TIMES
    }
    attrs = dict(parts[0].attrs) | {"title": "Ground displacement of many pairs", "schema": CUBE}
    return cube.assign_coords(times).assign_attrs(attrs)


def check_cube(cube: xr.Dataset) -> xr.Dataset:
    """Return a cube of pairs if it is one; say what is missing if not."""
    missing = [name for name in (*MOVING, *TIMES) if name not in cube.variables]
    if missing:
        raise GroundshiftError(
            f"not a stack of pairs: {', '.join(missing)} missing; pass what "
            "groundshift.timeseries.stack makes of displacement fields"
        )
    for name in MOVING:
        if cube[name].dims != ("pair", "y", "x"):
            raise GroundshiftError(
                f"not a stack of pairs: {name} has dimensions {cube[name].dims}, not "
                "('pair', 'y', 'x')"
            )
    geobox_of(cube)
    return cube


def check_series(series: xr.Dataset) -> xr.Dataset:
    """Return a series if it is one; say what is missing if not."""
    missing = [name for name in (*MOVING, *STILL, "time") if name not in series.variables]
    if missing:
        raise GroundshiftError(
            f"not a series: {', '.join(missing)} missing; pass the output of groundshift.invert"
        )
    geobox_of(series)
    return series


CHECKS = {CUBE: check_cube, SERIES: check_series}
"""By schema."""


def dates_of(cube: xr.Dataset) -> Dates:
    """List the dates of a cube, and its pairs as numbers of these.

    Raises
    ------
    GroundshiftError
        If a pair lacks a date, or is of one date.
    """
    first, second = (cube[which].values.astype("datetime64[ns]") for which in TIMES)
    if np.isnat(first).any() or np.isnat(second).any():
        raise GroundshiftError("every pair needs both dates, and some of this stack are unknown")
    if (same := np.flatnonzero(first == second)).size:
        raise GroundshiftError(
            f"both images of pair {same[0]} are of {np.datetime_as_string(first[same[0]], 's')}; "
            "leave it out, for example with cube.isel(pair=...)"
        )
    times = np.unique(np.concatenate([first, second]))
    places = (np.searchsorted(times, each).tolist() for each in (first, second))
    return Dates(times, Network(len(times), tuple(zip(*places, strict=True))))


def check_linked(dates: Dates, remedy: str) -> None:
    """Refuse a network of pairs that does not link all dates; say where it falls apart."""
    groups = components(dates.network.dates, dates.network.pairs)
    if len(groups) == 1:
        return
    named = "; ".join(
        f"{_day(dates.times[group[0]])} to {_day(dates.times[group[-1]])} ({len(group)} dates)"
        for group in groups[:4]
    )
    raise GroundshiftError(
        f"no pair links these {len(groups)} groups of dates: {named}"
        f"{'; ...' if len(groups) > 4 else ''}; {remedy}"
    )


def build(
    planes: dict[str, Any], cube: xr.Dataset, dates: Dates, reference: int, attrs: dict[str, Any]
) -> xr.Dataset:
    """Label the history that follows from a cube.

    Parameters
    ----------
    planes
        `MOVING` variables ``(time, rows, columns)`` and `STILL` ones ``(rows, columns)``.
    reference
        Number of the date at which displacement is 0.
    attrs
        What else is known, ``history`` for example.
    """
    grid = geobox_of(cube)
    unit = "pixel" if grid.crs is None else "m"
    encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
    variables = {}
    for name in (*MOVING, *STILL):
        about = dict(ATTRS[name])
        about["units"] = unit if about["units"] == "m" else about["units"]
        dims = ("time", "y", "x") if name in MOVING else ("y", "x")
        variables[name] = (dims, planes[name].astype(np.float32), about, dict(encoding))
    coords = {name: cube.coords[name] for name in ("y", "x", "spatial_ref") if name in cube.coords}
    day = dates.times[reference]
    return xr.Dataset(
        variables,
        coords=coords
        | {
            "time": ("time", dates.times, ATTRS["time"]),
            "reference_time": xr.DataArray(day, attrs=ATTRS["reference_time"]),
        },
        attrs={
            "Conventions": CONVENTIONS,
            "title": "Ground displacement through time",
            "schema": SERIES,
            "software": f"groundshift {version('groundshift')}",
            "stride": int(cube.attrs.get("stride", 1)),
            **attrs,
        },
    )


def moment(day: Any) -> np.datetime64:
    """Return what somebody wrote as a date.

    Raises
    ------
    GroundshiftError
        If it is none.
    """
    try:
        return np.datetime64(day, "ns")
    except (ValueError, TypeError) as error:
        raise GroundshiftError(f"{day!r} is no date; write it as 2020-02-07") from error


def since(dates: Dates, day: Any, *, earlier: bool = False) -> float:
    """Return the date of an event in years since the first image; refuse what lies beyond all.

    Parameters
    ----------
    earlier
        Whether it may be before the first image, as that of an earthquake whose afterslip goes on.
    """
    time = moment(day)
    if not (earlier or dates.times[0] < time) or time > dates.times[-1]:
        raise GroundshiftError(
            f"an event of {np.datetime_as_string(time, unit='D')} is not between the first and "
            f"the last image ({str(dates.times[0])[:10]} to {str(dates.times[-1])[:10]}), so that "
            "no pair shows it; leave it out"
        )
    return float((time - dates.times[0]) / YEAR)


def nearest(dates: Dates, day: Any) -> int:
    """Return the number of the date that is on a day, or nearest to it by less than a day.

    Raises
    ------
    GroundshiftError
        If there is none.
    """
    wanted = moment(day)
    apart = np.abs(dates.times - wanted)
    if apart.min() >= np.timedelta64(1, "D"):
        raise GroundshiftError(
            f"there is no image of {_day(wanted)}; the nearest is of "
            f"{_day(dates.times[apart.argmin()])}"
        )
    return int(apart.argmin())


def _time(part: xr.Dataset, which: str) -> np.datetime64:
    value = part[which].values if which in part.coords else np.datetime64("NaT")
    return np.datetime64(np.asarray(value, "datetime64[ns]").item(), "ns")


def _day(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="D"))


def _name(part: xr.Dataset) -> str:
    names = [part.attrs.get(role, "") for role in ("reference", "secondary")]
    return " and ".join(name for name in names if name) or "of unknown images"
