"""Work on stacks of pairs block by block, in bounded memory."""

import logging
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, cast
from uuid import uuid4

import dask.array as da
import numpy as np
import torch
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from groundshift.errors import GroundshiftError
from groundshift.tile import Gate
from groundshift.tile.memory import cores, default_budget
from groundshift.tile.progress import TASK

_array = cast(Any, da.Array)  # its type hints do not know how it is made
log = logging.getLogger(__name__)

Solver = Callable[[np.ndarray], np.ndarray]
"""Of ``dx, dy, sigma_dx, sigma_dy``, ``(4, pairs, cells)``, to as many numbers of each cell as
there are, ``(count, cells)``."""

PLACES, SIDE = 5, 4
"""Places along each axis, and cells along each of their sides, that tell what is to be expected."""
SIDES = (128, 256)
"""Cells along each side of a block, of a stack without chunks, and at most."""
BLOCK = 256_000_000
"""Bytes of a block and its result, at most."""
PART = 4096
"""Cells that are solved at a time."""
WORK = 400_000_000
"""Bytes that this takes, roughly."""


def map_cells(
    solver: Solver, planes: list[xr.Variable], count: int, memory: int | None
) -> da.Array:
    """Return what a solver makes of all cells, ``(count, rows, columns)``, lazily.

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
        layer[name, 0, i, j] = (partial(_block, solver, part, count, gate),)
    chunks = ((count,), *(tuple(stop - start for start, stop in cut) for cut in cuts))
    graph = HighLevelGraph.from_collections(name, layer)
    return _array(graph, name, chunks, meta=np.empty((0, 0, 0), np.float32))


def _block(solver: Solver, part: list[xr.Variable], count: int, gate: Gate) -> np.ndarray:
    """Solve a block of variables, each ``(pairs, rows, columns)``."""
    pairs, *shape = part[0].shape
    with gate.running():
        planes = np.empty((len(part), pairs, *shape), np.float32)
        for plane, each in zip(planes, part, strict=True):
            plane[:] = _read(each)
        cells_of = planes.reshape(len(part), pairs, -1)
        out = np.empty((count, cells_of.shape[2]), np.float32)
        for start in range(0, cells_of.shape[2], PART):
            cells = slice(start, start + PART)
            out[:, cells] = solver(cells_of[:, :, cells])
    return out.reshape(count, *shape)


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


def sample(planes: list[xr.Variable]) -> np.ndarray:
    """Take cells of a few places, ``(4, pairs, rows, columns)``."""
    rows, columns = (_places(n) for n in planes[0].shape[1:])
    return np.stack(
        [
            np.concatenate(
                [np.concatenate([_read(each[:, y, x]) for x in columns], 2) for y in rows], 1
            )
            for each in planes
        ]
    )


def _places(size: int) -> list[slice]:
    """Return where cells are taken along a side; nearby places are read as one."""
    found: list[slice] = []
    for start in np.linspace(0, max(0, size - SIDE), PLACES).round().astype(int).tolist():
        stop = min(start + SIDE, size)
        if found and start <= found[-1].stop + SIDE:
            found[-1] = slice(found[-1].start, stop)
        else:
            found.append(slice(start, stop))
    return found


def _read(part: xr.Variable) -> np.ndarray:
    """Read a part here and now, in the thread that needs it."""
    return part.compute(scheduler="sync").values


def flat(planes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return displacements and sigma, ``(pairs, 2, cells)``; a sigma of 0 is none."""
    wide = torch.from_numpy(planes.astype(np.float64)).flatten(2).transpose(0, 1)
    sigma = wide[:, 2:]
    return wide[:, :2].contiguous(), sigma.where(sigma > 0, torch.nan)
