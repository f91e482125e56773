"""Displacement fields and maps in and out of files."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from rasterio.errors import RasterioError

from groundshift import field, maps, timeseries
from groundshift.errors import ImageError, OutputError
from groundshift.io import cf, cog, partial
from groundshift.io.exchange import foreign, geotiffs, mintpy
from groundshift.io.outputs import check_kind, check_space, put, workshop
from groundshift.io.scratch import TYPE, Scratch, cannot_write, compute_into

log = logging.getLogger(__name__)

RAW = 1 << 26
"""Bytes of a chunk of what is read from the disk without compression."""
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
    look: Callable[[xr.Dataset], None] | None = None,
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
    look
        Called with what is in the output once that is there: it comes from the folder, where it is
        not compressed, which is faster than to read the output. It is gone afterwards.

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
    for name, variable in dataset.data_vars.items():
        if "units" not in variable.attrs:
            raise OutputError(
                f"{name} does not say its units, without which nobody can read it; set "
                f".{name}.attrs['units'], such as 'm', 'pixel' without georeferencing, or '1'"
            )
    check_space(out, sum(int(plane.size) for plane in planes.values()) * TYPE.itemsize)
    with workshop(out) if resume is None else _longer(out, resume, planes) as folder:
        marks = None if resume is None else folder / "marks"
        scratch = compute_into(folder / "scratch", planes, marks)
        result = folder / f"result{out.suffix.lower()}"
        try:
            writer(result, dataset, scratch)
            put(result, out, folder)
        except (OSError, RasterioError, RuntimeError) as error:
            # RuntimeError: HDF5, when the disk is full.
            raise OutputError(cannot_write(out.parent, error)) from error
        if look is not None:
            look(_raw(dataset, scratch))
    log.info("wrote %s", out)
    return out


def open_field(path: str | os.PathLike[str], *, bands: str | None = None) -> xr.Dataset:
    """Open a field, a map, a stack of pairs or a series that `save` wrote; lazily.

    What other programs wrote is recognised by what is in the file (:mod:`groundshift.io.exchange`):
    velocities of ITS_LIVE and TICOI, offsets and series of MintPy, GeoTIFFs of displacement.

    Parameters
    ----------
    path
        A file, or a folder of Zarr.
    bands
        What the bands of a GeoTIFF of another program are, in order, where it does not say so:
        ``"dx,dy,-"``, metres to the east and to the north, and one that is not used; or ``vx, vy``,
        metres per year.

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
                own = "schema" in dataset.attrs
                if not own and (theirs := foreign.of_cube(name, dataset)) is not None:
                    return _checked(theirs)
                # A stack has too many chunks to make a task of each: it is lazy without dask.
                if dataset.attrs.get("schema") != timeseries.CUBE:
                    dataset = cf.open(name, chunks={})
            case ".h5" | ".hdf5" | ".he5":
                return _checked(mintpy.read(name))
            case _ if bands is None and cog.is_own(str(name)):
                dataset = cog.read(str(name))
            case _:
                return _checked(geotiffs.read(name, bands))
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
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already; choose another name or pass overwrite=True")
    check_kind(out, folder=suffix == ".zarr")
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


def _raw(dataset: xr.Dataset, scratch: dict[str, Scratch]) -> xr.Dataset:
    """Return a dataset with what was computed of it, straight from the disk."""
    planes = {}
    for name, plane in scratch.items():
        rows = max(1, RAW // plane.line)  # whole ones: parts of them are no faster to read
        chunks = (*(1 for _ in plane.shape[:-2]), rows, -1)
        lazy = da.from_array(plane, chunks=chunks, meta=np.empty((0,) * plane.ndim, TYPE))  # type: ignore[arg-type] - its annotation forgets tuples
        planes[name] = dataset[name].copy(data=lazy)
    return dataset.assign(planes)


@contextmanager
def _longer(out: Path, facts: dict[str, Any], planes: dict[str, da.Array]) -> Iterator[Path]:
    """Make a folder, or take that of an earlier run, which is gone when all went well."""
    blocks = [list(sizes) for sizes in next(iter(planes.values())).chunks[-2:]]
    with partial.work_on(out, facts | {"blocks": blocks}) as folder:
        yield folder
        partial.clear(folder)
