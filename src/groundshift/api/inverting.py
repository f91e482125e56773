"""The verb that turns the pairs of a stack into a history."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import torch
import xarray as xr

from groundshift import timeseries
from groundshift.api.inputs import history_of
from groundshift.errors import GridError, GroundshiftError
from groundshift.inversion import Inversion, Network, expectation
from groundshift.inversion import invert as solve
from groundshift.tile.memory import cores, default_budget
from groundshift.timeseries import MOVING, STILL

log = logging.getLogger(__name__)

PLACES, SIDE = 5, 4
"""Places along each axis, and cells along each of their sides, that tell what is to be expected."""
FEWEST = 30
"""Stable cells from which the median of a pair counts."""
COPIES = 4
"""Numbers of 64 bits kept for each number of a block while it is inverted, an upper estimate."""
WORK = 200_000_000
"""Bytes that inverting takes besides."""
LARGEST = 256
"""Cells along each side of a block, at most."""


def invert(
    pairs: xr.Dataset | Sequence[xr.Dataset],
    *,
    reference: Any = None,
    stable: xr.DataArray | np.ndarray | None = None,
    loss: str = "tukey",
    smoothness: float | None = None,
    breaks: Sequence[Any] = (),
    bridge: bool = False,
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
    memory
        Budget in bytes for the working memory; by default a safe fraction of what is free.

    Returns
    -------
    xr.Dataset
        A series (:mod:`groundshift.timeseries`): ``dx, dy, sigma_dx, sigma_dy`` of each date,
        ``misfit`` and the number of ``pairs`` that counted. Lazy. Standard deviations take pairs as
        independent: what is wrong with one image, in all of its pairs alike, they do not know.

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
    events = tuple(
        float((np.datetime64(each, "ns") - dates.times[0]) / timeseries.YEAR) for each in breaks
    )
    how = Inversion(loss, smoothness, events, bridge)
    steps = [f"invert: {len(dates.network.pairs)} pairs of {len(dates.times)} dates"]
    if stable is not None:
        cube = _tied(cube, stable)
        steps.append("took the median of stable ground from each pair")
    planes = da.stack([da.asarray(cube[name].data) for name in MOVING])
    years = torch.from_numpy(dates.years)
    some = _sample(planes)
    known = np.isfinite(some[2:]).any()
    if not known:
        log.warning("no pair knows its sigma: all count alike, and errors follow from residuals")
    how = replace(how, expected=_expectation(dates.network, years, some, how, known=bool(known)))
    count = len(MOVING) * len(dates.times) + len(STILL)
    blocks = planes.rechunk(_chunks(planes.shape, memory))
    solved = blocks.map_blocks(
        _block,
        dates.network,
        years,
        day,
        how,
        bool(known),
        drop_axis=1,
        chunks=((count,), *blocks.chunks[2:]),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
        name=None,
    )
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
            "pairs": len(dates.network.pairs),
            "matcher": cube.attrs.get("matcher", ""),
            "history": history_of(steps),
        },
    )


def _block(
    planes: np.ndarray,
    network: Network,
    years: torch.Tensor,
    reference: int,
    how: Inversion,
    known: bool,  # noqa: FBT001 - called by dask
) -> np.ndarray:
    """Invert ``dx, dy, sigma_dx, sigma_dy`` of a block, ``(4, pairs, rows, columns)``."""
    shape = planes.shape[2:]
    observed, sigma = _flat(planes)
    found = solve(network, years, observed, sigma if known else None, reference=reference, how=how)
    counted = (found.kept > 0).sum(0)
    parts = [found.position[:, 0], found.position[:, 1], found.sigma[:, 0], found.sigma[:, 1]]
    whole = torch.cat([*parts, found.misfit[None], counted[None].to(observed.dtype)])
    return whole.float().numpy().reshape(-1, *shape)


def _flat(planes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return displacements and sigma, ``(pairs, 2, cells)``; a sigma of 0 is none."""
    wide = torch.from_numpy(planes.astype(np.float64)).flatten(2).transpose(0, 1)
    sigma = wide[:, 2:]
    return wide[:, :2].contiguous(), sigma.where(sigma > 0, torch.nan)


def _sample(planes: da.Array) -> np.ndarray:
    """Take cells of a few places, ``(4, pairs, rows, columns)``."""
    places = [
        np.unique(
            np.concatenate(
                [
                    np.arange(start, min(start + SIDE, n))
                    for start in np.linspace(0, max(0, n - SIDE), PLACES).round().astype(int)
                ]
            )
        )
        for n in planes.shape[2:]
    ]
    return np.asarray(planes[:, :, places[0]][:, :, :, places[1]])


def _expectation(
    network: Network, years: torch.Tensor, some: np.ndarray, how: Inversion, *, known: bool
) -> float | None:
    """Find what smoothness mismatches are looked for under: the same for all blocks."""
    if how.loss != "tukey":
        return None
    observed, sigma = _flat(some)
    return expectation(network, years, observed, sigma if known else None, how.breaks)


def _chunks(shape: tuple[int, ...], memory: int | None) -> tuple[int, int, int, int]:
    """Choose blocks of all pairs that fit into memory, one for each core at once."""
    budget = default_budget() if memory is None else memory
    cell = 8 * COPIES * shape[0] * shape[1]
    cells = (budget // cores() - WORK) // cell
    if cells < 1:
        raise GroundshiftError(
            f"a memory budget of {budget:,} bytes is too small for {shape[1]} pairs; give "
            f"{cores() * (WORK + cell):,} or more"
        )
    side = max(1, int(min(cells, LARGEST**2) ** 0.5))
    return (shape[0], shape[1], min(side, shape[2]), min(side, shape[3]))


def _tied(cube: xr.Dataset, stable: xr.DataArray | np.ndarray) -> xr.Dataset:
    """Take from each pair the median of its stable ground."""
    ground = np.asarray(stable)
    if ground.shape != cube["dx"].shape[1:]:
        raise GridError(
            f"the stable mask has shape {ground.shape} and the pairs {cube['dx'].shape[1:]}; give "
            "one value per cell"
        )
    inside = np.isfinite(ground) & (ground != 0)
    medians = {name: np.full(cube.sizes["pair"], np.nan, np.float32) for name in ("dx", "dy")}
    for k in range(cube.sizes["pair"]):
        for name, found in medians.items():
            values = cube[name][k].values[inside]
            values = values[np.isfinite(values)]
            if values.size >= FEWEST:
                found[k] = np.median(values)
    lost = [k for k in range(cube.sizes["pair"]) if np.isnan(medians["dx"][k] + medians["dy"][k])]
    if len(lost) == cube.sizes["pair"]:
        raise GroundshiftError(
            f"no pair has {FEWEST} cells or more on stable ground; give a larger mask"
        )
    if lost:
        log.warning("%d pair(s) have next to nothing on stable ground and are left out", len(lost))
    return cube.assign(
        {name: cube[name] - xr.DataArray(found, dims="pair") for name, found in medians.items()}
    )
