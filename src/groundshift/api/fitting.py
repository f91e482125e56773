"""The verb ``fit``: velocity, seasons and events, straight from the pairs of a stack."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr

from groundshift import field, maps, timeseries
from groundshift.api.cubes import flat, map_cells, sample
from groundshift.api.inputs import history_of
from groundshift.api.sampled import closing_of, knows_sigma, prepared
from groundshift.api.stable import attrs_of, noise_to_use, of_stable
from groundshift.errors import GroundshiftError
from groundshift.inversion import Closing, Inversion, Network
from groundshift.inversion.events import find_step
from groundshift.inversion.fit import design_of
from groundshift.inversion.fit import fit as solve
from groundshift.inversion.terms import (
    Acceleration,
    Afterslip,
    Relaxation,
    Seasonal,
    Step,
    Term,
    Velocity,
    names_of,
)
from groundshift.timeseries import MOVING, Dates

log = logging.getLogger(__name__)

LOOKED_AT = 24
"""Places along each axis at which a step is looked for."""
GAIN = 4.0
"""For each pixel, from which a step counts as found: twice that of chance."""


def fit(  # noqa: PLR0913 - the verb: one keyword for each decision that is the user's
    pairs: xr.Dataset | Sequence[xr.Dataset],
    *,
    acceleration: bool = False,
    seasonal: bool = False,
    half_yearly: bool = False,
    steps: Sequence[Any] = (),
    find: bool = False,
    relaxations: Sequence[tuple[Any, float]] = (),
    afterslips: Sequence[tuple[Any, float]] = (),
    stable: xr.DataArray | np.ndarray | None = None,
    image_noise: float | None = None,
    memory: int | None = None,
) -> xr.Dataset:
    """Fit velocity, and what else is asked for, to the pairs of a stack, pixel by pixel.

    A pair is compared with what the motion does between its two dates, so that long pairs do not
    smear the seasons. Pairs weigh as their sigma says, all alike where none knows it; those far
    from the fit are left out.

    Parameters
    ----------
    pairs, stable, image_noise, memory
        As for :func:`groundshift.invert`.
    acceleration
        Velocity, which is that of the middle of the time then, changes steadily.
    seasonal, half_yearly
        A yearly and a half-yearly wave.
    steps
        Dates of events at which the ground jumped; an image of that time shows it already.
    find
        Look for the date of one more jump.
    relaxations, afterslips
        Dates of events, which may be before the first image, and the time, in days, in which motion
        after them ebbs away: by an exponential, and by a logarithm.

    Returns
    -------
    xr.Dataset
        A map (:data:`groundshift.maps.FIT`): ``velocity_x, velocity_y, sigma_velocity_x, ...`` and
        ``misfit``. The attribute ``found_step`` has the dates between which a jump was found, and
        ``together`` is what it is for :func:`groundshift.invert`.

    Raises
    ------
    GroundshiftError
        If the input cannot be used, or the dates do not tell the terms apart.
    """
    cube = timeseries.check_cube(
        pairs if isinstance(pairs, xr.Dataset) else timeseries.stack(list(pairs))
    )
    dates = timeseries.dates_of(cube)
    years = torch.from_numpy(dates.years)
    ground = None if stable is None else of_stable(cube, stable)
    noise = noise_to_use(ground, image_noise, dates.network, years)
    moved = np.zeros((2, cube.sizes["pair"]), np.float32) if ground is None else ground.medians
    terms: list[Term] = [Velocity()]
    terms += [Acceleration(float(dates.years[-1]) / 2)] if acceleration else []
    terms += [Seasonal()] if seasonal else []
    terms += [Seasonal(0.5)] if half_yearly else []
    terms += [Step(timeseries.since(dates, day)) for day in steps]
    for kind, events in ((Relaxation, relaxations), (Afterslip, afterslips)):
        terms += [
            kind(timeseries.since(dates, day, earlier=True), _years(tau)) for day, tau in events
        ]
    planes = [cube[name].variable for name in MOVING]
    some = sample(planes)
    known = knows_sigma(some)
    together = None if ground is not None or not known else _together(dates, some)
    attrs: dict[str, Any] = {"together": 0.0 if together is None else round(together.share, 4)}
    if find:
        between = _find(dates, terms, planes, moved, known=known)
        attrs["found_step"] = " to ".join(str(day)[:19] for day in between)
        terms.append(Step(float(np.mean([timeseries.since(dates, day) for day in between]))))
    design_of(dates.network, years, terms)  # complains now, not in a block
    names = names_of(terms)
    count = 4 * len(names) + 1
    job = _Job(dates.network, years, tuple(terms), moved, noise, together, known)
    solved = map_cells(partial(_solved, job), planes, count, memory)
    order = [f"{sigma}{name}_{axis}" for sigma in ("", "sigma_") for name in names for axis in "xy"]
    grid = field.geobox_of(cube)
    result = maps.build(
        maps.FIT,
        {name: solved[k] for k, name in enumerate([*order, "misfit"])},
        grid,
        stride=1,
        reference_time=dates.times[0],
        secondary_time=dates.times[-1],
        attrs={
            "stride": int(cube.attrs.get("stride", 1)),  # the grid is that of the results already
            "terms": "; ".join(repr(term) for term in terms),
            "pairs": len(dates.network.pairs),
            "dates": len(dates.times),
            **attrs_of(noise),
            "history": history_of([f"fit of {len(names)} numbers to {cube.sizes['pair']} pairs"]),
            **attrs,
        },
    )
    if grid.crs is None:
        for variable in result.data_vars.values():
            variable.attrs["units"] = variable.attrs["units"].replace("m", "pixel", 1)
    return result


class _Job(NamedTuple):
    """What all blocks have in common."""

    network: Network
    years: torch.Tensor
    terms: tuple[Term, ...]
    moved: np.ndarray
    noise: torch.Tensor
    together: Closing | None
    known: bool
    """Whether sigma is."""


def _years(days: float) -> float:
    if not days > 0:
        raise GroundshiftError(f"a motion cannot ebb away in {days:g} days; give days above 0")
    return days / 365.2422


def _together(dates: Dates, some: np.ndarray) -> Closing | None:
    """Tell whether errors of pairs close, whatever the motion is."""
    years = torch.from_numpy(dates.years)
    how = prepared(dates.network, years, some, Inversion(), known=True)
    return closing_of(dates.network, years, some, how)


def _solved(job: _Job, planes: np.ndarray) -> np.ndarray:
    """Fit ``dx, dy, sigma_dx, sigma_dy`` of some cells, ``(4, pairs, cells)``."""
    observed, sigma = flat(planes)
    observed -= torch.from_numpy(job.moved.T)[:, :, None]
    found = solve(
        job.network,
        job.years,
        job.terms,
        observed,
        sigma if job.known else None,
        noise=job.noise,
        together=job.together,
    )
    misfit = found.misfit if job.known else torch.full_like(found.misfit, torch.nan)
    parts = [found.value.flatten(0, 1), found.sigma.flatten(0, 1), misfit[None]]
    return torch.cat(parts).float().numpy()


def _find(
    dates: Dates, terms: list[Term], planes: list[xr.Variable], moved: np.ndarray, *, known: bool
) -> tuple[np.datetime64, np.datetime64]:
    """Return the dates between which the ground jumped."""
    places = [
        np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).round().astype(int))
        for n in planes[0].shape[1:]
    ]
    some = np.stack([each[:, places[0]][:, :, places[1]].values for each in planes])
    observed, sigma = flat(some)
    observed -= torch.from_numpy(moved.T)[:, :, None]
    measured = torch.isfinite(observed).all(1).sum(0) > 0
    if not bool(measured.any()):
        raise GroundshiftError("nothing was measured, so no jump can be looked for")
    event = find_step(
        dates.network,
        torch.from_numpy(dates.years),
        terms,
        observed[:, :, measured],
        sigma[:, :, measured] if known else None,
    )
    between = dates.times[event.before], dates.times[event.after]
    gain = float(event.gain.max()) / event.pixels
    said = " and ".join(str(day)[:10] for day in between)
    if gain < GAIN:
        log.warning(
            "no jump stands out: one between %s fits best, but hardly better than none; look at "
            "the sigma of the step",
            said,
        )
    else:
        log.info("a jump between %s fits best", said)
    return between
