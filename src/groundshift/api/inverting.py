"""The verb that turns the pairs of a stack into a history."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple, cast
from uuid import uuid4

import dask.array as da
import numpy as np
import torch
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from groundshift import timeseries
from groundshift.api.inputs import history_of
from groundshift.errors import GridError, GroundshiftError
from groundshift.inversion import Inversion, Network, expectation
from groundshift.inversion import invert as solve
from groundshift.tile import Gate
from groundshift.tile.memory import cores, default_budget
from groundshift.tile.progress import TASK
from groundshift.timeseries import MOVING, STILL

_array = cast(Any, da.Array)  # its type hints do not know how it is made

log = logging.getLogger(__name__)

PLACES, SIDE = 5, 4
"""Places along each axis, and cells along each of their sides, that tell what is to be expected."""
FEWEST = 30
"""Stable cells from which the median of a pair counts."""
SIDES = (128, 256)
"""Cells along each side of a block, of a stack without chunks, and at most."""
BLOCK = 256_000_000
"""Bytes of a block and its result, at most."""
PART = 4096
"""Cells that are solved at a time."""
WORK = 400_000_000
"""Bytes that this takes, roughly."""


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
    moved = np.zeros((2, cube.sizes["pair"]), np.float32)
    if stable is not None:
        moved = _of_stable(cube, stable)
        steps.append("took the median of stable ground from each pair")
    planes = [cube[name].variable for name in MOVING]
    years = torch.from_numpy(dates.years)
    some = _sample(planes)
    some[:2] -= moved[:, :, None, None]
    known = bool(np.isfinite(some[2:]).any())
    if not known:
        log.warning("no pair knows its sigma: all count alike, and errors follow from residuals")
    how = replace(how, expected=_expectation(dates.network, years, some, how, known=known))
    count = len(MOVING) * len(dates.times) + len(STILL)
    solved = _blocks(_Job(dates.network, years, day, how, known, moved), planes, count, memory)
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


def _blocks(job: _Job, planes: list[xr.Variable], count: int, memory: int | None) -> da.Array:
    """Return the history of all cells, ``(count, rows, columns)``, as a lazy array of blocks.

    A block reads its own part of the stack when its turn comes: chunks that blocks share are read
    several times, but none is kept, so that memory is that of the blocks at work.
    """
    shape = planes[0].shape
    sides, workers = _layout(planes[0], count, memory)
    cuts = [
        [(start, min(start + side, n)) for start in range(0, n, side)]
        for n, side in zip(shape[1:], sides, strict=True)
    ]
    gate = Gate(workers, 1)
    name = f"{TASK}-{uuid4().hex}"
    layer: dict[Any, Any] = {}
    for (i, rows), (j, columns) in product(*map(enumerate, cuts)):
        part = [each[:, slice(*rows), slice(*columns)] for each in planes]
        # As a partial: dask would take tensors and dataclasses among the arguments apart.
        layer[name, 0, i, j] = (partial(_block, job, part, count, gate),)
    chunks = ((count,), *(tuple(stop - start for start, stop in cut) for cut in cuts))
    graph = HighLevelGraph.from_collections(name, layer)
    return _array(graph, name, chunks, meta=np.empty((0, 0, 0), np.float32))


def _block(job: _Job, part: list[xr.Variable], count: int, gate: Gate) -> np.ndarray:
    """Invert ``dx, dy, sigma_dx, sigma_dy`` of a block, each ``(pairs, rows, columns)``."""
    pairs, *shape = part[0].shape
    with gate.running():
        planes = np.empty((len(part), pairs, *shape), np.float32)
        for plane, each in zip(planes, part, strict=True):
            plane[:] = _read(each)
        planes[:2] -= job.moved[:, :, None, None]
        flat = planes.reshape(len(part), pairs, -1)
        out = np.empty((count, flat.shape[2]), np.float32)
        for start in range(0, flat.shape[2], PART):
            cells = slice(start, start + PART)
            out[:, cells] = _solved(job, flat[:, :, cells])
    return out.reshape(count, *shape)


def _solved(job: _Job, planes: np.ndarray) -> np.ndarray:
    observed, sigma = _flat(planes)
    found = solve(
        job.network,
        job.years,
        observed,
        sigma if job.known else None,
        reference=job.reference,
        how=job.how,
    )
    counted = (found.kept > 0).sum(0)
    parts = [found.position[:, 0], found.position[:, 1], found.sigma[:, 0], found.sigma[:, 1]]
    whole = torch.cat([*parts, found.misfit[None], counted[None].to(observed.dtype)])
    return whole.float().numpy()


def _read(part: xr.Variable) -> np.ndarray:
    """Read a part here and now, in the thread that needs it."""
    return part.compute(scheduler="sync").values


def _flat(planes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return displacements and sigma, ``(pairs, 2, cells)``; a sigma of 0 is none."""
    wide = torch.from_numpy(planes.astype(np.float64)).flatten(2).transpose(0, 1)
    sigma = wide[:, 2:]
    return wide[:, :2].contiguous(), sigma.where(sigma > 0, torch.nan)


