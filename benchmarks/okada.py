"""Okada (1985), "Surface deformation due to shear and tensile faults in a half-space".

Written from equations 25 to 30, independently of the package, to check it: slow, and singular where
the original is. In NumPy's extended precision it decides between implementations in double; ``R +
xi`` and ``R + eta``, which cancel beside edges, are written as quotients there.
"""

import numpy as np


def okada85(x, y, depth, length, width, dip, slip, nu=0.25):
    """Displacement at the surface by a rectangle; x along strike, y to the left of it, z up.

    ``depth`` is that of the lower edge, whose corner is the origin; ``slip`` is left-lateral,
    reverse and opening; returns ``(3, ...)`` in the precision of ``x`` and ``dip``.
    """
    s, c = np.sin(dip), np.cos(dip)
    p, q = y * c + depth * s, y * s - depth * c
    total = np.zeros((3, *np.shape(x)), np.result_type(x, dip))
    for xi, eta, sign in (
        (x, p, 1), (x, p - width, -1), (x - length, p, -1), (x - length, p - width, 1)
    ):  # fmt: skip
        total += sign * np.stack(_term(xi, eta, q, s, c, slip, 1 - 2 * nu))
    return total / (8 * np.arctan(total.dtype.type(1)))


def _term(xi, eta, q, s, c, slip, m):
    R = np.sqrt(xi**2 + eta**2 + q**2)
    yt, dt, X = eta * c + q * s, eta * s - q * c, np.sqrt(xi**2 + q**2)
    r_eta, r_xi = _sum(R, eta, xi**2 + q**2), _sum(R, xi, eta**2 + q**2)
    angle, re, rx = np.arctan(xi * eta / (q * R)), R * r_eta, R * r_xi
    if abs(c) > 1e-8:
        i4 = m / c * (np.log(R + dt) - s * np.log(r_eta))
        i5 = m * 2 / c * np.arctan((eta * (X + q * c) + X * (R + X) * s) / (xi * (R + X) * c))
        i3 = m * (yt / (c * (R + dt)) - np.log(r_eta)) + s / c * i4
        i1 = -m / c * xi / (R + dt) - s / c * i5
    else:
        i4, i5 = -m * q / (R + dt), -m * xi * s / (R + dt)
        i3 = m / 2 * (eta / (R + dt) + yt * q / (R + dt) ** 2 - np.log(r_eta))
        i1 = -m / 2 * xi * q / (R + dt) ** 2
    i2 = -m * np.log(r_eta) - i3
    strike = (
        -(xi * q / re + angle + i1 * s),
        -(yt * q / re + q * c / r_eta + i2 * s),
        -(dt * q / re + q * s / r_eta + i4 * s),
    )
    dip = (
        -(q / R - i3 * s * c),
        -(yt * q / rx + c * angle - i1 * s * c),
        -(dt * q / rx + s * angle - i5 * s * c),
    )
    opening = (
        q**2 / re - i3 * s**2,
        -dt * q / rx - s * (xi * q / re - angle) - i1 * s**2,
        yt * q / rx + c * (xi * q / re - angle) - i5 * s**2,
    )
    parts = zip(strike, dip, opening, strict=True)
    return [slip[0] * a + slip[1] * b + slip[2] * o for a, b, o in parts]


def _sum(R, component, others):
    """``R + component``, with the squares of the other two components added up in ``others``."""
    other = R + np.abs(component)
    return np.where(component < 0, others / other, other)
