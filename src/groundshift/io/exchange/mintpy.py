"""HDF5 files of MintPy 1.6: stacks of offsets, ``ifgramStack.h5``, and series of one component.

MintPy has two meanings of ``rangeOffset, azimuthOffset``. Of COSI-Corr (PROCESSOR cosicorr) they
are metres to the east and to the north on a map; this is what is read on a map, and what we write.
Of radar programs they are pixels of one look, away from the satellite and along its flight: without
a map they become columns and rows of the file's own grid, divided by its looks. On a map these
directions are no axes of it, and the file is refused. X_FIRST, Y_FIRST are the outer corner.

A series is two files, ``timeseriesRg.h5`` and ``timeseriesAz.h5`` as MintPy calls them: read as one
where both are of COSI-Corr. A single one is displacement along a line of sight for all it says.
"""

from datetime import datetime
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from groundshift import timeseries
from groundshift.errors import GridError, ImageError
from groundshift.grid import coordinates
from groundshift.inversion import Network
from groundshift.io.exchange import hdf5
from groundshift.io.exchange.labels import check_dates, crs_of, label_cube, short
from groundshift.io.exchange.scaled import scaled
from groundshift.io.scratch import TYPE

AXES = {"x": "range", "y": "azimuth"}
ENDS = {"x": "Rg", "y": "Az"}
"""Of the names of both files of a series."""


def read(path: Path) -> xr.Dataset:
    """Return offsets as a stack of pairs, and both components of a history as a series; lazily.

    Raises
    ------
    ImageError
        If it is something else, or along no axes of the map.
    """
    with hdf5.opened(path) as file:
        attrs = {name: hdf5.text(value) for name, value in file.attrs.items()}
        names = set(file)
    if {"rangeOffset", "azimuthOffset", "date"} <= names:
        return _stack(path, attrs)
    if {"timeseries", "date"} <= names:
        return _series(path, attrs)
    raise ImageError(
        f"{path} holds {', '.join(sorted(names)) or 'nothing'}; of HDF5, the stacks of offsets and "
        "the series of MintPy can be read: ifgramStack.h5 with rangeOffset and azimuthOffset"
    )


def _stack(path: Path, attrs: dict[str, str]) -> xr.Dataset:
    with hdf5.opened(path) as file:
        days = np.array([[_date(day, attrs) for day in pair] for pair in file["date"][()]])
        kept = file["dropIfgram"][()].astype(bool) if "dropIfgram" in file else np.ones(len(days))
        shape = file["rangeOffset"].shape
    number = np.flatnonzero(kept)
    if not number.size:
        raise ImageError(f"all pairs in {path} are dropped (dropIfgram); keep some")
    first, second = days[number].T
    check_dates(first, second, path.name)
    grid, looks = _grid(path, attrs, shape[1:])
    planes = {}
    for axis, theirs in AXES.items():
        for ours, end in (("d", ""), ("sigma_d", "Std")):
            plane = hdf5.plane(path, f"{theirs}Offset{end}")
            if plane is not None:
                chosen = plane if number.size == len(days) else plane[number]
                planes[f"{ours}{axis}"] = scaled(chosen, np.full(number.size, 1 / looks[axis]))
    return label_cube(planes, first, second, grid, path.name)


def _series(path: Path, attrs: dict[str, str]) -> xr.Dataset:
    alone = (
        f"{path} is a history of one component, along the line of sight for all that it says; "
        "write it as GeoTIFFs (save_gdal.py) for groundshift compare --sight, or give "
        "timeseriesRg.h5 of offsets of COSI-Corr with timeseriesAz.h5 beside it"
    )
    here = next((axis for axis, end in ENDS.items() if path.stem.endswith(end)), None)
    if here is None or attrs.get("PROCESSOR") != "cosicorr":
        raise ImageError(alone)
    stem = path.stem.removesuffix(ENDS[here])
    files = files_of(path.with_name(f"{stem}{path.suffix}"))
    if not all(file.exists() for file in files.values()):
        raise ImageError(alone)
    dates, planes = {}, {}
    for axis, each in files.items():
        with hdf5.opened(each) as file:
            dates[axis] = np.array([_date(day, attrs) for day in file["date"][()]])
        if not np.array_equal(dates[axis], dates["x"]):
            raise ImageError(f"{files['x']} and {each} have different dates; make both anew")
        for ours, theirs in (("d", "timeseries"), ("sigma_d", "std")):
            plane = hdf5.plane(each, theirs)
            if plane is not None:
                planes[f"{ours}{axis}"] = plane
    if planes["dx"].shape != planes["dy"].shape:
        raise GridError(f"{files['x']} and {files['y']} have different sizes; make both anew")
    rows, columns = planes["dx"].shape[1:]
    grid, _ = _grid(path, attrs, (rows, columns))
    return _labelled(planes, dates["x"], _reference(attrs, dates["x"]), grid)


