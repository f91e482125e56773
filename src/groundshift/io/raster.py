"""Images from whatever GDAL opens.

Opening reads metadata, and for an image in colour a few small windows to see whether it is grey.
Pixels come when the dask array is computed.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from groundshift.errors import ImageError
from groundshift.grid import coordinates
from groundshift.io.blocks import Band, environment, is_file
from groundshift.io.dates import image_time

log = logging.getLogger(__name__)

BLOCK = 2048
"""Wished side of a dask block, pixels."""
GREY_SAMPLE = 256
"""Side of the windows in which colours are compared."""
JPEG_BLOCK = 8
POLARISATIONS = ("polarisation", "polarization", "polarisations", "polarizations")
"""Tags that name the polarisation of a radar image."""
EXACT = 2**24
"""float32 holds all integers up to here."""


def matches(path: str) -> bool:
    """Whether this reader may open the path: it tries everything."""
    return isinstance(path, str)


def open(
    path: str,
    *,
    band: int | str | None = None,
    nodata: float | None = None,
    mask: str | None = None,
    time: object = None,
) -> xr.DataArray:
    """Open one band as an image; see :func:`groundshift.io.open_image`."""
    with inspect(path) as dataset:
        if mask is not None:
            _check_mask(mask, dataset.shape)
        return _image(dataset, path, band, nodata, mask, time)


class BandInfo(NamedTuple):
    """What a file says about one of its bands."""

    number: int
    """From 1."""
    name: str
    dtype: str


def bands(path: str) -> list[BandInfo]:
    """List the bands of a file."""
    with inspect(path) as dataset:
        return [BandInfo(i, _band_name(dataset, i), dataset.dtypes[i - 1]) for i in dataset.indexes]


@contextmanager
def inspect(path: str) -> Iterator[DatasetReader]:
    """Open a dataset for its metadata; say what is wrong with a file that is none."""
    if is_file(path):
        _check_file(Path(path))
    # rasterio reads the geotransform, and warns when there is none, as soon as it opens.
    with warnings.catch_warnings(), environment():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as dataset:
                yield dataset
        except RasterioError as error:
            raise ImageError(_why_not(path, error)) from error


def _image(
    dataset: DatasetReader,
    path: str,
    band: int | str | None,
    nodata: float | None,
    mask: str | None,
    time: object,
) -> xr.DataArray:
    if dataset.count == 0:
        raise ImageError(_subdatasets(path, dataset.subdatasets))
    if min(dataset.shape) < 2:
        rows, columns = dataset.shape
        raise ImageError(
            f"{path} is {rows} x {columns} pixels: too small to match; pass a larger image"
        )
    index = choose_band(dataset, path, band)
    geobox = _geobox(dataset, path)
    source = replace(
        _band(dataset, path, index, nodata),
        user_mask=mask,
        as_stored=dataset.driver == "netCDF" and geobox.crs is None,
    )
    data = da.from_array(
        source,
        chunks=_chunks(dataset, index),  # type: ignore[arg-type] - its annotation forgets tuples
        name=f"image-{tokenize(source)}",
        inline_array=True,
        meta=np.empty((0, 0), source.dtype),
    )
    tags = dataset.tags() | dataset.tags(ns="IMAGERY") | dataset.tags(index)
    when = image_time(time, tags, _file_name(path))
    coords = coordinates(geobox) | {"time": xr.DataArray(when)}
    attrs = {"source": path}
    if said := [value for key, value in tags.items() if key.lower() in POLARISATIONS]:
        attrs["polarisation"] = str(said[-1])
    image = xr.DataArray(data, dims=("y", "x"), coords=coords, attrs=attrs, name="image")
    if "spatial_ref" in coords:
        image.encoding["grid_mapping"] = "spatial_ref"
    return image


def choose_band(dataset: DatasetReader, path: str, band: int | str | None) -> int:
    """Return the number, from 1, of the band that is meant.

    Raises
    ------
    ImageError
        When there is no such band, or none was named and there are several different ones.
    """
    if isinstance(band, str) and band.strip().isdigit():
        band = int(band)
    if isinstance(band, str):
        names = {index: _band_name(dataset, index) for index in dataset.indexes}
        for test in (str.__eq__, str.startswith, str.__contains__):
            found = [i for i, name in names.items() if test(name.lower(), band.strip().lower())]
            if len(found) == 1:
                return found[0]
        raise ImageError(f"{path} has no single band named {band!r}; {_list_bands(dataset)}")
    if band is not None:
        if band not in dataset.indexes:
            raise ImageError(f"{path} has no band {band}; {_list_bands(dataset)}")
        return int(band)
    data_bands = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
    if len(data_bands) == 1 or (2 <= len(data_bands) <= 4 and _is_grey(dataset, path, data_bands)):
        return data_bands[0]
    raise ImageError(f"{path} has {len(data_bands)} different bands; {_list_bands(dataset)}")


def _is_grey(dataset: DatasetReader, path: str, bands: Sequence[int]) -> bool:
    """Compare the bands in the corners and the centre."""
    if len({dataset.dtypes[i - 1] for i in bands}) > 1:
        return False
    height, width = dataset.shape
    side = GREY_SAMPLE
    low, right = max(height - side, 0), max(width - side, 0)
    corners = {(0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)}
    for top, left in sorted(corners):
        window = Band(path, 1, dataset.shape, np.dtype("f4"))
        bounds = (top, min(top + side, height), left, min(left + side, width))
        first, *others = (replace(window, index=i).read(*bounds) for i in bands)
        if not all(np.array_equal(first, other, equal_nan=True) for other in others):
            return False
    log.info("%s: its %d bands are one grey image; band %d is used", path, len(bands), bands[0])
    return True


def _band(dataset: DatasetReader, path: str, index: int, nodata: float | None) -> Band:
    kind = np.dtype("complex64" if "complex" in dataset.dtypes[index - 1] else "float32")
    declared = dataset.nodatavals[index - 1] if nodata is None else nodata
    flags = dataset.mask_flag_enums[index - 1]
    masked = bool({MaskFlags.per_dataset, MaskFlags.alpha} & set(flags))
    silent = declared is None and not masked
    compression = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "")
    lossy = dataset.driver == "JPEG" or "JPEG" in compression
    _warn_of_rounding(dataset.dtypes[index - 1], path)
    return Band(
        path=path,
        index=index,
        shape=dataset.shape,
        dtype=kind,
        version=_version(path),
        nodata=declared,
        masked=masked,
        zeros=silent,
        smear=JPEG_BLOCK if lossy else 0,
        scale=dataset.scales[index - 1],
        offset=dataset.offsets[index - 1],
        palette=_grey_palette(dataset, path, index),
    )


def _grey_palette(dataset: DatasetReader, path: str, index: int) -> tuple[float, ...] | None:
    if dataset.colorinterp[index - 1] != ColorInterp.palette:
        return None
    table = dataset.colormap(index)
    if any(len({red, green, blue}) > 1 for red, green, blue, _ in table.values()):
        raise ImageError(
            f"{path} holds indices into a colour table, not brightness; convert it first, "
            "gdal_translate -expand rgb IN OUT, and choose a band"
        )
    return tuple(float(table.get(i, (0,))[0]) for i in range(max(table) + 1))


def _geobox(dataset: DatasetReader, path: str) -> GeoBox:
    shape = dataset.shape
    located = dataset.transform != Affine.identity()
    if dataset.crs and located:
        crs = CRS.from_wkt(dataset.crs.to_wkt())
        code = crs.to_epsg(min_confidence=100)  # shorter, and equal for images of one system
        return GeoBox(shape, dataset.transform, f"EPSG:{code}" if code else crs)
    if located:
        log.warning(
            "%s has a geotransform but no coordinate reference system: taken as not "
            "georeferenced; add one with gdal_edit.py -a_srs",
            path,
        )
    elif dataset.gcps[0]:
        log.warning(
            "%s is located by %d ground control points only: taken as not georeferenced; "
            "rectify it with gdalwarp if map coordinates are wanted",
            path,
            len(dataset.gcps[0]),
        )
    # Coordinates are those of pixel centres, so that the first pixel is (0, 0).
    return GeoBox(shape, Affine.translation(-0.5, -0.5), None)


def _chunks(dataset: DatasetReader, index: int) -> tuple[int, int]:
    """Multiples of the file's blocks; whole rows where part of a row cannot be decoded alone."""
    rows, columns = dataset.block_shapes[index - 1]
    height, width = dataset.shape
    compressed = "COMPRESSION" in dataset.tags(ns="IMAGE_STRUCTURE") or dataset.driver == "PNG"
    if columns >= width and not compressed:
        columns = 1  # raw rows: a part costs as much as it is long
    wide = min(columns * max(1, BLOCK // columns), width)
    wished = max(1, BLOCK * BLOCK // wide) if wide > BLOCK else BLOCK
    high = min(rows * max(1, ceil(wished / rows) if rows < wished else 1), height)
    return high, wide


def _check_file(path: Path) -> None:
    if not path.exists():
        raise ImageError(f"{path} does not exist; check the name")
    if path.is_dir():
        raise ImageError(f"{path} is a folder; pass the image file in it")
    if path.suffix.lower() == ".hdr":
        data = [p for p in path.parent.glob(f"{path.stem}*") if p.suffix.lower() != ".hdr"]
        names = f", {data[0]}" if data else ""
        raise ImageError(f"{path} is a header; pass the data file beside it{names}")


def _why_not(path: str, error: RasterioError) -> str:
    reason = str(error.__cause__ or error)
    if "not recognized" not in reason:
        return f"{path} cannot be opened: {reason}; check that the file is complete"
    suffix = Path(path).suffix.lower()
    if suffix in {".mat", ".npy", ".npz", ".pkl", ".csv"}:
        return f"{path} is not an image that GDAL opens; save its array as GeoTIFF first"
    if suffix in {"", ".raw", ".bin", ".img", ".dat", ".slc", ".bsq", ".bil", ".bip"}:
        return (
            f"{path} is not an image that GDAL opens; if it holds raw numbers, put an ENVI header "
            f"beside it, {Path(path).name}.hdr, with samples, lines, bands, data type, interleave"
        )
    return (
        f"{path} is not an image that GDAL opens, whatever its name says; pass a GeoTIFF, VRT, "
        "PNG, JPEG, ENVI or netCDF file, and check that it is complete"
    )


def _check_mask(mask: str, shape: tuple[int, int]) -> None:
    with inspect(mask) as dataset:
        other = dataset.shape
    if other != shape:
        raise ImageError(
            f"the mask {mask} has {other[0]} x {other[1]} pixels, the image {shape[0]} x "
            f"{shape[1]}; bring the mask onto the image's grid, gdalwarp -te ... -ts ..."
        )


def _subdatasets(path: str, names: Sequence[str]) -> str:
    if not names:
        return f"{path} holds no raster band; pass an image"
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return f"{path} holds {len(names)} images; pass one of {shown}"


def _band_name(dataset: DatasetReader, index: int) -> str:
    description = dataset.descriptions[index - 1]
    return description or dataset.colorinterp[index - 1].name


def _list_bands(dataset: DatasetReader) -> str:
    names = [f"{i} ({_band_name(dataset, i)})" for i in dataset.indexes[:12]]
    more = " ..." if dataset.count > 12 else ""
    return f"pass band=NUMBER of {', '.join(names)}{more}"


def _warn_of_rounding(dtype: str, path: str) -> None:
    if dtype in {"int32", "uint32", "int64", "uint64"}:
        log.warning(
            "%s is %s: values beyond %d are rounded to float32; subtract their common offset first "
            "if small differences matter",
            path,
            dtype,
            EXACT,
        )


def _version(path: str) -> tuple[int, int]:
    if not is_file(path):
        return 0, 0
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


def _file_name(path: str) -> str:
    """Without the driver and the variable of ``NETCDF:"a.nc":v``."""
    if is_file(path):
        return path
    return max(path.split(":"), key=len).strip('"')
