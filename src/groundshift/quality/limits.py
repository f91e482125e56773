"""Leave out cells that cannot be right: by their own numbers, their neighbours, their way back."""

import numpy as np
import xarray as xr
from affine import Affine
from scipy import ndimage

from groundshift.errors import GridError, GroundshiftError
from groundshift.field import check
from groundshift.grid import geobox_of
from groundshift.quality.cells import keep, pixel, planes, said

STRIP = 1 << 22
"""Cells, neighbours counted, that are compared at once."""


def limit(
    field: xr.Dataset,
    *,
    score: float | None = None,
    sigma: float | None = None,
    magnitude: float | None = None,
) -> xr.Dataset:
    """Leave out cells of a low score, a large sigma, or an impossible displacement.

    Parameters
    ----------
    score
        Least score, 0 to 1; it compares cells of one matcher, not matchers.
    sigma
        Largest standard deviation of either component, in units of the displacement.
    magnitude
        Largest displacement.
    """
    check(field)
    dx, dy = planes(field)
    good = np.isfinite(dx)
    if score is not None:
        good &= field["score"].values >= score
    if sigma is not None:
        good &= np.maximum(field["sigma_dx"].values, field["sigma_dy"].values) <= sigma
    if magnitude is not None:
        good &= np.hypot(dx, dy) <= magnitude
    return said(keep(field, good), f"limits: score {score}, sigma {sigma}, magnitude {magnitude}")


def median_test(
    field: xr.Dataset, threshold: float = 2.0, *, radius: int = 2, noise: float = 0.1
) -> xr.Dataset:
    """Leave out cells that differ from the median of their neighbours more than these do.

    The normalised median test (Westerweel and Scarano, Exp. Fluids 39, 2005): the distance from
    the median of the neighbours, over the median of their own distances from it plus `noise`.

    Parameters
    ----------
    threshold
        Largest such ratio, of both components together.
    radius
        Cells to each side that are neighbours.
    noise
        Pixels of the image: what neighbours may differ by in any case.
    """
    check(field)
    if radius < 1 or not threshold > 0:
        raise GroundshiftError(
            f"radius={radius} and threshold={threshold} must be above 0; 2 and 2.0 are usual"
        )
    floor = noise * pixel(field)
    both = planes(field)
    rows, columns = both[0].shape
    ratio = np.zeros(both[0].shape)
    high = max(1, STRIP // (columns * (2 * radius + 1) ** 2))
    for plane in both:
        wide = np.pad(plane, radius, constant_values=np.nan)
        for top in range(0, rows, high):
            bottom = min(top + high, rows)
            part = wide[top : bottom + 2 * radius]
            ratio[top:bottom] += _ratio(part, radius, floor) ** 2
    # A cell without neighbours has nothing to be compared with, and is kept.
    good = np.isfinite(both[0]) & ~(np.sqrt(ratio) > threshold)
    return said(keep(field, good), f"median test: {threshold:g}, radius {radius} cells")


def _ratio(wide: np.ndarray, radius: int, floor: float) -> np.ndarray:
    """Distance from the median of the neighbours, over that of the neighbours themselves."""
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side))
    around = windows.reshape(*windows.shape[:2], -1)
    others = np.delete(around, side**2 // 2, axis=2)
    middle = _median(others)
    spread = _median(np.abs(others - middle[..., None]))
    return np.abs(around[..., side**2 // 2] - middle) / (spread + floor)


def _median(values: np.ndarray) -> np.ndarray:
    """Median of what is known along the last axis; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(ordered).sum(-1)
    picked = [
        np.take_along_axis(ordered, np.clip(place, 0, None)[..., None], -1)[..., 0]
        for place in ((count - 1) // 2, count // 2)
    ]
    return np.where(count > 0, (picked[0] + picked[1]) / 2, np.nan)


def consistent(field: xr.Dataset, back: xr.Dataset, tolerance: float = 1.0) -> xr.Dataset:
    """Leave out cells whose way back, from the secondary to the reference, is another one.

    Parameters
    ----------
    back
        Field of the same pair with the images exchanged, on a grid of the same CRS.
    tolerance
        Pixels of the image by which both ways together may miss their beginning.
    """
    check(field)
    check(back)
    here, there = geobox_of(field), geobox_of(back)
    if here.crs != there.crs:
        raise GridError(
            f"the fields are in {here.crs} and {there.crs}; track both ways on one grid"
        )
    if here.crs is not None and here.crs.geographic:
        raise GridError("ways back are compared in metres; reproject the images before tracking")
    dx, dy = planes(field)
    rows, columns = np.indices(dx.shape) + 0.5
    x, y = _mapped(here.affine, columns, rows)
    right, down = _mapped(~there.affine, x + dx, y + dy)
    places = [np.nan_to_num(plane - 0.5, nan=-9.0) for plane in (down, right)]
    homeward = [
        ndimage.map_coordinates(plane, places, order=1, mode="constant", cval=np.nan)
        for plane in planes(back)
    ]
    miss = np.hypot(dx + homeward[0], dy + homeward[1])
    good = miss <= tolerance * pixel(field)
    return said(keep(field, good), f"forward and backward within {tolerance:g} px")


def _mapped(affine: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def connected(field: xr.Dataset, cells: int) -> xr.Dataset:
    """Leave out islands of fewer cells, side by side or corner to corner."""
    check(field)
    known = np.isfinite(planes(field)[0])
    labels = np.zeros(known.shape, np.int32)
    ndimage.label(known, np.ones((3, 3)), labels)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return said(keep(field, sizes[labels] >= cells), f"islands of {cells} cells or more")
