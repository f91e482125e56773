"""Images of a stack as they are matched: on one grid, detected, in raw files.

What a pair needs of an image, reading, detecting and resampling it, is done once for all pairs that
it is in; the file goes when no pair needs it any more.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

from groundshift import grid
from groundshift.io.scratch import TYPE, compute_into
from groundshift.tile import computing

CHUNK = 2048
"""Rows and columns that are read at once."""
SPARE = 4
"""Times the size of an image that must remain free beside it."""


@dataclass
class Prepared:
    """Images that are made ready when they are first asked for.

    Parameters
    ----------
    images
        Detected (:func:`groundshift.io.radiometry.detect`), each on its own grid.
    onto
        The one whose grid all get.
    folder
        For the files; those that are there are taken as they are.
    """

    images: list[xr.DataArray]
    onto: xr.DataArray
    folder: Path

    def __getitem__(self, number: int) -> xr.DataArray:
        """Return an image; from its raw file, unless the disk has no room for one.

        Raises
        ------
        GridError
            If it does not overlap the one whose grid all get.
        """
        lazy = _onto(self.onto, self.images[number])
        path = self._path(number)
        if not path.exists():
            self.folder.mkdir(exist_ok=True)
            if shutil.disk_usage(self.folder).free < SPARE * lazy.size * TYPE.itemsize:
                return lazy
            draft = path.with_suffix(".fresh")
            draft.unlink(missing_ok=True)
            with computing(progress=False):
                compute_into(draft, {"image": da.asarray(lazy.data)})
            draft.replace(path)
        raw = np.memmap(path, TYPE, "r", shape=lazy.shape)
        return lazy.copy(data=da.from_array(raw, chunks=(CHUNK, CHUNK)))  # pyright: ignore[reportArgumentType] - its annotation forgets tuples

    def drop(self, number: int) -> None:
        """Delete the file of an image that is no longer needed."""
        self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.raw"


def _onto(reference: xr.DataArray, image: xr.DataArray) -> xr.DataArray:
    """Bring an image onto the whole grid of another; NaN where it does not reach."""
    cut, moved = grid.align(reference, image)
    if moved.shape == reference.shape:
        return moved
    around = []
    for axis in ("y", "x"):
        first = int(np.flatnonzero(reference[axis].values == cut[axis].values[0])[0])
        around.append((first, reference.sizes[axis] - first - cut.sizes[axis]))
    wide = da.pad(da.asarray(moved.data), around, constant_values=np.float32(np.nan))
    whole = reference.copy(data=wide).assign_attrs(moved.attrs)
    return whole.assign_coords(time=moved.coords["time"]) if "time" in moved.coords else whole
