"""Series of displacement along a line of sight, as interferometry makes them: a GeoTIFF a date."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from groundshift.errors import ImageError
from groundshift.io import raster

DATES = re.compile(r"(?<!\d)(\d{8})_(\d{8})(?!\d)")


def open_los(paths: Sequence[str], sight: str) -> xr.Dataset:
    """Open GeoTIFFs of displacement since a common date, towards the satellite, as a series.

    Parameters
    ----------
    paths
        Single-band files on one grid, metres, with both dates in their names, the common one first:
        ``displacement_20160711_20160723.tif``.
    sight
        Unit vector from the ground to the satellite, east, north and up: three numbers with commas
        between, or a raster of three bands.

    Returns
    -------
    xr.Dataset
        ``los`` (time, y, x), with the common date, at which it is 0, and ``los_east, los_north,
        los_up`` (y, x).

    Raises
    ------
    ImageError
        If names have no dates, or grids differ.
    """
    if not paths:
        raise ImageError("there are no files of displacement; give a GeoTIFF for each date")
    found: dict[str, xr.DataArray] = {}
    first = ""
    for path in paths:
        match = DATES.search(Path(path).name)
        if match is None:
            raise ImageError(f"{path} has no two dates in its name, such as 20160711_20160723")
        first = first or match[1]
        if match[1] != first:
            raise ImageError(
                f"{path} is relative to {match[1]} and not, as the first, to {first}; give files "
                "with one common date, or pairs to groundshift invert"
            )
        found[match[2]] = raster.open(path, nodata=float("nan"))
    planes = [found[day] for day in sorted(found)]
    grid = planes[0].odc.geobox
    if any(plane.odc.geobox != grid for plane in planes):
        raise ImageError("the files are on different grids; bring them onto one (gdalwarp)")
    days = [first, *sorted(found)]
    times = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in days], "datetime64[ns]")
    still = xr.zeros_like(planes[0])
    los = xr.concat(
        [plane.drop_vars("time", errors="ignore") for plane in (still, *planes)],
        xr.DataArray(times, dims="time", name="time"),
        combine_attrs="drop_conflicts",
        coords="minimal",
        compat="override",
        join="override",
    )
    parts = _vector(sight, planes[0])
    names = ("los_east", "los_north", "los_up")
    return xr.Dataset(
        {"los": los.assign_attrs(units="m", long_name="displacement towards the satellite")}
        | {
            name: planes[0].drop_vars("time", errors="ignore").copy(data=part)
            for name, part in zip(names, parts, strict=True)
        }
    )


def _vector(sight: str, like: xr.DataArray) -> list[np.ndarray]:
    """Return the parts of a unit vector for each cell."""
    words = sight.split(",")
    if len(words) == 3:
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError as error:
            raise ImageError(f"{sight!r} is no vector; give it as 0.6,-0.1,0.79") from error
        if abs(np.linalg.norm(numbers) - 1) > 0.05:
            raise ImageError(
                f"{sight!r} has the length {np.linalg.norm(numbers):.3g} and not 1; give a unit "
                "vector from the ground to the satellite"
            )
        return [np.full(like.shape, number, np.float32) for number in numbers]
    crs, affine = str(like.odc.crs), like.odc.transform
    try:
        with rasterio.open(sight) as source:
            if source.count != 3:
                raise ImageError(f"{sight} has {source.count} bands, not east, north and up")
            with WarpedVRT(
                source,
                crs=crs,
                transform=affine,
                width=like.shape[1],
                height=like.shape[0],
                resampling=Resampling.bilinear,
            ) as warped:
                return list(warped.read().astype(np.float32))
    except RasterioError as error:
        raise ImageError(f"{sight} cannot be read: {error}") from error
