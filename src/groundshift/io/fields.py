"""Displacement fields and maps in and out of files."""

import glob
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.array as da
import xarray as xr
from filelock import FileLock, Timeout
from rasterio.errors import RasterioError

from groundshift import field, maps, timeseries
from groundshift.errors import ImageError, OutputError
from groundshift.io import cf, cog, partial
from groundshift.io.scratch import TYPE, Scratch, cannot_write, compute_into

log = logging.getLogger(__name__)

Writer = Callable[[Path, xr.Dataset, dict[str, Scratch]], None]
WRITERS: dict[str, Writer] = {
    ".tif": cog.write,
    ".tiff": cog.write,
    ".nc": cf.write_netcdf,
    ".zarr": cf.write_zarr,
}


def save(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    resume: dict[str, Any] | None = None,
) -> Path:
    """Compute a field, a map or a stack, tile by tile, and write it; the suffix says how.

    ``.tif`` is a cloud-optimised GeoTIFF with named bands, ``.nc`` is netCDF, ``.zarr`` is Zarr
    version 3, both after the CF conventions; stacks go into these. Everything is computed once,
    with dask's scheduler as the caller has set it, into a hidden folder beside the output, which
    appears when it is complete and under no other circumstances. Memory holds a few tiles; the disk
    needs up to three times the size of the result for a while.

    Parameters
    ----------
    dataset
        What is computed.
    path
        The output.
    overwrite
        Whether to replace what is there.
    resume
        What decides on the result, plain values by name: what is computed is kept in the folder
        ``OUT.partial`` until all of it is, and a run that was stopped, however, goes on with it.

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
    planes = {str(name): _planes(dataset[name]) for name in dataset.data_vars}
    _check_space(out, sum(int(plane.size) for plane in planes.values()) * TYPE.itemsize)
    with _workshop(out) if resume is None else _longer(out, resume, planes) as folder:
        marks = None if resume is None else folder / "marks"
        scratch = compute_into(folder / "scratch", planes, marks)
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


def _planes(variable: xr.DataArray) -> da.Array:
    """Return a map, or a stack of maps."""
    if variable.dims[-2:] != ("y", "x") or variable.ndim > 3:
        raise OutputError(
            f"{variable.name} has dimensions {variable.dims}; only maps with ('y', 'x'), and "
            "stacks of them, can be saved: drop it"
        )
    lazy = variable.variable
    if variable.chunks is None and variable.ndim == 3:
        lazy = lazy.chunk({variable.dims[0]: 1})
    return da.asarray(lazy.data).astype(TYPE)


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
    """Make a folder beside the output, on the same disk, that is gone in the end.

    What runs left behind that were killed is gone as well.
    """
    for old in out.parent.glob(f".{glob.escape(out.name)}.*/{partial.LOCK}"):
        with suppress(OSError, Timeout), FileLock(old).acquire(timeout=0):
            shutil.rmtree(old.parent, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(cannot_write(out.parent, error)) from error
    try:
        with FileLock(folder / partial.LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _longer(out: Path, facts: dict[str, Any], planes: dict[str, da.Array]) -> Iterator[Path]:
    """Make a folder, or take that of an earlier run, which is gone when all went well."""
    blocks = [list(sizes) for sizes in next(iter(planes.values())).chunks[-2:]]
    with partial.work_on(out, facts | {"blocks": blocks}) as folder:
        yield folder
        partial.clear(folder)


def _put(result: Path, out: Path, folder: Path) -> None:
    """Rename; a folder cannot replace a folder, so an old one steps aside for an instant."""
    if not out.is_dir():
        result.replace(out)
        return
    old = folder / "old"
    shutil.rmtree(old, ignore_errors=True)  # of a run that was killed here
    out.replace(old)
    try:
        result.replace(out)
    except OSError:
        old.replace(out)
        raise
