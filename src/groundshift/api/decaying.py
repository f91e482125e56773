"""The verb ``decay``: how the coherence of a stack falls with time, pixel by pixel."""

import logging
import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from groundshift import field, grid, maps
from groundshift.api.coherent import ESTIMATORS, WINDOWED, Asked, between, coherence, radar_kind
from groundshift.api.inputs import history_of, labelled, source_of, time_of
from groundshift.coherent import decay as law
from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import radiometry

log = logging.getLogger(__name__)

DAY = np.timedelta64(1, "D")
LEVELLED = 6
"""Dates whose mean tells what the ground is like."""
CELLS = 256
"""Rows and columns of what is fitted at a time."""


def decay(
    images: Sequence[xr.DataArray],
    estimator: str | None = None,
    *,
    longest: float | None = None,
    temporal: bool = False,
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
    temporal
        Divide by the mean of all dates, in place of the local mean of each image: what is finer
        than windows and the same on all dates does not pass for coherence then, but coherence that
        lasts is divided out as well, and `tau` comes out shorter. Of windows in detected images,
        six dates or more.

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
    if temporal:
        found = _levelled(aligned, pairs, estimator, options)
    else:
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


def _levelled(
    images: list[xr.DataArray],
    pairs: list[tuple[int, int, float]],
    estimator: str | None,
    options: dict[str, Any],
) -> list[xr.Dataset]:
    """Estimate the coherence of pairs, each divided by the mean intensity of all dates.

    Both images of a pair count less in their mean than the others: by so much that what is
    independent on all dates stays uncorrelated, to the first order of the noise of the mean.
    """
    if len(images) < LEVELLED:
        raise GroundshiftError(
            f"{len(images)} dates tell no mean of the ground, temporal= needs {LEVELLED} or more; "
            "leave it out"
        )
    estimator = estimator or WINDOWED
    if estimator not in ESTIMATORS or options.get("normalise", 0):
        raise GroundshiftError(
            "temporal= is of windows in detected images, in place of normalise=; choose an "
            f"estimator among {', '.join(ESTIMATORS)}, or leave it out"
        )
    tiling = {name: options[name] for name in ("memory", "device") if name in options}
    said = {name: options[name] for name in ("window", "stride", "looks") if name in options}
    asked = Asked(**said, normalise=0)
    kind = radar_kind(images[0], images[1], options.get("radiometry"))
    told = [radiometry.detect(image.assign_attrs(radiometry=kind)) for image in images]
    power = [image.data**2 for image in told]
    known = [da.isfinite(each) for each in power]
    filled = [da.where(there, each, 0) for each, there in zip(power, known, strict=True)]
    total, count = sum(filled), sum(there.astype(np.float32) for there in known)
    found = []
    for one, other, _ in pairs:
        rest = len(images) - 2
        own = (math.sqrt(rest * (rest + 2)) - rest) / 2
        weights = count - (1 - own) * 2
        mean = (total - (1 - own) * (filled[one] + filled[other])) / weights
        mean = da.where((count > len(images) / 2) & (mean > 0), mean, np.nan)
        one_of, other_of = (
            told[k].copy(data=da.sqrt(power[k] / mean).astype(np.float32)) for k in (one, other)
        )
        found.append(between((one_of, other_of), "amplitude", estimator, asked, **tiling))
    return found


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
