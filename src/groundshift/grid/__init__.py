"""One grid for two images: the reference's, cropped to what both cover."""

import logging
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from odc.geo.geobox import GeoBox

from groundshift.errors import GridError
from groundshift.grid.boxes import coordinates, geobox_of, metres_of_unit, output_geobox
from groundshift.grid.motion import Motion, fit_motion
from groundshift.grid.resample import FINER, PixelMap, pixel_map, resample

__all__ = [
    "Motion",
    "align",
    "coordinates",
    "fit_motion",
    "geobox_of",
    "metres_of_unit",
    "move",
    "output_geobox",
]

log = logging.getLogger(__name__)

SAME = 1e-4
"""Pixels by which grids may differ and still be taken as one."""


class Crop(NamedTuple):
    """Rows ``top:bottom`` and columns ``left:right``."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """As an index."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def align(
    reference: xr.DataArray, secondary: xr.DataArray, *, window: int = 1
) -> tuple[xr.DataArray, xr.DataArray]:
    """Bring two images onto the reference's grid, cropped to the overlap.

    The reference is never resampled. The secondary is a plain slice when the grids differ by whole
    pixels or the order of rows; otherwise it is resampled once, lazily, with a 12-tap windowed sinc
    at exactly transformed coordinates, and low-passed on the way where its pixels are more than
    1.25 times finer. Images without georeferencing are aligned at their first pixel. What was
    done to the secondary is in its ``history`` attribute.

    Parameters
    ----------
    window
        Smallest overlap, in pixels of the reference, that makes sense.

    Raises
    ------
    GridError
        When there is no such overlap, or only one image is georeferenced.
    """
    here, there = geobox_of(reference), geobox_of(secondary)
    if (here.crs is None) != (there.crs is None):
        one, other = ("reference", "secondary") if there.crs is None else ("secondary", "reference")
        raise GridError(
            f"the {one} is georeferenced and the {other} is not; georeference both, or strip the "
            "georeferencing of both if they show the same scene pixel by pixel "
            "(gdal_translate -co PROFILE=BASELINE)"
        )
    mapping = pixel_map(here, there)
    crop = _overlap(here, there, window)
    if here.crs is None and here.shape != there.shape:
        log.warning(
            "the images have %s and %s pixels and no georeferencing: aligned at their first pixel",
            *(f"{box.shape.y} x {box.shape.x}" for box in (here, there)),
        )
    cut = reference if crop.shape == here.shape.yx else reference[crop.slices]
    index = _slices(mapping, crop, there)
    if index is None:
        return cut, _resampled(secondary, mapping, here, crop, cut)
    moved = secondary if _is_everything(index, there) else secondary[index]
    if moved is secondary and here == there:
        return cut, moved
    return cut, _on_grid(moved.data, here[crop.slices], secondary, f"cut to {crop.shape} pixels")


def move(image: xr.DataArray, transform: ArrayLike) -> xr.DataArray:
    """Resample an image so that its pixel ``(y, x)`` shows what was at ``transform @ (y, x, 1)``.

    Parameters
    ----------
    transform
        Shape (2, 3), pixels; that of a `Motion` removes the motion from the secondary.
    """
    matrix = np.asarray(transform, float)
    if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
        raise GridError("a transform has shape (2, 3) and finite values; pass Motion.transform")
    (yy, yx, ty), (xy, xx, tx) = matrix.tolist()
    mapping = PixelMap((yy, yx, ty, xy, xx, tx))
    shape = (image.shape[0], image.shape[1])
    data = resample(image.data, mapping, shape, image.chunks)
    return _on_grid(data, geobox_of(image), image, f"moved by {np.round(matrix, 6).tolist()} px")


def _overlap(here: GeoBox, there: GeoBox, window: int) -> Crop:
    """Rectangle of reference pixels whose centres are within the secondary's outermost ones."""
    rows, columns = (np.linspace(0, n - 1, 65) for n in there.shape.yx)
    ends = [np.meshgrid(rows, columns[[0, -1]]), np.meshgrid(rows[[0, -1]], columns)]
    y, x = (np.concatenate([end[i].ravel() for end in ends]) for i in (0, 1))
    y, x = pixel_map(there, here)(y, x)
    known = np.isfinite(y) & np.isfinite(x)
    if known.any():
        top, left = (max(0, int(np.ceil(v[known].min() - SAME))) for v in (y, x))
        bottom, right = (
            min(n, int(np.floor(v[known].max() + SAME)) + 1)
            for v, n in zip((y, x), here.shape.yx, strict=True)
        )
        height, width = max(bottom - top, 0), max(right - left, 0)
    else:
        top = bottom = left = right = height = width = 0
    if height == 0 or width == 0:
        raise GridError(
            f"the images do not overlap: the reference covers {_extent(here)}, the secondary "
            f"{_extent(there)}; pass images of one place, or correct the coordinate reference "
            "system or corner of the wrong one (gdal_edit.py -a_srs ... -a_ullr ...)"
        )
    if min(height, width) < window:
        raise GridError(
            f"the images overlap in {height} x {width} pixels only and the matcher needs {window}; "
            "pass images that overlap more, or a smaller window"
        )
    return Crop(top, bottom, left, right)


