"""The verb ``track``: where each part of an image went."""

import logging
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
import xarray as xr

from groundshift import field, grid, tile
from groundshift.api import choice, coregistration, guard
from groundshift.api.coherent import COMPLEX, NET, Asked, operator_of, radar_kind
from groundshift.api.inputs import (
    check_data,
    check_dates,
    history_of,
    labelled,
    radiometry_of,
    source_of,
    time_of,
)
from groundshift.coherent import Tracking
from groundshift.errors import GridError, GroundshiftError, MatcherError
from groundshift.io import radiometry as kinds
from groundshift.types import Matcher, PairOperator

log = logging.getLogger(__name__)

ALIASED = 0.55
"""Cycles per pixel of single-look speckle from which aliasing outweighs a good match's sigma."""
LEAN = 0.6
"""Pixels of bias per cycle per pixel beyond 0.5, for shifts by a quarter of a pixel. Measured with
the default matcher: 0.015 px at 0.5, 0.04 at 0.6, 0.085 at 0.7, 0.14 at 0.8; `NCC` at 0.8: 0.18."""


def track(  # noqa: PLR0913 - the verb: one keyword for each decision that is the user's
    reference: xr.DataArray | np.ndarray,
    secondary: xr.DataArray | np.ndarray,
    matcher: Matcher | str = choice.AUTO,
    *,
    search: int | None = None,
    stride: int | None = None,
    prior: xr.Dataset | None = None,
    coregister: str | None = None,
    stable: xr.DataArray | np.ndarray | None = None,
    radiometry: str | None = None,
    coherence: bool | str = False,
    memory: int | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Measure where each part of the reference image went in the secondary image.

    Parameters
    ----------
    reference, secondary
        Images as :func:`groundshift.open_image` gives them, or bare 2-D arrays. They need not be
        on one grid: the secondary is resampled onto the reference's where it has to be.
    matcher
        "default" matches with several window sizes from coarse to fine; "auto" lets a trained net
        refine a search, where the images are like those that it was trained on. The name of
        weights that come with groundshift, or the folder of a training run: that net in any case.
        Or a matcher of your own, whose pixels are those that are matched: half as large as the
        input's for complex images, which are oversampled.
    search
        Largest displacement that those with a name look for, pixels; 4 are in any case.
    stride
        Pixels from one of their results to the next: 1, 2, 4, 8 or 16.
    prior
        A field to search around, from an earlier or coarser run on the same CRS.
    coregister
        "shift" or "affine": first fit a global motion robustly and remove it from the result.
    stable
        Ground that did not move, non-zero where stable; the global motion is fitted there only.
    radiometry
        "amplitude", "intensity", "db", "complex" or "optical"; guessed by default.
    coherence
        Add ``coherence`` and ``sigma_coherence`` of the ground that moved, of radar images. By a
        net, or by the name of another estimator for detected images of
        :func:`groundshift.coherence`.
    memory
        Budget in bytes for the working memory; by default a safe fraction of what is free.
    device
        "cpu", "cuda" or "auto".

    Returns
    -------
    xr.Dataset
        A displacement field (:mod:`groundshift.field`). Lazy: nothing is computed until it is
        saved or loaded, except for the co-registration.

    Raises
    ------
    GroundshiftError
        If the input cannot be used; the message has the remedy.
    """
    pair = labelled(reference, "reference"), labelled(secondary, "secondary")
    check_dates(*pair)
    if stable is not None and coregister is None:
        raise GroundshiftError(
            "stable ground is used for co-registration only; pass coregister='shift' with it"
        )
    ground = None if stable is None else coregistration.mask(stable, pair[0])
    kind = radar_kind(*pair, radiometry) if coherence else radiometry_of(*pair, radiometry)
    how = method(matcher, kind, search=search, stride=stride)
    for image, role in zip(pair, ("reference", "secondary"), strict=True):
        check_data(image, role)
    aliased = max(kinds.speckle_bandwidth(image, kind) for image in pair)
    images = grid.align(
        *(kinds.detect(image.assign_attrs(radiometry=kind)) for image in pair),
        window=smallest_window(how.matcher),
    )
    result = measure(
        *images,
        how,
        prior=prior,
        coregister=coregister,
        ground=ground,
        coherence=_estimator(coherence),
        memory=memory,
        device=device,
    )
    return result.assign_attrs({"radiometry": kind} | aliasing(aliased))


class Method(NamedTuple):
    """How displacement is measured."""

    matcher: Matcher
    otherwise: Matcher | None = None
    """What matches instead where images are unlike those that a net was trained on."""


def method(
    matcher: Matcher | str, kind: str, *, search: int | None = None, stride: int | None = None
) -> Method:
    """Return what is meant by a matcher, or its name, for images of a radiometry.

    Raises
    ------
    MatcherError
        If there is no such matcher, or it has no such settings.
    """
    # Complex images are oversampled: the default's pixels are those of the input all the same.
    sizes = search, stride, 2 if kind == "complex" else 1
    if isinstance(matcher, str):
        chosen = choice.named(matcher, *sizes)
        auto = matcher == choice.AUTO
        return Method(chosen, choice.named(choice.DEFAULT, *sizes) if auto else None)
    for name, value in (("search", search), ("stride", stride)):
        if value is not None:
            raise MatcherError(
                f"{name}={value} belongs to 'auto', 'default' and trained nets; with a matcher of "
                f"your own, write it there, as in NCC({name}={value})"
            )
    if not isinstance(matcher, Matcher):
        raise MatcherError(
            f"{matcher!r} is not a matcher; pass an object such as groundshift.matchers.NCC()"
        )
    return Method(matcher)


def measure(
    first: xr.DataArray,
    second: xr.DataArray,
    how: Method,
    *,
    prior: xr.Dataset | None = None,
    coregister: str | None = None,
    ground: xr.DataArray | None = None,
    coherence: str = "",
    memory: int | None = None,
    device: str = "cpu",
) -> xr.Dataset:
    """Measure the displacement between two detected images on one grid; see :func:`track`.

    Parameters
    ----------
    ground
        Mask of stable pixels, for the co-registration.
    coherence
        Name of its estimator; by default it is not estimated.
    """
    steps = [step_of(first, second)]
    geobox = field.geobox_of(first)
    images = {"reference": first, "secondary": second}
    chosen = how.matcher
    guard.unfinished(chosen)
    unlike = ""
    if how.otherwise is not None:
        chosen, unlike = choice.suited(chosen, images, how.otherwise)
    centre = None
    if prior is not None:
        centre = _prior(prior, geobox)
        chosen = _reaching(chosen, centre)
    removed = ""
    settings: dict[str, Any] = {"memory": memory, "device": device}
    if coregister is not None:
        motion = coregistration.fit(coregister, chosen, first, second, ground, centre, **settings)
        second = coregistration.apply(second, motion)
        centre = None if centre is None else coregistration.remove(centre, motion)
        removed = f"{coregister}: {coregistration.describe(motion, geobox)}"
        steps.append(f"removed a global {removed}")
        log.info("removed a global %s", removed)
    if strange := guard.unlike(chosen, {**images, "secondary": second}):
        guard.warn(strange)
        unlike = strange
    operator: PairOperator = chosen
    if coherence:
        operator = Tracking(chosen, operator_of(coherence, (first, second), Asked())[0])
    planes = tile.map_pair(operator, first, second, centre, **settings)
    attrs = {"unlike_training": unlike, "coregistration": removed}
    return labelled_field(planes, first, second, chosen, steps, attrs)


def labelled_field(
    planes: Any,
    first: xr.DataArray,
    second: xr.DataArray,
    matcher: Matcher,
    steps: list[str],
    attrs: dict[str, str],
) -> xr.Dataset:
    """Return planes of a pair as a field, with those attributes that are not empty."""
    result = field.build(
        planes,
        field.geobox_of(first),
        stride=matcher.stride,
        reference_time=time_of(first),
        secondary_time=time_of(second),
        matcher=repr(matcher),
        history=history_of(steps),
    )
    sources = {"reference": source_of(first), "secondary": source_of(second)}
    return result.assign_attrs(sources | {name: text for name, text in attrs.items() if text})


def step_of(first: xr.DataArray, second: xr.DataArray) -> str:
    """Say in the history what was tracked."""
    return f"track: {source_of(first)} -> {source_of(second)}"


def aliasing(bandwidth: float) -> dict[str, str]:
    """Warn of detected single-look images whose pixels are too large for their speckle.

    Parameters
    ----------
    bandwidth
        Of the speckle, cycles per pixel (:func:`groundshift.io.radiometry.speckle_bandwidth`).

    Returns
    -------
    dict
        What a result says about it.
    """
    if bandwidth < ALIASED:
        return {}
    found = (
        f"single-look speckle of {bandwidth:.2f} cycles per pixel, aliased beyond 0.5: "
        "displacements lean towards whole pixels by up to "
        f"{LEAN * (bandwidth - 0.5):.2f} px, and sigma does not know it"
    )
    log.warning("%s; give the complex images, which are oversampled before detection", found)
    return {"aliasing": found}


def smallest_window(matcher: Any) -> int:
    """Return the smallest window anywhere in a matcher: less overlap than that is hopeless."""
    return min(_windows(matcher), default=1)


def _estimator(coherence: bool | str) -> str:  # noqa: FBT001 - as track has it
    """Return the name of the estimator of coherence that is asked for, empty if none is."""
    name = NET if coherence is True else coherence or ""
    if name == COMPLEX:
        raise GroundshiftError(
            f"coherence={COMPLEX!r} is not for tracking, which detects the images; choose 'unet', "
            "'pearson' or another for detected images"
        )
    return name


def _windows(part: Any) -> Iterator[int]:
    if isinstance(part, tuple):
        for item in part:
            yield from _windows(item)
    elif is_dataclass(part):
        for each in fields(part):
            value = getattr(part, each.name)
            if each.name in {"window", "windows", "side"}:
                values = value if isinstance(value, tuple) else (value,)
                yield from (item for item in values if isinstance(item, int))
            yield from _windows(value)


def _prior(prior: xr.Dataset, geobox: Any) -> tile.Prior:
    """Return a field in pixels of the image, and where its cells are."""
    if not isinstance(prior, xr.Dataset):
        raise GroundshiftError("the prior is not a field; open one with groundshift.open_field")
    cells = field.geobox_of(field.check(prior))
    if cells.crs != geobox.crs:
        raise GridError(
            f"the prior is in {cells.crs} and the reference in {geobox.crs}; reproject one of them"
        )
    image, own = geobox.affine, cells.affine
    if max(abs(part) for affine in (image, own) for part in (affine.b, affine.d)) > 0:
        raise GridError("a prior on a rotated grid is not supported; resample it to a north-up one")
    # The cells' steps and corner, in pixels of the image.
    step_y, step_x = own.e / image.e, own.a / image.a
    top, left = (own.f - image.f) / image.e, (own.c - image.c) / image.a
    measured = field.pixels(prior)
    stride = int(prior.attrs.get("stride", 1))
    return tile.Prior(
        measured.dy * np.float32(step_y / stride),
        measured.dx * np.float32(step_x / stride),
        (step_y, step_x),
        (top + step_y / 2 - 0.5, left + step_x / 2 - 0.5),
    )


def _reaching(matcher: Any, prior: tile.Prior) -> Any:
    """Let a matcher follow a prior as far as it goes, where it has a say in that."""
    (extremes,) = dask.compute(  # pyright: ignore[reportPrivateImportUsage]
        [da.nanmax(abs(da.asarray(plane))) for plane in (prior.dy, prior.dx)]
    )
    known = [float(extreme) for extreme in extremes if np.isfinite(extreme)]
    need = int(np.ceil(max(known, default=0.0)))
    reaching = _with_reach(matcher, need)
    if reaching != matcher:
        log.info("the prior reaches %d px: the matcher follows it that far", need)
    return reaching


def _with_reach(matcher: Any, need: int) -> Any:
    """Raise the `reach` of a matcher, or of the one that it is made of."""
    if hasattr(matcher, "reach"):
        return replace(matcher, reach=max(matcher.reach, need))
    inner = getattr(matcher, "matcher", None)
    if inner is None or not is_dataclass(matcher):
        return matcher
    return replace(matcher, matcher=_with_reach(inner, need))  # type: ignore[arg-type]
