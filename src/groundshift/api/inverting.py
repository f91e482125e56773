"""The verb that turns the pairs of a stack into a history."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from groundshift import timeseries
from groundshift.api.cubes import flat, map_cells, sample
from groundshift.api.inputs import history_of
from groundshift.api.sampled import closing_of, knows_sigma, prepared
from groundshift.api.stable import attrs_of, noise_to_use, of_stable
from groundshift.errors import GroundshiftError
from groundshift.inversion import (
    Closing,
    Inversion,
    Network,
    closing,
    ways_around,
    with_images,
)
from groundshift.inversion import invert as solve
from groundshift.inversion.closure import Triangle
from groundshift.timeseries import MOVING, STILL

log = logging.getLogger(__name__)


def invert(  # noqa: PLR0913 - the verb: one keyword for each decision that is the user's
    pairs: xr.Dataset | Sequence[xr.Dataset],
    *,
    reference: Any = None,
    stable: xr.DataArray | np.ndarray | None = None,
    image_noise: float | None = None,
    loss: str = "tukey",
    smoothness: float | None = None,
    breaks: Sequence[Any] = (),
    bridge: bool = False,
    max_closure: float | None = None,
    memory: int | None = None,
) -> xr.Dataset:
    """Turn displacements of pairs into the displacement at each date.

    Parameters
    ----------
    pairs
        Displacement fields of one grid, as :func:`groundshift.track` gives them, or a cube of them
        (:func:`groundshift.timeseries.stack`).
    reference
        Date of an image, at which displacement is 0; by default the first.
    stable
        Ground that did not move, non-zero where stable: the median of each pair there is taken
        from it beforehand.
    image_noise
        Standard deviation, in metres, of what is wrong with an image as a whole, its
        orthorectification for example, which all of its pairs have in common and no closure shows.
        By default what stable ground shows of each image, and 0 without such ground.
    loss
        "tukey" leaves out pairs that contradict the others; "huber" and "l1" let them count less,
        "none" trusts all.
    smoothness
        Standard deviation of the change of velocity in a year, metres per year: dates are drawn
        together as far as that is to be expected. By default nothing is expected.
    breaks
        Dates of events, at which the ground may jump: nothing is smoothed across.
    bridge
        Let smoothness link dates that pairs do not.
    max_closure
        Leave out cells whose triangles of pairs close worse, in units of sigma: see ``closure``.
    memory
        Budget in bytes for the working memory; by default a safe fraction of what is free.

    Returns
    -------
    xr.Dataset
        A series (:mod:`groundshift.timeseries`): ``dx, dy, sigma_dx, sigma_dy`` of each date,
        ``misfit`` (at least 1 where pairs know their sigma, which residuals may only widen),
        ``closure`` of triangles of all pairs that were measured
        (:func:`groundshift.inversion.closing`: 1 where sigma is right, less where errors close,
        towards 3 where mismatches are many) and the number of ``pairs`` that counted. Lazy. The
        attributes ``image_noise_x, image_noise_y`` have what standard deviations know of images,
        metres for each date, and ``together`` the share of the pairs' variance that closes
        (:mod:`groundshift.inversion.together`), found, without stable ground, where residuals are
        less than half of what sigma promises; but for these they take pairs as independent. With
        smoothness, which also evens that out, they are upper bounds.

    Raises
    ------
    GroundshiftError
        If the input cannot be used; the message has the remedy.
    """
    cube = timeseries.check_cube(
        pairs if isinstance(pairs, xr.Dataset) else timeseries.stack(list(pairs))
    )
    dates = timeseries.dates_of(cube)
    day = 0 if reference is None else timeseries.nearest(dates, reference)
    if not bridge:
        timeseries.check_linked(
            dates,
            "track a pair between them, invert each group by itself, or let smoothness link them "
            "with smoothness= and bridge=",
        )
    events = tuple(timeseries.since(dates, each) for each in breaks)
    how = Inversion(loss, smoothness, events, bridge)
    steps = [f"invert: {len(dates.network.pairs)} pairs of {len(dates.times)} dates"]
    years = torch.from_numpy(dates.years)
    ground = None if stable is None else of_stable(cube, stable)
    noise = noise_to_use(ground, image_noise, dates.network, years)
    if ground is None:
        moved = np.zeros((2, cube.sizes["pair"]), np.float32)
    else:
        moved = ground.medians
        steps.append("took the median of stable ground from each pair")
    planes = [cube[name].variable for name in MOVING]
    some = sample(planes)
    some[:2] -= moved[:, :, None, None]
    known = knows_sigma(some)
    if max_closure is not None and not (known and max_closure > 0):
        raise GroundshiftError(
            f"max_closure={max_closure:g} cannot be used: it is a number above 0 of standard "
            "deviations, for pairs that know theirs"
        )
    _warn_of_empty(dates, some, day)
    how = prepared(dates.network, years, some, how, known=known)
    count = len(MOVING) * len(dates.times) + len(STILL)
    around = ways_around(dates.network) if known else []
    if max_closure is not None:
        if not around:
            raise GroundshiftError(
                "max_closure= needs triangles, and these pairs make none; leave it out, or track "
                "pairs that lead around others"
            )
        steps.append(f"left out cells that close worse than {max_closure:g}")
    # Stable ground tells errors that close, and all others of images.
    together = closing_of(dates.network, years, some, how) if known and ground is None else None
    job = _Job(dates.network, years, day, how, known, moved, noise, around, max_closure, together)
    solved = map_cells(partial(_solved, job), planes, count, memory)
    parts = {
        name: solved[n * len(dates.times) : (n + 1) * len(dates.times)]
        for n, name in enumerate(MOVING)
    }
    parts |= {name: solved[count - len(STILL) + n] for n, name in enumerate(STILL)}
    return timeseries.build(
        parts,
        cube,
        dates,
        day,
        {
            "inversion": repr(how),
            **attrs_of(noise),
            "together": 0.0 if together is None else round(together.share, 4),
            "pairs": len(dates.network.pairs),
            "matcher": cube.attrs.get("matcher", ""),
            "history": history_of(steps),
        },
    )


class _Job(NamedTuple):
    """What all blocks have in common."""

    network: Network
    years: torch.Tensor
    reference: int
    how: Inversion
    known: bool
    """Whether sigma is."""
    moved: np.ndarray
    """What is taken from each pair, ``(2, pairs)``."""
    noise: torch.Tensor
    """Of whole images, ``(dates, 2)``."""
    around: list[Triangle]
    """Triangles that tell how well each cell closes."""
    max_closure: float | None
    together: Closing | None
    """What errors that close make of sigma."""


def _solved(job: _Job, planes: np.ndarray) -> np.ndarray:
    """Invert ``dx, dy, sigma_dx, sigma_dy`` of some cells, ``(4, pairs, cells)``."""
    observed, sigma = flat(planes)
    observed -= torch.from_numpy(job.moved.T)[:, :, None]
    found = solve(
        job.network,
        job.years,
        observed,
        sigma if job.known else None,
        reference=job.reference,
        how=job.how,
    )
    counted = (found.kept > 0).sum(0)
    closes = closing(job.around, observed, sigma)
    promised = found.sigma
    if job.together is not None:
        promised = job.together.of_positions(promised, sigma, job.reference)
    sigma = with_images(promised, job.noise, job.reference)
    parts = [found.position[:, 0], found.position[:, 1], sigma[:, 0], sigma[:, 1]]
    out = torch.isfinite(found.position[:, 0]).sum(0) <= 1  # the reference date alone
    if job.max_closure is not None:
        out |= closes > job.max_closure
    parts = [part.masked_fill(out, torch.nan) for part in parts]
    still = (found.misfit, closes, counted.to(observed.dtype))
    whole = torch.cat([*parts, torch.stack(still)])
    return whole.float().numpy()


def _warn_of_empty(dates: timeseries.Dates, some: np.ndarray, reference: int) -> None:
    """Say which dates have nothing in cells where others have."""
    measured = np.isfinite(some[0]).any((1, 2))
    first, second = (each.numpy() for each in dates.network.ends())
    told = np.bincount(
        np.concatenate([first[measured], second[measured]]), minlength=len(dates.times)
    )
    if measured.any() and (empty := dates.times[told == 0]).size:
        named = ", ".join(str(np.datetime_as_string(day, unit="D")) for day in empty[:5])
        if not told[reference]:
            log.warning(
                "nothing is known relative to the reference date, as nothing was measured of it in "
                "the places that were looked at; choose another with reference="
            )
        log.warning(
            "no pair measured anything of %s%s in the places that were looked at: there is likely "
            "nothing in the result for these dates",
            named,
            "" if empty.size <= 5 else f" and {empty.size - 5} more",
        )
