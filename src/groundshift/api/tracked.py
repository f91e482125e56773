"""Pairs that are tracked once: what was measured is kept in a file, for a run that goes on."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from groundshift import grid, tile
from groundshift.errors import ImageError, OutputError
from groundshift.io import radiometry as kinds
from groundshift.io.scratch import cannot_write
from groundshift.types import Estimate, Matcher

ROWS = 1024
"""Of an image, that are read at once to tell it from others."""


class Tracked(NamedTuple):
    """A pair on one grid, and what was measured."""

    reference: xr.DataArray
    """Amplitude, or optical."""
    secondary: xr.DataArray
    found: Estimate


def kind_of(image: xr.DataArray, radiometry: str | None) -> str:
    """Say what pixels mean: as told, or as the image suggests."""
    kind = radiometry or kinds.guess(image)
    if kind not in kinds.RADIOMETRIES:
        raise ImageError(
            f"radiometry={kind!r} is not known; choose one of {', '.join(kinds.RADIOMETRIES)}"
        )
    return kind


def digest(image: xr.DataArray) -> str:
    """Tell an image from others by its pixels."""
    found = hashlib.sha256(repr(image.shape).encode())
    for row in range(0, image.shape[0], ROWS):
        found.update(image[row : row + ROWS].values.tobytes())
    return found.hexdigest()


def tracked(
    pair: tuple[xr.DataArray, xr.DataArray],
    kind: str,
    matcher: Matcher,
    file: Path,
    *,
    window: int,
    memory: int | None,
    device: str,
) -> Tracked:
    """Track a pair, or read what was measured before.

    Parameters
    ----------
    pair
        Reference and secondary, on any grids.
    kind
        Radiometry of both.
    matcher
        Measures them.
    file
        Of what was measured: read, or written.
    window
        Pixels that both must have in common at least.
    memory, device
        As for :func:`groundshift.track`.
    """
    images = (kinds.detect(image.assign_attrs(radiometry=kind)) for image in pair)
    one, two = grid.align(*images, window=window)
    if not file.exists():
        lazy = tile.map_pair(matcher, one, two, memory=memory, device=device)
        with tile.computing(progress=False):
            import dask

            computed = dask.compute(*lazy)  # pyright: ignore[reportPrivateImportUsage]
        fresh = file.with_suffix(".fresh.npz")
        try:
            np.savez(fresh, *computed)
            fresh.replace(file)
        except OSError as error:
            raise OutputError(cannot_write(file.parent, error)) from error
    with np.load(file) as planes:
        return Tracked(one, two, Estimate(*(torch.from_numpy(planes[k]) for k in planes.files)))
