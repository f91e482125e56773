"""East, north and up from what several directions of sight show."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from groundshift.errors import GroundshiftError
from groundshift.geometry.sight import Vector

UNIT = 0.01
"""By which the length of a direction may differ from 1."""
WORST = 1e8
"""Ratio of the largest to the smallest eigenvalue from which a motion is not told."""


class Observation(NamedTuple):
    """What is measured of a motion along some direction."""

    value: np.ndarray
    """Metres; NaN is not measured."""
    sigma: Any
    """Standard deviation, metres; a number or an array."""
    vector: Vector
    """Unit vector (:mod:`groundshift.geometry.sight`), or that of a map axis: east is (1, 0, 0)."""


class Motion(NamedTuple):
    """A motion and its covariance, arrays of the shape of the observations; NaN is not told."""

    east: np.ndarray
    north: np.ndarray
    up: np.ndarray
    covariance: np.ndarray
    """Of east, north and up, ``(3, 3, ...)``, square metres."""

    @property
    def sigma(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Standard deviations of east, north and up."""
        east, north, up = (np.sqrt(self.covariance[k, k]) for k in range(3))
        return east, north, up


def combine(
    observations: Sequence[Observation], slope: tuple[np.ndarray, np.ndarray] | str | None = None
) -> Motion:
    """Solve for east, north and up by weighted least squares, cell by cell.

    Ascending and descending range with both azimuths tell all three. With less, say what is known
    of the motion.

    Parameters
    ----------
    observations
        Three or more, on one grid; two with a slope. Each counts by the inverse of its variance.
    slope
        "horizontal": nothing moves up or down. Or the gradient of the ground to the east and to the
        north: it moves along its surface, as glaciers and slides do, ``up = east * dz/de + north *
        dz/dn``. None: nothing is known.

    Raises
    ------
    GroundshiftError
        If there are too few observations, shapes differ, a vector is no unit vector or a sigma of
        what was measured is not positive.
    """
    free = 3 if slope is None else 2
    if len(observations) < free:
        raise GroundshiftError(
            f"{len(observations)} observation(s) do not tell {free} components; give {free} or "
            "more" + ("" if slope is not None else ", or slope='horizontal' or a gradient")
        )
    shape = np.shape(observations[0].value)
    if any(np.shape(each.value) != shape for each in observations):
        raise GroundshiftError("observations differ in shape; bring them onto one grid")
    if isinstance(slope, str) and slope != "horizontal":
        raise GroundshiftError(f"slope={slope!r} is not known; pass 'horizontal' or a gradient")
    rise = _rise(slope, shape)
    matrix, right = np.zeros((*shape, free, free)), np.zeros((*shape, free))
    for each in observations:
        value, sigma, parts = _checked(each, shape)
        if slope is not None:
            parts = [parts[0] + parts[2] * rise[0], parts[1] + parts[2] * rise[1]]
        vector = np.stack(parts, -1)
        known = np.isfinite(value) & np.isfinite(sigma) & np.isfinite(vector).all(-1)
        vector = np.where(known[..., None], vector, 0.0)
        trust = np.where(known, 1 / np.where(known, sigma, 1) ** 2, 0.0)
        matrix += trust[..., None, None] * vector[..., :, None] * vector[..., None, :]
        right += (trust * np.where(known, value, 0.0))[..., None] * vector
    spread = np.linalg.eigvalsh(matrix)
    told = spread[..., 0] * WORST > spread[..., -1]
    inverse = np.linalg.inv(np.where(told[..., None, None], matrix, np.eye(free)))
    found = np.einsum("...ij,...j->...i", inverse, right)
    if slope is not None:
        found, inverse = _along(found, inverse, rise)
    found[~told], inverse[~told] = np.nan, np.nan
    east, north, up = np.moveaxis(found, -1, 0)
    return Motion(east, north, up, np.moveaxis(inverse, (-2, -1), (0, 1)))


def _rise(slope: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of the ground, ``(2, ...)``; 0 where none is given."""
    rise = np.zeros((2, *shape))
    if slope is None or isinstance(slope, str):
        return rise
    if len(slope) != 2 or any(np.shape(part) not in {(), shape} for part in slope):
        raise GroundshiftError(
            f"slope= has to be two arrays of shape {shape}, dz/de and dz/dn, as the observations; "
            "bring the elevation onto their grid first"
        )
    rise[0], rise[1] = slope
    return rise


def _checked(each: Observation, shape: tuple[int, ...]) -> tuple[Any, Any, list[Any]]:
    """Return value, sigma and direction of an observation, each of the shape of all."""
    try:
        value, sigma, *parts = (
            np.broadcast_to(np.asarray(plane, float), shape)
            for plane in (each.value, each.sigma, *each.vector)
        )
    except ValueError as error:
        raise GroundshiftError(
            f"sigma and vector have to be numbers or arrays of shape {shape}, as the observations"
        ) from error
    if np.any(np.isfinite(value) & (sigma <= 0)):
        raise GroundshiftError(
            "sigma of an observation is 0 or less where it was measured; give standard deviations, "
            "or NaN where the value does not count"
        )
    length = np.sqrt(sum(part**2 for part in parts))
    if np.any(np.abs(length[np.isfinite(length)] - 1) > UNIT):
        raise GroundshiftError(
            "the direction of an observation is no unit vector (its length is "
            f"{float(np.nanmax(length)):.3g}); divide it, and what was measured along it, by that"
        )
    return value, sigma, parts


def _along(
    found: np.ndarray, covariance: np.ndarray, rise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add the third component, which follows from the other two."""
    shape = found.shape[:-1]
    lift = np.zeros((*shape, 3, 2))
    lift[..., 0, 0] = lift[..., 1, 1] = 1
    lift[..., 2, 0], lift[..., 2, 1] = rise
    whole = np.einsum("...ij,...j->...i", lift, found)
    return whole, np.einsum("...ij,...jk,...lk->...il", lift, covariance, lift)
