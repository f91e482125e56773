"""The verb ``coherence``: how much of a radar image the other date has kept."""

import logging
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from groundshift import field, grid, maps, tile
from groundshift.api import guard
from groundshift.api.inputs import (
    check_data,
    check_dates,
    history_of,
    labelled,
    radiometry_of,
    source_of,
    time_of,
)
from groundshift.coherent import (
    AmplitudeCorrelation,
    AnyEstimator,
    Calibrated,
    GuarnieriPrati,
    Interferometric,
    Learned,
    Likelihood,
    LogCorrelation,
    LogRatio,
    Pearson,
    Speckle,
    Windowed,
    looks_between,
    own_looks,
)
from groundshift.errors import GroundshiftError, ImageError
from groundshift.io import radiometry as kinds
from groundshift.nets.weights import is_run

log = logging.getLogger(__name__)

ESTIMATORS = {
    "pearson": Pearson,
    "amplitude": AmplitudeCorrelation,
    "log": LogCorrelation,
    "logratio": LogRatio,
    "gp97": GuarnieriPrati,
    "likelihood": Likelihood,
}
"""For detected images, by name."""
ROLES = ("reference", "secondary")
COMPLEX, NET = "complex", "unet"
WINDOWED = "pearson"
"""Of detected images, where something is asked for that only windows have."""
WINDOW = 9
"""Pixels, by default."""
SIDE, PLACES = 384, 3
"""Side of the squares in which speckle is measured, pixels, and how many along each axis."""
ROOM = 1.25
"""Times by which a number of looks may lie outside of what the images show."""
FEWEST = 0.75
"""Looks below which the numbers are no amplitude."""
UNLIKE = 1.5
"""Times by which the looks of the two images may differ."""
FRINGES = 21
"""Side of the windows in which fringes of complex images are found, pixels."""
POLARISATION = re.compile(r"(?<![a-z])(hh|hv|vh|vv)(?![a-z])", re.IGNORECASE)


class Asked(NamedTuple):
    """What the user wants of windows; None is for what is usual."""

    window: int | None = None
    stride: int = 1
    looks: float | None = None
    normalise: int = 5


