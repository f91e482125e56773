"""An expected displacement, per pixel or per coarser cell, cut and interpolated for each tile."""

from typing import Any, NamedTuple

import numpy as np


class Window(NamedTuple):
    """Half-open pixel range along one axis; may reach outside the image."""

    start: int
    stop: int

    def inside(self, size: int) -> slice:
        """Return the part within an image of this size."""
        return slice(min(max(self.start, 0), size), min(max(self.stop, 0), size))

    def padding(self, size: int) -> tuple[int, int]:
        """Return the lengths that lie outside, before and after."""
        part = self.inside(size)
        return part.start - self.start, self.stop - part.stop


class Prior(NamedTuple):
    """An expected displacement on a regular grid of cells, in pixels; NaN is "no idea".

    Cell ``(i, j)`` is centred on the pixel ``(origin[0] + i * step[0], origin[1] + j * step[1])``.
    With the defaults there is one value per pixel.
    """

    dy: Any
    """Displacement along rows, a numpy or dask array of shape ``(rows, columns)``."""
    dx: Any
    """Displacement along columns, like ``dy``."""
    step: tuple[float, float] = (1.0, 1.0)
    """Pixels from one cell to the next, down and to the right."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Pixel coordinates of the first cell's centre; pixel centres are integers."""

    @classmethod
    def of_cells(cls, dy: Any, dx: Any, stride: int) -> "Prior":
        """Return the prior of square cells of ``stride`` pixels, as an operator reports them."""
        return cls(dy, dx, (stride, stride), ((stride - 1) / 2, (stride - 1) / 2))


def cells_of(prior: Prior, rows: Window, columns: Window) -> tuple[Any, ...]:
    """Cut the cells which a window needs; the rest of the arguments of :func:`spread`."""
    cut: list[slice] = []
    centres: list[np.ndarray] = []
    for axis, window in enumerate((rows, columns)):
        count = prior.dy.shape[axis]
        centre = (np.arange(window.start, window.stop) - prior.origin[axis]) / prior.step[axis]
        centre[(centre < -0.5) | (centre > count - 0.5)] = np.nan
        known = centre[~np.isnan(centre)].clip(0, count - 1)
        first, last = (int(known.min()), int(known.max()) + 2) if known.size else (0, 1)
        cut.append(slice(first, min(last, count)))
        centres.append(centre.clip(0, count - 1) - first)
    part = tuple(cut)
    return prior.dy[part], prior.dx[part], centres[0], centres[1]


def spread(dy: np.ndarray, dx: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate cells linearly to pixels: ``(2, H, W)``, NaN where the nearest is unknown.

    ``rows`` and ``columns`` are the pixels' places among the cells, NaN outside. An unknown
    neighbour takes no part, so that a gap does not grow.
    """
    known = ~(np.isnan(dy) | np.isnan(dx))
    weight = _linear(known.astype(np.float32), rows, columns)
    outside = np.isnan(rows)[:, None] | np.isnan(columns)[None, :]
    # Not rint, which rounds halves to even: the parity depends on where the tile begins.
    near = [np.floor(np.nan_to_num(axis) + 0.5).astype(int) for axis in (rows, columns)]
    near = [np.minimum(axis, size - 1) for axis, size in zip(near, known.shape, strict=True)]
    unknown = outside | ~known[np.ix_(*near)]
    out = np.empty((2, rows.size, columns.size), np.float32)
    for index, plane in enumerate((dy, dx)):
        filled = np.where(known, plane, 0).astype(np.float32)
        out[index] = _linear(filled, rows, columns) / np.maximum(weight, 1e-6)
    out[:, unknown] = np.nan
    return out


def _linear(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate along both axes at known, inside places; anything where a place is NaN."""
    for axis, places in ((0, rows), (1, columns)):
        place = np.nan_to_num(places)
        first = np.floor(place).astype(int)
        second = np.minimum(first + 1, plane.shape[axis] - 1)
        part = (place - first).astype(np.float32)
        part = part[:, None] if axis == 0 else part[None, :]
        plane = np.take(plane, first, axis) * (1 - part) + np.take(plane, second, axis) * part
    return plane
