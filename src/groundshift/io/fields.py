"""Displacement fields and maps in and out of files."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask.array as da
import xarray as xr
from rasterio.errors import RasterioError

from groundshift import field, maps, timeseries
from groundshift.errors import ImageError, OutputError
from groundshift.io import cf, cog
from groundshift.io.scratch import TYPE, Scratch, cannot_write, compute_into, plane_name

log = logging.getLogger(__name__)

Writer = Callable[[Path, xr.Dataset, dict[str, Scratch]], None]
WRITERS: dict[str, Writer] = {
    ".tif": cog.write,
    ".tiff": cog.write,
    ".nc": cf.write_netcdf,
    ".zarr": cf.write_zarr,
}


def save(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Compute a field, a map or a stack, tile by tile, and write it; the suffix says how.

    ``.tif`` is a cloud-optimised GeoTIFF with named bands, ``.nc`` is netCDF, ``.zarr`` is Zarr
    version 3, both after the CF conventions; stacks go into these. Everything is computed once,
    with dask's scheduler as the caller has set it, into a hidden folder beside the output, which
    appears when it is complete and under no other circumstances. Memory holds a few tiles; the disk
    needs up to three times the size of the result for a while.

    Raises
    ------
    OutputError
        When the output cannot be written. What goes wrong in the computation is raised unchanged.
    """
    out = Path(path)
    writer = _writer(out, overwrite=overwrite)
    _checked(dataset)
    if writer is cog.write and any(dataset[name].ndim > 2 for name in dataset.data_vars):
        raise OutputError(f"{out}: a GeoTIFF holds no stack; choose a name in .nc or .zarr")
    planes = {n: p for name in dataset.data_vars for n, p in _planes(dataset[name]).items()}
    _check_space(out, sum(int(plane.size) for plane in planes.values()) * TYPE.itemsize)
    with _workshop(out) as folder:
        scratch = compute_into(folder / "scratch", planes)
        result = folder / f"result{out.suffix.lower()}"
        try:
            writer(result, dataset, scratch)
            _put(result, out, folder)
        except (OSError, RasterioError, RuntimeError) as error:
            # RuntimeError: HDF5, when the disk is full.
            raise OutputError(cannot_write(out.parent, error)) from error
    log.info("wrote %s", out)
    return out


def open_field(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a field, a map, a stack of pairs or a series that `save` wrote; lazily.

    Raises
    ------
    ImageError
        When the file cannot be read.
    GroundshiftError
        When it is neither.
    """
    name = Path(path)
    if not name.exists():
        raise ImageError(f"{name} does not exist; check the name")
    try:
        match name.suffix.lower():
            case ".nc" | ".zarr":
                dataset = cf.open(name)
                # A stack has too many chunks to make a task of each: it is lazy without dask.
                if dataset.attrs.get("schema") != timeseries.CUBE:
                    dataset = cf.open(name, chunks={})
            case _:
                dataset = cog.read(str(name))
    except (OSError, RasterioError, KeyError) as error:
        raise ImageError(
            f"{name} is not a displacement field that can be read ({error}); pass the output of "
            "`groundshift track`"
        ) from error
    kind = maps.kind_of(dataset)
    known = kind.attrs if kind else field.ATTRS | timeseries.ATTRS
    # Zarr keeps no order.
    return _checked(dataset[[name for name in known if name in dataset.data_vars]])


def _checked(dataset: xr.Dataset) -> xr.Dataset:
    """Return what is a whole field, map, or stack of fields or dates."""
    kind = maps.kind_of(dataset)
    if dataset.attrs.get("schema") in timeseries.CHECKS:
        return timeseries.CHECKS[dataset.attrs["schema"]](dataset)
    return maps.check(dataset, kind) if kind else field.check(dataset)


def _writer(out: Path, *, overwrite: bool) -> Writer:
    suffix = out.suffix.lower()
    if suffix not in WRITERS:
        raise OutputError(
            f"{out}: the format {suffix or 'without suffix'} is not known; choose a name that ends "
            f"in {', '.join(WRITERS)}"
        )
    if not out.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {out.parent}; create it first")
    if out.exists():
        if not overwrite:
            raise OutputError(f"{out} exists already; choose another name or pass overwrite=True")
        if out.is_dir() != (suffix == ".zarr"):
            kind = "folder" if out.is_dir() else "file"
            raise OutputError(f"{out} exists and is a {kind}; choose another name")
    return WRITERS[suffix]


def _planes(variable: xr.DataArray) -> dict[str, da.Array]:
    """Name the planes of a variable: itself, or one for each date."""
    name, lazy = str(variable.name), variable.variable
    if variable.chunks is None and variable.ndim == 3:
        lazy = lazy.chunk({variable.dims[0]: 1})
    data = da.asarray(lazy.data).astype(TYPE)
    if variable.dims == ("y", "x"):
        return {name: data}
    if variable.dims[1:] == ("y", "x"):
        return {plane_name(name, k): data[k] for k in range(len(data))}
    raise OutputError(
        f"{name} has dimensions {variable.dims}; only maps with ('y', 'x'), and stacks of them, "
        "can be saved: drop it"
    )


def _check_space(out: Path, size: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if free < size:
        raise OutputError(
            f"cannot write to {out.parent}: {_bytes(size)} are needed and {_bytes(free)} are free; "
            "free some space or choose another place for OUT"
        )


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """Make a folder beside the output, on the same disk, that is gone in the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(cannot_write(out.parent, error)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(result: Path, out: Path, folder: Path) -> None:
    """Rename; a folder cannot replace a folder, so an old one steps aside for an instant."""
    if not out.is_dir():
        result.replace(out)
        return
    old = folder / "old"
    out.replace(old)
    try:
        result.replace(out)
    except OSError:
        old.replace(out)
        raise