def _labelled(
    planes: dict[str, xr.Variable], times: np.ndarray, reference: int, grid: GeoBox
) -> xr.Dataset:
    shape = planes["dx"].shape
    unknown = da.full(shape, np.float32("nan"), TYPE, chunks=(1, *shape[1:]))
    whole = {
        name: planes[name].chunk({"pair": 1}).data if name in planes else unknown
        for name in timeseries.MOVING
    }
    whole |= {name: unknown[0] for name in timeseries.STILL}
    return timeseries.build(
        whole,
        xr.Dataset(coords=coordinates(grid)),
        timeseries.Dates(times, Network(len(times), ())),
        reference,
        {"pairs": "an unknown number of"},
    )


def files_of(path: Path) -> dict[str, Path]:
    """Return the files of both components of a series."""
    return {axis: path.with_name(f"{path.stem}{end}{path.suffix}") for axis, end in ENDS.items()}


def _grid(
    path: Path, attrs: dict[str, str], shape: tuple[int, int]
) -> tuple[GeoBox, dict[str, float]]:
    """Return the grid, and by what numbers are divided along x and y."""
    if "X_FIRST" not in attrs:
        try:
            looks = {"x": float(attrs["RLOOKS"]), "y": float(attrs["ALOOKS"])}
        except (KeyError, ValueError):
            raise ImageError(
                f"{path} does not know its looks in range and azimuth, and offsets are in pixels "
                "of one look; add the attributes RLOOKS and ALOOKS"
            ) from None
        return GeoBox(shape, Affine.translation(-0.5, -0.5), None), looks
    if attrs.get("PROCESSOR") != "cosicorr":
        raise ImageError(
            f"offsets in {path} are along the line of sight and the flight, on a map whose axes "
            "are others; give the stack in radar coordinates, or offsets of COSI-Corr "
            "(PROCESSOR=cosicorr)"
        )
    numbers = (float(attrs[f"{axis}_{end}"]) for axis in "XY" for end in ("FIRST", "STEP"))
    left, across, top, down = numbers
    affine = Affine(across, 0, left, 0, down, top)
    return GeoBox(shape, affine, short(_crs(path, attrs))), {"x": 1.0, "y": 1.0}


def _crs(path: Path, attrs: dict[str, str]) -> CRS:
    zone = attrs.get("UTM_ZONE", "")
    if "EPSG" not in attrs and zone:
        return CRS.from_epsg((32700 if zone[-1].upper() == "S" else 32600) + int(zone[:-1]))
    if "EPSG" not in attrs and attrs.get("X_UNIT", "").startswith("deg"):
        return CRS.from_epsg(4326)
    return crs_of(attrs, path.name)


def _date(day: bytes, attrs: dict[str, str]) -> np.datetime64:
    text = day.decode()
    forms = {6: "%y%m%d", 8: "%Y%m%d", 13: "%Y%m%dT%H%M", 15: "%Y%m%dT%H%M%S"}
    if len(text) not in forms:
        raise ImageError(f"{text!r} is no date of MintPy; write it as 20160711 or 20160711T0500")
    time = np.datetime64(datetime.strptime(text, forms[len(text)]), "ns")
    if len(text) > 8:
        return time
    return time + np.timedelta64(round(float(attrs.get("CENTER_LINE_UTC", 0)) * 1e6), "us")


def _reference(attrs: dict[str, str], times: np.ndarray) -> int:
    if "REF_DATE" not in attrs:
        return 0
    day = _date(attrs["REF_DATE"].encode(), attrs)
    return timeseries.nearest(timeseries.Dates(times, Network(len(times), ())), day)
