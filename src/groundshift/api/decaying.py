"""The verb ``decay``: how the coherence of a stack falls with time, pixel by pixel."""

import logging
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from groundshift import field, grid, maps
from groundshift.api.coherent import coherence
from groundshift.api.inputs import history_of, labelled, source_of, time_of
from groundshift.coherent import decay as law
from groundshift.errors import GroundshiftError, ImageError

log = logging.getLogger(__name__)

DAY = np.timedelta64(1, "D")
CELLS = 256
"""Rows and columns of what is fitted at a time."""


def decay(
    images: Sequence[xr.DataArray],
    estimator: str | None = None,
    *,
    longest: float | None = None,
    **options: Any,
) -> xr.Dataset:
    """Fit ``(1 - rest) exp(-t / tau) + rest`` to the coherence of all pairs of a stack.

    Parameters
    ----------
    images
        Three dates of one place or more, with their times, as :func:`groundshift.open_image` gives
        them; what lies on another grid than the first is resampled onto it.
    estimator, options
        As for :func:`groundshift.coherence`, for all pairs.
    longest
        Days: pairs farther apart are left out.

    Returns
    -------
    xr.Dataset
        ``rest`` and ``tau`` (days) with their standard deviations, ``misfit`` and the number of
        ``pairs`` (:mod:`groundshift.maps`). Lazy. Pairs count by the variance of their coherence;
        those that share a date are taken as independent, so that sigma is a little too small.

    Raises
    ------
    GroundshiftError
        If dates are missing, or intervals too few to tell a decay.
    """
    stack = _dated([labelled(image, f"image {k + 1}") for k, image in enumerate(images)])
    times = [time_of(image) for image in stack]
    pairs = []
    for one, other in combinations(range(len(stack)), 2):
        days = float((times[other] - times[one]) / DAY)
        if days > 0 and (longest is None or days <= longest):
            pairs.append((one, other, days))
    days = np.array([each for _, _, each in pairs])
    if len(np.unique(days)) < law.FEWEST:
        raise GroundshiftError(
            f"{len(pairs)} pair(s) of {len(np.unique(days))} different interval(s) tell no decay; "
            f"give {law.FEWEST} intervals or more, for example four dates, or a larger longest="
        )
    first = stack[0]
    aligned = [first, *(grid.align(first, image)[1] for image in stack[1:])]
    found = [
        coherence(aligned[one], aligned[other], estimator, **options) for one, other, _ in pairs
    ]
    planes = da.stack(
        [da.stack([each[name].data for each in found], -1) for name in ("coherence", "sigma")]
    )
    fitted = planes.rechunk((2, CELLS, CELLS, -1)).map_blocks(
        _fit,
        days,
        drop_axis=3,
        chunks=(len(law.Decay._fields), *planes.rechunk((2, CELLS, CELLS, -1)).chunks[1:3]),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return maps.build(
        maps.DECAY,
        law.Decay(*(fitted[k] for k in range(len(law.Decay._fields)))),
        field.geobox_of(found[0]),
        stride=1,
        reference_time=times[0],
        secondary_time=times[-1],
        attrs={
            "estimator": found[0].attrs["estimator"],
            "dates": len(stack),
            "pairs": len(pairs),
            "images": " ".join(source_of(image) for image in stack),
            "history": history_of([f"decay of {len(pairs)} pairs of {len(stack)} images"]),
        },
    )


def _fit(planes: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Fit a block ``(2, rows, columns, pairs)``."""
    return np.stack(law.fit(planes[0], planes[1], days))


def _dated(images: list[xr.DataArray]) -> list[xr.DataArray]:
    """Order images by their dates, which all must have."""
    for image in images:
        if np.isnat(time_of(image)):
            raise ImageError(
                f"{source_of(image)} has no date; give it one in its name, such as 20200207, or as "
                "the coordinate time"
            )
    return sorted(images, key=time_of)
