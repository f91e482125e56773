"""Which reader a cube of another program needs; it is told by what is in the file."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import xarray as xr

from groundshift.io.exchange import itslive, ticoi

CUBES: Sequence[ModuleType] = (itslive, ticoi)
"""Tried in turn: modules with ``matches(dataset)`` and ``read(path, dataset)``."""


def of_cube(path: Path, dataset: xr.Dataset) -> xr.Dataset | None:
    """Return what netCDF or Zarr of another program holds; None if none is known that wrote it."""
    for module in CUBES:
        if module.matches(dataset):
            return module.read(path, dataset)
    return None
