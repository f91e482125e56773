"""What a radar sees of a motion: its parts along the line of sight and along the flight."""

from typing import Any

import numpy as np

from groundshift.errors import GroundshiftError

Vector = tuple[Any, Any, Any]
"""East, north and up; numbers or arrays."""


def range_vector(incidence: Any, heading: Any, look: str = "right") -> Vector:
    """Return the direction in which slant range grows: away from the satellite.

    A displacement ``(E, N, U)`` makes a range offset of its product with this vector.

    Parameters
    ----------
    incidence
        Angle between the line of sight and the vertical, degrees; a number or an array.
    heading
        Of the flight, degrees clockwise from north.
    look
        Side to which the antenna looks, "right" or "left".

    Examples
    --------
    >>> [round(float(v), 3) for v in range_vector(30, 0)]
    [0.5, 0.0, -0.866]
    """
    if look not in {"right", "left"}:
        raise GroundshiftError(f"look={look!r} is not known; pass 'right' or 'left'")
    ground = np.deg2rad(np.asarray(heading, float) + (90 if look == "right" else -90))
    tilt = np.deg2rad(np.asarray(incidence, float))
    return np.sin(tilt) * np.sin(ground), np.sin(tilt) * np.cos(ground), -np.cos(tilt)


def azimuth_vector(heading: Any) -> Vector:
    """Return the direction of flight, in which azimuth grows.

    Examples
    --------
    >>> [round(float(v), 3) for v in azimuth_vector(90)]
    [1.0, 0.0, 0.0]
    """
    angle = np.deg2rad(np.asarray(heading, float))
    return np.sin(angle), np.cos(angle), np.zeros_like(angle)


def flat(
    slant: Any, azimuth: Any, incidence: Any, heading: Any, look: str = "right"
) -> tuple[Any, Any]:
    """Return east and north of a motion that is known to be horizontal.

    Parameters
    ----------
    slant, azimuth
        Offsets in range, along the line of sight, and in azimuth, in metres.
    incidence, heading, look
        As for :func:`range_vector`.
    """
    sight, flight = range_vector(incidence, heading, look), azimuth_vector(heading)
    across = np.asarray(slant) / np.hypot(sight[0], sight[1])
    side = 1 if look == "right" else -1
    return (
        across * flight[1] * side + np.asarray(azimuth) * flight[0],
        -across * flight[0] * side + np.asarray(azimuth) * flight[1],
    )
