"""Fit a global motion between two images on stable ground, and remove it.

Satellites do not know where they are to a fraction of a pixel: a pair often has a shift, rarely a
shear or a stretch, that has nothing to do with the ground. The matcher itself measures it on a
sample of tiles; a robust fit ignores what really moved as long as that is the smaller part.
"""

from typing import Any

import dask
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from groundshift import field, grid, tile
from groundshift.errors import GridError, GroundshiftError
from groundshift.types import Matcher

KINDS = ("shift", "affine")
SAMPLE = 64
"""Tiles that are measured at most."""
SAMPLE_TILE = 256
"""Their side in pixels, roughly."""
FLOOR = 0.05
"""Pixels added to every sigma: no single match is trusted more than this."""


def fit(
    kind: str,
    matcher: Matcher,
    reference: xr.DataArray,
    secondary: xr.DataArray,
    stable: xr.DataArray | None,
    prior: tile.Prior | None,
    *,
    memory: int | None = None,
    device: str = "cpu",
) -> grid.Motion:
    """Measure a sample of tiles and fit a "shift" or an "affine" motion; computes at once."""
    if kind not in KINDS:
        raise GroundshiftError(f"coregister={kind!r} is not known; pass 'shift' or 'affine'")
    size = max(1, -(-SAMPLE_TILE // matcher.period)) * matcher.period
    planes = tile.map_pair(
        matcher, reference, secondary, prior, tile=size, memory=memory, device=device
    )
    ground = None if stable is None else at_cells(stable, reference, matcher.stride)
    chosen = _choose(planes.dy, ground)
    with tile.computing(progress=False):
        cells = dask.compute(  # pyright: ignore[reportPrivateImportUsage]
            *([plane.blocks[block] for plane in planes[:4]] for block in chosen)
        )
    dy, dx, y, x, weights = _points(planes.dy, chosen, cells, ground, matcher.stride)
    return grid.fit_motion(dy, dx, y, x, weights, kind=kind)


def describe(motion: grid.Motion, geobox: GeoBox) -> str:
    """Say in the convention and the units of a field what was removed; for provenance.

    Parameters
    ----------
    geobox
        Grid of the images; where metres differ over it, and for an affine, its centre counts.
    """
    rows, columns = geobox.shape.yx
    centre = geobox[rows // 2 : rows // 2 + 1, columns // 2 : columns // 2 + 1]
    m = field.metres_per_pixel(geobox, centre)
    metres = np.array([[float(np.squeeze(value)) for value in pair] for pair in (m[:2], m[2:])])
    # In the order of a field, x before y.
    linear = (motion.transform[:, :2] - np.eye(2))[::-1, ::-1]
    shift = motion.transform[::-1, 2] + linear @ ((columns - 1) / 2, (rows - 1) / 2)
    dx, dy = metres @ shift
    unit, where = ("px", "right, down") if geobox.crs is None else ("m", "east, north")
    text = f"dx={dx:+.3f}, dy={dy:+.3f} {unit} ({where})"
    if linear.any():
        (xx, xy), (yx, yy) = metres @ linear @ np.linalg.inv(metres)
        text += (
            f" at the centre, per {unit} along x {xx:+.3g}, {yx:+.3g}, along y {xy:+.3g}, {yy:+.3g}"
        )
    residual = motion.sigma * float(np.sqrt(abs(np.linalg.det(metres))))
    return (
        f"{text}, from {motion.points} points, residual {residual:.3g} {unit}, "
        f"{100 * motion.inliers:.0f} % inliers"
    )


def apply(secondary: xr.DataArray, motion: grid.Motion) -> xr.DataArray:
    """Resample the secondary so that the motion is gone."""
    return grid.move(secondary, motion.transform)


def remove(prior: tile.Prior, motion: grid.Motion) -> tile.Prior:
    """Return what a prior expects after the motion has been removed."""
    rows, columns = (
        origin + step * np.arange(count)
        for origin, step, count in zip(prior.origin, prior.step, prior.dy.shape, strict=True)
    )
    dy, dx = (
        along * rows[:, None] + across * columns[None, :] + shift
        for along, across, shift in motion.transform - np.eye(2, 3)
    )
    return prior._replace(
        dy=(prior.dy - dy).astype(np.float32), dx=(prior.dx - dx).astype(np.float32)
    )


def mask(stable: Any, reference: xr.DataArray) -> xr.DataArray:
    """Return a labelled mask; a bare one must have the shape of the reference."""
    if isinstance(stable, xr.DataArray):
        return stable
    stable = np.asarray(stable)
    if stable.shape != reference.shape:
        raise GridError(
            f"the stable mask has shape {stable.shape} and the reference {reference.shape}; "
            "give one value per pixel, or a mask with coordinates"
        )
    return reference.copy(data=stable)


def at_cells(stable: xr.DataArray, image: Any, stride: int) -> np.ndarray:
    """Sample a mask at the centres of the cells of an image; outside it nothing is stable.

    Raises
    ------
    GridError
        If it marks none of the cells.
    """
    if stable.odc.crs != image.odc.crs:
        box = image.odc.geobox
        stable = stable.astype(np.float32).odc.reproject(box, resampling="nearest")
    places = {}
    for name in ("y", "x"):
        centres = np.arange(-(-image.sizes[name] // stride)) * stride + stride // 2
        places[name] = image[name].values[centres.clip(max=image.sizes[name] - 1)]
    step = max(float(abs(np.diff(stable[name].values[:2])).max(initial=0)) for name in ("y", "x"))
    nearest = stable.astype(np.float32).reindex(places, method="nearest", tolerance=step or None)
    return _marked(nearest.values)


def on_cells(stable: xr.DataArray | np.ndarray, plane: xr.DataArray) -> np.ndarray:
    """Return which cells of a plane of results are stable.

    A mask with coordinates is sampled at the cells, wherever it ends; any other has their shape.

    Raises
    ------
    GridError
        If it has another shape, or marks none of the cells.
    """
    if isinstance(stable, xr.DataArray) and (
        stable.odc.crs is not None or (plane.odc.crs is None and stable.shape != plane.shape)
    ):
        return at_cells(stable, plane, 1)
    values = np.asarray(stable, float)
    if values.shape != plane.shape:
        raise GridError(
            f"the stable mask has shape {values.shape} and the results {plane.shape}; give one "
            "value per cell, or a mask with coordinates"
        )
    return _marked(values)


def _marked(values: np.ndarray) -> np.ndarray:
    """Return what is neither zero nor missing; refuse a mask without any."""
    marked = np.isfinite(values) & (values != 0)
    if not marked.any():
        raise GridError(
            "the stable mask marks none of the cells; if it should, it lies elsewhere: look at its "
            "coordinates"
        )
    return marked


def _choose(plane: Any, ground: np.ndarray | None) -> list[tuple[int, int]]:
    """Choose blocks evenly over the image, among those with stable ground."""
    rows, columns = plane.numblocks
    blocks = [(i, j) for i in range(rows) for j in range(columns)]
    if ground is not None:
        blocks = [block for block in blocks if ground[_place(plane, block)].any()]
    if len(blocks) <= SAMPLE:
        return blocks
    # The golden ratio spreads the choice over rows and columns whatever their number.
    order = np.argsort((np.arange(len(blocks)) * 0.6180339887498949) % 1)
    return [blocks[index] for index in sorted(order[:SAMPLE])]


def _place(plane: Any, block: tuple[int, int]) -> tuple[slice, slice]:
    starts = [sum(sizes[:index]) for sizes, index in zip(plane.chunks, block, strict=True)]
    return tuple(  # pyright: ignore[reportReturnType]
        slice(start, start + sizes[index])
        for start, sizes, index in zip(starts, plane.chunks, block, strict=True)
    )


def _points(
    plane: Any, blocks: list[Any], cells: Any, ground: np.ndarray | None, stride: int
) -> tuple[np.ndarray, ...]:
    """Return dy, dx, y, x and weight of the cells of all blocks, pixels."""
    parts = [[np.empty(0)] * 5]
    for block, (dy, dx, sigma_dy, sigma_dx) in zip(blocks, cells, strict=True):
        place = _place(plane, block)
        i, j = np.mgrid[place]
        stable = np.ones(dy.shape, bool) if ground is None else ground[place]
        centre = (stride - 1) / 2
        # A matcher that does not know its sigma has equal weights.
        sigma = np.nan_to_num(np.hypot(sigma_dy, sigma_dx), nan=1.0)
        values = (dy, dx, i * stride + centre, j * stride + centre, 1 / (sigma**2 + FLOOR**2))
        parts.append([value[stable] for value in values])
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
