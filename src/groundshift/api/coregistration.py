"""Fit a global motion between two images on stable ground, and remove it.

Satellites do not know where they are to a fraction of a pixel: a pair often has a shift, rarely a
shear or a stretch, that has nothing to do with the ground. The matcher itself measures it on a
sample of tiles; a robust fit ignores what really moved as long as that is the smaller part.
"""

import logging
from typing import Any, NamedTuple

import dask
import numpy as np
import xarray as xr

from groundshift import grid, tile
from groundshift.errors import GridError, GroundshiftError
from groundshift.types import Matcher

KINDS = {"shift": 1, "affine": 3}
"""Parameters per component."""
SAMPLE = 64
"""Tiles that are measured at most."""
SAMPLE_TILE = 256
"""Their side in pixels, roughly."""
LEAST_CELLS = 30
"""Matches per parameter below which a fit is refused."""
BISQUARE = 4.685
"""Residuals beyond this many standard deviations have no weight (95 % efficient for Gaussians)."""

log = logging.getLogger(__name__)


class Motion(NamedTuple):
    """``dy = y0 + yy * row + yx * column`` and ``dx = x0 + xy * row + xx * column``, pixels."""

    y0: float
    x0: float
    yy: float = 0.0
    yx: float = 0.0
    xy: float = 0.0
    xx: float = 0.0
    matches: int = 0
    """Cells that the fit rests on."""

    def at(self, rows: Any, columns: Any) -> tuple[Any, Any]:
        """Return ``dy, dx`` at pixel coordinates."""
        return (
            self.y0 + self.yy * rows + self.yx * columns,
            self.x0 + self.xy * rows + self.xx * columns,
        )

    def __str__(self) -> str:
        text = f"dy = {self.y0:.4f}, dx = {self.x0:.4f} px"
        kind = "shift"
        if any((self.yy, self.yx, self.xy, self.xx)):
            kind = "affine motion"
            text = (
                f"dy = {self.y0:.4f} {self.yy:+.3e} row {self.yx:+.3e} column, "
                f"dx = {self.x0:.4f} {self.xy:+.3e} row {self.xx:+.3e} column px"
            )
        return f"{kind}: {text} ({self.matches} matches)"


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
) -> Motion:
    """Measure a sample of tiles and fit a "shift" or an "affine" motion; computes at once."""
    if kind not in KINDS:
        raise GroundshiftError(f"coregister={kind!r} is not known; pass 'shift' or 'affine'")
    size = max(1, -(-SAMPLE_TILE // matcher.period)) * matcher.period
    planes = tile.map_pair(
        matcher, reference, secondary, prior, tile=size, memory=memory, device=device
    )
    ground = None if stable is None else _at_cells(stable, reference, matcher.stride)
    chosen = _choose(planes.dy, ground)
    with tile.computing(progress=False):
        cells = dask.compute(  # pyright: ignore[reportPrivateImportUsage]
            *([plane.blocks[block] for plane in planes[:4]] for block in chosen)
        )
    samples = _samples(planes.dy, chosen, cells, ground, matcher.stride)
    motion = _robust(samples, KINDS[kind])
    log.info("co-registration: %s", motion)
    return motion


def apply(secondary: xr.DataArray, motion: Motion) -> xr.DataArray:
    """Resample the secondary so that the motion is gone."""
    return grid.shift_image(secondary, motion[:6])


def remove(prior: tile.Prior, motion: Motion) -> tile.Prior:
    """Return what a prior expects after the motion has been removed."""
    rows, columns = (
        origin + step * np.arange(count)
        for origin, step, count in zip(prior.origin, prior.step, prior.dy.shape, strict=True)
    )
    dy, dx = motion.at(rows[:, None], columns[None, :])
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


def _at_cells(stable: xr.DataArray, image: xr.DataArray, stride: int) -> np.ndarray:
    """Sample a mask at the centres of the cells of an image; outside it nothing is stable."""
    if stable.odc.crs != image.odc.crs:
        box = image.odc.geobox
        stable = stable.astype(np.float32).odc.reproject(box, resampling="nearest")
    places = {}
    for name in ("y", "x"):
        centres = np.arange(-(-image.sizes[name] // stride)) * stride + stride // 2
        places[name] = image[name].values[centres.clip(max=image.sizes[name] - 1)]
    step = max(float(abs(np.diff(stable[name].values[:2])).max(initial=0)) for name in ("y", "x"))
    nearest = stable.astype(np.float32).reindex(places, method="nearest", tolerance=step or None)
    return (np.nan_to_num(nearest.values) != 0) & np.isfinite(nearest.values)


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


class _Samples(NamedTuple):
    rows: np.ndarray
    columns: np.ndarray
    dy: np.ndarray
    dx: np.ndarray
    sigma: np.ndarray


def _samples(
    plane: Any, blocks: list[Any], cells: Any, ground: np.ndarray | None, stride: int
) -> _Samples:
    """Put the measured cells of all blocks into one list, with their pixel coordinates."""
    parts: list[list[np.ndarray]] = [[np.empty(0)] * 5]
    for block, (dy, dx, sigma_dy, sigma_dx) in zip(blocks, cells, strict=True):
        place = _place(plane, block)
        i, j = np.mgrid[place]
        good = np.isfinite(dy) & np.isfinite(dx)
        if ground is not None:
            good &= ground[place]
        centre = (stride - 1) / 2
        sigma = np.nan_to_num(np.hypot(sigma_dy, sigma_dx), nan=0.5)
        values = (i * stride + centre, j * stride + centre, dy, dx, sigma)
        parts.append([value[good] for value in values])
    return _Samples(
        *(np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True))
    )


def _robust(samples: _Samples, parameters: int) -> Motion:
    """Fit by iteratively reweighted least squares, from the median on."""
    count = samples.dy.size
    if count < LEAST_CELLS * parameters:
        raise GroundshiftError(
            f"co-registration found only {count} matches on stable ground and needs "
            f"{LEAST_CELLS * parameters}; give more stable ground or leave coregister out"
        )
    centre = samples.rows.mean(), samples.columns.mean()
    scale = max(np.ptp(samples.rows), np.ptp(samples.columns), 1.0)
    design = np.stack(
        [
            np.ones(count),
            (samples.rows - centre[0]) / scale,
            (samples.columns - centre[1]) / scale,
        ],
        axis=1,
    )[:, :parameters]
    found = []
    for values in (samples.dy, samples.dx):
        solution = np.zeros(3)
        solution[:parameters] = _bisquare(design, values, samples.sigma)
        slopes = solution[1:] / scale
        found.append((solution[0] - slopes @ centre, *slopes))
    (y0, yy, yx), (x0, xy, xx) = found
    return Motion(*(float(v) for v in (y0, x0, yy, yx, xy, xx)), matches=count)


def _bisquare(design: np.ndarray, values: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the robust solution of ``design @ solution = values``."""
    prior_weight = 1 / (sigma**2 + 0.05**2)
    solution = np.zeros(design.shape[1])
    solution[0] = np.median(values)
    for _ in range(30):
        residual = values - design @ solution
        spread = max(1.4826 * float(np.median(np.abs(residual))), 1e-4)
        weight = np.clip(1 - (residual / (BISQUARE * spread)) ** 2, 0, None) ** 2 * prior_weight
        root = np.sqrt(weight)
        update = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        if np.allclose(update, solution, rtol=0, atol=1e-6):
            return update
        solution = update
    return solution
