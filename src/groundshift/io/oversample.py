"""Amplitude of complex images, without aliasing.

Squaring doubles the bandwidth. A single-look complex image fills most of its spectrum, so that its
amplitude on the same pixels is aliased; that costs 2 to 8 times the error and drags fractional
shifts towards whole pixels by 0.05 to 0.25 px. The cure is to interpolate by two in both directions
*before* taking the magnitude, and to keep all the samples.

The interpolator expects the spectrum about zero, so the carrier (the Doppler centroid, mostly) is
removed first; the magnitude does not mind. One carrier serves the whole image: TOPS and spotlight
data, whose Doppler runs away along azimuth, have to be deramped before. `carrier` looks for that
and warns.
"""

import logging
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy import ndimage

from groundshift.grid import coordinates, geobox_of

log = logging.getLogger(__name__)

HALF = 16
"""Pixels on either side of a new sample that enter it."""
BETA = 8.0
"""Of the Kaiser window: 80 dB, and flat up to 0.41 cycles per pixel."""
SAMPLE = 128
"""Side of the windows in which the carrier is estimated, pixels."""
SURE = 0.05
"""Autocorrelation that noise does not reach; that of 80 % of the spectrum is 0.2."""
DRIFT = 0.1
"""Change of the carrier along an axis that is no noise, cycles per pixel."""


class Carrier(NamedTuple):
    """Centre of the spectrum, cycles per pixel."""

    y: float
    x: float


def amplitude(image: xr.DataArray) -> xr.DataArray:
    """Oversample a complex image by two in both directions and take its magnitude.

    Pixel ``(2i, 2j)`` of the result has the centre, and exactly the magnitude, of the pixel ``(i,
    j)`` of `image`. There is no sample beyond the last pixel's centre: ``(H, W)`` becomes ``(2H -
    1, 2W - 1)``. NaN where a nearest neighbour is missing. Lazy, and independent of the chunks.
    """
    centre = carrier(image)
    log.info("carrier at %.3f (rows), %.3f (columns) cycles per pixel, removed", *centre)
    shape = (image.shape[0], image.shape[1])
    chunks = image.chunks or tuple((n,) for n in shape)
    rows, columns = (np.cumsum((0, *sizes)).tolist() for sizes in chunks)
    data = np.concatenate(
        [
            np.concatenate(
                [
                    _block(image.data, (top, bottom, left, right), centre)
                    for left, right in pairwise(columns)
                ],
                axis=1,
            )
            for top, bottom in pairwise(rows)
        ],
        axis=0,
    )
    box = geobox_of(image)
    fine = fine_geobox(box)
    kept = {name: c for name, c in image.coords.items() if not c.dims and name != "spatial_ref"}
    result = xr.DataArray(data, dims=("y", "x"), coords=coordinates(fine) | kept, name=image.name)
    if box.crs is not None:
        result.encoding["grid_mapping"] = "spatial_ref"
    return result.assign_attrs(image.attrs)


def fine_geobox(box: GeoBox) -> GeoBox:
    """Grid of half the pixel size whose pixel ``(2i, 2j)`` has the centre of ``(i, j)``."""
    # A pixel's centre is half a pixel from its corner: a quarter of a coarse pixel is left over.
    affine = box.affine * Affine.translation(0.25, 0.25) * Affine.scale(0.5)
    rows, columns = (2 * n - 1 for n in box.shape.yx)
    return GeoBox((rows, columns), affine, box.crs)


def carrier(image: xr.DataArray) -> Carrier:
    """Estimate the centre of the spectrum from the phase of the autocorrelation at one pixel.

    Reads some windows down and across the image. When the carrier drifts between them, the log
    warns that the data look like TOPS or spotlight data that have not been deramped.
    """
    windows = _windows(image)
    result = []
    for axis, name in ((0, "rows (azimuth)"), (1, "columns")):
        lags = np.array([_lag_one(window, axis) for window in windows])
        total = lags.sum()
        strong = np.abs(lags) > SURE
        drift = np.angle(lags[strong] * np.conj(total)) / (2 * np.pi)
        if drift.size > 1 and np.ptp(drift) > DRIFT:
            log.warning(
                "the carrier varies along the %s by %.2f cycles per pixel or more: TOPS and "
                "spotlight data must be deramped first, or the amplitude is aliased",
                name,
                np.ptp(drift),
            )
        result.append(float(np.angle(total) / (2 * np.pi)) if total else 0.0)
    return Carrier(*result)


