"""Variables of plain HDF5 files as stacks, read part by part."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from groundshift.errors import ImageError
from groundshift.io.scratch import TYPE


class _Planes(BackendArray):
    """A variable of a file, which is opened for each part: handles are not for several threads."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        with opened(path) as file:
            self.shape, self.dtype = file[name].shape, TYPE
            self.nodata = float(text(file.attrs.get("NO_DATA_VALUE", "nan")))

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        """Read a part."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        with opened(self.path) as file:
            values = np.asarray(file[self.name][key], TYPE)
        return np.where(values == self.nodata, np.float32("nan"), values)


def plane(path: Path, name: str) -> xr.Variable | None:
    """Return a variable with dims (pair, y, x), lazily; None if it is not there."""
    with opened(path) as file:
        if name not in file:
            return None
    array = indexing.LazilyIndexedArray(_Planes(path, name))
    return xr.Variable(("pair", "y", "x"), array)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file to read it; say what is wrong with one that cannot be."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error}; check that it is complete") from error


def text(value: Any) -> str:
    """Return an attribute as text, however it is stored."""
    return value.decode() if isinstance(value, bytes) else str(value)
