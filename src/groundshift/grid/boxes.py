"""Grids as labels: coordinates from a GeoBox and a GeoBox from coordinates."""

from math import ceil

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from groundshift.errors import GridError

_AXES = {
    "projected": (
        {"standard_name": "projection_y_coordinate", "long_name": "y of projection", "axis": "Y"},
        {"standard_name": "projection_x_coordinate", "long_name": "x of projection", "axis": "X"},
    ),
    "geographic": (
        {"standard_name": "latitude", "long_name": "latitude", "axis": "Y"},
        {"standard_name": "longitude", "long_name": "longitude", "axis": "X"},
    ),
    "pixel": (
        # No `axis`: that is for coordinates on the ground.
        {"long_name": "row of the image, downward"},
        {"long_name": "column of the image, to the right"},
    ),
}


def coordinates(geobox: GeoBox) -> dict[str, xr.DataArray]:
    """Coordinates ``y, x`` (and ``spatial_ref``) of a grid, with their CF attributes.

    Examples
    --------
    >>> from affine import Affine
    >>> grid = GeoBox((2, 3), Affine(10, 0, 500_000, 0, -10, 4_000_000), "EPSG:32633")
    >>> coordinates(grid)["x"].values.tolist()
    [500005.0, 500015.0, 500025.0]
    """
    coords = {str(k): v for k, v in xr_coords(geobox, dims=("y", "x")).items()}
    kind = "pixel"
    if geobox.crs is not None and geobox.axis_aligned:
        kind = "geographic" if geobox.crs.geographic else "projected"
    for name, attrs in zip(("y", "x"), _AXES[kind], strict=True):
        coords[name] = coords[name].astype(np.float64)
        coords[name].attrs.update(attrs)
        if kind == "pixel":
            coords[name].attrs["units"] = "1"
    return coords


def geobox_of(data: xr.DataArray | xr.Dataset) -> GeoBox:
    """Return the grid of an image or field.

    Raises
    ------
    GridError
        When its coordinates are not regularly spaced.
    """
    geobox = data.odc.geobox
    if geobox is None or not all(_regular(data[name].values) for name in ("y", "x")):
        raise GridError(
            "x and y are not regularly spaced; resample the data onto a regular grid first"
        )
    return geobox


def metres_of_unit(grid: GeoBox) -> float:
    """Return the metres (radians, of degrees) of a unit of the coordinates of a grid with a CRS."""
    return float(grid.crs.proj.axis_info[0].unit_conversion_factor)  # type: ignore[union-attr] - see above


def output_geobox(geobox: GeoBox, stride: int) -> GeoBox:
    """Grid whose cells are `stride` pixels wide and begin at the corner of `geobox`.

    The last row and column may reach beyond the image.
    """
    rows, columns = (ceil(n / stride) for n in geobox.shape.yx)
    return GeoBox((rows, columns), geobox.affine * geobox.affine.scale(stride), geobox.crs)


def _regular(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return np.allclose(steps, steps.mean(), rtol=1e-3, atol=0) if steps.size else True
