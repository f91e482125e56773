"""Profiles across a fault, and how far its sides slipped past each other."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from groundshift.errors import GroundshiftError
from groundshift.field import check
from groundshift.grid import geobox_of, metres_of_unit
from groundshift.grid.motion import NMAD

TURNS, BEND = 20, 4.685
"""Iterations of Tukey's biweight, and standard deviations beyond which it takes no notice."""
FEWEST = 6
"""Cells on each side."""


class Profile(NamedTuple):
    """Cells of a swath across a fault, nearest to the left first; arrays of one value for each."""

    distance: np.ndarray
    """From the fault, metres (pixels without a map grid): negative to the left of its strike."""
    along: np.ndarray
    """From the place where the profile crosses it, along the strike."""
    parallel: np.ndarray
    """Displacement in the direction of the strike."""
    normal: np.ndarray
    """Displacement to the right of the strike."""
    sigma_parallel: np.ndarray
    """Standard deviations of both."""
    sigma_normal: np.ndarray


class Offset(NamedTuple):
    """How far the sides of a fault slipped past each other, where they meet."""

    right_lateral: float
    """Positive where the other side went to the right."""
    sigma_right_lateral: float
    opening: float
    """Positive where the sides went apart."""
    sigma_opening: float
    cells: int
    """That counted."""


def profile(
    field: xr.Dataset, place: tuple[float, float], strike: float, *, length: float, width: float
) -> Profile:
    """Take the cells of a swath across a fault.

    Parameters
    ----------
    place
        ``(x, y)`` of a point of the fault, in coordinates of the field, whatever their unit.
    strike
        Direction of the fault, degrees clockwise from the y axis (north): the left and the right
        are those of somebody who looks that way. Without a map grid, from the direction of rows
        upward.
    length
        To each side of the fault, metres.
    width
        Of the swath, along the fault, metres.
    """
    check(field)
    grid = geobox_of(field)
    if grid.crs is not None and grid.crs.geographic:
        raise GroundshiftError("profiles are of metres; reproject the field to a projected grid")
    up = -1.0 if grid.crs is None else 1.0
    unit = 1.0 if grid.crs is None else metres_of_unit(grid)
    rows, columns = np.indices(field["dx"].shape) + 0.5
    affine = grid.affine
    x = (affine.a * columns + affine.b * rows + affine.c - place[0]) * unit
    y = (affine.d * columns + affine.e * rows + affine.f - place[1]) * unit * up
    s, c = np.sin(np.deg2rad(strike)), np.cos(np.deg2rad(strike))
    along, distance = x * s + y * c, x * c - y * s
    dx, dy = field["dx"].values.astype(float), field["dy"].values.astype(float) * up
    inside = (np.abs(distance) <= length) & (np.abs(along) <= width / 2)
    inside &= np.isfinite(dx) & np.isfinite(dy)
    order = np.argsort(distance[inside])
    sx, sy = (field[f"sigma_{name}"].values.astype(float) for name in ("dx", "dy"))
    planes = (distance, along, dx * s + dy * c, dx * c - dy * s)
    planes += (np.hypot(sx * s, sy * c), np.hypot(sx * c, sy * s))
    return Profile(*(np.asarray(plane, float)[inside][order] for plane in planes))


def offset(across: Profile, *, gap: float = 0.0, correlated: float = 1.0) -> Offset:
    """Fit a line to each side of a profile; where they meet the fault they are an offset apart.

    Robust (Tukey's biweight). Sigma follows from the scatter around the lines, or from that of the
    cells where this is larger. It does not know that the ground may bend near the fault: slip that
    is locked at depth, or shear over a wide zone, makes the offset too small beyond it.

    Parameters
    ----------
    gap
        Distance from the fault within which cells do not count: the damage zone, and half the
        matcher's window, within which it mixes both sides.
    correlated
        Cells whose errors are alike, about the matcher's window over its stride, squared.

    Raises
    ------
    GroundshiftError
        If a side has too few cells, or all in one distance.
    """
    sides = [across.distance < -gap, across.distance > gap]
    found, counts = [], 0
    for name, side in zip(("left", "right"), sides, strict=True):
        if side.sum() < FEWEST:
            raise GroundshiftError(
                f"the {name} side has {int(side.sum())} cells and {FEWEST} are needed; take a "
                "longer or wider profile, or a smaller gap"
            )
        away = across.distance[side]
        if np.ptp(away) < 1e-6 * np.abs(away).max():
            raise GroundshiftError(
                f"all cells of the {name} side are {abs(away[0]):.3g} from the fault, which tells "
                "no slope; take a longer profile"
            )
        counts += int(side.sum())
        both = ((across.parallel, across.sigma_parallel), (across.normal, across.sigma_normal))
        found.append([_end(plane[side], away, sigma[side]) for plane, sigma in both])
    (left, right), more = found, np.sqrt(correlated)
    return Offset(
        left[0][0] - right[0][0],
        float(np.hypot(left[0][1], right[0][1]) * more),
        right[1][0] - left[1][0],
        float(np.hypot(left[1][1], right[1][1]) * more),
        counts,
    )


def _end(values: np.ndarray, distance: np.ndarray, sigma: np.ndarray) -> tuple[float, float]:
    """Return the value of a line at distance 0, and its standard deviation."""
    parts = np.stack([np.ones_like(distance), distance], 1)
    known = np.isfinite(sigma) & (sigma > 0)
    sigma = np.where(known, sigma, np.median(sigma[known]) if known.any() else 1.0)
    weights = np.ones_like(values)
    line, scale = np.array([np.median(values), 0.0]), 1.0
    for _ in range(TURNS):
        root = np.sqrt(weights) / sigma
        line = np.linalg.lstsq(parts * root[:, None], values * root, rcond=None)[0]
        rest = (values - parts @ line) / sigma
        scale = NMAD * np.median(np.abs(rest))
        weights = np.clip(1 - (rest / (BEND * max(scale, 1e-12))) ** 2, 0, None) ** 2
    trust = weights / sigma**2
    covariance = np.linalg.inv((parts * trust[:, None]).T @ parts)
    excess = max(scale, 1.0) if known.any() else scale
    return float(line[0]), float(np.sqrt(covariance[0, 0]) * excess)
