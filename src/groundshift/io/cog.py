"""Fields as cloud-optimised GeoTIFF: named bands, five and what was added; NaN is not measured.

The bands are described by a VRT over the scratch file, and GDAL's COG driver translates that.
"""

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import rasterio.shutil
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from groundshift import field, maps
from groundshift.field import DISPLACEMENTS
from groundshift.grid import coordinates, geobox_of
from groundshift.io import raster
from groundshift.io.blocks import environment, opened
from groundshift.io.scratch import TYPE, Scratch

ATTRS = field.ATTRS | maps.ATTRS
TIMES = ("reference_time", "secondary_time")
PIXEL_GRID = "pixel_grid"
"""Tag with the affine of a grid without CRS; viewers would show its geotransform upside down."""
NOT_OURS = (PIXEL_GRID, "AREA_OR_POINT", "OVR_RESAMPLING_ALG")
OPTIONS: dict[str, Any] = {
    "compress": "ZSTD",
    "level": 4,
    "predictor": "YES",
    "blocksize": 512,
    "overview_resampling": "average",
    "bigtiff": "IF_SAFER",
    "num_threads": "ALL_CPUS",
}
ENVIRONMENT: dict[str, Any] = {
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "YES",
    # Overviews are kept uncompressed until they are copied: half of the time in all.
    "COG_TMP_COMPRESSION": "NONE",
}


def write(path: Path, dataset: xr.Dataset, planes: dict[str, Scratch]) -> None:
    """Write `planes` with the coordinates and attributes of `dataset`."""
    vrt = path.with_suffix(".vrt")
    vrt.write_bytes(Xml.tostring(describe(dataset, planes)))
    with environment(), rasterio.Env(**ENVIRONMENT):
        rasterio.shutil.copy(str(vrt), str(path), driver="COG", **OPTIONS)
    _verify(path, planes)


def _verify(path: Path, planes: dict[str, Scratch]) -> None:
    """Read all back: GDAL does not always say so when the disk is full.

    The full resolution is the last thing in the file, so the overviews are there if it is.
    """
    step = OPTIONS["blocksize"]
    height, width = next(iter(planes.values())).shape
    # All bands at once: they share their compressed blocks.
    with environment(), rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"), opened(str(path)) as source:
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            found = source.read(window=Window.from_slices((rows.start, rows.stop), (0, width)))
            for plane, band in zip(planes.values(), found, strict=True):
                if not np.array_equal(band, plane[rows, :], equal_nan=True):
                    raise OSError("the file came out damaged; is the disk full?")


def is_own(path: str) -> bool:
    """Whether a file is one that `write` wrote."""
    with raster.inspect(path) as source:
        return "schema" in source.tags()


def read(path: str) -> xr.Dataset:
    """Open the bands by their names."""
    with raster.inspect(path) as source:
        tags = source.tags()
        bands = {name: index for index, name in enumerate(source.descriptions, 1) if name in ATTRS}
        units = dict(zip(source.descriptions, source.units, strict=True))
    images = {name: raster.open(path, band=index, nodata=np.nan) for name, index in bands.items()}
    if not images:
        raise KeyError(f"no band is named {', '.join(DISPLACEMENTS)}")
    grid = geobox_of(next(iter(images.values())))
    if grid.crs is None and PIXEL_GRID in tags:
        grid = GeoBox(grid.shape, Affine(*map(float, tags[PIXEL_GRID].split())), None)
    encoding = {} if grid.crs is None else {"grid_mapping": "spatial_ref"}
    variables = {
        name: (("y", "x"), image.data, ATTRS[name] | {"units": units[name]}, encoding)
        for name, image in images.items()
    }
    times = {
        name: xr.DataArray(np.datetime64(tags.get(name) or "NaT", "ns"), attrs=ATTRS[name])
        for name in TIMES
    }
    attrs: dict[str, Any] = {n: v for n, v in tags.items() if n not in (*TIMES, *NOT_OURS)}
    return xr.Dataset(
        variables, coordinates(grid) | times, attrs | {"stride": int(attrs.get("stride", 1))}
    )


def describe(dataset: xr.Dataset, planes: dict[str, Scratch]) -> Xml.Element:
    """Describe the scratch file as a VRT."""
    grid = geobox_of(dataset)
    root = Xml.Element("VRTDataset", rasterXSize=f"{grid.shape.x}", rasterYSize=f"{grid.shape.y}")
    if grid.crs is not None:
        _add(root, "SRS", grid.crs.proj.to_wkt(), dataAxisToSRSAxisMapping=_axes(grid))
        _add(root, "GeoTransform", ", ".join(f"{v:.17g}" for v in grid.affine.to_gdal()))
    metadata = Xml.SubElement(root, "Metadata")
    for name, value in _tags(dataset, grid).items():
        _add(metadata, "MDI", value, key=name)
    for index, (name, plane) in enumerate(planes.items(), 1):
        band = Xml.SubElement(
            root, "VRTRasterBand", dataType="Float32", band=f"{index}", subClass="VRTRawRasterBand"
        )
        attrs = dataset[name].attrs
        _add(_add(band, "Metadata"), "MDI", attrs.get("long_name", name), key="long_name")
        _add(band, "Description", name)
        _add(band, "UnitType", attrs["units"])
        _add(band, "NoDataValue", "nan")
        _add(band, "SourceFilename", Path(plane.path).name, relativeToVRT="1")
        _add(band, "ImageOffset", f"{plane.offset}")
        _add(band, "PixelOffset", f"{TYPE.itemsize}")
        _add(band, "LineOffset", f"{plane.line}")
        _add(band, "ByteOrder", "LSB" if sys.byteorder == "little" else "MSB")
    return root


def _tags(dataset: xr.Dataset, grid: GeoBox) -> dict[str, str]:
    tags = {str(name): str(value) for name, value in dataset.attrs.items()}
    for name in TIMES:
        if name in dataset.coords:
            time = dataset[name].values
            tags[name] = "" if np.isnat(time) else str(time.astype("datetime64[us]"))
    if grid.crs is None:
        tags[PIXEL_GRID] = " ".join(f"{v:.17g}" for v in grid.affine[:6])
    return tags


def _axes(grid: GeoBox) -> str:
    """GDAL's way to say that a geotransform gives x before y, whatever the CRS thinks."""
    crs = grid.crs.proj if grid.crs is not None else None
    north_first = crs is not None and crs.axis_info and crs.axis_info[0].direction == "north"
    return "2,1" if north_first else "1,2"


def _add(parent: Xml.Element, tag: str, text: str = "", **attributes: str) -> Xml.Element:
    element = Xml.SubElement(parent, tag, attributes)
    element.text = text
    return element
