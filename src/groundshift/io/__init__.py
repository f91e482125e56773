"""Files in and out: the only place that knows paths and formats."""

import os
from collections.abc import Sequence
from types import ModuleType

import xarray as xr

from groundshift.errors import ImageError
from groundshift.io import raster
from groundshift.io.fields import open_field, save
from groundshift.io.radiometry import RADIOMETRIES

__all__ = ["READERS", "open_field", "open_image", "save"]

READERS: Sequence[ModuleType] = (raster,)
"""Tried in turn: modules with ``matches(path)`` and ``open(path, ...)``."""


def open_image(
    path: str | os.PathLike[str],
    *,
    band: int | str | None = None,
    nodata: float | None = None,
    mask: str | os.PathLike[str] | None = None,
    time: object = None,
    radiometry: str | None = None,
) -> xr.DataArray:
    """Open one band of anything that GDAL opens, without reading its pixels.

    Parameters
    ----------
    path
        A file, ``NETCDF:"file.nc":variable``, or any other name that GDAL understands.
    band
        Number from 1, or (part of) the name. Needed when there are several different bands; grey
        that was saved as colours is recognised.
    nodata
        Value that means "no data", instead of the file's own. When neither exists, nor a mask or
        alpha band, areas of zeros of at least 8 x 8 pixels are no data, image borders included
        (:mod:`groundshift.io.zeros`); pass NaN to keep them as data.
    mask
        Raster of the same size that is zero where there is no data.
    time
        Acquisition time (UTC), ISO text or datetime64; by default from the metadata or the name.
    radiometry
        ``amplitude``, ``intensity``, ``db``, ``complex`` or ``optical``, when known.

    Returns
    -------
    xr.DataArray
        Lazy, dims (y, x), float32 or complex64, NaN = no data, with a scalar ``time`` (NaT when
        unknown). Without georeferencing, x counts columns and y counts rows downward.

    Raises
    ------
    ImageError
        With the remedy; also later, when a damaged file's pixels are read.
    """
    if radiometry is not None and radiometry not in RADIOMETRIES:
        raise ImageError(
            f"radiometry={radiometry!r} is not known; choose one of {', '.join(RADIOMETRIES)}"
        )
    name = os.fspath(path)
    reader = next(reader for reader in READERS if reader.matches(name))
    image = reader.open(
        name, band=band, nodata=nodata, mask=None if mask is None else os.fspath(mask), time=time
    )
    if radiometry is not None:
        image.attrs["radiometry"] = radiometry
    return image
