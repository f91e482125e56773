"""Resampling, once, block by block, with exact coordinates.

Each block of the output knows the part of the input that it needs when the graph is built, and maps
each of its pixels when it is computed. GDAL's warper would be shorter to call, but its default
approximates coordinates to 0.125 px, which is more than what is to be measured.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from groundshift.interpolate import kaiser_sinc, sample, weights_at

TAPS = 12
FINER = 1.25
"""Input pixels per output pixel from which the input is low-passed first."""
BLOCK = 2048
"""Side of output blocks where nothing else suggests one, pixels."""
_PROBES = 33
"""Points per side at which a block's footprint is looked up."""

Array = NDArray[np.float64]


class Points(NamedTuple):
    """Coordinates in pixels; integers are pixel centres."""

    y: Array
    x: Array


@dataclass(frozen=True)
class PixelMap:
    """From pixels of one grid to pixels of another: an affine, and a change of CRS if need be."""

    matrix: tuple[float, float, float, float, float, float]
    """``y' = m0 y + m1 x + m2``, ``x' = m3 y + m4 x + m5``; unused when `grids` are given."""
    grids: tuple[GeoBox, GeoBox] | None = None

    def __call__(self, y: Array, x: Array) -> Points:
        """Map points; NaN or infinity where the projection has no answer."""
        if self.grids is None:
            m = self.matrix
            return Points(m[0] * y + m[1] * x + m[2], m[3] * y + m[4] * x + m[5])
        here, there = self.grids
        a, b = here.affine, ~there.affine
        easting, northing = _apply(a, x + 0.5, y + 0.5)
        if here.crs is not None and there.crs is not None:
            change = here.crs.transformer_to_crs(there.crs, always_xy=True)
            easting, northing = change(easting, northing)
        column, row = _apply(b, np.asarray(easting), np.asarray(northing))
        return Points(row - 0.5, column - 0.5)

    @property
    def separable(self) -> bool:
        """Whether rows depend on rows only and columns on columns only."""
        return self.grids is None and self.matrix[1] == 0 and self.matrix[3] == 0


def pixel_map(here: GeoBox, there: GeoBox) -> PixelMap:
    """Map pixels of `here` to pixels of `there`."""
    if here.crs != there.crs:
        return PixelMap((1, 0, 0, 0, 1, 0), (here, there))
    t = ~there.affine * here.affine
    # Affines count from the corner of the first pixel, coordinates from its centre.
    column, row = t * (0.5, 0.5)
    matrix = (t.e, t.d, row - 0.5, t.b, t.a, column - 0.5)
    scale = max(abs(value) for value in (t.a, t.b, t.d, t.e))
    clean = [0.0 if i in (1, 3) and abs(v) < 1e-12 * scale else v for i, v in enumerate(matrix)]
    return PixelMap((clean[0], clean[1], clean[2], clean[3], clean[4], clean[5]))


def resample(
    data: Any, mapping: PixelMap, shape: tuple[int, int], chunks: tuple[tuple[int, ...], ...] | None
) -> Any:
    """See `data` (numpy or dask) at ``mapping(row, column)`` for each pixel of `shape`.

    Lazy when `data` is. NaN outside, and where one of the four nearest pixels is missing.
    """
    chunks = chunks or (_split(shape[0]), _split(shape[1]))
    rows, columns = (np.cumsum((0, *sizes)) for sizes in chunks)
    blocks = [
        np.concatenate(
            [
                _block(data, mapping, (int(top), int(bottom), int(left), int(right)))
                for left, right in pairwise(columns)
            ],
            axis=1,
        )
        for top, bottom in pairwise(rows)
    ]
    return np.concatenate(blocks, axis=0)


def _block(data: Any, mapping: PixelMap, bounds: tuple[int, int, int, int]) -> Any:
    """One block of the output; lazily, by dask's own methods, if the input is dask's."""
    top, bottom, left, right = bounds
    shape = (bottom - top, right - left)
    y, x = _inside(mapping, bounds)
    stretch = _stretch(y, x, bounds)
    margin = [int(np.ceil(TAPS / 2 * s)) + 2 for s in stretch]
    window = [_reach(points, m, n) for points, m, n in zip((y, x), margin, data.shape, strict=True)]
    part = data[window[0][0] : window[0][1], window[1][0] : window[1][1]]
    if part.size == 0:
        # Keeps the type of array: an empty corner cannot be widened.
        part, window = data[:1, :1], [(-(10**6), 0), (-(10**6), 0)]
    see = partial(
        _see, mapping=mapping, bounds=bounds, origin=(window[0][0], window[1][0]), stretch=stretch
    )
    if isinstance(part, np.ndarray):
        return see(part)
    return part.rechunk(-1).map_blocks(
        see, dtype=part.dtype, chunks=((shape[0],), (shape[1],)), meta=part._meta
    )


