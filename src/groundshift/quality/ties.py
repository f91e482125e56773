"""Tie a field to ground that did not move: a shift, a ramp, or a bend of all cells together."""

import logging
from typing import NamedTuple

import numpy as np
import xarray as xr

from groundshift.errors import GridError, GroundshiftError
from groundshift.field import check
from groundshift.quality.cells import moved, nmad, planes, said

log = logging.getLogger(__name__)

DEGREES = {"median": 0, "ramp": 1, "quadratic": 2}
"""Of the polynomial that is taken away, by name."""
FEWEST = 30
"""Stable cells from which a fit counts."""
TURNS = 30
"""Iterations at most."""
BEND = 4.685
"""Standard deviations beyond which Tukey's biweight takes no notice."""
SUSPECT = 5.0
"""Times sigma that all ground scatters, from which it is doubted that most of it is stable."""
SAMPLE = 200_000
"""Cells that are fitted, at most."""


class Stable(NamedTuple):
    """What stable ground shows, in units of the displacement."""

    cells: int
    shift_dx: float
    """Median."""
    shift_dy: float
    nmad_dx: float
    """1.4826 times the median absolute deviation from the median."""
    nmad_dy: float
    excess: float
    """Standard deviation of what is measured there in units of sigma, robustly: 1 where sigma is
    right. NaN where sigma is not known."""


def stable_statistics(field: xr.Dataset, stable: xr.DataArray | np.ndarray) -> Stable:
    """Tell what ground shows that did not move: how wrong a field is, and how honest its sigma.

    Parameters
    ----------
    stable
        Of the field's cells, non-zero where the ground did not move.
    """
    check(field)
    inside = mask_of(stable, field)
    dx, dy = (plane[inside] for plane in planes(field))
    known = np.isfinite(dx)
    if not known.any():
        raise GroundshiftError("nothing was measured on stable ground; give a larger mask")
    sigmas = [field[f"sigma_{name}"].values[inside] for name in ("dx", "dy")]
    ratios = [
        (plane - np.nanmedian(plane)) / sigma for plane, sigma in zip((dx, dy), sigmas, strict=True)
    ]
    return Stable(
        int(known.sum()),
        float(np.nanmedian(dx)),
        float(np.nanmedian(dy)),
        nmad(dx),
        nmad(dy),
        nmad(np.concatenate(ratios)),
    )


def tie(
    field: xr.Dataset, kind: str = "median", stable: xr.DataArray | np.ndarray | None = None
) -> xr.Dataset:
    """Take away a shift, a ramp or a quadratic surface that stable ground shows.

    Each component by itself: the median, or a fit weighed by sigma with Tukey's biweight. What
    moved does not matter as long as it is the smaller part.

    Parameters
    ----------
    kind
        "median" (a shift), "ramp" or "quadratic".
    stable
        Of the field's cells, non-zero where the ground did not move; by default all cells.

    Returns
    -------
    xr.Dataset
        With the attributes ``stable_shift_x, stable_shift_y`` (what was taken away in the middle of
        the field) and ``error_stationary_x, error_stationary_y`` (the scatter that is left).
    """
    check(field)
    if kind not in DEGREES:
        raise GroundshiftError(f"kind={kind!r} is not known; choose one of {', '.join(DEGREES)}")
    both = planes(field)
    inside = np.isfinite(both[0])
    if stable is not None:
        inside &= mask_of(stable, field)
    cells = np.flatnonzero(inside)
    if cells.size < FEWEST:
        raise GroundshiftError(
            f"{cells.size} stable cells were measured, and {FEWEST} are needed; give a larger mask"
        )
    cells = cells[:: -(-cells.size // SAMPLE)]
    terms = _terms(both[0].shape, DEGREES[kind])
    found, facts = [], {}
    for name, plane in zip(("dx", "dy"), both, strict=True):
        sigma = field[f"sigma_{name}"].values.ravel()[cells]
        parts = np.stack([np.broadcast_to(t, plane.shape).ravel()[cells] for t in terms], 1)
        factors = _fit(parts, plane.ravel()[cells], sigma)
        surface = sum(f * t for f, t in zip(factors, terms, strict=True))
        found.append(plane - surface)
        axis = name[1]
        facts[f"stable_shift_{axis}"] = float(factors[0])
        facts[f"error_stationary_{axis}"] = left = nmad(found[-1].ravel()[cells])
        if stable is None and left > SUSPECT * np.median(sigma):
            log.warning(
                "%s scatters %.0f times as much as sigma says around a %s of all ground: much may "
                "have moved; give a mask of stable ground",
                name,
                left / np.median(sigma),
                kind,
            )
    step = f"tie: {kind} of {'all' if stable is None else 'stable'} ground taken away"
    return said(moved(field, *found), step).assign_attrs(facts)


def _terms(shape: tuple[int, ...], degree: int) -> list[np.ndarray]:
    """Return the powers of the coordinates, each from -1 to 1."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
    y, x = y[:, None], x[None, :]
    one = np.ones((1, 1))
    return [one, x, y, x * x, x * y, y * y][: {0: 1, 1: 3, 2: 6}[degree]]


def _fit(parts: np.ndarray, values: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the factors of each term."""
    known = np.isfinite(sigma) & (sigma > 0)
    # A matcher that does not know its sigma has equal weights.
    trust = 1 / np.where(known, sigma, np.median(sigma[known]) if known.any() else 1.0)
    trust /= trust.max()
    factors = np.zeros(parts.shape[1])
    factors[0] = np.median(values)
    if factors.size == 1:
        return factors
    for _ in range(TURNS):
        rest = values - parts @ factors
        scale = max(nmad(rest), 1e-12)
        weights = np.clip(1 - (rest / (BEND * scale)) ** 2, 0, None) ** 2
        root = np.sqrt(weights) * trust
        better = np.linalg.lstsq(parts * root[:, None], values * root, rcond=None)[0]
        change = np.abs(better - factors).max()
        factors = better
        if change < 1e-6 * scale:
            break
    return factors


def mask_of(stable: xr.DataArray | np.ndarray, field: xr.Dataset) -> np.ndarray:
    """Return where the ground is stable; refuse a mask of another shape."""
    ground = np.asarray(stable, float)
    if ground.shape != field["dx"].shape:
        raise GridError(
            f"the stable mask has shape {ground.shape} and the field {field['dx'].shape}; give one "
            "value per cell"
        )
    return np.isfinite(ground) & (ground != 0)
