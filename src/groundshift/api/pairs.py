"""How good each pair of a stack is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from groundshift import timeseries
from groundshift.api import coregistration
from groundshift.inversion.closure import closure
from groundshift.io.scratch import Scratch
from groundshift.quality.cells import nmad
from groundshift.timeseries import MOVING

DAY = np.timedelta64(1, "D")
CELLS = 1000
"""Rows and columns of a field that its quality is told from, at most."""
PLACES, SIDE = 3, 32
"""Places along each axis, and cells along each of their sides, at which triangles are closed."""


def quality(cube: xr.Dataset) -> xr.Dataset:
    """Tell how good each pair of a stack is.

    Parameters
    ----------
    cube
        As :func:`stack` writes it.

    Returns
    -------
    xr.Dataset
        Of each pair: ``reference, secondary`` (names of the images), ``days``, the ``share`` of
        cells that were measured, medians of ``sigma_dx, sigma_dy``, and ``closure``: the median
        size of the misfit of the triangles that it is in, over its standard deviation, 0.67 where
        sigma is right, NaN without triangles. On stable ground, where a mask was given, medians
        ``stable_dx, stable_dy`` and 1.4826 times the median absolute deviation from these,
        ``stable_nmad_dx, stable_nmad_dy``; metres.
    """
    dates = timeseries.dates_of(timeseries.check_cube(cube))
    records = json.loads(cube.attrs.get("records", "[]"))
    table: dict[str, Any] = {}
    for role in ("reference", "secondary") if records else ():
        names = [Path(record["attrs"].get(role, "")).name for record in records]
        table[role] = ("pair", names)
    apart = cube["secondary_time"].values - cube["reference_time"].values
    table["days"] = ("pair", apart / DAY)
    for name in records[0]["quality"] if records else ():
        table[name] = ("pair", [record["quality"].get(name, np.nan) for record in records])
    observed, sigma = (_places(cube, names) for names in (MOVING[:2], MOVING[2:]))
    table["closure"] = ("pair", closure(dates.network, observed, sigma).pairs.numpy())
    return xr.Dataset(table, {which: cube[which] for which in timeseries.TIMES})


def facts_of(
    planes: dict[str, Scratch], found: xr.Dataset, ground: xr.DataArray | None = None
) -> dict[str, float]:
    """Tell the quality of a pair: on every so many cells."""
    thin = {name: _thin(planes[name]) for name in MOVING}
    known = np.isfinite(thin["dx"]) & np.isfinite(thin["dy"])
    facts = {"share": float(known.mean())}
    for name in ("sigma_dx", "sigma_dy"):
        facts[name] = _median(thin[name])
    if ground is None:
        return facts
    stable = coregistration.at_cells(ground, found, 1)
    steps = tuple(slice(None, None, _step(n)) for n in stable.shape)
    for name in ("dx", "dy"):
        there = thin[name][stable[steps]]
        facts[f"stable_{name}"], facts[f"stable_nmad_{name}"] = _median(there), nmad(there)
    return facts


def _step(size: int) -> int:
    return max(1, size // CELLS)


def _thin(plane: Scratch) -> np.ndarray:
    """Every so many rows and columns of a plane."""
    down, across = (_step(n) for n in plane.shape)
    rows = range(0, plane.shape[0], down)
    return np.stack([plane[k : k + 1, :][0, ::across] for k in rows])


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _places(cube: xr.Dataset, names: Sequence[str]) -> torch.Tensor:
    """Return variables of a few places, ``(pairs, variables, cells)``."""
    parts = []
    for name in names:
        values = cube[name]
        starts = [
            sorted({int(k) for k in np.linspace(0, max(0, n - SIDE), PLACES)})
            for n in values.shape[1:]
        ]
        cells = [
            values[:, row : row + SIDE, column : column + SIDE].values.reshape(len(values), -1)
            for row in starts[0]
            for column in starts[1]
        ]
        parts.append(torch.from_numpy(np.concatenate(cells, 1)).double())
    return torch.stack(parts, 1)
