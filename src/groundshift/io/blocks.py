"""One band of a raster file as an array that reads only what is asked for.

Every block opens the file anew (about a millisecond): GDAL's handles must not be shared between
threads, and an array that holds a path and not a handle can be pickled to any worker.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rasterio._path import _parse_path
from rasterio.env import Env
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from groundshift.errors import ImageError
from groundshift.io.zeros import REACH, zero_areas

log = logging.getLogger(__name__)

CACHE = 256
"""Memory for GDAL's blocks, MB."""


class BlockReader(DatasetReader):
    """A dataset that does not ask for its geotransform.

    rasterio warns when there is none, and filters for warnings are not safe between threads.
    """

    def read_transform(self) -> list[float]:
        """Return the identity."""
        return [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]


@dataclass(frozen=True)
class Band:
    """A band in a file, as dask.array.from_array takes it: float32 or complex64, NaN = no data."""

    path: str
    index: int
    """Number of the band, from 1."""
    shape: tuple[int, int]
    dtype: np.dtype
    as_stored: bool = False
    """Rows as a netCDF file has them; GDAL turns them so that north would be up."""
    version: tuple[int, int] = (0, 0)
    """Size and time of change, so that equal names mean equal values."""
    nodata: float | None = None
    masked: bool = False
    """Whether GDAL knows a mask or alpha band."""
    user_mask: str | None = None
    """Raster of the same size that is zero where there is no data."""
    zeros: bool = False
    """Whether areas of zeros are no data (:mod:`groundshift.io.zeros`)."""
    smear: int = 0
    """Pixels by which lossy compression smears the edges of such areas."""
    scale: float = 1.0
    offset: float = 0.0
    palette: tuple[float, ...] | None = None
    """Grey value of each index, when the file holds indices into a grey table."""

    @property
    def ndim(self) -> int:
        """Two."""
        return 2

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read a part; slices and lists as numpy takes them."""
        rows, columns = (_span(k, n) for k, n in zip(key, self.shape, strict=True))
        block = self.read(*rows.bounds, *columns.bounds)
        return block[rows.rest][..., columns.rest]

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Read rows ``top:bottom`` and columns ``left:right``."""
        reach = REACH + self.smear if self.zeros else 0
        window = (
            max(top - reach, 0),
            min(bottom + reach, self.shape[0]),
            max(left - reach, 0),
            min(right + reach, self.shape[1]),
        )
        try:
            with environment(as_stored=self.as_stored), opened(self.path) as dataset:
                raw = dataset.read(self.index, window=_window(*window))
                mask = dataset.read_masks(self.index, window=_window(*window))
            missing = self._missing(raw) | (mask == 0) if self.masked else self._missing(raw)
            if self.user_mask is not None:
                with environment(), opened(self.user_mask) as dataset:
                    user = dataset.read(1, window=_window(*window))
                missing |= ~(np.abs(user) > 0)
        except RasterioError as error:
            raise ImageError(self._damaged(error, top, bottom, left, right)) from error
        if self.zeros:
            missing |= zero_areas(raw, window, self.shape, smear=self.smear)
        inner = np.s_[top - window[0] : bottom - window[0], left - window[2] : right - window[2]]
        return self._values(raw[inner], missing[inner])

    def _missing(self, raw: np.ndarray) -> np.ndarray:
        missing = np.zeros(raw.shape, bool)
        if self.nodata is not None and not np.isnan(self.nodata):
            with np.errstate(over="ignore"):  # a nodata value beyond the type's range
                missing |= raw == self.nodata
        return missing

    def _values(self, raw: np.ndarray, missing: np.ndarray) -> np.ndarray:
        if self.palette is not None:
            raw = np.asarray(self.palette)[raw]
        if (self.scale, self.offset) != (1.0, 0.0):
            with np.errstate(over="ignore", invalid="ignore"):
                raw = raw * self.scale + self.offset
        return single(raw, missing, self.dtype, self.path)

    def _damaged(self, error: Exception, *window: int) -> str:
        if is_file(self.path) and not Path(self.path).exists():
            return f"{self.path} has been removed or renamed while it was in use; put it back"
        top, bottom, left, right = window
        cause = str(error.__cause__ or error)
        return (
            f"{self.path}: rows {top}-{bottom - 1}, columns {left}-{right - 1} cannot be read; "
            f"the file is truncated or damaged: copy or download it again ({cause})"
        )


@dataclass(frozen=True)
class _Span:
    bounds: tuple[int, int]
    rest: Any


def _span(key: Any, size: int) -> _Span:
    """Range of one axis to read, and the index to apply to what was read."""
    if isinstance(key, slice) and key.step in (None, 1):
        start, stop, _ = key.indices(size)
        return _Span((start, max(start, stop)), slice(None))
    index = np.arange(size)[key]
    if index.size == 0:
        return _Span((0, 0), index)
    return _Span((int(index.min()), int(index.max()) + 1), index - index.min())


def _window(top: int, bottom: int, left: int, right: int) -> Window:
    return Window.from_slices((top, bottom), (left, right))


def single(values: np.ndarray, missing: ArrayLike, dtype: np.dtype, name: str) -> np.ndarray:
    """Return values in single precision, with NaN for what is no measurement.

    That is what is missing, infinity, and, with a warning in the log, what float32 cannot hold.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = values.astype(dtype)
    lost = ~np.isfinite(result)
    if values.dtype.itemsize > dtype.itemsize and np.any(
        lost & np.isfinite(values) & np.logical_not(missing)
    ):
        log.warning(
            "%s: values that float32 cannot hold (beyond 3.4e38) are taken as no data; declare "
            "them with nodata=, or rescale the image",
            name,
        )
    result[missing | lost] = np.nan
    return result


def environment(*, as_stored: bool = False) -> Env:
    """Set up GDAL for one file.

    Its cache is of little use, as each block opens the file anew, and would take 5 % of the memory.
    """
    options: dict[str, Any] = {"GDAL_NETCDF_BOTTOMUP": "NO"} if as_stored else {}
    if "GDAL_CACHEMAX" not in os.environ:
        options["GDAL_CACHEMAX"] = CACHE
    return Env(**options)


def opened(path: str) -> BlockReader:
    """Open a dataset without asking for its geotransform, inside an Env."""
    return BlockReader(_parse_path(path))


def is_file(path: str) -> bool:
    """Whether a name means a file on disk, and not a URL or a part of a container."""
    return not ("://" in path or path.startswith(("/vsi", "<")) or ":" in path[2:])