def _sample(planes: list[xr.Variable]) -> np.ndarray:
    """Take cells of a few places, ``(4, pairs, rows, columns)``."""
    starts = [
        sorted({int(k) for k in np.linspace(0, max(0, n - SIDE), PLACES).round()})
        for n in planes[0].shape[1:]
    ]
    return np.stack(
        [
            np.concatenate(
                [
                    np.concatenate(
                        [_read(each[:, y : y + SIDE, x : x + SIDE]) for x in starts[1]], 2
                    )
                    for y in starts[0]
                ],
                1,
            )
            for each in planes
        ]
    )


def _expectation(
    network: Network, years: torch.Tensor, some: np.ndarray, how: Inversion, *, known: bool
) -> float | None:
    """Find what smoothness mismatches are looked for under: the same for all blocks."""
    if how.loss != "tukey":
        return None
    observed, sigma = _flat(some)
    return expectation(network, years, observed, sigma if known else None, how.breaks)


def _layout(plane: xr.Variable, count: int, memory: int | None) -> tuple[tuple[int, int], int]:
    """Choose the rows and columns of a block, and how many are worked on at once.

    Memory decides on the latter alone: a run that goes on finds the blocks of the one before.
    """
    chunks = plane.chunks[1:] if plane.chunks else [(SIDES[0],)] * 2
    sides = [min(max(each), SIDES[1], n) for each, n in zip(chunks, plane.shape[1:], strict=True)]
    # Numbers of 32 bits: what is read, the chunks of one variable at a time, and the result twice.
    cell = 4 * (6 * plane.shape[0] + 2 * count)
    while sides[0] * sides[1] > max(1, BLOCK // cell):
        longer = int(sides[1] > sides[0])
        sides[longer] = -(-sides[longer] // 2)
    need = sides[0] * sides[1] * cell + WORK
    budget = default_budget() if memory is None else memory
    if budget < need:
        raise GroundshiftError(
            f"a memory budget of {budget:,} bytes is too small for {plane.shape[0]} pairs; give "
            f"{need:,} or more"
        )
    return (sides[0], sides[1]), min(cores(), budget // need)


def _of_stable(cube: xr.Dataset, stable: xr.DataArray | np.ndarray) -> np.ndarray:
    """Return the median of each pair on its stable ground, ``(2, pairs)``."""
    ground = np.asarray(stable)
    if ground.shape != cube["dx"].shape[1:]:
        raise GridError(
            f"the stable mask has shape {ground.shape} and the pairs {cube['dx'].shape[1:]}; give "
            "one value per cell"
        )
    inside = np.isfinite(ground) & (ground != 0)
    medians = np.full((2, cube.sizes["pair"]), np.nan, np.float32)
    for k in range(cube.sizes["pair"]):
        for name, found in zip(("dx", "dy"), medians, strict=True):
            values = cube[name][k].values[inside]
            values = values[np.isfinite(values)]
            if values.size >= FEWEST:
                found[k] = np.median(values)
    lost = int(np.isnan(medians).any(0).sum())
    if lost == cube.sizes["pair"]:
        raise GroundshiftError(
            f"no pair has {FEWEST} cells or more on stable ground; give a larger mask"
        )
    if lost:
        log.warning("%d pair(s) have next to nothing on stable ground and are left out", lost)
    return medians
