"""Fields as netCDF (HDF5) and Zarr version 3, after the CF conventions."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask import config

from groundshift.io.scratch import TYPE, Scratch

CHUNK = 512
OVERHEAD = 1 << 20
"""Bytes that HDF5 may need on top of the data."""
UNITS = {"pixel": "1", "pixel year-1": "year-1"}
"""UDUNITS has no pixel; `long_name` says it instead."""
TIME = {"units": "seconds since 1970-01-01 00:00:00", "dtype": "float64", "_FillValue": None}


def write_netcdf(path: Path, dataset: xr.Dataset, planes: dict[str, Scratch]) -> None:
    """Write one compressed HDF5 file."""
    reserve(path.with_suffix(".reserve"), sum(v.nbytes for v in dataset.data_vars.values()))
    ready = prepare(dataset, planes)
    for name in dataset.data_vars:
        ready[name].encoding |= {
            "zlib": True,
            "complevel": 4,
            "shuffle": True,
            "chunksizes": _chunks(ready[name].shape),
        }
    with config.set(scheduler="synchronous"):
        ready.to_netcdf(path, engine="h5netcdf")


def write_zarr(path: Path, dataset: xr.Dataset, planes: dict[str, Scratch]) -> None:
    """Write a folder."""
    from zarr.errors import ZarrUserWarning  # not above: zarr takes long to import

    ready = prepare(dataset, planes)
    for name in dataset.data_vars:
        ready[name].encoding["chunks"] = _chunks(ready[name].shape)
    with config.set(scheduler="synchronous"), warnings.catch_warnings():
        # Not part of version 3, which zarr warns of: who does not know them reads on without.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        ready.to_zarr(path, mode="w", zarr_format=3, consolidated=True)


def reserve(path: Path, size: int) -> None:
    """Make sure that the disk has room: HDF5 crashes the whole process when it has not."""
    if not hasattr(os, "posix_fallocate"):  # not on every system
        return
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size + OVERHEAD)
    path.unlink()


def prepare(dataset: xr.Dataset, planes: dict[str, Scratch]) -> xr.Dataset:
    """Return the dataset as it goes to disk: from the scratch file, in units that CF knows."""
    ready = dataset.copy()
    for name in [str(name) for name in dataset.data_vars]:
        variable = ready[name].variable
        attrs = described(variable.attrs)
        data = _lazy(planes[name])
        encoding: dict[str, Any] = {"_FillValue": np.float32("nan")}
        if "spatial_ref" in ready.coords:
            encoding["grid_mapping"] = "spatial_ref"
        ready[name] = xr.Variable(variable.dims, data, attrs, encoding)
    _encode_coordinates(ready)
    return ready


def described(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes of a variable in units that CF knows."""
    told = {str(name): value for name, value in attrs.items()}
    if told["units"] in UNITS:
        told["long_name"] = (
            told.get("long_name", "")
            + ", in pixels"
            + told["units"].removeprefix("pixel").replace(" year-1", " per year")
        )
        told["units"] = UNITS[told["units"]]
    return told


def add_to_zarr(path: Path, dataset: xr.Dataset, mode: Literal["w", "a"] = "a") -> None:
    """Write coordinates and attributes into a folder."""
    ready = dataset.copy()
    _encode_coordinates(ready)
    ready.to_zarr(path, mode=mode, zarr_format=3, consolidated=False)


def consolidate(path: Path) -> None:
    """Put what describes all variables of a folder into one file, for a quick start."""
    import zarr  # not above: zarr takes long to import
    from zarr.errors import ZarrUserWarning

    with warnings.catch_warnings():
        # Not part of version 3, which zarr warns of: who does not know it reads on without.
        warnings.filterwarnings("ignore", "Consolidated metadata", ZarrUserWarning)
        zarr.consolidate_metadata(str(path))


def _encode_coordinates(dataset: xr.Dataset) -> None:
    for name in ("y", "x"):
        if name in dataset.coords:
            # CF: coordinates have no missing values.
            dataset[name].encoding = {"_FillValue": None, "dtype": "float64"}
    for name in ("time", "reference_time", "secondary_time"):
        if name in dataset.coords:
            dataset[name].encoding = dict(TIME)


def _lazy(planes: Scratch) -> da.Array:
    return da.from_array(
        planes,
        chunks=_chunks(planes.shape),  # type: ignore[arg-type] - its annotation forgets tuples
        meta=np.empty((0,) * planes.ndim, TYPE),
        lock=False,
    )


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Chunk planes; those of a stack one by one."""
    return (*(1 for _ in shape[:-2]), *(min(CHUNK, n) for n in shape[-2:]))


def open(path: Path, chunks: dict[str, int] | None = None) -> xr.Dataset:
    """Open a file or a folder lazily: with dask where chunks are given, `{}` for those it has."""
    settings: dict[str, Any] = {"decode_coords": "all", "chunks": chunks, "cache": False}
    settings |= {"consolidated": False} if path.suffix.lower() == ".zarr" else {}
    engine = "zarr" if path.suffix.lower() == ".zarr" else "h5netcdf"
    return _restored(xr.open_dataset(path, engine=engine, **settings))


def _restored(dataset: xr.Dataset) -> xr.Dataset:
    """Undo what `prepare` did to units and names."""
    back = {pixels: units for units, pixels in UNITS.items()}
    for variable in dataset.data_vars.values():
        name = variable.attrs.get("long_name", "")
        if ", in pixels" in name:
            variable.attrs["long_name"] = name.split(", in pixels")[0]
            variable.attrs["units"] = back[variable.attrs["units"]]
    return dataset
