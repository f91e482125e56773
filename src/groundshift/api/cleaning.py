"""The verb ``clean``: the functions of :mod:`groundshift.quality` in the order that makes sense."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from groundshift import io, quality, timeseries
from groundshift.api import coregistration
from groundshift.api.inputs import history_of
from groundshift.api.pairs import facts_of
from groundshift.errors import GroundshiftError
from groundshift.field import check
from groundshift.io import growing


class Cleaning(NamedTuple):
    """What is done to a field, in this order; None is left out."""

    score: float | None = None
    """Least score."""
    sigma: float | None = None
    """Largest standard deviation, in units of the displacement."""
    magnitude: float | None = None
    """Largest displacement."""
    median: float | None = None
    """Threshold of the normalised median test; 2 is usual."""
    tolerance: float = 1.0
    """Pixels by which the way back may miss, where one is given."""
    islands: int | None = None
    """Fewest cells that hang together."""
    tie: str | None = None
    """"median", "ramp" or "quadratic" of stable ground is taken away."""
    stripes: float | None = None
    """Direction of stripes, degrees clockwise from north."""
    wide: float | None = None
    """Cells across which motion is smooth."""
    length: float | None = None
    """Cells along a stripe, of the windows whose medians count."""
    fill: int | None = None
    """Cells to the nearest measured one, of gaps that are filled."""


def clean(
    field: xr.Dataset,
    how: Cleaning,
    *,
    back: xr.Dataset | None = None,
    stable: xr.DataArray | np.ndarray | None = None,
) -> xr.Dataset:
    """Clean a displacement field; see :mod:`groundshift.quality`.

    Parameters
    ----------
    back
        Field of the same pair with the images exchanged: cells whose way back is another are left
        out.
    stable
        Ground that did not move, non-zero where stable, for `tie` and `stripes`: of the field's
        cells, or an image with coordinates.

    Raises
    ------
    GroundshiftError
        If the input cannot be used, or nothing is to be done.
    """
    found = check(field).compute()
    ground = None if stable is None else coregistration.on_cells(stable, found["dx"])
    if how == Cleaning(tolerance=how.tolerance) and back is None:
        raise GroundshiftError("nothing is asked for; choose what to clean, for example median=2")
    if (how.score, how.sigma, how.magnitude) != (None, None, None):
        found = quality.limit(found, score=how.score, sigma=how.sigma, magnitude=how.magnitude)
    if how.median is not None:
        found = quality.median_test(found, how.median)
    if back is not None:
        found = quality.consistent(found, back, how.tolerance)
    if how.islands is not None:
        found = quality.connected(found, how.islands)
    if how.tie is not None:
        found = quality.tie(found, how.tie, ground)
    if how.stripes is not None:
        found = quality.destripe(
            found, how.stripes, wide=how.wide, length=how.length, stable=ground
        )
    if how.fill is not None:
        found = quality.fill(found, how.fill)
    return found


def clean_stack(
    cube: xr.Dataset,
    out: Path | str,
    how: Cleaning,
    *,
    stable: xr.DataArray | np.ndarray | None = None,
    facts: dict[str, Any] | None = None,
) -> xr.Dataset:
    """Clean each pair of a stack, and write another stack; a run that was stopped goes on.

    Parameters
    ----------
    out
        The new stack, a folder that ends in .zarr.
    facts
        What else decides on the result: a run that was stopped goes on if they are the same.
    """
    timeseries.check_cube(cube)
    if how.fill is not None:
        raise GroundshiftError(
            "gaps of stacks are not filled, since invert would take that for measured; it needs "
            "no gaps filled"
        )
    out = Path(out).absolute()
    count = cube.sizes["pair"]
    plan = {"clean": list(how), "images": [], "pairs": [], **(facts or {})}
    with growing.begin(out, count, plan) as stack:
        known = stack.records()
        for number in range(count):
            if number in known:
                continue
            one = cube.isel(pair=number).assign_attrs(cube.attrs)
            found = clean(one, how, stable=stable)
            [planes] = growing.compute(stack, [found])
            found.attrs = {k: v for k, v in found.attrs.items() if k not in growing.OWN}
            growing.put(stack, number, found, planes, {"quality": facts_of(planes, found)})
        steps = [f"clean: {count} pairs, {_told(how)}"]
        history = "\n".join(filter(None, [cube.attrs.get("history", ""), history_of(steps)]))
        growing.finish(stack, {"schema": timeseries.CUBE, "history": history})
    return io.open_field(out)


def _told(how: Cleaning) -> str:
    given = {name: value for name, value in how._asdict().items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in given.items())