def coherence(  # noqa: PLR0913 - the verb: one keyword for each decision that is the user's
    reference: xr.DataArray | np.ndarray,
    secondary: xr.DataArray | np.ndarray,
    estimator: str | None = None,
    *,
    window: int | None = None,
    stride: int = 1,
    looks: float | None = None,
    normalise: int = 5,
    radiometry: str | None = None,
    memory: int | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Estimate the interferometric coherence of two radar images, detected or complex.

    Parameters
    ----------
    reference, secondary
        Images as :func:`groundshift.open_image` gives them, or bare 2-D arrays, co-registered to
        two pixels for "unet", and to a small part of a resolution cell for the others: one apart
        along range leaves half of the coherence.
    estimator
        Of detected images: "unet" (the default), a net that chooses its surroundings itself, or the
        folder of a run of ``groundshift train coherence``; in windows "pearson" (the default where
        one of the next four is given), "amplitude", "log" for decibels, "logratio", "gp97" or
        "likelihood" (:mod:`groundshift.coherent.estimators`). "complex", the default for complex
        images, uses the phase; the others detect them first.
    window
        Side of the windows, pixels, 9 by default; odd where `stride` is odd. Not for nets.
    stride
        Pixels from one result to the next; 1 for nets and complex images.
    looks
        Equivalent number of looks; measured by default. One that the images contradict is refused.
        Of estimators in windows.
    normalise
        Odd side of the mean that intensity is divided by first, so that texture does not pass for
        coherence; 0 leaves it. Of estimators in windows.
    radiometry
        "amplitude", "intensity", "db" or "complex"; guessed by default.
    memory, device
        As for :func:`groundshift.track`.

    Returns
    -------
    xr.Dataset
        ``coherence`` with its standard deviation ``sigma``, and ``valid``, 1 where it is told from
        none (:mod:`groundshift.maps`). Lazy. In windows of detected images both are calibrated on a
        simulation of their speckle, with all coherences alike beforehand: below .3 or so they tell
        little, and `sigma` says so.

    Raises
    ------
    GroundshiftError
        If the input cannot be used; the message has the remedy.
    """
    pair = labelled(reference, "reference"), labelled(secondary, "secondary")
    check_dates(*pair)
    _check_polarisation(*pair)
    kind = radar_kind(*pair, given=radiometry)
    for image, role in zip(pair, ROLES, strict=True):
        check_data(image, role)
    if looks is not None and not looks > 0:
        raise GroundshiftError(f"looks={looks:g} is not positive; leave looks= out to measure it")
    asked = Asked(window, stride, looks, normalise)
    if estimator is None:
        estimator = COMPLEX if kind == "complex" else NET if asked == Asked() else WINDOWED
    if estimator not in (*ESTIMATORS, COMPLEX, NET) and not is_run(estimator):
        raise GroundshiftError(
            f"estimator={estimator!r} is not known; choose one of "
            f"{', '.join((NET, *ESTIMATORS, COMPLEX))}, or the folder of a run of "
            "groundshift train coherence"
        )
    if estimator == COMPLEX and kind != "complex":
        raise GroundshiftError(
            "estimator='complex' needs the phase, and the images are detected; pass complex ones, "
            "or another estimator"
        )
    if estimator != COMPLEX and kind != "complex":
        detected = [_opened(image, kind, estimator) for image in pair]
        _check_skewness(*detected, told=radiometry is not None)
    return between(pair, kind, estimator, asked, memory=memory, device=device)


def between(
    pair: tuple[xr.DataArray, xr.DataArray],
    kind: str,
    estimator: str,
    asked: Asked,
    *,
    memory: int | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Estimate the coherence of a pair of a radiometry, nothing of which is checked any more."""
    one, two = grid.align(
        *(_opened(image, kind, estimator) for image in pair), window=asked.window or WINDOW
    )
    operator, told = operator_of(estimator, (one, two), asked)
    planes = tile.map_pair(operator, one, two, memory=memory, device=device)
    steps = [f"coherence: {source_of(pair[0])} -> {source_of(pair[1])}"]
    return maps.build(
        maps.COHERENCE,
        planes,
        field.geobox_of(one),
        stride=operator.stride,
        reference_time=time_of(pair[0]),
        secondary_time=time_of(pair[1]),
        attrs={
            "estimator": repr(operator),
            **told,
            "radiometry": kind,
            "reference": source_of(pair[0]),
            "secondary": source_of(pair[1]),
            "history": history_of(steps),
        },
    )


def radar_kind(reference: xr.DataArray, secondary: xr.DataArray, given: str | None) -> str:
    """Return what the numbers of two images mean, which are radar images or have no coherence."""
    kind = radiometry_of(reference, secondary, given, radar=True)
    if kind == "optical":
        raise ImageError(
            "coherence is that of radar images, and these look optical; if they are radar, say "
            "what their numbers are with radiometry="
        )
    if given is None and any(kinds.guess(image) == "optical" for image in (reference, secondary)):
        log.warning(
            "neither names nor strong speckle tell that both images are radar images; they are "
            "taken as %s: if that is wrong, say what the numbers are with radiometry=",
            kind,
        )
    return kind


def operator_of(
    estimator: str, images: tuple[xr.DataArray, xr.DataArray], asked: Asked
) -> tuple[Any, dict[str, Any]]:
    """Make what estimates, and say what is worth keeping with the result."""
    window = asked.window or WINDOW
    if estimator in ESTIMATORS:
        speckle = _speckle(*images, asked.looks, needed=estimator != "pearson")
        windowed = Windowed(_named(estimator, speckle.looks), window, asked.stride, asked.normalise)
        told = {"looks": round(speckle.looks, 3), "samples_per_pixel": round(speckle.samples, 4)}
        return Calibrated(windowed, speckle), {"window": window, **told}
    _only_of_windows(
        stride=asked.stride != 1,
        looks=asked.looks is not None,
        normalise=asked.normalise != Asked().normalise,
    )
    if estimator == COMPLEX:
        samples = Speckle.of(*_parts(*(abs(image) for image in images))).samples
        return Interferometric(window, samples, FRINGES), {"window": window}
    _only_of_windows(window=asked.window is not None)
    told = {}
    if min(images[0].shape) >= SIDE // 4:  # of less nobody can say what it is like
        told["looks"] = round(_speckle(*images, None, needed=False).looks, 3)
    operator = Learned() if estimator == NET else Learned(estimator)
    guard.unfinished(operator)
    if said := guard.unlike(operator, dict(zip(ROLES, images, strict=True))):
        guard.warn(said, "--estimator pearson")
    return operator, told


def _only_of_windows(**given: bool) -> None:
    """Refuse what only estimators in windows have."""
    if names := [name for name, there in given.items() if there]:
        raise GroundshiftError(
            f"{' and '.join(names)}: only estimators in windows of detected images have that; "
            "choose one, such as pearson, or leave it out"
        )


def _named(name: str, looks: float) -> AnyEstimator:
    return Pearson() if name == "pearson" else ESTIMATORS[name](looks)


def _opened(image: xr.DataArray, kind: str, estimator: str) -> xr.DataArray:
    """Return complex numbers or an amplitude, as the estimator wants."""
    if estimator == COMPLEX:
        return image
    return kinds.detect(image.assign_attrs(radiometry=kind))


def _check_skewness(*images: xr.DataArray, told: bool) -> None:
    """Warn where speckle is not as skewed as that of amplitudes.

    Texture is as skewed as intensities, which were looked for already if nobody said what it is.
    """
    said = [kinds.doubt(image) for image in images]
    for each in sorted({text for text in said if text and (told or text != "intensities")}):
        log.warning(
            "the speckle of the %s is as skewed as that of %s; if it is, say what the numbers are "
            "with radiometry=",
            " and the ".join(r for r, t in zip(ROLES, said, strict=True) if t == each),
            each,
        )


def _check_polarisation(*images: xr.DataArray) -> None:
    """Warn where tags, or names, say that polarisations differ."""
    found = [
        POLARISATION.findall(image.attrs.get("polarisation") or Path(source_of(image)).name)
        for image in images
    ]
    one, two = ({each.lower() for each in names} for names in found)
    if len(one) == len(two) == 1 and one != two:
        log.warning(
            "the reference is %s and the secondary %s: what differs between polarisations counts "
            "as lost coherence",
            *(each.pop().upper() for each in (one, two)),
        )


def _speckle(one: xr.DataArray, two: xr.DataArray, looks: float | None, *, needed: bool) -> Speckle:
    """Measure the speckle of a pair, or check what is said of it."""
    pair = _parts(one, two)
    try:
        found = Speckle.of(*pair)
    except GroundshiftError:
        if looks is None:
            raise
        return Speckle(looks)
    low, high = looks_between(*pair)
    own = own_looks(*pair)
    if max(own) > UNLIKE * min(own):
        log.warning(
            "the images differ in their number of looks (about %.2g and %.2g): what only one of "
            "them averages counts as lost coherence",
            *own,
        )
    if high < FEWEST:
        raise ImageError(
            f"the images scatter more than speckle of one look can ({high:.2g} looks): they may be "
            "intensities or decibels; say what they are with radiometry="
        )
    if looks is None:
        if needed and high > UNLIKE * low:
            log.warning(
                "the images show %.2g looks in calm ground, and at most %.2g, and the estimator "
                "depends on it: fine texture makes them fewer; pass looks= if you know better",
                found.looks,
                high,
            )
        return found
    if not low / ROOM <= looks <= high * ROOM:
        raise GroundshiftError(
            f"looks={looks:g} contradicts the images, which show {low:.2g} to {high:.2g}: the "
            "result would be wrong without a sign of it; leave looks= out, or pass what the "
            "product has"
        )
    return Speckle(looks, found.bandwidth)


def _parts(one: xr.DataArray, two: xr.DataArray) -> tuple[Tensor, Tensor]:
    """Read squares of both images, spread over what they show, one below the other."""
    pieces: tuple[list[Tensor], list[Tensor]] = ([], [])
    for rows, columns in _squares(one.shape):
        for image, found in zip((one, two), pieces, strict=True):
            values = np.asarray(image[rows, columns].data, np.float32)
            height, width = values.shape
            whole = np.full((SIDE, SIDE), np.nan, np.float32)
            whole[:height, :width] = values
            found.append(torch.from_numpy(whole))
    return torch.cat(pieces[0]), torch.cat(pieces[1])


def _squares(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    starts = [
        sorted({round(k * max(0, n - SIDE) / (PLACES - 1)) for k in range(PLACES)}) for n in shape
    ]
    for top, left in product(*starts):
        yield slice(top, top + SIDE), slice(left, left + SIDE)