def _windows(image: xr.DataArray) -> list[NDArray[np.complex64]]:
    """Windows along the diagonal and down the middle: both see a drift along either axis."""
    height, width = image.shape
    tops, lefts = (np.linspace(0, max(n - SAMPLE, 0), 7).astype(int) for n in (height, width))
    corners = {*zip(tops.tolist(), lefts.tolist(), strict=True), *((t, lefts[3]) for t in tops)}
    return [image.data[t : t + SAMPLE, x : x + SAMPLE] for t, x in sorted(corners)]


def _lag_one(window: Any, axis: int) -> complex:
    """Autocorrelation at one pixel along an axis, relative to that at none."""
    z = np.nan_to_num(np.moveaxis(np.asarray(window), axis, 0).astype(np.complex128))
    power = float((np.abs(z) ** 2).mean())
    # Phase only: a bright target must not outvote the rest.
    z = z / np.where(z == 0, 1, np.abs(z))
    return complex((z[1:] * z[:-1].conj()).mean()) if power > 0 and len(z) > 1 else 0j


def _block(data: Any, bounds: tuple[int, int, int, int], centre: Carrier) -> Any:
    height, width = data.shape
    top, bottom, left, right = bounds
    window = (
        max(top - HALF, 0),
        min(bottom + HALF, height),
        max(left - HALF, 0),
        min(right + HALF, width),
    )
    part = data[window[0] : window[1], window[2] : window[3]]
    # The last row and column have nothing behind them to interpolate to.
    shape = (2 * (bottom - top) - (bottom == height), 2 * (right - left) - (right == width))
    start = (2 * (top - window[0]), 2 * (left - window[2]))
    inner = (slice(start[0], start[0] + shape[0]), slice(start[1], start[1] + shape[1]))
    see = partial(_magnitude, origin=(window[0], window[2]), centre=centre, inner=inner)
    if isinstance(part, np.ndarray):
        return see(part)
    return part.rechunk(-1).map_blocks(
        see, dtype="f4", chunks=((shape[0],), (shape[1],)), meta=np.empty((0, 0), "f4")
    )


def _magnitude(
    part: NDArray[np.complex64],
    *,
    origin: tuple[int, int],
    centre: Carrier,
    inner: tuple[slice, slice],
) -> NDArray[np.float32]:
    valid = np.isfinite(part)
    z = np.where(valid, part, 0).astype(np.complex64)
    for axis, frequency in enumerate(centre):
        # Pixels are counted in the whole image, so that blocks agree.
        turns = (frequency * (origin[axis] + np.arange(part.shape[axis]))) % 1.0
        phase = np.exp(-2j * np.pi * turns).astype(np.complex64)
        z *= phase[:, None] if axis == 0 else phase
    weight = valid.astype(np.float32)
    for axis in (1, 0):
        z, weight = _double(z, axis), _double(weight, axis)
        valid = _double_mask(valid, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(valid, np.abs(z / weight), np.nan)[inner].astype(np.float32)


def _double(values: NDArray, axis: int) -> NDArray:
    """Insert a sample behind each along an axis."""
    offsets = np.arange(2 * HALF) - HALF + 0.5
    window = np.i0(BETA * np.sqrt(1 - (offsets / HALF) ** 2)) / np.i0(BETA)
    taps = np.sinc(offsets) * window
    between = ndimage.correlate1d(
        values, taps / taps.sum(), axis, output=values.dtype, mode="constant", origin=-1
    )
    return _interleave(values, between, axis)


def _double_mask(valid: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    both = np.zeros_like(valid)
    here, there = (tuple(s if a == axis else slice(None) for a in (0, 1)) for s in
                   (slice(None, -1), slice(1, None)))  # fmt: skip
    both[here] = valid[here] & valid[there]
    return _interleave(valid, both, axis)


def _interleave(even: NDArray, odd: NDArray, axis: int) -> NDArray:
    shape = tuple(2 * n if a == axis else n for a, n in enumerate(even.shape))
    return np.stack([even, odd], axis=axis + 1).reshape(shape)
