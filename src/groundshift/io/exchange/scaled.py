"""Stacks times a number for each plane, computed from a part when that part is read."""

from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from groundshift.io.scratch import TYPE


class _Scaled(BackendArray):
    """An array as xarray indexes it."""

    def __init__(self, source: xr.Variable, factor: np.ndarray) -> None:
        self.source, self.factor = source, factor
        self.shape, self.dtype = source.shape, TYPE

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Read a part."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        values = self.source[key].compute(scheduler="sync").values
        factor = self.factor[key[0]]
        if np.ndim(factor):
            factor = factor.reshape(-1, *[1] * (values.ndim - 1))
        # In double precision, rounded once, without an array of it.
        result = np.empty(values.shape, TYPE)
        return np.multiply(values, factor, out=result, dtype=float, casting="unsafe")


def scaled(source: xr.Variable, factor: np.ndarray) -> xr.Variable:
    """Multiply the planes of a stack, each by its own number, lazily and without dask.

    Stacks have too many chunks to make a task of each.
    """
    array = indexing.LazilyIndexedArray(_Scaled(source, np.asarray(factor, float)))
    return xr.Variable(source.dims, array)


def spread(values: np.ndarray, grid: tuple[int, int]) -> xr.Variable:
    """Return a stack whose planes are one number each, without the memory of it."""
    wide = np.broadcast_to(np.asarray(values, TYPE)[:, None, None], (len(values), *grid))
    return scaled(xr.Variable(("pair", "y", "x"), wide), np.ones(len(values)))
