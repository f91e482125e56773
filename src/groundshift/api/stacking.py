"""The verb ``stack``: all pairs of many images, measured one after the other."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from groundshift import io, tile, timeseries
from groundshift.api import coregistration, jointly
from groundshift.api.inputs import history_of, labelled, radiometry_of, source_of, time_of
from groundshift.api.pairs import facts_of
from groundshift.api.prepared import Prepared
from groundshift.api.tracking import Method, aliasing, measure, method
from groundshift.errors import GroundshiftError, ImageError, OutputError
from groundshift.field import DISPLACEMENTS
from groundshift.inversion import Network, choice
from groundshift.inversion.choice import Pairs
from groundshift.io import growing, partial
from groundshift.io import radiometry as kinds
from groundshift.io.growing import Growing
from groundshift.io.scratch import TYPE, Scratch
from groundshift.timeseries import Dates
from groundshift.types import Matcher

log = logging.getLogger(__name__)

DAY = np.timedelta64(1, "D")
FOLLOWING = 3
"""Images that follow each and make pairs with it, where nothing is said."""


class Progress(NamedTuple):
    """What became of a pair."""

    done: int
    """Pairs that are finished, this one included."""
    pairs: int
    reference: np.datetime64
    secondary: np.datetime64
    share: float
    """Of its cells that were measured; 0 of a pair that failed."""
    seconds: float
    """Taken by this pair."""
    left: float
    """Seconds that the remaining ones are expected to take."""
    failed: str
    """Why, or empty."""


def stack(  # noqa: PLR0913 - the verb: one keyword for each decision that is the user's
    images: Sequence[xr.DataArray],
    out: Path | str,
    matcher: Matcher | str = "auto",
    *,
    pairs: Sequence[tuple[Any, Any]] | None = None,
    following: int | None = None,
    longest: float | None = None,
    shortest: float = 0.0,
    annual: float | None = None,
    bridge: bool = False,
    grid: xr.DataArray | None = None,
    search: int | None = None,
    stride: int | None = None,
    coregister: str | None = None,
    stable: xr.DataArray | np.ndarray | None = None,
    radiometry: str | None = None,
    memory: int | None = None,
    device: str = "cpu",
    report: Callable[[Progress], None] | None = None,
) -> xr.Dataset:
    """Measure the displacement of many pairs of images, and write it as one stack.

    Pair by pair, what is measured is on the disk at once: a run that is stopped, however, goes on
    where it was. Another run with more images and the same settings adds their pairs.

    Parameters
    ----------
    images
        Three of one place or more, with their times, as :func:`groundshift.open_image` gives them.
    out
        The stack, a folder that ends in .zarr. Until it is complete it is the folder
        ``OUT.partial``.
    matcher, search, stride, coregister, radiometry, memory, device
        As for :func:`groundshift.track`, for all pairs.
    pairs
        Dates of both images of each pair. By default pairs are chosen:
    following
        Each image and so many that follow it, 3 if nothing else is said.
    longest, shortest
        All pairs at most, and at least, so many days apart.
    annual
        All pairs that are whole years apart, give or take so many days.
    bridge
        Go on where pairs do not link all dates.
    grid
        Image whose grid all get; by default the earliest.
    stable
        Ground that did not move, a mask of the pixels of that image, non-zero where stable: the
        table of quality tells what is measured there, and `coregister` is fitted there.
    report
        Called after each pair.

    Returns
    -------
    xr.Dataset
        The stack, dims (pair, y, x) (:mod:`groundshift.timeseries`); :func:`quality` tells how good
        each pair is. Pairs that failed are not in it, and are tried again by the next run.

    Raises
    ------
    GroundshiftError
        If the input cannot be used, or no pair could be measured.
    OutputError
        If OUT is something else, or was begun with other images or settings.
    """
    out = Path(out).absolute()
    if out.suffix != ".zarr":
        raise OutputError(f"{out} must end in .zarr; a stack of pairs is a folder")
    taken = _dated([labelled(image, f"image {k + 1}") for k, image in enumerate(images)])
    readable = _readable(taken)
    kind = _radiometry(readable, radiometry)
    how = method(matcher, kind, search=search, stride=stride)
    times = np.array([time_of(image) for image in taken])
    if pairs is not None:
        chosen = _given(times, pairs)
    else:
        chosen = _chosen(times, following, longest, shortest, annual)
    dates = Dates(times, Network(len(times), chosen))
    if not bridge:
        more = "choose more pairs with following=, longest= or annual="
        given = "add pairs that link them, or let the stack fall apart with bridge="
        timeseries.check_linked(dates, more if pairs is None else given)
    first = taken[0] if grid is None else labelled(grid, "grid")
    onto = kinds.detect(first.assign_attrs(radiometry=kind))
    ground = None if stable is None else coregistration.mask(stable, first)
    if ground is not None:
        coregistration.at_cells(ground, onto, how.matcher.stride)  # complains before the first pair
    facts = {
        "images": [_print_of(image) for image in taken],
        "pairs": [[int(i), int(j)] for i, j in chosen],
        "grid": _print_of(first),
        "matcher": [repr(each) for each in how if each is not None],
        "coregister": coregister,
        "stable": None if ground is None else int(np.asarray(ground).sum()),
        "radiometry": kind,
        "software": version("groundshift"),
    }
    with growing.begin(out, len(chosen), facts) as begun:
        detected = [kinds.detect(image.assign_attrs(radiometry=kind)) for image in taken]
        ready = Prepared(detected, onto, begun.folder / "images")
        settings = {"memory": memory, "device": device}
        job = _Job(begun, dates, ready, how, coregister, ground, settings)
        aliasing(max(kinds.speckle_bandwidth(image, kind) for image in (readable[0], readable[-1])))
        _measure(job, report)
        _finish(job, kind)
    return io.open_field(out)


class _Job(NamedTuple):
    """What all pairs have in common."""

    stack: Growing
    dates: Dates
    images: Prepared
    how: Method
    coregister: str | None
    ground: xr.DataArray | None
    settings: dict[str, Any]


def _dated(images: list[xr.DataArray]) -> list[xr.DataArray]:
    """Order images by their dates, which all must have, each its own."""
    if len(images) < 2:
        raise GroundshiftError(f"{len(images)} image(s) make no pair; give two or more")
    for number, image in enumerate(images, 1):
        if np.isnat(time_of(image)):
            raise ImageError(
                f"image {number} ({source_of(image)}) has no date; give it one in its name, such "
                "as 20200207, or with time= of open_image"
            )
    ordered = sorted(images, key=time_of)
    for one, other in pairwise(ordered):
        if time_of(one) == time_of(other):
            raise ImageError(
                f"{source_of(one)} and {source_of(other)} are both of "
                f"{np.datetime_as_string(time_of(one), unit='s')}; leave one out, or join them "
                "(gdalbuildvrt) if they show neighbouring ground"
            )
    return ordered


def _readable(images: list[xr.DataArray]) -> list[xr.DataArray]:
    """Return the images of which a sample can be read; those of which none can lose their pairs."""
    found, last = [], None
    for image in images:
        try:
            kinds.windows_of(image)
        except ImageError as error:
            log.warning("%s; its pairs will be left out", error)
            last = error
        else:
            found.append(image)
    if last is not None and len(found) < 2:
        raise last
    return found


def _radiometry(images: Sequence[xr.DataArray], given: str | None) -> str:
    """Return what the numbers of all images mean."""
    first = radiometry_of(images[0], images[-1], given)
    for image in images[1:-1]:
        radiometry_of(images[0], image, given)
    return first


def _given(times: np.ndarray, pairs: Sequence[tuple[Any, Any]]) -> Pairs:
    """Return pairs of days as pairs of numbers, the earlier date first, each once."""
    every = Dates(times, Network(len(times), ()))
    found = {tuple(sorted(timeseries.nearest(every, day) for day in pair)) for pair in pairs}
    if not found:
        raise GroundshiftError("pairs= is empty; give pairs of dates, or leave it out")
    if same := [i for i, j in found if i == j]:
        raise GroundshiftError(
            f"both dates of a pair are of {np.datetime_as_string(times[same[0]], unit='D')}; give "
            "two dates"
        )
    return tuple(sorted((int(i), int(j)) for i, j in found))


def _chosen(
    times: np.ndarray,
    following: int | None,
    longest: float | None,
    shortest: float,
    annual: float | None,
) -> Pairs:
    """Choose pairs by all that is asked for."""
    days = ((times - times[0]) / DAY).tolist()
    found: set[tuple[int, int]] = set()
    if following is None and longest is None and annual is None:
        following = FOLLOWING
    if following is not None:
        found.update(choice.sequential(days, following))
    if longest is not None:
        found.update(choice.within(days, longest))
    if annual is not None:
        found.update(choice.annual(days, annual))
    kept = tuple(sorted(pair for pair in found if days[pair[1]] - days[pair[0]] >= shortest))
    if not kept:
        raise GroundshiftError(
            "no pairs are left; choose more with following=, longest= or annual=, or a smaller "
            "shortest="
        )
    return kept


def _print_of(image: xr.DataArray) -> list[Any]:
    """Tell an image from others, and from a later version of itself."""
    path = Path(source_of(image))
    told = [*image.shape, np.datetime_as_string(time_of(image))]
    return [*told, *partial.print_of(path)] if path.exists() else told


def _measure(job: _Job, report: Callable[[Progress], None] | None) -> None:
    """Measure all pairs that are not there yet; those that fail do not stop the others."""
    todo = set(range(job.stack.pairs)) - _known(job)
    count, spent, every = len(todo), 0.0, job.dates.network.pairs
    for batch in _batches(job):
        missing = sorted(todo.intersection(batch))
        for number, share, failed, taken in _outcomes(job, batch, missing):
            todo.remove(number)
            spent += taken
            for image in every[number]:
                if not any(image in every[later] for later in todo):
                    job.images.drop(image)
            if report is not None:
                i, j = every[number]
                left = spent / (count - len(todo)) * len(todo)
                times = job.dates.times[i], job.dates.times[j]
                done = job.stack.pairs - len(todo)
                report(Progress(done, job.stack.pairs, *times, share, taken, left, failed))


def _outcomes(
    job: _Job, batch: list[int], missing: list[int]
) -> Iterator[tuple[int, float, str, float]]:
    """Measure what is missing of a batch: share, why it failed, and seconds of each pair."""
    began = time.monotonic()
    if missing and len(batch) > 1 and (shares := _several(job, batch)):
        taken = (time.monotonic() - began) / len(missing)
        yield from ((number, shares[number], "", taken) for number in missing)
        return
    for number in missing:
        began = time.monotonic()
        share, failed = _alone(job, number)
        yield number, share, failed, time.monotonic() - began


def _known(job: _Job) -> set[int]:
    """Return the pairs that are there."""
    return {n for n, record in job.stack.records().items() if "place" in record}


def _batches(job: _Job) -> list[list[int]]:
    """Cut all pairs into those that are measured together: always alike, whatever is there."""
    if not jointly.can(job.how, job.coregister):
        return [[number] for number in range(job.stack.pairs)]
    rows, columns = (-(-n // job.how.matcher.stride) for n in job.images.onto.shape)
    size = len(DISPLACEMENTS) * TYPE.itemsize * rows * columns
    return list(jointly.batches(job.dates.network.pairs, size))


def _several(job: _Job, batch: list[int]) -> dict[int, float]:
    """Measure pairs together; return the shares that were measured, or nothing if that fails."""
    pairs = [job.dates.network.pairs[number] for number in batch]
    try:
        images = {n: job.images[n] for n in sorted({n for pair in pairs for n in pair})}
        fields = jointly.measure(images, pairs, job.how, **job.settings)
        found = _computed(job, fields)
    except OutputError:
        raise
    except Exception as error:  # of one pair, perhaps
        log.info("%d pairs are measured one by one (%s)", len(batch), error)
        return {}
    known = _known(job)
    for number, field, (planes, facts) in zip(batch, fields, found, strict=True):
        if number not in known:
            growing.put(job.stack, number, field, planes, {"quality": facts})
    return {number: facts["share"] for number, (_, facts) in zip(batch, found, strict=True)}


def _alone(job: _Job, number: int) -> tuple[float, str]:
    """Measure a pair; return the share that was measured, and why it failed."""
    i, j = job.dates.network.pairs[number]
    try:
        field = measure(
            job.images[i],
            job.images[j],
            job.how,
            coregister=job.coregister,
            ground=job.ground,
            **job.settings,
        )
        [(planes, facts)] = _computed(job, [field])
        growing.put(job.stack, number, field, planes, {"quality": facts})
    except OutputError:
        raise
    except Exception as error:
        failed = str(error) if isinstance(error, GroundshiftError) else repr(error)
        log.warning("pair %d is left out: %s", number + 1, failed)
        growing.fail(job.stack, number, failed)
        return 0.0, failed
    return facts["share"], ""


def _computed(
    job: _Job, fields: list[xr.Dataset]
) -> list[tuple[dict[str, Scratch], dict[str, float]]]:
    """Compute the planes of pairs, and what is known of their quality."""
    with tile.computing(progress=False):
        planes = growing.compute(job.stack, fields)
    return [
        (each, facts_of(each, field, job.ground))
        for each, field in zip(planes, fields, strict=True)
    ]


def _finish(job: _Job, kind: str) -> None:
    """Label the stack, with the quality of each pair."""
    records = job.stack.finished()
    if not records:
        reasons = [record["failed"] for record in job.stack.records().values()]
        raise GroundshiftError(
            f"none of {job.stack.pairs} pairs could be measured; the first: {reasons[0]}; all get "
            "the grid of the earliest image, or that of another with grid="
        )
    lost = job.stack.pairs - len(records)
    steps = [f"stack: {len(records)} pairs of {len(job.dates.times)} images"]
    steps += [f"{lost} pairs failed"] if lost else []
    growing.finish(
        job.stack,
        {
            "title": "Ground displacement of many pairs",
            "schema": timeseries.CUBE,
            "radiometry": kind,
            "failed": lost,
            "history": history_of(steps),
        },
    )
