"""What stacks and histories show at points, as tables.

A history has the columns of a table of stations (:mod:`groundshift.io.instruments`), so that
``groundshift compare`` reads it as one. East and north are metres on the ground, dx and dy those of
the map. Places are those of the centre of the cell; empty is not measured.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from pyproj import CRS, Transformer

from groundshift import stations, timeseries
from groundshift.errors import GridError, GroundshiftError
from groundshift.grid import geobox_of


class Place(NamedTuple):
    """A point that is asked for."""

    name: str
    x: float
    """In coordinates of the map, or degrees east."""
    y: float
    lonlat: bool = False
    """Whether they are degrees of WGS84."""


class _Cell(NamedTuple):
    name: str
    row: int
    column: int


def read_places(path: Path) -> list[Place]:
    """Read a table with the columns `station, x, y` or `station, longitude, latitude`.

    Raises
    ------
    GroundshiftError
        If it has others, or holds something else.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        names = ("x", "y") if rows and "x" in rows[0] else ("longitude", "latitude")
        return [
            Place(row["station"], float(row[names[0]]), float(row[names[1]]), names[0] != "x")
            for row in rows
        ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise GroundshiftError(
            f"{path} is no table of points ({type(error).__name__}: {error}); it needs the columns "
            "station, x, y or station, longitude, latitude"
        ) from error


def write(path: Path, dataset: xr.Dataset, places: Sequence[Place]) -> None:
    """Write a row for each point and pair, or point and date.

    Raises
    ------
    GroundshiftError
        If there is no point, or one is off the map.
    """
    if not places:
        raise GroundshiftError("there are no points; give some with at=, at_lonlat= or points=")
    cells = [_cell(dataset, place) for place in places]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, cell in enumerate(cells):
            rows = list(_rows(dataset, cell))
            if number == 0:
                writer.writerow(rows[0])
            writer.writerows([_text(value) for value in row.values()] for row in rows)


def _cell(dataset: xr.Dataset, place: Place) -> _Cell:
    grid = geobox_of(dataset)
    x, y = place.x, place.y
    if place.lonlat:
        if grid.crs is None:
            raise GridError(
                "without a map there are no longitudes; give columns and rows with at=, "
                "or georeference the images"
            )
        there = Transformer.from_crs(CRS("EPSG:4326"), grid.crs.proj, always_xy=True)
        x, y = there.transform(x, y)
    column, row = ~grid.affine * (x, y)
    inside = np.isfinite((row, column)).all()
    if not inside or not (0 <= row < grid.shape.y and 0 <= column < grid.shape.x):
        box = grid.boundingbox
        raise GroundshiftError(
            f"{place.name} at {place.x:.10g}, {place.y:.10g} is off the map, which covers x "
            f"{box.left:.10g} to {box.right:.10g}, y {box.bottom:.10g} to {box.top:.10g}; give "
            "points on it"
        )
    return _Cell(place.name, int(row), int(column))


def _rows(dataset: xr.Dataset, cell: _Cell) -> Iterator[dict[str, Any]]:
    """Make the rows of a point."""
    times = timeseries.TIMES if "pair" in dataset.dims else ("time",)
    grid = geobox_of(dataset)
    x, y = grid.affine * (cell.column + 0.5, cell.row + 0.5)
    place = {"x": x, "y": y}
    turn = None
    if grid.crs is not None:
        back = Transformer.from_crs(grid.crs.proj, CRS("EPSG:4326"), always_xy=True)
        longitude, latitude = back.transform(x, y)
        place |= {"longitude": longitude, "latitude": latitude}
        turn = stations.to_ground(grid, longitude, latitude)
    planes = np.stack(
        [
            dataset[name].variable[:, cell.row, cell.column].compute(scheduler="sync").values
            for name in timeseries.MOVING
        ]
    )
    for number in range(planes.shape[1]):
        days = {name: dataset[name].values[number] for name in times}
        values = planes[:, number]
        row = {"station": cell.name} | days | place
        row |= dict(zip(timeseries.MOVING, values, strict=True))
        if turn is not None:
            east, north = turn @ values[:2].astype(float)
            spread = np.sqrt(turn**2 @ values[2:].astype(float) ** 2)
            row |= {"east": east, "north": north, "up": np.nan}
            row |= {"sigma_east": spread[0], "sigma_north": spread[1], "sigma_up": np.nan}
        yield row


def _text(value: Any) -> str:
    if np.asarray(value).dtype.kind == "M":
        return str(np.datetime_as_string(value, unit="ms"))
    if isinstance(value, str):
        return value
    digits = 9 if np.asarray(value).dtype == np.float32 else 12
    return "" if np.isnan(value) else f"{value:.{digits}g}"
