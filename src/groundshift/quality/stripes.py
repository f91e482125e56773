"""Stripes: what a line scanner or the ionosphere adds along one direction and not across it."""

import numpy as np
import xarray as xr
from scipy import ndimage

from groundshift.errors import GroundshiftError
from groundshift.field import check
from groundshift.grid.motion import NMAD
from groundshift.quality.cells import moved, planes, said
from groundshift.quality.ties import mask_of

FEWEST = 20
"""Cells of a stripe from which its median counts."""
CLIP = 3.0
"""Robust standard deviations beyond which a cell of a stripe does not count."""


def destripe(
    field: xr.Dataset,
    direction: float,
    *,
    wide: float | None = None,
    length: float | None = None,
    stable: xr.DataArray | np.ndarray | None = None,
) -> xr.Dataset:
    """Take away the median of each stripe, one cell wide, of some direction.

    Arrays of detectors (CCD) make steps across the track: stripes along it. Jitter of the attitude
    makes waves along the track: stripes across it. The ionosphere makes streaks in azimuth offsets.

    Parameters
    ----------
    direction
        Of the stripes, degrees clockwise from the direction of rows upward (north on a north-up
        grid).
    wide
        Cells across: what is smoother than that is left in the field, as motion. By default
        everything that all of a stripe shares is taken away, which asks for stable ground.
    length
        Cells along, of the windows whose medians count, for streaks that end; by default a whole
        stripe is one.
    stable
        Of the field's cells, non-zero where the ground did not move; by default all cells.
    """
    check(field)
    if wide is None and stable is None:
        raise GroundshiftError(
            "motion of the ground cannot be told from stripes: give stable ground, or wide=, the "
            "cells across which motion is smooth"
        )
    both = planes(field)
    if wide is not None and wide > min(both[0].shape):
        raise GroundshiftError(
            f"wide={wide:g} is more than the field has ({both[0].shape[0]} x {both[0].shape[1]} "
            "cells), so that all motion would pass for stripes; give fewer cells"
        )
    rows, columns = np.indices(both[0].shape)
    angle = np.deg2rad(direction)
    along = columns * np.sin(angle) - rows * np.cos(angle)
    across = columns * np.cos(angle) + rows * np.sin(angle)
    inside = np.isfinite(both[0])
    if stable is not None:
        inside &= mask_of(stable, field)
    found = []
    for plane in both:
        rest = plane if wide is None else plane - _smooth(plane, wide)
        profile = _profile(rest, along, across, inside, length)
        found.append(plane - _back(profile, along, across, length))
    step = f"stripes of {direction:g} degrees taken away"
    return said(moved(field, *found), step)


def _bins(values: np.ndarray, width: float) -> np.ndarray:
    return np.floor((values - values.min()) / width + 0.5)


def _profile(
    plane: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    inside: np.ndarray,
    length: float | None,
) -> np.ndarray:
    """Return medians, (windows along, stripes across); stripes without enough are interpolated."""
    j = _bins(across, 1.0).astype(int)
    i = np.zeros_like(j) if length is None else _bins(along, length).astype(int)
    shape = int(i.max()) + 1, int(j.max()) + 1
    place = (i * shape[1] + j)[inside]
    values = plane[inside]
    found = _medians(values, place, shape[0] * shape[1])
    rest = values - found[place]
    scale = NMAD * np.median(np.abs(rest[np.isfinite(rest)]))
    good = np.abs(rest) <= CLIP * scale
    found = _medians(values[good], place[good], shape[0] * shape[1]).reshape(shape)
    return np.stack([_filled(line) for line in found])


def _medians(values: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    """Median of the values at each place; NaN where there are few."""
    order = np.lexsort((values, place))
    ordered, sizes = values[order], np.bincount(place, minlength=count)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    picked = [
        ordered[np.clip(first + offset, 0, max(0, ordered.size - 1))]
        for offset in ((sizes - 1) // 2, sizes // 2)
    ]
    return np.where(sizes >= FEWEST, (picked[0] + picked[1]) / 2, np.nan)


def _filled(line: np.ndarray) -> np.ndarray:
    known = np.isfinite(line)
    if not known.any():
        return np.zeros_like(line)
    return np.interp(np.arange(line.size), np.flatnonzero(known), line[known])


def _smooth(plane: np.ndarray, wide: float) -> np.ndarray:
    """Return what is smoother than `wide`: a mean of what is known around."""
    known = np.isfinite(plane)
    total, share = (
        ndimage.gaussian_filter(each, wide / 4, mode="constant")
        for each in (np.where(known, plane, 0.0), known.astype(np.float64))
    )
    return total / np.maximum(share, 1e-6)


def _back(
    profile: np.ndarray, along: np.ndarray, across: np.ndarray, length: float | None
) -> np.ndarray:
    """Return the stripe of each cell; between windows along, linearly."""
    j = across - across.min()
    i = np.zeros_like(j) if length is None else (along - along.min()) / length
    return ndimage.map_coordinates(profile, [i, j], order=1, mode="nearest")