def _see(
    part: np.ndarray,
    *,
    mapping: PixelMap,
    bounds: tuple[int, int, int, int],
    origin: tuple[int, int],
    stretch: tuple[float, float],
) -> np.ndarray:
    image = torch.from_numpy(np.ascontiguousarray(part))
    rows, columns = (np.arange(a, b, dtype=np.float64) for a, b in (bounds[:2], bounds[2:]))
    if mapping.separable:
        y, x = mapping(rows, np.zeros(1)).y, mapping(np.zeros(1), columns).x
        return separable(image, y - origin[0], x - origin[1], stretch).numpy()
    if max(stretch) > 1:
        own = [np.arange(n, dtype=np.float64) for n in part.shape]
        image = separable(image, own[0], own[1], stretch)
    y, x = mapping(*np.meshgrid(rows, columns, indexing="ij"))
    at = (
        torch.from_numpy(np.where(np.isfinite(v), v, np.nan))
        for v in (y - origin[0], x - origin[1])
    )
    return sample(image, *at, taps=TAPS).numpy()


def separable(
    image: torch.Tensor, y: Array, x: Array, stretch: tuple[float, float] = (1, 1)
) -> torch.Tensor:
    """Interpolate at all crossings of rows `y` and columns `x`: `sample`, 20 times faster.

    `stretch` widens the kernel, in input pixels, which low-passes the input on the way.
    """
    by, bx = (
        _bank(points, size, s).to(image.device)
        for points, size, s in zip((y, x), image.shape, stretch, strict=True)
    )
    valid = ~torch.isnan(image)
    filled = torch.where(valid, image, 0)
    total = by.to(image.dtype) @ filled @ bx.to(image.dtype).T
    # Banks are normalised inside the image, so without holes the weights sum to one.
    if not bool(valid.all()):
        total /= by @ valid.float() @ bx.T
    known = torch.ones(total.shape, dtype=torch.bool, device=image.device)
    for corner_y in (np.floor(y), np.ceil(y)):
        for corner_x in (np.floor(x), np.ceil(x)):
            r, c = (
                torch.from_numpy(np.clip(v, 0, n - 1).astype(np.int64))
                for v, n in zip((corner_y, corner_x), image.shape, strict=True)
            )
            known &= valid[r][:, c]
    inside_y, inside_x = (
        torch.from_numpy((v >= 0) & (v <= n - 1)) for v, n in zip((y, x), image.shape, strict=True)
    )
    known &= inside_y[:, None] & inside_x
    return torch.where(known, total, torch.nan)


def _bank(points: Array, size: int, stretch: float) -> torch.Tensor:
    """Weights of `size` pixels at each point, shape (points, size), those of `sample`."""
    first = np.floor(points)
    weights = weights_at(torch.from_numpy(points - first).float(), TAPS)
    taps = torch.from_numpy(first).long()[:, None] + torch.arange(TAPS) - TAPS // 2 + 1
    weights = weights * ((taps >= 0) & (taps < size))
    bank = torch.zeros(len(points), size).scatter_add_(1, taps.clamp(0, size - 1), weights)
    if stretch > 1:
        bank = bank @ _low_pass(size, stretch)
    total = bank.sum(dim=1, keepdim=True)
    return bank / torch.where(total == 0, 1, total)


def _low_pass(size: int, stretch: float) -> torch.Tensor:
    """Smooth at the pixels themselves: symmetric there, so that nothing moves."""
    distance = np.arange(size)[:, None] - np.arange(size)
    weights = kaiser_sinc(distance / stretch, TAPS)
    return torch.from_numpy(weights / weights.sum(axis=1, keepdims=True)).float()


def _inside(mapping: PixelMap, bounds: tuple[int, int, int, int]) -> Points:
    """Where a block's pixels come from, at a grid of points over it and a little around."""
    top, bottom, left, right = bounds
    rows, columns = (np.linspace(a, b, _PROBES) for a, b in ((top, bottom - 1), (left, right - 1)))
    return mapping(*np.meshgrid(rows, columns, indexing="ij"))


def _stretch(y: Array, x: Array, bounds: tuple[int, int, int, int]) -> tuple[float, float]:
    """Input pixels per output pixel along the input's axes, 1 where that is no problem."""
    top, bottom, left, right = bounds
    steps = [max(n - 1, 1) / (_PROBES - 1) for n in (bottom - top, right - left)]
    with np.errstate(invalid="ignore"):
        sizes = [
            np.hypot(np.diff(v, axis=0)[:, 1:] / steps[0], np.diff(v, axis=1)[1:] / steps[1])
            for v in (y, x)
        ]
    known = [size[np.isfinite(size)] for size in sizes]
    finer = [float(np.median(size)) if size.size else 1.0 for size in known]
    return (finer[0] if finer[0] > FINER else 1.0, finer[1] if finer[1] > FINER else 1.0)


def _reach(points: Array, margin: int, size: int) -> tuple[int, int]:
    known = points[np.isfinite(points)]
    if known.size == 0:
        return 0, 0
    low, high = int(np.floor(known.min())) - margin, int(np.ceil(known.max())) + margin + 1
    return min(max(low, 0), size), min(max(high, 0), size)


def _split(size: int) -> tuple[int, ...]:
    full, rest = divmod(size, BLOCK)
    return (BLOCK,) * full + ((rest,) if rest else ())


def _apply(affine: Any, x: Array, y: Array) -> tuple[Array, Array]:
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f