def _slices(mapping: PixelMap, crop: Crop, there: GeoBox) -> tuple[slice, slice] | None:
    """Index that makes the secondary fit, when no pixel has to be resampled."""
    if not mapping.separable:
        return None
    result = []
    for axis, (start, stop) in enumerate(((crop.top, crop.bottom), (crop.left, crop.right))):
        step, offset = (mapping.matrix[0], mapping.matrix[2]) if axis == 0 else mapping.matrix[4:]
        ends = np.array([start, stop - 1]) * step + offset
        whole = np.round(ends)
        if abs(abs(step) - 1) * (stop - start) > SAME or np.abs(ends - whole).max() > SAME:
            return None
        first, last = int(whole[0]), int(whole[1])
        if step > 0:
            result.append(slice(first, last + 1))
        else:
            result.append(slice(first, last - 1 if last else None, -1))
    rows, columns = result
    return rows, columns


def _is_everything(index: tuple[slice, slice], there: GeoBox) -> bool:
    return all(
        (part.start, part.stop, part.step) == (0, n, None)
        for part, n in zip(index, there.shape.yx, strict=True)
    )


def _resampled(
    secondary: xr.DataArray, mapping: PixelMap, here: GeoBox, crop: Crop, cut: xr.DataArray
) -> xr.DataArray:
    grid = here[crop.slices]
    there = geobox_of(secondary)
    data = resample(secondary.data, pixel_map(grid, there), crop.shape, cut.chunks)
    what = f"resampled from {_name(there)} to {_name(here)}"
    scale = _scale(mapping, crop)
    if scale > FINER:
        what += f", low-passed by {scale:.2f}"
    elif scale < 1 / FINER:
        log.warning(
            "the secondary's pixels are %.1f times coarser than the reference's: it limits the "
            "detail; swap the images for a field on its grid",
            1 / scale,
        )
    log.info("secondary %s", what)
    return _on_grid(data, grid, secondary, what)


def _scale(mapping: PixelMap, crop: Crop) -> float:
    """Secondary pixels per reference pixel, about the centre."""
    y, x = (crop.top + crop.bottom) / 2, (crop.left + crop.right) / 2
    y, x = mapping(np.array([y, y + 1, y]), np.array([x, x, x + 1]))
    area = (y[1] - y[0]) * (x[2] - x[0]) - (y[2] - y[0]) * (x[1] - x[0])
    return float(np.sqrt(abs(area)))


def _on_grid(data: Any, grid: GeoBox, source: xr.DataArray, what: str) -> xr.DataArray:
    kept = {name: c for name, c in source.coords.items() if not c.dims and name != "spatial_ref"}
    history = "\n".join(filter(None, [source.attrs.get("history", ""), what]))
    result = xr.DataArray(
        data,
        dims=("y", "x"),
        coords=coordinates(grid) | kept,
        attrs=source.attrs | {"history": history},
        name=source.name,
    )
    if grid.crs is not None:
        result.encoding["grid_mapping"] = "spatial_ref"
    return result


def _name(grid: GeoBox) -> str:
    if grid.crs is None:
        return f"pixels of {abs(grid.affine.a):g}"
    unit = "degrees" if grid.crs.geographic else "m"
    code = grid.crs.to_epsg()
    size = "x".join(f"{abs(v):g}" for v in (grid.resolution.x, grid.resolution.y))
    return f"{f'EPSG:{code}' if code else grid.crs.proj.name} {size} {unit}"


def _extent(grid: GeoBox) -> str:
    box = grid.boundingbox
    name = "pixels" if grid.crs is None else _name(grid)
    return f"x {box.left:.10g} to {box.right:.10g}, y {box.bottom:.10g} to {box.top:.10g} ({name})"
